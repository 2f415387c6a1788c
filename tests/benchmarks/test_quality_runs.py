"""Runs of ``benchmarks/quality``: done once, resumed, refused; and the table of them."""

import json

import pytest

from benchmarks.quality import run, sets, table, training

METRICS = {"modes": 2.0, "shape": 0.9, "kernel_distance": 0.1, "spread": 1.0}


@pytest.fixture
def out(tmp_path, monkeypatch):
    """A folder with one empty set, and trainings that are only noted."""
    (tmp_path / "sets" / "five").mkdir(parents=True)
    (tmp_path / "sets" / "five" / "truth.json").write_text("{}")
    known = {name: {"processor_seconds": 0.29, "settings": run.rows()[name]} for name in run.rows()}
    (tmp_path / "iterations.json").write_text(json.dumps(known))
    monkeypatch.setattr(training, "measure", lambda *_: dict(METRICS))
    return tmp_path


@pytest.fixture
def trained(monkeypatch):
    """The trainings, as they come."""
    done = []
    monkeypatch.setattr(training, "train", lambda given, folder, threads: done.append(folder))
    return done


def command(out, *further):
    return [str(out), "--sets", "five", "--rows", "demo", "ema", "--seeds", "0", *further]


def finish(*arguments):
    with pytest.raises(SystemExit) as ended:
        run.main(*arguments)
    return ended.value.code


def test_what_is_done_is_not_done_again_and_other_settings_are_refused(out, trained):
    assert finish(command(out)) == 0
    assert len(trained) == 2
    metrics = json.loads((out / "five" / "7" / "demo" / "0" / "metrics.json").read_text())
    assert metrics["metrics"] == METRICS
    assert metrics["steps"] == 2100  # 7 minutes at 0.29 s of a thread, 1.45 times as fast by two
    assert "trainer.max_steps=2100" in metrics["settings"]
    assert finish(command(out)) == 0
    assert len(trained) == 2
    (out / "five" / "7" / "ema" / "0" / "metrics.json").unlink()  # interrupted before its end
    assert finish(command(out)) == 0
    assert [folder.parent.name for folder in trained[2:]] == ["ema"]
    asked = out / "five" / "7" / "demo" / "0" / "asked.json"
    asked.write_text(asked.read_text().replace("max_steps=2100", "max_steps=9"))
    assert "holds a run with other settings" in finish(command(out))


def test_a_run_that_fails_stops_no_other(out, monkeypatch, capsys):
    def fail(given, folder, threads):
        if folder.parent.name == "demo":
            raise training.Failed("munit-train ended with 70")

    monkeypatch.setattr(training, "train", fail)
    assert finish(command(out)) == "1 of 2 runs failed"
    assert "munit-train ended with 70" in capsys.readouterr().out
    assert (out / "five" / "7" / "ema" / "0" / "metrics.json").exists()


def test_what_cannot_be_run_is_refused_in_a_line(tmp_path, capsys):
    (tmp_path / "sets" / "five").mkdir(parents=True)
    for further, line in (
        (["--sets", "five"], "five is no set: python -m benchmarks.quality.sets"),
        (["--rows", "demos"], "invalid choice: 'demos'"),
        (["--minutes", "0"], "--minutes must be above 0"),
    ):
        with pytest.raises(SystemExit):
            run.parse([str(tmp_path), *further])
        assert line in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"run npm pack openmoji@17\.0\.0 there"):
        sets.main([str(tmp_path), "--sets", "tones", "--packages", str(tmp_path)])
    with pytest.raises(SystemExit, match="holds no metrics"):
        table.main([str(tmp_path)])


def test_the_table_has_means_with_the_lowest_and_highest_beside_a_perfect_model():
    runs = {
        "demo": [{"steps": 9, "metrics": METRICS | {"modes": m, "shape": None}} for m in (2.0, 4.0)]
    }
    title, _, head, _, perfect, demo = table.make_table("five", runs, METRICS).splitlines()[:6]
    assert title == "## five"
    assert (
        head == "|  | modes of 5 ↑ | shape ↑ | KD ↓ | spread, of the truth's | iterations | seeds |"
    )
    assert perfect == "| perfect | 2.00 | 0.900 | 0.100 | 1.00 |  |  |"
    assert (
        demo == "| demo | 3.00 (2.00-4.00) | - | 0.100 (0.100-0.100) | 1.00 (1.00-1.00) | 9 | 2 |"
    )
