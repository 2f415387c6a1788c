import pytest
import torch
from ranks import in_two_processes
from torch import distributed, nn

from munit_pl.optim.flat_gradients import FlatGradients, broadcast_together

pytestmark = pytest.mark.process


def averaged(rank):
    """Gradients 1 and 2 of one parameter, none of the second, 6 in one process of the third."""
    distributed.init_process_group("gloo")
    both, neither, second = (nn.Parameter(torch.zeros(3)) for _ in range(3))
    square = nn.Parameter(torch.zeros(1, 2, 2, 2).to(memory_format=torch.channels_last))
    parameters = [both, neither, second, square]
    gradients = FlatGradients(parameters)
    outcomes = {}

    def give(name):
        (both * (1 + rank)).sum().backward()
        (square * torch.arange(8.0).view(1, 2, 2, 2) * rank).sum().backward()
        if rank:
            (second * 6).sum().backward()
        gradients.average()
        outcomes[name] = [None if p.grad is None else p.grad.clone() for p in parameters]

    give("first")
    for parameter in parameters:
        parameter.grad = None
    give("second")
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.zero_()
    give("added in place")
    outcomes["strides"] = square.grad.stride() == square.stride()
    neither.sum().backward()
    try:
        gradients.average()
    except RuntimeError as error:
        outcomes["late"] = str(error)
    return outcomes


def broadcasted(rank):
    distributed.init_process_group("gloo")
    tensors = [
        torch.full((2, 3), 1.5 + rank),
        torch.tensor(3 + rank),
        torch.full((1,), 2.5 + rank),
        nn.Parameter(torch.full((2,), 1.0 + rank, dtype=torch.float64)),
    ]
    broadcast_together(tensors)
    broadcast_together([])
    return [tensor.detach() for tensor in tensors]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return in_two_processes(averaged, tmp_path_factory.mktemp("two"), seconds=60)


@pytest.mark.parametrize("when", ["first", "second", "added in place"])
def test_gradients_are_the_mean_and_who_has_none_anywhere_keeps_none(two, when):
    for outcomes in two:
        both, neither, second, square = outcomes[when]
        assert both.tolist() == [1.5] * 3
        assert neither is None
        assert second.tolist() == [3.0] * 3
        assert square.flatten().tolist() == [i / 2 for i in range(8)]


def test_gradients_lie_in_memory_as_their_weights_do(two):
    assert all(outcomes["strides"] for outcomes in two)


def test_a_gradient_that_comes_late_is_an_error(two):
    assert all("use trainer=ddp" in outcomes["late"] for outcomes in two)


def test_tensors_of_any_dtype_become_those_of_the_first_process(tmp_path):
    for values in in_two_processes(broadcasted, tmp_path, seconds=60):
        assert [x.tolist() for x in values] == [[[1.5] * 3] * 2, 3, [2.5], [1.0, 1.0]]
