import socket
import time
from pathlib import Path

import pytest
import torch
from composing import composed
from lightning.pytorch import Callback
from omegaconf import OmegaConf

from munit_pl.commands.config.validation import check_config
from munit_pl.commands.errors import InputError

CONF = Path(__file__).parents[3] / "conf"
EXPERIMENTS = [
    path.relative_to(CONF / "experiment").with_suffix("").as_posix()
    for path in (CONF / "experiment").rglob("*.yaml")
    if path.stem != "base"
]
SMALL = [
    "data.size=[32,32]",
    "model.generator.dim=4",
    "model.generator.num_res_blocks=1",
    "model.discriminator.dim=4",
    "model.discriminator.num_layers=2",
    "model.discriminator.num_scales=1",
]


class Theirs(Callback):
    """A callback of another project."""

    def __init__(self, every: int, what: dict | None = None):
        raise AssertionError("another project's classes are not made to see what they say")


def config(*overrides, command="train"):
    """Compose, unknown settings too."""
    cfg = composed(command, *overrides)
    OmegaConf.set_struct(cfg, False)
    return cfg


def faults(*overrides, command="train"):
    """Return the lines that tell what is wrong, the count left out."""
    with pytest.raises(InputError) as error:
        check_config(config(*overrides, command=command), command)
    lines = str(error.value).splitlines()
    if len(lines) > 1:
        assert lines[0] == f"{len(lines) - 1} settings are wrong:"
        return [line.strip() for line in lines[1:]]
    return lines


def test_every_experiment_passes(monkeypatch):
    for name in EXPERIMENTS:
        monkeypatch.delenv("MUNIT_DATA", raising=False)
        check_config(config(f"+experiment={name}"))


def test_models_pass_with_every_kind_of_data():
    for data in ["drawn", "folder", "aligned", "huggingface"]:
        for model in ["munit", "unit", "cyclegan"]:
            where = {"drawn": "size=[256,256]", "huggingface": "path=nowhere"}.get(
                data, "root=nowhere"
            )
            check_config(config(f"model={model}", f"data={data}", f"data.{where}"))


OTHER_CHOICES = [
    f"{group}={path.stem}"
    for group in ("trainer", "callbacks", "logger")
    for path in (CONF / group).glob("*.yaml")
    if "???" not in path.read_text()
]


def test_every_choice_of_the_other_groups_passes_without_its_devices():
    for choice in OTHER_CHOICES:
        check_config(config(*SMALL, choice, "trainer.precision=16-mixed"))


def test_the_data_of_an_evaluation_pass():
    for data in [[], ["data=folder", "data.root=x"], ["data=aligned", "data.root=x"]]:
        check_config(config(*data, command="evaluate"), "evaluate")


def test_all_faults_are_told_at_once():
    assert faults(
        *SMALL,
        "+lrr=1",
        "+model.generator.dmi=64",
        "model.discriminator.norm=nrom",
        "model.weights.image=-1",
        "model.optimizer.lr=0",
        "model.optimizer.betas=[0.5,1.0]",
        "data.batch_size=0",
        "data.length=many",
        "trainer.max_steps=0",
        "trainer.accelerator=gpuu",
        "callbacks.checkpoints.every_n_steps=0",
    ) == [
        "there is no setting lrr; there are name, run, output_dir, seed, ckpt_path, init_from, "
        "data_hint, model, data, trainer, callbacks, logger",
        "there is no setting model.generator.dmi: did you mean model.generator.dim?",
        "model.discriminator.norm is 'nrom', but must be one of none, batch, instance, layer, "
        "spectral",
        "model.weights.image is -1, but must be at least 0",
        "model.optimizer.lr is 0, but must be above 0",
        "model.optimizer.betas[1] is 1.0, but must be below 1",
        "data.length is 'many', but must be a whole number",
        "data.batch_size is 0, but must be at least 1",
        "trainer.max_steps is 0, but must be at least 1 or -1",
        "callbacks.checkpoints.every_n_steps is 0, but must be at least 1",
        "there is no accelerator gpuu: did you mean gpu?",
    ]


