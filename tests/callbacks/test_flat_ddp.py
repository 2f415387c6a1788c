import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback
from methods import METHODS
from ranks import in_two_processes
from runs import SMALL, Run, load
from torch.utils.data import DataLoader
from training import fp16, images, make_trainer

from munit_pl.callbacks.divergence import DivergenceGuard
from munit_pl.callbacks.ema import WeightAverage
from munit_pl.callbacks.flat_ddp import FlatDDPStrategy

pytestmark = pytest.mark.process

DEFAULT = "ddp_find_unused_parameters_true"


def fit(rank, module, strategy, steps=3, first=0, resume=None, **options):
    """Train on images of each process's own, from those of iteration ``first`` on."""
    pairs = [(images(2, 4 * i + rank), images(2, 4 * i + 2 + rank)) for i in range(first, 9)]
    ddp = {"devices": 2, "strategy": strategy, "use_distributed_sampler": False}
    trainer = make_trainer(**{**ddp, "precision": "64-true", "max_steps": steps, **options})
    loader = DataLoader(pairs, batch_size=None)
    trainer.fit(module, loader, ckpt_path=resume, weights_only=False)
    return trainer


def make(rank, method="munit", **options):
    torch.manual_seed(rank)  # the processes must begin alike all the same
    return METHODS[method].make(**options)


def state(module):
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


CASES = {
    "plain": ("munit", {}),
    "parts, clipped": ("munit", {"accumulate": 2, "clip_norm": 0.5}),
    "fused": ("munit", {"optimizer": {"fused": True}, "clip_norm": 0.5}),
    "recipes": (
        "munit",
        {
            "recipes": {"diffaugment": {}, "r1": {"every": 2}, "mode_seeking": {}},
            "discriminator_steps": 2,
        },
    ),
    "adaptive, penalized": (
        "munit",
        {"recipes": {"ada": {"length": 50}, "r1": {"every": 2}}, "discriminator_steps": 2},
    ),
    "recomputed, in parts, clipped": (
        "munit",
        {
            "weights": {"cycle": 10.0},
            "checkpoint_activations": True,
            "accumulate": 2,
            "clip_norm": 1.0,
        },
    ),
    "spectral, recomputed": (
        "munit",
        {
            "generator": {"spectral": True},
            "discriminator": {"norm": "spectral", "global_discriminator": True},
            "recipes": {"consistency": {}, "mode_seeking": {}},
            "checkpoint_activations": True,
        },
    ),
    "batch norm": ("munit", {"discriminator": {"norm": "batch"}}),
    "noisy_cyclegan": ("noisy_cyclegan", {"clip_norm": 1.0}),
    "bicyclegan": ("bicyclegan", {"accumulate": 2}),
}


def equal(rank, folder):
    outcomes = {}
    for case, (method, options) in CASES.items():
        for strategy in (DEFAULT, FlatDDPStrategy()):
            module, average = make(rank, method, **options), WeightAverage(0.5)
            fit(rank, module, strategy, callbacks=[average, DivergenceGuard(2)])
            averaged = {f"average of {i}": value for i, value in enumerate(average._average)}
            outcomes[case, type(strategy).__name__] = state(module) | averaged
    trainer = fit(rank, make(rank), FlatDDPStrategy(), steps=2)
    trainer.save_checkpoint(folder / "2.ckpt")
    module = make(rank)
    fit(rank, module, DEFAULT, first=2, resume=folder / "2.ckpt")
    outcomes["resumed"] = state(module)
    return outcomes


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("equal")
    return in_two_processes(equal, folder, folder)


@pytest.mark.parametrize("case", CASES)
def test_three_iterations_are_those_of_ddp(trained, case):
    for outcomes in trained:
        there, here = outcomes[case, "str"], outcomes[case, "FlatDDPStrategy"]
        for name, value in there.items():
            torch.testing.assert_close(here[name], value, rtol=0, atol=1e-9, msg=name)


