import inspect
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from composing import composed
from training import LEAST, make_trainer

from munit_pl import DrawnDataModule, MUNITModule
from munit_pl.commands.config.building import build
from munit_pl.models.munit.objective import LossWeights
from munit_pl.optim.schedules import schedule
from munit_pl.recipes.base import Recipe

CONF = Path(__file__).parents[3] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


@pytest.fixture
def config():
    return lambda *overrides: composed("train", *overrides)


def test_the_experiments_are_the_papers_those_of_later_sets_and_the_demo():
    assert set(EXPERIMENTS) == {
        "demo",
        "edges2shoes",
        "edges2handbags",
        "summer2winter_yosemite256",
        "synthia2cityscape",
        "demo_edges2handbags_folder",
        "demo_edges2handbags_list",
        "summer2winter_yosemite_hd",
        "afhq_cat2dog",
        "afhq_wild2cat",
        "afhq_wild2dog",
        "apple2orange",
        "cityscapes",
        "facades",
        "horse2zebra",
        "maps",
        "monet2photo",
    }


def test_experiments_build_models_that_their_data_can_pass(config):
    passed = []  # most share a model
    for name in EXPERIMENTS:
        cfg = config(f"+experiment={name}")
        with torch.device("meta"):  # no memory, no time, the real sizes
            size = build(cfg.data).size
            parameters = next((n for *there, n in passed if there == [cfg.model, size]), None)
            if parameters is None:
                module = build(cfg.model)
                x = torch.empty(1, 3, *size)
                module.check_size(*size)
                assert module(x).shape == x.shape
                assert len(module.dis_b(x)) == cfg.model.discriminator.num_scales
                parameters = sum(p.numel() for p in module.parameters())
                passed.append((cfg.model, size, parameters))
        assert parameters == 46_594_716 or name not in ORIGINAL
    assert len(passed) < len(EXPERIMENTS)


# Section 1.13 of the original's configurations, as far as they differ from each other.
ORIGINAL = {
    "demo_edges2handbags_folder": (256, 0, 0, 1000, 8, 1),
    "demo_edges2handbags_list": (256, 0, 0, 1000, 8, 1),
    "edges2handbags": (256, 0, 0, 10_000, 16, 10),
    "edges2shoes": (256, 0, 0, 10_000, 16, 10),
    "summer2winter_yosemite256": (256, 10, 0, 10_000, 16, 1),
    "synthia2cityscape": (512, 10, 1, 10_000, 16, 10),
}


def test_experiment_has_the_originals_values(config):
    for name in ORIGINAL:
        cfg = config(f"+experiment={name}")
        size, cycle, perceptual, grid, images, log = ORIGINAL[name]
        assert cfg.data.resize == size
        assert cfg.data.crop == [size, size]
        assert cfg.data.batch_size == 1
        weights = {"gan": 1, "image": 10, "style": 1, "content": 1, "cycle": cycle}
        assert cfg.model.weights == weights
        recipes = {name: recipe.weight for name, recipe in cfg.model.recipes.items()}
        assert recipes == ({"perceptual": perceptual} if perceptual else {})
        adam = {
            "name": "Adam",
            "lr": 1e-4,
            "betas": [0.5, 0.999],
            "weight_decay": 1e-4,
            "fused": None,
        }
        assert cfg.model.optimizer == {**adam, "fused": None}
        scheduler = cfg.model.scheduler
        assert (scheduler.kind, scheduler.step_size, scheduler.gamma) == ("step", 100_000, 0.5)
        assert scheduler.warmup == 0
        assert cfg.trainer.max_steps == 1_000_000
        assert cfg.callbacks.checkpoints.every_n_steps == 10_000
        assert (cfg.callbacks.grid.every_n_steps, cfg.callbacks.grid.num_images) == (grid, images)
        assert cfg.trainer.log_every_n_steps == log


def test_the_sets_of_later_work_are_trained_on_with_the_papers_settings(config, monkeypatch):
    monkeypatch.delenv("MUNIT_DATA", raising=False)
    later = set(EXPERIMENTS) - set(ORIGINAL) - {"demo", "summer2winter_yosemite_hd"}
    edges = config("+experiment=edges2shoes")
    for name in sorted(later):
        cfg = config(f"+experiment={name}")
        assert cfg.data.root == f"datasets/{name}"
        cfg.data.root = edges.data.root
        assert all(cfg[group] == edges[group] for group in ("model", "data", "trainer"))