def test_a_fault_is_told_in_one_line():
    for overrides, line in [
        # Names.
        (["+data.flipp=true"], "there is no setting data.flipp; there are"),
        (["+model.optimizer.amsgrd=true"], "did you mean model.optimizer.amsgrad?"),
        (["+model.scheduler.gama=0.1"], "did you mean model.scheduler.gamma?"),
        (["+model.initialization.generater=normal"], "mean model.initialization.generator?"),
        (
            ["+recipe=perceptual", "+model.recipes.perceptual.sorce=x"],
            "did you mean model.recipes.perceptual.source?",
        ),
        (["+trainer.max_step=3"], "did you mean trainer.max_steps?"),
        (["+callbacks.grid.num_image=3"], "did you mean callbacks.grid.num_images?"),
        (["+logger.csv.safe_dir=x"], "did you mean logger.csv.save_dir?"),
        (
            ["callbacks=[default,evaluate]", "+callbacks.evaluate.networks.feature=x"],
            "networks.features?",
        ),
        (["logger=tensorboard", "+logger.tensorboard.nmae=x"], "mean logger.tensorboard.name?"),
        # Kinds.
        (["model.shared_styles=3"], "model.shared_styles is 3, but must be true or false"),
        (["model.generator.dim=4.5"], "model.generator.dim is 4.5, but must be a whole number"),
        (["model.generator.dim=true"], "model.generator.dim is True, but must be a whole"),
        (["model.weights=3"], "model.weights is 3, but must be settings of its own"),
        (["model.weights.image=much"], "weights.image is 'much', but must be a number"),
        (["data.size=[32]"], "data.size is [32], but must be a list of 2 or more"),
        (["data.size=8"], "data.size is 8x8, but both sides must be at least 16"),
        (["trainer.precision=12"], "trainer.precision is 12, but must be one of 64, 32, 16,"),
        (["callbacks.bar=null"], "leave it out with ~callbacks.bar"),
        (["trainer=3"], "trainer is 3, but must be settings with a _target_"),
        # Ranges.
        (["model.generator.style_dim=0"], "generator.style_dim is 0, but must be at least 1"),
        (
            ["model.generator.num_res_blocks=1000000000"],
            "but must be at most 1000",
        ),
        (["model.discriminator.num_layers=20"], "images of 32x32 are too small for the discrim"),
        (["model.generator.dim=1000000000000000000000"], "model: "),
        (["model.optimizer.lr=.nan"], "model.optimizer.lr is nan, but must be finite"),
        (["model.optimizer.lr=.inf"], "model.optimizer.lr is inf, but must be finite"),
        (["+model.optimizer.eps=0"], "model.optimizer.eps is 0, but must be above 0"),
        (["model.scheduler.step_size=0"], "scheduler.step_size is 0, but must be at least 1"),
        (
            ["model.scheduler.kind=stairs"],
            "scheduler.kind is 'stairs', but must be one of step, linear",
        ),
        (["model.scheduler.warmup=-1"], "scheduler.warmup is -1, but must be at least 0"),
        (["model.scheduler.warmup=1.5"], "scheduler.warmup is 1.5, but must be a whole number"),
        (["model.lr_discriminator=0"], "model.lr_discriminator is 0, but must be above 0"),
        (["model.lr_discriminator=fast"], "lr_discriminator is 'fast', but must be a number"),
        (["model.weights.cycle=-1"], "model.weights.cycle is -1, but must be at least 0"),
        (["+recipe=r1", "model.recipes.r1.weight=-1"], "weight is -1, but must be at least 0"),
        (["+recipe=r1", "model.recipes.r1.every=0"], "every is 0, but must be at least 1"),
        (
            ["+recipe=ada", "model.recipes.ada.augmentations=[colour]"],
            "augmentations[0] is 'colour'",
        ),
        (["+recipe=ada", "model.recipes.ada.length=0"], "length is 0, but must be at least 1"),
        (
            ["+model.recipes.r2.weight=1"],
            "there is no setting model.recipes.r2: did you mean model.recipes.r1?",
        ),
        (["+recipe=mask"], "model.recipes.mask takes masks, but the images come without: set"),
        (["model.discriminator_steps=0"], "discriminator_steps is 0, but must be at least 1"),
        (["model.gan_loss=wgan"], "model.gan_loss is 'wgan', but must be one of lsgan, nsgan, hi"),
        (["model.clip_norm=0"], "model.clip_norm is 0, but must be above 0"),
        (["model.accumulate=0"], "model.accumulate is 0, but must be at least 1"),
        (["data.num_workers=-1"], "data.num_workers is -1, but must be at least 0"),
        (["data.size=[8,8]"], "data.size is 8x8, but both sides must be at least 16"),
        (["data.size=[34,34]"], "both sides must be multiples of 4"),
        (["trainer.devices=0"], "trainer.devices is 0, but must be at least 1 or -1"),
        (["trainer.val_check_interval=0.5"], "but must be a whole number of iterations"),
        (["trainer.strategy=dpp"], "there is no strategy dpp: did you mean ddp?"),
        (["trainer.max_steps=-1"], "trainer.max_epochs must be given: nothing would end"),
        # Of two settings.
        (["model.accumulate=3"], "there are only data.batch_size=1 images to split"),
        (
            ["model.optimizer={name: SGD, fused: true}", "trainer.precision=16-mixed"],
            "fused=true is supported",
        ),
        (
            ["callbacks=[default,evaluate]", "callbacks.evaluate.monitor=loss"],
            "monitor is loss, but must",
        ),
        (
            ["callbacks=[default,evaluate]", "callbacks.evaluate.mode=least"],
            "callbacks.evaluate.mode is",
        ),
        # Text.
        (["data.seed=${oc.env:NO_SUCH_VARIABLE}"], "data.seed is ${oc.env:NO_SUCH_VARIABLE}: "),
        (["data.seed=${sead}"], "data.seed is ${sead}: Interpolation key 'sead' not found"),
        (["seed=-1"], "seed is -1, but must be at least 0"),  # once, not four times
    ]:
        (told,) = faults(*SMALL, *overrides)
        assert line in told