@pytest.mark.parametrize("case", CASES)
def test_all_processes_have_the_same_weights(trained, case):
    first, second = (outcomes[case, "FlatDDPStrategy"] for outcomes in trained)
    for name, value in first.items():
        if "running" not in name:
            assert torch.equal(second[name], value), name


class Poison(Callback):
    """Make a gradient of the generators in one process no number, in the second iteration."""

    def on_train_batch_start(self, trainer, module, *_):
        if trainer.global_step == 1 and trainer.global_rank == 1:
            weight = next(module.gen_a.parameters())
            self.hook = weight.register_hook(lambda grad: grad * torch.nan)

    def on_train_batch_end(self, *_):
        if hasattr(self, "hook"):
            self.hook.remove()


def skipped(rank):
    outcomes = {}
    for case, options in (("foreach", {}), ("fused", {"optimizer": {"fused": True}})):
        module = make(rank, **options)
        fit(rank, module, FlatDDPStrategy(), callbacks=[Poison()])
        outcomes[case] = module.skipped["gen"].tolist(), state(module)
    scaler, plugins = fp16(init_scale=2.0**10, growth_interval=1000)
    module = make(rank)
    fit(rank, module, FlatDDPStrategy(), callbacks=[Poison()], plugins=plugins, precision=None)
    outcomes["fp16"] = module.skipped["gen"].tolist(), state(module)
    outcomes["scale"] = scaler.get_scale()
    return outcomes


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory):
    return in_two_processes(skipped, tmp_path_factory.mktemp("skipped"))


@pytest.mark.parametrize("case", ["foreach", "fused", "fp16"])
def test_a_gradient_that_is_no_number_in_one_process_is_skipped_by_all(poisoned, case):
    (first, weights), (second, others) = (outcomes[case] for outcomes in poisoned)
    assert first == second == [1, 0]
    for name, weight in weights.items():
        assert weight.isfinite().all()
        assert torch.equal(others[name], weight), name


def test_the_loss_scale_falls_in_all_processes_alike(poisoned):
    assert [outcomes["scale"] for outcomes in poisoned] == [2.0**9] * 2


def test_another_module_is_refused(tmp_path):
    assert (
        in_two_processes(refused, tmp_path)
        == ["FlatDDPStrategy trains this package's modules: use strategy=ddp"] * 2
    )


def refused(rank):
    class Other(LightningModule):
        def training_step(self, *_):
            return None

        def configure_optimizers(self):
            return None

    try:
        fit(rank, Other(), FlatDDPStrategy())
    except TypeError as error:
        return str(error)
    return None


def test_ddp_goes_on_from_a_checkpoint_of_it(trained):
    for outcomes in trained:
        whole = outcomes["plain", "str"]
        for name, here in outcomes["resumed"].items():  # which keeps no average
            # Lightning reads weights before it makes them fp64.
            torch.testing.assert_close(here, whole[name], rtol=0, atol=1e-6, msg=name)


def test_it_goes_on_from_a_checkpoint_of_ddp_by_the_command(tmp_path):
    settings = [*SMALL, *METHODS["munit"].overrides, "model.accumulate=2", "data.batch_size=2"]
    settings += ["trainer.precision=64-true", "trainer.max_steps=3", "trainer.limit_val_batches=0"]
    settings += ["callbacks.checkpoints.every_n_steps=2"]

    def run(trainer, ckpt_path):
        own = [f"trainer={trainer}", "trainer.accelerator=cpu", "trainer.devices=2"]
        own += [f"output_dir={tmp_path / trainer}", f"ckpt_path={ckpt_path}"]
        statuses, said = Run(tmp_path, [*settings, *own], processes=2).wait()
        assert statuses == [0, 0], said
        return tmp_path / trainer / "checkpoints"

    checkpoints = run("ddp", "null")
    there = load(checkpoints / "last.ckpt")
    here = load(run("ddp_flat", checkpoints / "00000002.ckpt") / "last.ckpt")
    assert here["global_step"] == 3
    assert here.keys() == there.keys()
    for name, value in there["state_dict"].items():
        torch.testing.assert_close(here["state_dict"][name], value, rtol=0, atol=1e-6, msg=name)
