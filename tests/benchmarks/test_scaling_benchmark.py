"""What ``benchmarks/scaling.py`` measures with."""

import pytest

from benchmarks import scaling


def test_an_exponent_is_that_of_a_power():
    values = [1.0, 2.0, 4.0]
    assert scaling.exponent(values, [3 * v**1.5 for v in values]) == pytest.approx(1.5)


def test_a_tables_last_exponent_is_that_of_the_two_largest():
    """Seconds double twice, tensors' bytes not at first."""
    results = zip((1, 2, 4), (1.0, 2.0, 4.0), (2, 2, 4), strict=True)
    rows = [scaling.Row(v, scaling.Case(), [s], t * 2**20, None) for v, s, t in results]
    assert scaling.table("batch", rows).splitlines() == [
        "| batch | s | tensors, MiB |",
        "|---|---|---|",
        "| 1 | 1 | 2 |",
        "| 2 | 2 | 2 |",
        "| 4 | 4 | 4 |",
        "| exponent | 1.00 | 0.50 |",
        "| of the last two | 1.00 | 1.00 |",
    ]


def test_cases_take_turns_there_and_back(monkeypatch):
    called = []
    monkeypatch.setattr(scaling.Case, "work", lambda case: lambda: called.append(case.batch))
    times = scaling.time_in_turns([scaling.Case(batch=n) for n in (1, 2, 3)], seconds=0)
    assert called == [1, 2, 3] + 2 * [1, 2, 3, 3, 2, 1]
    assert [len(own) for own in times] == [4, 4, 4]
