"""The list of faults that ``benchmarks/faults.py`` tries is whole; two cheap rows work."""

import re
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def faults():
    sys.path.insert(0, str(BENCHMARKS))
    import faults

    yield faults
    sys.path.remove(str(BENCHMARKS))


def test_every_fault_has_a_name_of_its_own_and_words_for_what_is_expected(faults):
    names = [row.fault for row in faults.ROWS]
    assert len(names) == len(set(names)) >= 70
    for row in faults.ROWS:
        assert re.fullmatch(r"[\w -]+: \S.*", row.fault), row.fault
        assert row.expected.strip()
        assert callable(row.play)


def test_no_kind_of_injected_fault_is_left_out():
    from munit_pl.testing.fault_injection import KINDS

    source = "".join(file.read_text() for file in (BENCHMARKS / "fault_rows").glob("*.py"))
    assert [kind for kind in KINDS if f'"{kind}"' not in source] == []


def test_what_hangs_is_told_of_and_killed(faults, monkeypatch):
    from fault_rows import stage as stages

    monkeypatch.setattr(stages, "SECONDS", 0.5)

    def hangs(stage):
        stage.commands.append(stages.Command(["sleep", "1000"], stage, {"PATH": "/usr/bin:/bin"}))
        stage.commands[0].wait()

    seen = faults.play(faults.Row("x: y", "it ends", hangs))
    assert seen.seen == "hangs; last words: none"
    assert seen.seconds < 10


def test_an_error_in_a_row_is_told_of_and_is_no_success(faults):
    seen = faults.play(faults.Row("x: y", "z", lambda stage: 1 / 0))
    assert seen.seen == "the row failed: ZeroDivisionError: division by zero"


@pytest.mark.process
@pytest.mark.parametrize(
    "fault",
    [
        "setting: an unknown choice",
        pytest.param("folder: the root is missing", marks=pytest.mark.slow),
    ],
)
def test_a_row_of_the_list(faults, fault):
    (row,) = (row for row in faults.ROWS if row.fault == fault)
    assert faults.play(row).seen == faults.AS_EXPECTED


def test_the_table_counts_and_keeps_its_columns(faults):
    outcomes = [
        faults.Seen("a: b", "c|d", faults.AS_EXPECTED, 1.4, ""),
        faults.Seen("e: f", "g", "exit 1\nthen more", 2.6, "said"),
        faults.Seen("h: i", "j", "not tried: no disk", 0, ""),
    ]
    assert faults.table(outcomes).splitlines()[2:] == [
        "| a: b | c\\|d | as expected | 1 |",
        "| e: f | g | exit 1 then more | 3 |",
        "| h: i | j | not tried: no disk | 0 |",
        "",
        "1 as expected, 1 differ, 1 not tried, of 3",
    ]
