"""What only a CUDA device can show. None was at hand when this was written."""

import warnings
from copy import deepcopy

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader
from training import fit, make_trainer, pairs_of

from munit_pl import MUNITModule
from munit_pl.callbacks.compiled_networks import CompiledNetworks

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(autouse=True)
def _exact():
    """TF32 would round as coarsely as the differences that are looked for."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def train(tiny, steps=12, compiled=False, precision="32-true", **options):
    torch.manual_seed(0)
    module = MUNITModule(**deepcopy(tiny), scheduler={"step_size": 5}, **options)
    callbacks = [CompiledNetworks()] if compiled else []
    fit(module, steps, accelerator="gpu", devices=1, precision=precision, callbacks=callbacks)
    return module


def vector(module):
    return torch.cat([p.detach().float().flatten().cpu() for p in module.parameters()])


def moved_alike(compiled, plain, start, tolerance):
    """Compare how far weights went: Adam's first steps are of one size, whatever the gradient."""
    way = vector(plain) - start
    return (vector(compiled) - vector(plain)).norm() < tolerance * way.norm()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate": 2, "discriminator_steps": 2, "recipes": {"r1": {"every": 2}}},
        {"recipes": {"ada": {"target": -0.5, "length": 64}, "mode_seeking": {}}},
    ],
    ids=str,
)
def test_compiled_networks_go_where_the_module_goes(tiny, precision, options):
    torch.manual_seed(0)
    start = vector(MUNITModule(**tiny))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "callbacks.compile")
        compiled = train(tiny, compiled=True, precision=precision, **options)
    eager = train(tiny, precision=precision, **options)
    assert moved_alike(compiled, eager, start, 0.05 if precision == "32-true" else 0.2)


def test_no_iteration_waits_for_the_device(tiny):
    class Strict(Callback):
        def on_train_batch_start(self, *_):
            torch.cuda.set_sync_debug_mode("error" if loop.global_step == 5 else "default")

    loop = make_trainer(
        max_steps=7, accelerator="gpu", devices=1, log_every_n_steps=100, callbacks=[Strict()]
    )
    pairs = [tuple(x.cuda() for x in pair) for pair in pairs_of(7)]
    try:
        loop.fit(MUNITModule(**tiny), DataLoader(pairs, batch_size=None))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_poisoned_batch_is_skipped(tiny):
    pairs = pairs_of(8)
    pairs[6] = tuple(torch.full_like(x, torch.nan) for x in pairs[6])
    module = MUNITModule(**tiny)
    loop = make_trainer(max_steps=8, accelerator="gpu", devices=1, callbacks=[CompiledNetworks()])
    loop.fit(module, DataLoader(pairs, batch_size=None))
    assert {player: counts.tolist() for player, counts in module.skipped.items()} == {
        "dis": [1, 0],
        "gen": [1, 0],
    }
    assert all(p.isfinite().all() for p in module.parameters())


def test_a_checkpoint_of_a_compiled_run_goes_on_on_the_cpu(tiny, tmp_path):
    callbacks = [CompiledNetworks()]
    loop = fit(MUNITModule(**tiny), 6, accelerator="gpu", devices=1, callbacks=callbacks)
    loop.save_checkpoint(tmp_path / "x.ckpt")
    plain = MUNITModule(**tiny)
    loop = make_trainer(max_steps=8)
    loader = DataLoader(pairs_of(8), batch_size=None)
    loop.fit(plain, loader, ckpt_path=tmp_path / "x.ckpt", weights_only=True)
    assert loop.global_step == 8
    assert all(p.isfinite().all() for p in plain.parameters())
