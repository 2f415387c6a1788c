import pytest
import torch
from fake_cuda.device import fake_cuda
from fake_cuda.loop import train_on_fake_cuda
from fake_cuda.operations import Operations
from methods import METHODS


def counted(work):
    """Count what ``work`` does with four numbers on the device."""
    with fake_cuda():
        x = torch.zeros(4, device="cuda", requires_grad=True)
        with Operations() as seen:
            work(x)
    return seen


def test_operations_are_counted_by_kind_and_those_that_run_no_kernel_are_not():
    seen = counted(lambda x: (x.view(2, 2).half() * 2).sum().backward())
    assert seen.launches == {"_to_copy": 2, "mul": 2, "sum": 1, "ones_like": 1}
    assert seen.casts == 2  # there and back
    assert not seen.waits


def test_it_is_told_where_the_host_waits():
    seen = counted(lambda x: float(x.detach().sum() + x.new_tensor(1.0)))
    assert [read.what for read in seen.reads] == ["_local_scalar_dense"]
    assert [copy.what for copy in seen.copies] == ["cpu to cuda"]
    assert [copy.what for copy in counted(lambda x: x.cpu()).copies] == ["cuda to cpu"]


def test_nobody_waits_for_copies_from_pinned_memory_that_are_not_to_block():
    drawn = torch.randn
    assert counted(lambda x: drawn(4).pin_memory().to(x.device)).copies
    assert counted(lambda x: drawn(4).to(x.device, non_blocking=True)).copies
    seen = counted(lambda x: drawn(4).pin_memory().to(x.device, non_blocking=True))
    assert (seen.uploads, seen.copies) == (1, [])


def test_mixed_devices_fail_or_are_counted():
    with pytest.raises(RuntimeError, match="devices"):
        counted(lambda x: x + torch.zeros(4))
    assert counted(lambda x: x[torch.zeros(2, dtype=torch.int64)]).mixed


def test_pytorch_is_afterwards_as_before():
    def state():
        x = torch.ones(2, requires_grad=True)
        (x * 3).sum().backward()
        return torch.cuda.is_available(), torch.cuda.device_count(), x.grad.tolist()

    before = state()
    counted(lambda x: x.sum().backward())
    assert state() == before == (torch.cuda.is_available(), torch.cuda.device_count(), [3, 3])
    if not torch.cuda.is_available():
        with pytest.raises((RuntimeError, AssertionError)):
            torch.zeros(1, device="cuda")


def test_the_host_waits_for_no_iteration_of_munit():
    _, seen = train_on_fake_cuda(METHODS["munit"].make, log_every_n_steps=50)
    assert not seen.waits
    assert not seen.mixed
    assert seen.launches["_fused_adam_"] == 2  # of both players
