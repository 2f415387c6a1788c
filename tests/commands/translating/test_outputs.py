import json
import os

import pytest

from munit_pl.commands.errors import InputError
from munit_pl.commands.translating.outputs import Outputs, fingerprint

SETTINGS = {"how": {"random": 0}, "input": "x"}


def write(folder, name="sub/x.png", settings=SETTINGS, text="made", manifest="manifest.jsonl"):
    outputs = Outputs(folder, manifest, overwrite=True)
    with outputs.making(name, settings, {"size": [1, 2]}) as path:
        path.write_text(text)
    outputs.close()


def is_done(folder, settings=SETTINGS, overwrite=False):
    return Outputs(folder, "manifest.jsonl", overwrite).is_done("sub/x.png", settings)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_output_is_done_in_later_runs_if_its_settings_are_equal(tmp_path):
    assert not is_done(tmp_path)
    write(tmp_path)
    assert is_done(tmp_path)
    assert is_done(tmp_path, dict(reversed(SETTINGS.items())))
    (tmp_path / "sub/x.png").unlink()
    assert not is_done(tmp_path)


def test_outputs_of_other_settings_are_refused_unless_they_may_go(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match=r"sub/x\.png is of other settings, .*--overwrite"):
        is_done(tmp_path, {"how": {"random": 1}})
    assert not is_done(tmp_path, {"how": {"random": 1}}, overwrite=True)
    assert is_done(tmp_path, overwrite=True)


def test_a_file_that_no_manifest_knows_is_refused(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/x.png").write_text("a photograph")
    with pytest.raises(InputError, match=r"sub/x\.png stands in no manifest, or another process"):
        is_done(tmp_path)


def test_the_newest_line_counts_whichever_manifest_it_is_in(tmp_path):
    other = {"how": {"random": 1}}
    write(tmp_path, manifest="manifest.3.jsonl")
    write(tmp_path, settings=other, manifest="manifest.jsonl")
    assert is_done(tmp_path, other)
    write(tmp_path, manifest="manifest.3.jsonl")
    assert is_done(tmp_path)


def test_a_line_tells_all_that_is_known(tmp_path):
    write(tmp_path)
    (line,) = (tmp_path / "manifest.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert told.pop("written") > 1.7e9
    assert told.pop("settings") == fingerprint(SETTINGS)
    assert told == {"output": "sub/x.png", **SETTINGS, "size": [1, 2]}


def test_a_line_that_was_broken_off_is_passed_over_and_the_next_begins_anew(tmp_path):
    write(tmp_path, "first.png")
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes() + b'{"output": "sub/x.p\xc3')
    write(tmp_path)
    assert is_done(tmp_path)
    lines = manifest.read_bytes().split(b"\n")
    assert [line[:20] for line in lines] == [
        b'{"output": "first.pn',
        b'{"output": "sub/x.p\xc3',
        b'{"output": "sub/x.pn',
        b"",
    ]


def test_nothing_is_left_of_an_output_that_fails(tmp_path):
    outputs = Outputs(tmp_path, "manifest.jsonl", overwrite=False)

    def fail():
        with outputs.making("x.png", SETTINGS, {}) as path:
            path.write_text("half of it")
            raise OSError("no space on the disk")

    with pytest.raises(OSError, match="no space"):
        fail()
    assert files(tmp_path) == []


def test_an_output_that_is_replaced_stays_until_the_new_one_is_whole(tmp_path):
    write(tmp_path, text="old")
    outputs = Outputs(tmp_path, "manifest.jsonl", overwrite=True)
    with outputs.making("sub/x.png", {"how": 1}, {}) as path:
        path.write_text("ne")
        assert (tmp_path / "sub/x.png").read_text() == "old"
        path.write_text("new")
    assert (tmp_path / "sub/x.png").read_text() == "new"
    assert files(tmp_path) == ["manifest.jsonl", "sub/x.png"]


def test_a_run_stopped_before_the_renaming_is_not_taken_for_done(tmp_path, monkeypatch):
    """The line is there and the file is not: in this order a file is always known."""
    write(tmp_path)
    monkeypatch.setattr("pathlib.Path.replace", lambda self, target: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(tmp_path, settings={"how": 1})
    monkeypatch.undo()
    assert files(tmp_path) == ["manifest.jsonl"]
    assert not is_done(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.timeout(20)  # it would wait for ever
def test_a_manifest_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "manifest.jsonl")
    with pytest.raises(OSError, match="is a pipe or a device, not a file"):
        Outputs(tmp_path, "manifest.jsonl", overwrite=False)
