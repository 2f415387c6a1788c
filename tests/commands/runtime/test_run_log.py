import logging
import sys
import warnings

import pytest

from munit_pl.commands.runtime.processes import tell
from munit_pl.commands.runtime.run_log import logged


def say():
    logging.getLogger("munit_pl.part").info("a line")
    logging.getLogger("lightning.fabric").info("Lightning's")
    tell("told")
    warnings.warn("of\nuse", stacklevel=1)


def test_each_line_is_told_once_and_kept_once(tmp_path, capsys):
    before = [*logging.getLogger().handlers], warnings.showwarning
    with logged(tmp_path):
        say()
    told = capsys.readouterr()
    assert told.out == "a line\nLightning's\n"
    assert told.err == f"told\nof use (UserWarning, {__file__}:{say.__code__.co_firstlineno + 4})\n"
    with logged(tmp_path):
        logging.getLogger("munit_pl").error("another run's")
    kept = [line.split(" ", 2)[2] for line in (tmp_path / "train.log").read_text().splitlines()]
    assert kept == [
        "INFO a line",
        "INFO Lightning's",
        "INFO told",
        f"WARNING {told.err.splitlines()[1]}",
        "ERROR another run's",
    ]
    assert before == (logging.getLogger().handlers, warnings.showwarning)


def test_the_first_process_alone_keeps_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with logged(tmp_path):
        logging.getLogger("munit_pl").error("trouble")
    assert capsys.readouterr().err == "trouble\n"
    assert not (tmp_path / "train.log").exists()


@pytest.mark.parametrize(("explained", "trace"), [((ValueError,), False), ((), True)])
def test_what_ends_a_run_is_kept_with_its_place_unless_it_is_explained(
    tmp_path, capsys, explained, trace
):
    with pytest.raises(ValueError, match="too\nmuch"), logged(tmp_path, explained):
        raise ValueError("too\nmuch")
    kept = (tmp_path / "train.log").read_text()
    assert ("ERROR too much" in kept) != trace
    assert ("test_run_log.py" in kept) == trace
    assert capsys.readouterr() == ("", "")


def test_neither_a_full_disk_nor_a_closed_terminal_ends_a_run(tmp_path, monkeypatch, capsys):
    class Full:
        def write(self, text):
            raise OSError("No space left on device")

        def flush(self):
            raise OSError("No space left on device")

        def close(self):
            raise OSError("No space left on device")

    with logged(tmp_path):
        logging.getLogger().handlers[1].stream = Full()
        logging.getLogger("munit_pl").error("trouble")
        monkeypatch.setattr(sys, "stderr", Full())
        logging.getLogger("munit_pl").error("trouble")
        monkeypatch.undo()
    assert capsys.readouterr().err == "trouble\n"