def test_photographs_of_high_resolution_are_trained_on_with_the_perceptual_loss(config):
    cfg = config("+experiment=summer2winter_yosemite_hd")
    assert (cfg.model.recipes.perceptual.weight, cfg.model.weights.cycle) == (1, 10)
    assert (cfg.data.resize, cfg.data.crop) == (1024, [512, 512])


def test_cyclegans_sets_are_trained_on_as_its_authors_do_if_it_is_the_model(config):
    for name in ("apple2orange", "facades", "horse2zebra", "maps", "monet2photo"):
        for model, resize, length in (
            ("cyclegan", 286, (-1, 200)),
            ("munit", 256, (1_000_000, -1)),
        ):
            cfg = config(f"+experiment={name}", f"model={model}")
            assert (cfg.data.resize, [*cfg.data.crop]) == (resize, [256, 256])
            assert (cfg.trainer.max_steps, cfg.trainer.max_epochs) == length


def test_munit_yaml_lists_every_setting_with_its_default(config):
    """The file is the reference that a user reads, and what makes misspelt keys known."""
    listed = yaml.safe_load((CONF / "model" / "munit.yaml").read_text())
    with torch.device("meta"):
        built, default = build(config("data=folder", "data.root=x").model), MUNITModule()
    for group, network in (("generator", "gen_a"), ("discriminator", "dis_a")):
        arguments = inspect.signature(type(default.get_submodule(network))).parameters
        defaults = {name: a.default for name, a in arguments.items() if name != "in_channels"}
        assert listed[group] == defaults
    assert set(listed) - {"_target_"} == set(inspect.signature(MUNITModule).parameters)
    assert listed["weights"] == LossWeights()._asdict()
    arguments = inspect.signature(schedule).parameters
    expected = {k: a.default for k, a in arguments.items() if a.default is not a.empty}
    del expected["iterations"]
    assert listed["scheduler"] == expected
    for name in ("lr_discriminator", "discriminator_steps", "recipes"):
        assert listed[name] == default.hparams[name]
    assert {k: v.shape for k, v in built.state_dict().items()} == {
        k: v.shape for k, v in default.state_dict().items()
    }
    assert built.weights == default.weights
    with_optimizers = [module.configure_optimizers()[0][1].defaults for module in (built, default)]
    assert with_optimizers[0] | {"betas": (0.5, 0.999)} == with_optimizers[1]


def test_each_recipe_has_a_file_of_its_arguments_with_their_defaults(config):
    files = {file.stem: file.read_text() for file in (CONF / "recipe").glob("*.yaml")}
    # Not those that other tests wrote.
    own = {name for name, kind in Recipe.kinds.items() if kind.__module__.startswith("munit_pl.")}
    assert files.keys() == own
    composed = config(f"+recipe=[{','.join(files)}]").model.recipes
    for name, text in files.items():
        assert text.startswith(f"# @package model.recipes.{name}\n")
        arguments = inspect.signature(Recipe.kinds[name]).parameters.items()
        defaults = {k: list(a.default) if k == "augmentations" else a.default for k, a in arguments}
        assert composed[name] == defaults
    cfg = config("+recipe=[r1,ada]", "model.recipes.r1.weight=2")
    assert list(cfg.model.recipes) == ["r1", "ada"]
    assert [recipe.weight for recipe in build(cfg.model).recipes] == [2, 1]


def test_trainers_compose(config):
    for name, precision in (
        ("cpu", "16-mixed"),
        ("ddp", "bf16-mixed"),
        ("multinode", "32-true"),
        ("default", "auto"),
    ):
        cfg = config(f"trainer={name}", f"trainer.precision={precision}")
        assert cfg.trainer.max_epochs == -1  # only max_steps ends a run
        parallel = "ddp_find_unused_parameters_true" if name in ("ddp", "multinode") else "auto"
        assert cfg.trainer.strategy == parallel
        assert cfg.trainer.precision == precision
        assert cfg.trainer.num_nodes == (2 if name == "multinode" else 1)


