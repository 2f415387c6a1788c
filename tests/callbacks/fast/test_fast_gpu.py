"""What only a CUDA device can show. None was at hand when this was written."""

from copy import deepcopy

import pytest
import torch
from torch.utils.data import DataLoader
from training import fit, make_trainer, pairs_of

from munit_pl import MUNITModule
from munit_pl.callbacks.fast.callback import FastIteration, make_iteration
from munit_pl.callbacks.fast.support import PARTS
from munit_pl.models.base.objective import Images

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


def train(tiny, steps=12, plain=False, precision="32-true", **parts):
    """Return a trained module, with the parts that ran."""
    torch.manual_seed(0)
    module = MUNITModule(**deepcopy(tiny), scheduler={"step_size": 5})
    fast = FastIteration(**dict.fromkeys(PARTS, False) | parts)
    callbacks = [] if plain else [fast]
    fit(module, steps, accelerator="gpu", devices=1, precision=precision, callbacks=callbacks)
    return module, fast.running


def vector(module):
    return torch.cat([p.detach().float().flatten().cpu() for p in module.parameters()])


def moved_alike(fast, plain, start, tolerance):
    """Compare how far weights went: Adam's first steps are of one size, whatever the gradient."""
    way = vector(plain) - start
    return (vector(fast) - vector(plain)).norm() < tolerance * way.norm()


@pytest.mark.parametrize("parts", [{}, {"cuda_graph": True}, {"compile": True}], ids=str)
def test_each_part_in_fp32_goes_where_munit_goes(tiny, parts):
    torch.manual_seed(0)
    start = vector(MUNITModule(**tiny))
    (fast, running), (plain, _) = train(tiny, **parts), train(tiny, plain=True)
    assert set(running) == parts.keys()
    assert moved_alike(fast, plain, start, 0.05)


def test_a_graph_holds_augmentations_and_a_second_decoding(tiny):
    tiny |= {"recipes": {"diffaugment": {}, "mode_seeking": {}}}
    torch.manual_seed(0)
    start = vector(MUNITModule(**tiny))
    (fast, running), (plain, _) = train(tiny, cuda_graph=True), train(tiny, plain=True)
    assert running == ("cuda_graph",)
    assert moved_alike(fast, plain, start, 0.05)


def test_a_graph_holds_rarer_augmentations_and_what_is_measured_of_them(tiny):
    tiny |= {"recipes": {"ada": {"target": -0.5, "length": 64}, "consistency": {}}}
    torch.manual_seed(0)
    start = vector(MUNITModule(**tiny))
    (fast, running), (plain, _) = train(tiny, cuda_graph=True), train(tiny, plain=True)
    assert running == ("cuda_graph",)
    assert moved_alike(fast, plain, start, 0.05)
    seen = [next(iter(module.recipes)).accumulated[2].item() for module in (fast, plain)]
    assert seen[0] == seen[1]


def test_all_together_in_bf16_is_what_bf16_is_without_a_graph(tiny):
    torch.manual_seed(0)
    start = vector(MUNITModule(**tiny))
    fast, running = train(tiny, **dict.fromkeys(PARTS, True))
    assert set(running) == set(PARTS)
    eager, _ = train(tiny, plain=True, precision="bf16-mixed")
    assert moved_alike(fast, eager, start, 0.2)


def test_a_graph_replays_what_it_recorded(tiny):
    """The same kernels on the same numbers: to the bit, if they are deterministic."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        graphed, _ = train(tiny, cuda_graph=True)
        eager, _ = train(tiny)
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(vector(graphed), vector(eager), rtol=0, atol=1e-6)


def test_two_runs_with_a_graph_are_one(tiny):
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        runs = [vector(train(tiny, bf16=True, cuda_graph=True)[0]) for _ in range(2)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(*runs)


def test_no_replay_waits_for_the_device(tiny):
    module = MUNITModule(**tiny, optimizer={"fused": True}).cuda()
    iteration = make_iteration(module, module.configure_optimizers()[0], ["cuda_graph"])
    batches = [Images(*(x.cuda() for x in pair)) for pair in pairs_of(6)]
    for i, batch in enumerate(batches):
        if i == 5:
            torch.cuda.set_sync_debug_mode("error")
        try:
            iteration(batch, module.draw_all(batch, i))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert all(p.isfinite().all() for p in module.parameters())


def test_a_poisoned_batch_is_skipped_in_a_replay(tiny):
    pairs = pairs_of(8)
    pairs[6] = tuple(torch.full_like(x, torch.nan) for x in pairs[6])
    module, fast = MUNITModule(**tiny), FastIteration(compile=False)
    loop = make_trainer(max_steps=8, accelerator="gpu", devices=1, callbacks=[fast])
    loop.fit(module, DataLoader(pairs, batch_size=None))
    assert "cuda_graph" in fast.running
    assert {player: counts.tolist() for player, counts in module.skipped.items()} == {
        "dis": [1, 0],
        "gen": [1, 0],
    }
    assert all(p.isfinite().all() for p in module.parameters())


def test_fp16_trains_without_a_graph(tiny):
    with pytest.warns(UserWarning, match="callbacks.fast goes on without .*cuda_graph"):
        module, running = train(tiny, 5, precision="16-mixed", **dict.fromkeys(PARTS, True))
    assert running == ()
    assert vector(module).isfinite().all()


def test_a_checkpoint_of_a_graphed_run_goes_on_without_one(tiny, tmp_path):
    callbacks = [FastIteration(compile=False)]
    loop = fit(MUNITModule(**tiny), 6, accelerator="gpu", devices=1, callbacks=callbacks)
    loop.save_checkpoint(tmp_path / "x.ckpt")
    plain = MUNITModule(**tiny)
    loop = make_trainer(max_steps=8)
    loader = DataLoader(pairs_of(8), batch_size=None)
    loop.fit(plain, loader, ckpt_path=tmp_path / "x.ckpt", weights_only=True)
    assert loop.global_step == 8
    assert all(p.isfinite().all() for p in plain.parameters())