FOLDER = ["data=folder", "data.root=x"]


def test_a_fault_of_images_is_told_before_any_is_looked_for():
    for overrides, line in [
        (["data.crop=[512,512]"], "data.crop: crop 512x512 does not fit an image"),
        (["data.resize=0"], "data.resize is 0, but must be at least 1"),
        (["data.background=[0,0,256]"], "data.background[2] is 256, but must be at most 255"),
        (["data.max_images=0"], "data.max_images is 0, but must be at least 1"),
        (
            ["+recipe=mask", "data.masks=true", "model.input_channels_a=1"],
            "recipe mask would compare images of 1 and of 3 channels",
        ),
        (["data.masks=x"], "data.masks is 'x', but must be true or false"),
        (["data.channels_b=2"], "data.channels_b is 2, but must be one of 1, 3, 4"),
        (["+data.lists.train_c=x"], "no setting data.lists.train_c: did you mean"),
        (["data.max_bad_fraction=1.5"], "max_bad_fraction"),
        (
            ["callbacks=[default,drawn_report]"],
            "callbacks.report: the drawn report measures runs on the drawn",
        ),
        (
            ["callbacks=[default,evaluate]"],
            "callbacks.evaluate: protocol drawn measures models of the",
        ),
    ]:
        (told,) = faults(*FOLDER, *overrides)
        assert line in told


def test_the_recipes_pass():
    check_config(
        config(
            *SMALL,
            "model.gan_loss=hinge",
            "model.lr_discriminator=4e-4",
            "model.scheduler.kind=linear",
            "model.scheduler.warmup=10",
            "+recipe=[ada,r1,consistency,mode_seeking,mask,perceptual]",
            "data.masks=true",
            "model.discriminator_steps=2",
        )
    )


def test_every_missing_value_is_told():
    assert faults("data=folder", "run=${row}", "+row=???", "+name2=${row}") == [
        "data.root is not given: add data.root=VALUE",
        "row is not given: add row=VALUE",
        "there is no setting name2: did you mean name?",
    ]


def test_an_argument_that_must_be_given_is_told_where_nothing_lists_it():
    line = "callbacks.theirs.every is not given: add callbacks.theirs.every=VALUE"
    assert faults(*SMALL, f"+callbacks.theirs={{_target_: {__name__}.Theirs}}") == [line]


def test_what_cannot_be_resolved_is_told_where_it_is_written():
    assert faults("seed=${oc.env:NO_SUCH_VARIABLE}") == [
        "seed is ${oc.env:NO_SUCH_VARIABLE}: Environment variable 'NO_SUCH_VARIABLE' not found"
    ]


def test_an_interpolation_that_goes_in_circles_ends():
    for overrides, line in [
        (["data.seed=${data.seed}"], "data.seed is ${data.seed}: Recursive interpolation"),
        (["model.generator.dim=${model}"], "generator.dim is ${model}: Interpolation to parent"),
        (["+p.x=${q}", "+q.y=${p}"], "p.x.y refers to what it lies in"),
    ]:
        assert line in faults(*SMALL, *overrides)[0]


