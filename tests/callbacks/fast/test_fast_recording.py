import pytest
import torch
from tape import Tapes

from munit_pl.callbacks.fast.recording import WARM_UP, Recorded


def make(function, recorder=None):
    reasons = []
    return Recorded(function, recorder, reasons.append), reasons


def test_it_is_called_three_times_recorded_without_effect_and_then_replayed():
    total, python = torch.zeros(()), []

    def add(x):
        python.append(1)
        total.add_(x)
        return total * 2

    tapes = Tapes(lambda: [total])
    recorded, reasons = make(add, tapes)
    results = [recorded(torch.tensor(float(i))).clone() for i in range(6)]
    assert torch.equal(torch.stack(results), torch.tensor([0.0, 2.0, 6.0, 12.0, 20.0, 30.0]))
    assert len(python) == WARM_UP + 1 == 4
    assert (tapes.ran, tapes.recorded, tapes.replayed, reasons) == (3, 1, 3, [])


def test_a_replays_results_are_the_same_tensor_each_time():
    recorded, _ = make(lambda x: x + 1, Tapes())
    results = [recorded(torch.tensor(float(i))) for i in range(6)]
    assert results[4] is results[5] is results[3]
    assert results[5].item() == 6


@pytest.mark.parametrize("other", [torch.ones(2), torch.ones(3, dtype=torch.uint8)])
def test_what_does_not_fit_the_recording_is_called(other):
    tapes = Tapes()
    recorded, _ = make(lambda x: x + 1, tapes)
    for _ in range(4):
        recorded(torch.zeros(3))
    assert torch.equal(recorded(other), other + 1)
    assert torch.equal(recorded(torch.ones(3)), torch.full((3,), 2.0))
    assert tapes.replayed == 2


def test_what_waits_for_the_device_is_not_recorded_and_told_of_once():
    recorded, reasons = make(lambda x: x * x.sum().item(), Tapes())
    assert [recorded(torch.tensor(2.0)).item() for _ in range(6)] == [4.0] * 6
    assert len(reasons) == 1
    assert "not permitted" in reasons[0]
    assert "\n" not in reasons[0]


def test_an_error_of_the_functions_own_is_not_hidden():
    def fail(x):
        raise RuntimeError("no")

    recorded, _ = make(fail, Tapes())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            recorded(torch.zeros(1))


def test_having_forgotten_it_warms_up_and_records_anew():
    tapes, there = Tapes(), [torch.tensor(1.0)]
    recorded, _ = make(lambda x: x + there[0], tapes)
    for _ in range(5):
        recorded(torch.zeros(()))
    there[0] = torch.tensor(5.0)
    assert recorded(torch.zeros(())).item() == 1  # it looks where that was
    recorded.forget()
    assert [recorded(torch.zeros(())).item() for _ in range(5)] == [5.0] * 5
    assert (tapes.ran, tapes.recorded) == (6, 2)


def test_without_a_recorder_it_is_called():
    calls = []
    recorded, _ = make(lambda x: calls.append(x))
    for i in range(5):
        recorded(torch.tensor(i))
    assert len(calls) == 5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_graph_computes_what_the_function_does():
    from munit_pl.callbacks.fast.recording import CudaGraphs

    total = torch.zeros(1000, device="cuda")
    recorded, reasons = make(lambda x: total.add_(x) * 2, CudaGraphs())
    results = [recorded(torch.full((1000,), float(i))).clone() for i in range(6)]
    expected = torch.tensor([0.0, 2.0, 6.0, 12.0, 20.0, 30.0])
    assert torch.equal(torch.stack(results).cpu(), expected[:, None].expand(6, 1000))
    assert reasons == []
