"""The mask term runs with all parts of the fast iteration, and comes to the same."""

import warnings
from copy import deepcopy

import pytest
import torch
from tape import Tapes, state_of
from torch.utils.data import DataLoader
from training import make_trainer, pairs_of

from munit_pl import FastMUNITModule, MUNITModule
from munit_pl.models.munit.fast.iteration import Iteration

OPTIONS = {"weights": {"mask": 10.0}, "optimizer": {"fused": True, "lr": 2.0**-13}}


class Taped(FastMUNITModule):
    """Records its iteration as on a CUDA device."""

    def make_iteration(self, optimizers, running):
        self.tapes = Tapes(state_of(self, optimizers, lambda: self.skipped))
        return Iteration(self, optimizers, recorder=self.tapes)


@pytest.fixture
def _threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def train(module, steps, **options):
    rng = torch.Generator().manual_seed(9)
    batches = [(*p, *torch.rand(2, 2, 1, 16, 16, generator=rng)) for p in pairs_of(steps)]
    loop = make_trainer(max_steps=steps, **options)
    loop.fit(module, DataLoader(batches, batch_size=None))
    return loop.callback_metrics


@pytest.mark.parametrize("_threads", [1], indirect=True)
@pytest.mark.usefixtures("_threads")
@pytest.mark.filterwarnings("ignore:munit_fast goes on")
def test_a_replayed_iteration_reads_each_batchs_own_masks(tiny):
    plain, fast = MUNITModule(**tiny, **OPTIONS), Taped(**tiny, **OPTIONS)
    fast.load_state_dict(deepcopy(plain.state_dict()))
    expected, logged = train(plain, 6), train(fast, 6)
    assert (fast.tapes.recorded, fast.tapes.replayed) == (1, 3)
    torch.testing.assert_close(fast.state_dict(), plain.state_dict(), rtol=0, atol=0)
    assert logged["gen/mask_a"] == pytest.approx(expected["gen/mask_a"].item(), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("_threads", [2], indirect=True)
@pytest.mark.usefixtures("_threads")
def test_the_domains_run_side_by_side_with_masks_as_without(tiny):
    parts = {"bf16": False, "compile": False, "cuda_graph": False}
    plain, fast = MUNITModule(**tiny, **OPTIONS), FastMUNITModule(**tiny, **OPTIONS, **parts)
    fast.load_state_dict(deepcopy(plain.state_dict()))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "munit_fast")
        expected, logged = (train(m, 2, precision="64-true") for m in (plain, fast))
    assert fast.running == ("streams",)
    torch.testing.assert_close(fast.state_dict(), plain.state_dict(), rtol=0, atol=1e-9)
    assert logged["gen/mask_b"] == pytest.approx(expected["gen/mask_b"].item())
