import torch
from methods import METHODS

from munit_pl.models.base.micro_batch import split
from munit_pl.models.base.objective import Images


def test_a_batch_is_split_into_as_many_parts_as_asked_for_each_with_its_draws():
    x = torch.arange(4.0).view(4, 1, 1, 1)
    parts = split(Images(x, -x), {"z": 10 * x.flatten()}, 3)
    assert [part.fraction for part in parts] == [0.5, 0.25, 0.25]
    assert not any(part.is_whole_batch for part in parts)
    for part, expected in zip(parts, ([0, 1], [2], [3]), strict=True):
        assert part.images.x_a.flatten().tolist() == expected
        assert torch.equal(part.images.x_b, -part.images.x_a)
        assert torch.equal(part.draws["z"], 10 * part.images.x_a.flatten())
    assert len(split(Images(x, x), {}, 9)) == 4


def test_bicyclegans_other_half_is_split_likewise():
    x = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 1, 1)
    parts = METHODS["bicyclegan"].make(accumulate=3).split((x, -x), 0)
    halves = [part.draws["half_a"][:, 0].flatten().tolist() for part in parts]
    assert halves == [[1, 3], [5], [7]]
