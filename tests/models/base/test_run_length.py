from math import inf
from types import SimpleNamespace

import pytest
from methods import METHODS
from torch.utils.data import DataLoader
from training import make_trainer, pairs_of

from munit_pl.models.base.run_length import run_length


@pytest.mark.parametrize(
    ("limits", "length"),
    [
        ({"max_steps": 4}, 4),
        ({"max_epochs": 2}, 6),
        ({"max_epochs": 2, "max_steps": 4}, 4),
        ({"max_epochs": 1, "max_steps": 4}, 3),
    ],
    ids=str,
)
def test_a_run_ends_after_as_many_iterations(limits, length):
    loop = make_trainer(**limits)
    loop.fit(METHODS["cyclegan"].make(), DataLoader(pairs_of(3), batch_size=None))
    assert loop.global_step == length == run_length(loop)


def test_an_endless_run_has_no_length():
    assert run_length(SimpleNamespace(estimated_stepping_batches=inf)) is None
