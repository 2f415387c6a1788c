"""The list of faults that ``faults.py`` tries is whole; two cheap rows work."""

import re
from pathlib import Path

import faults
import pytest
from fault_rows import stage as stages

from munit_pl.testing.fault_injection import KINDS

TESTS = Path(__file__).parents[1]


def test_every_fault_has_a_name_of_its_own_and_words_for_what_is_expected():
    names = [row.fault for row in faults.ROWS]
    assert len(names) == len(set(names)) >= 45
    for row in faults.ROWS:
        assert re.fullmatch(r"[\w -]+: \S.*", row.fault), row.fault
        assert row.expected.strip()
        assert callable(row.play)


def test_no_kind_of_injected_fault_is_left_out():
    """Each happens in a row, or in a test that starts a run (signals, SIGKILL)."""
    files = [*TESTS.glob("reliability/fault_rows/*.py"), *TESTS.glob("resume/*.py")]
    source = "".join(file.read_text() for file in [*files, TESTS / "callbacks/test_stopping.py"])
    assert [kind for kind in KINDS if not re.search(rf"[\"=]{kind}\"", source)] == []


def test_what_hangs_is_told_of_and_killed(monkeypatch):
    monkeypatch.setattr(stages, "SECONDS", 0.5)

    def hangs(stage):
        stage.commands.append(stages.Command(["sleep", "1000"], stage, {"PATH": "/usr/bin:/bin"}))
        stage.commands[0].wait()

    seen = faults.play(faults.Row("x: y", "it ends", hangs))
    assert seen.seen == "hangs; last words: none"
    assert seen.seconds < 10


def test_an_error_in_a_row_is_told_of_and_is_no_success():
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
def test_a_row_of_the_list(fault):
    (row,) = (row for row in faults.ROWS if row.fault == fault)
    assert faults.play(row).seen == faults.AS_EXPECTED


def test_the_table_counts_and_keeps_its_columns():
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