@pytest.mark.parametrize("group", ["callbacks", "logger", "data", "model"])
def test_every_choice_of_a_group_composes_and_names_real_classes(config, group, tmp_path):
    for path in (CONF / group).glob("*.yaml"):
        if path.stem == "mlflow" and find_spec("mlflow") is None:
            continue  # an extra: see tests/commands/runtime/test_loggers.py
        cfg = config(f"{group}={path.stem}", f"output_dir={tmp_path}")
        if group == "data" and path.stem != "drawn":
            cfg.data["path" if path.stem == "huggingface" else "root"] = str(tmp_path)
        if group == "logger" and "wandb" in cfg.logger:
            cfg.logger.wandb.offline = True
        if "fault" in cfg.callbacks:
            cfg.callbacks.fault.kind, cfg.callbacks.fault.step = "sigterm", 1
        with torch.device("meta"):
            assert build(cfg[group])


def test_the_modern_preset_is_munit_but_for_what_was_measured_to_gain(config):
    modern, published = config("model=munit_modern"), config("model=munit")
    assert set(modern.callbacks) - set(published.callbacks) == {"ema"}
    changed = {key for key in modern.model if modern.model[key] != published.model[key]}
    assert changed == {"generator", "weights", "optimizer", "scheduler", "shared_styles"}
    assert modern.model.generator == {**published.model.generator, "whiten_styles": True}
    assert modern.model.weights.cycle > 0
    without = config("model=munit_modern", "callbacks=[default,evaluate]", "~callbacks.ema")
    assert set(without.callbacks) - set(published.callbacks) == {"evaluate"}


def test_ada_knows_how_long_a_run_is(config):
    assert config("+recipe=ada").model.recipes.ada.length == 500_000  # the paper's
    assert config("+recipe=ada", "trainer.max_steps=601").model.recipes.ada.length == 301
    assert config("+experiment=demo", "+recipe=ada").model.recipes.ada.length == 1000
    epochs = "trainer.max_steps=-1", "trainer.max_epochs=9"
    given = config("+recipe=ada", *epochs, "model.recipes.ada.length=7")
    assert given.model.recipes.ada.length == 7


def test_the_demo_is_the_modern_preset_in_small_and_takes_the_published_one_too(config):
    demo, modern = config("+experiment=demo"), config("model=munit_modern")
    assert demo.model.weights == modern.model.weights
    assert "ema" in demo.callbacks
    published = config("+experiment=demo", "model=munit")
    assert published.model.weights.cycle == 0
    assert "ema" not in published.callbacks
    assert demo.model.generator == {**published.model.generator, "whiten_styles": True}
    assert demo.model.generator.dim == 16


def test_callbacks_are_a_file_each_and_composed_by_lists(config):
    usual = set(config().callbacks)
    added = {path.stem for path in (CONF / "callbacks").glob("*.yaml")} - usual - {"default"}
    kinds = {"ema", "evaluate", "evaluate_folders", "drawn_report", "compile", "fault_injection"}
    assert added == kinds
    own = config("callbacks=[default,evaluate_folders]").callbacks.evaluate
    assert (own.protocol, own.monitor, own.every_n_steps) == ("starganv2", "mean/latent/fd", 1000)
    both = config("callbacks=[default,ema,evaluate]")
    assert set(both.callbacks) == usual | {"ema", "evaluate"}


def test_debugging_is_short_whatever_is_trained(config):
    for name in ("fast", "overfit", "profile"):
        cfg = config("+experiment=facades", f"+debug={name}")
        assert cfg.name == "debug"
        assert cfg.trainer.max_steps <= 500
    assert "SimpleProfiler" in cfg.trainer.profiler._target_


def test_overfitting_sees_the_same_batch_in_each_iteration(config):
    seen = []
    options = config("+debug=overfit").trainer
    loop = make_trainer(max_steps=3, max_epochs=-1, overfit_batches=options.overfit_batches)
    data = DrawnDataModule(size=(16, 16), length=8, batch_size=2, num_workers=0)
    module = MUNITModule(**LEAST)
    module.iterate = lambda batch: (
        seen.append(batch[0].clone()),
        type(module).iterate(module, batch),
    )[1]
    loop.fit(module, data)
    assert len(seen) == 3
    assert all(torch.equal(images, seen[0]) for images in seen)
