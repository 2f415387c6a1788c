"""`model=munit_fast` beside `model=munit`: on the CPU the same, in files the same everywhere."""

import inspect
import warnings
from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from composing import composed
from omegaconf import OmegaConf
from torch.utils.data import DataLoader
from training import fit, fp16, images, make_trainer, pairs_of

from munit_pl import DrawnDataModule, FastMUNITModule, MUNITModule, Translator
from munit_pl.commands.config.building import build
from munit_pl.commands.config.validation import check_config
from munit_pl.commands.errors import InputError
from munit_pl.inference.generator_loading import read_generators
from munit_pl.models.munit.fast.parts import PARTS

EXACT = {"rtol": 0, "atol": 0}


@pytest.fixture(autouse=True)
def _one_thread():
    """With more, the domains would take turns in two, and round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def twins(tiny, **options):
    plain, fast = MUNITModule(**tiny, **options), FastMUNITModule(**tiny, **options)
    fast.load_state_dict(deepcopy(plain.state_dict()))
    return plain, fast


def compose_train(*overrides):
    return composed("train", *overrides)


def test_it_takes_what_munit_takes_and_its_parts():
    plain, fast = (inspect.signature(cls).parameters for cls in (MUNITModule, FastMUNITModule))
    assert list(fast) == [*plain, *PARTS]
    assert all(fast[name].default == plain[name].default for name in plain)
    assert all(fast[part].default is True for part in PARTS)


# Each option in one precision, each precision with options of all kinds.
@pytest.mark.parametrize(
    ("options", "precision"),
    [
        ({}, "bf16-mixed"),
        ({"accumulate": 2}, "32-true"),
        ({"shared_styles": True, "clip_norm": 0.1, "optimizer": {"fused": True}}, "bf16-mixed"),
        (
            {"diffaugment": ["color", "cutout"], "weights": {"diversity": 1.0, "consistency": 1}},
            "32-true",
        ),
        ({"weights": {"r1": 1.0}, "r1_every": 2, "discriminator_steps": 2}, "bf16-mixed"),
        ({"lr_discriminator": 4e-4, "scheduler": {"kind": "linear", "warmup": 2}}, "32-true"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:munit_fast goes on")
def test_on_the_cpu_it_gives_munits_weights_to_the_bit(tiny, options, precision):
    plain, fast = twins(tiny, **deepcopy(options))
    loops = [fit(module, steps=3, precision=precision) for module in (plain, fast)]
    torch.testing.assert_close(fast.state_dict(), plain.state_dict(), **EXACT)
    assert loops[1].global_step == 3
    names = set(loops[0].callback_metrics)
    assert set(loops[1].callback_metrics) == names
    for name in names:
        torch.testing.assert_close(loops[1].callback_metrics[name], loops[0].callback_metrics[name])


@pytest.mark.filterwarnings("ignore:munit_fast goes on")
def test_under_fp16_it_trains_as_munit_does(tiny):
    plain, fast = twins(tiny)
    for module in (plain, fast):
        fit(module, steps=3, plugins=fp16(init_scale=64.0)[1])
    torch.testing.assert_close(fast.state_dict(), plain.state_dict(), **EXACT)


def test_what_cannot_run_is_told_in_one_line_and_once(tiny):
    module = FastMUNITModule(**tiny)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(module, steps=3)
    lines = [str(w.message) for w in caught if "munit_fast" in str(w.message)]
    assert lines == [
        "munit_fast goes on without bf16, compile, cuda_graph: it takes a CUDA device",
        "munit_fast goes on without streams: operations have one thread",
    ]
    assert module.running == ()


def test_with_a_recipe_that_the_lanes_do_not_know_the_domains_take_turns(tiny):
    torch.set_num_threads(2)
    for options, reason in (
        ({"weights": {"r1": 1.0}}, "model.weights.r1 makes iterations differ"),
        ({"weights": {"diversity": 1.0}}, "model.weights.diversity decodes a second time"),
        ({"diffaugment": ["cutout"]}, "model.diffaugment stands before the discriminators"),
        ({"weights": {"consistency": 1.0}}, "model.weights.consistency passes real images a sec"),
        ({"discriminator_steps": 2}, "model.discriminator_steps is 2"),
    ):
        module = FastMUNITModule(**tiny, **options, bf16=False, compile=False, cuda_graph=False)
        optimizers, _ = module.configure_optimizers()
        module._trainer = SimpleNamespace(
            precision="32-true", world_size=1, optimizers=optimizers, lr_scheduler_configs=[]
        )
        with pytest.warns(UserWarning, match=f"munit_fast goes on without streams: {reason}"):
            module.on_train_start()
        assert module.running == ()


def test_nothing_is_told_of_parts_that_are_not_wanted(tiny):
    module = FastMUNITModule(**tiny, **dict.fromkeys(PARTS, False))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "munit_fast")
        fit(module, steps=1)


@pytest.mark.filterwarnings("ignore:munit_fast goes on")
@pytest.mark.parametrize(
    "classes", [(FastMUNITModule, MUNITModule), (MUNITModule, FastMUNITModule)]
)
def test_each_goes_on_with_the_others_checkpoint_as_if_it_were_its_own(tiny, classes, tmp_path):
    start = MUNITModule(**tiny).state_dict()

    def train(cls, steps, path=None):
        module = cls(**tiny, scheduler={"step_size": 2}, optimizer={"fused": True})
        module.load_state_dict(deepcopy(start))
        data = DrawnDataModule((16, 16), length=7, batch_size=2)
        loop = make_trainer(max_steps=steps, max_epochs=-1, limit_val_batches=0)
        loop.fit(module, data, ckpt_path=path, weights_only=True)
        loop.save_checkpoint(tmp_path / "x.ckpt")
        saved = torch.load(tmp_path / "x.ckpt", weights_only=True)
        return {k: saved[k] for k in ("state_dict", "optimizer_states", "lr_schedulers", "skipped")}

    whole = train(classes[0], 4)
    train(classes[0], 2)
    resumed = train(classes[1], 4, tmp_path / "x.ckpt")
    torch.testing.assert_close(resumed, whole, **EXACT)
    for state in resumed["optimizer_states"]:
        (group,) = state["param_groups"]
        assert (group["lr"], group["capturable"]) == (2.5e-5, False)


@pytest.mark.filterwarnings("ignore:munit_fast goes on")
def test_all_that_reads_munits_checkpoints_reads_its(tiny, tmp_path):
    config = OmegaConf.create({**tiny, "optimizer": {"betas": [0.0, 0.9]}})
    module, path = FastMUNITModule(**config, streams=False), tmp_path / "x.ckpt"
    fit(module, steps=1).save_checkpoint(path)
    as_plain = MUNITModule.load_from_checkpoint(path)
    as_fast = FastMUNITModule.load_from_checkpoint(path)
    assert as_fast.hparams["optimizer"] == {"betas": [0.0, 0.9]}
    assert (as_fast.hparams["streams"], as_fast.hparams["compile"]) == (False, True)
    for loaded in (as_plain, as_fast):
        torch.testing.assert_close(loaded.state_dict(), module.state_dict(), **EXACT)
    x, z = images(), torch.randn(2, module.style_dim)
    gen_a, gen_b = read_generators(path)
    content = gen_a.encode(x)[0]
    torch.testing.assert_close(gen_b.decode(content, z), module.translate(x, z), **EXACT)
    assert Translator.load(path) is not None
    fit(as_plain, steps=1).save_checkpoint(path)
    FastMUNITModule.load_from_checkpoint(path)


def test_its_configuration_is_munits_with_the_parts_on():
    cfg = compose_train("model=munit_fast", "data=drawn")
    plain = compose_train("model=munit", "data=drawn")
    own = {"_target_": "munit_pl.FastMUNITModule", **dict.fromkeys(PARTS, True)}
    assert cfg.model == {**plain.model, **own}
    with torch.device("meta"):
        assert type(build(cfg.model)) is FastMUNITModule


def test_the_demo_is_as_small_with_it():
    demos = [compose_train(f"model={m}", "+experiment=demo").model for m in ("munit", "munit_fast")]
    assert demos[0].generator == {**demos[0].generator, "dim": 16}
    assert demos[1].generator == {**demos[0].generator, "padding_mode": "zeros"}
    assert demos[1].optimizer == demos[0].optimizer
    assert compose_train("+experiment=demo").model == demos[1]
    assert [part for part in PARTS if demos[1][part]] == ["streams"]  # the rest would take minutes


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.streams=2", "model.streams is 2, but must be true or false"),
        ("model.clip_norm=high", "model.clip_norm is 'high', but must be a number or null"),
        ("+model.stream=true", "there is no setting model.stream"),
        ("model.optimizer.lr=-1", "model.optimizer.lr is -1, but must be above 0"),
    ],
)
def test_wrong_settings_are_told_as_munits_are(override, message):
    with pytest.raises(InputError) as error:
        check_config(compose_train("model=munit_fast", "data=drawn", override))
    assert message in str(error.value)


@pytest.mark.filterwarnings("ignore:munit_fast goes on")
def test_it_can_be_trained_twice_in_a_process(tiny):
    module = FastMUNITModule(**tiny)
    for _ in range(2):
        make_trainer(max_steps=2).fit(module, DataLoader(pairs_of(2), batch_size=None))
    deepcopy(module)