def test_a_users_own_variable_is_known_by_what_refers_to_it():
    check_config(config(*SMALL, "+side=32", 'data.size=["${side}","${side}"]'))


def test_arguments_that_no_file_lists_are_known_to_their_classes():
    eps = ["+model.optimizer.eps=1e-6", "+model.optimizer.amsgrad=true"]
    check_config(config(*SMALL, *eps, "+trainer.max_time=00:01:00:00"))


def test_a_method_that_learns_from_pairs_is_told_with_the_sizes_that_do_not_fit():
    told = faults("model=bicyclegan", "data.size=[64,64]")
    assert [line.split(":")[0] for line in told] == [
        "images of 64x64 cannot pass the generator",
        "BicycleGANModule trains on pairs, but these images are unpaired",
    ]


def test_a_class_that_does_not_exist_is_one_of_the_faults(tmp_path, monkeypatch):
    (tmp_path / "broken_on_purpose.py").write_text('raise RuntimeError("two\\nlines")\n')
    monkeypatch.syspath_prepend(tmp_path)
    for target, reason in [
        ("munit_pl.callbacks.progress.IterationBat", "does not exist"),
        ("munit_pl.no_such.Thing", "does not exist"),
        ("no_such_package.Thing", "does not exist: there is no no_such_package"),
        ("3", "does not exist"),
        ("munit_pl.callbacks", "is no class and no function"),
        ("broken_on_purpose.Thing", "cannot be imported: RuntimeError: two lines"),
    ]:
        told = faults(*SMALL, "data.batch_size=0", f"callbacks.bar._target_={target}")
        assert told[0] == "data.batch_size is 0, but must be at least 1"
        assert told[1].startswith(f"callbacks.bar._target_ is {target}, which {reason}")


def test_another_projects_class_is_looked_at_and_not_made():
    theirs = f"+callbacks.theirs={{_target_: {__name__}.Theirs, every: 3, what: {{any: thing}}}}"
    check_config(config(*SMALL, theirs))
    assert faults(*SMALL, theirs, "callbacks.theirs.every=often", "+callbacks.theirs.evry=1") == [
        "callbacks.theirs.every is 'often', but must be a whole number",
        "there is no setting callbacks.theirs.evry: did you mean callbacks.theirs.every?",
    ]


def test_a_function_that_is_written_in_c_may_be_named():
    theirs = f"{{_target_: {__name__}.Theirs, every: 3, what: {{_target_: torch.relu}}}}"
    check_config(config(*SMALL, f"+callbacks.theirs={theirs}"))


def test_a_file_of_settings_is_looked_at_as_the_command_line_is():
    """Hydra refuses unknown names on the command line, but none in a file that it merges."""
    cfg = config(*SMALL)
    OmegaConf.set_struct(cfg, False)
    cfg.merge_with(OmegaConf.create({"model": {"optimiser": {"lr": 1}}}))
    with pytest.raises(InputError, match=r"model\.optimiser: did you mean model\.optimizer\?"):
        check_config(cfg)


def test_looking_touches_no_device_file_network_or_random_number(tmp_path, monkeypatch):
    def touched(*_, **__):
        raise AssertionError("touched")

    for name in ("init", "is_available", "device_count", "_lazy_init", "current_device"):
        monkeypatch.setattr(torch.cuda, name, touched)
    monkeypatch.setattr(torch._C, "_cuda_init", touched, raising=False)
    monkeypatch.setattr(socket, "socket", touched)
    monkeypatch.chdir(tmp_path)
    before = torch.random.get_rng_state()
    for overrides in (["+experiment=demo"], FOLDER, ["trainer=ddp", "logger=tensorboard", *SMALL]):
        check_config(config(*overrides))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert list(tmp_path.iterdir()) == []


def test_looking_takes_a_moment():
    cfg = config(*SMALL)
    check_config(cfg)  # reads the shipped files
    times = []
    for _ in range(3):
        start = time.process_time()
        check_config(cfg)
        times.append(time.process_time() - start)
    assert min(times) < 0.3


def test_images_of_other_channels_than_the_networks_are_refused():
    gray = [*FOLDER, "model.input_channels_a=1"]
    check_config(config(*gray))
    (line,) = faults(*gray, "data.channels_a=3")
    assert "domain a: the images have 3 channels, but the networks take 1" in line
