"""``munit-doctor``: what it tries, how it judges, and what it writes."""

import json
import os
import subprocess
import sys
import tempfile

import pytest
import torch

from munit_pl.commands import doctor
from munit_pl.commands.diagnosis import training
from munit_pl.commands.diagnosis.machine import describe_machine
from munit_pl.commands.diagnosis.report import write_report
from munit_pl.commands.diagnosis.trials import (
    PUBLISHED,
    TOLERANCES,
    Trial,
    judge,
    relative_error,
    trials,
    truth,
)


@pytest.fixture(scope="module")
def exact():
    return training.train(truth(2))


def test_a_cpu_in_fp32_is_well_and_one_that_rounds_as_bf16_does_is_not(exact):
    found = training.train(Trial("cpu", "32-true"))
    verdict, why = judge(Trial("cpu", "32-true"), found, exact)
    assert (verdict, why.split(" ")[1:4]) == ("ok", ["from", "float64,", "at"])
    assert len(found["losses"]) == training.ITERATIONS
    rough = training.train(Trial("cpu", "bf16-mixed"))
    assert judge(Trial("cpu", "bf16-mixed"), rough, exact)[0] == "ok"
    assert judge(Trial("cpu", "32-true"), rough, exact)[0] == "differs"


def test_what_is_compiled_is_compared_and_told_if_it_is_not(exact, monkeypatch):
    compiler = torch.compile
    with monkeypatch.context() as patch:
        patch.setattr(torch, "compile", lambda f, **_: compiler(f, backend="eager"))
        trial = Trial("cpu", "32-true", compiled=True)
        assert judge(trial, training.train(trial), exact)[0] == "ok"

    def fail(*_, **__):
        def call(*_):
            raise RuntimeError("no compiler")

        return call

    monkeypatch.setattr(torch, "compile", fail)
    verdict, why = judge(trial, training.train(trial), exact)
    assert (verdict, why[-11:]) == ("failed", "no compiler")


def test_each_verdict_has_its_reason():
    expected = {"losses": [[1.0, 2.0]], "picture": [0.5, -1.0], "finite": True}
    trial, apart = Trial("cpu", "32-true"), {**expected, "losses": [[1.0, 2.2]]}
    assert relative_error(apart, expected, 1) == pytest.approx(0.1)
    assert relative_error(apart, expected, 2) == 0  # of another process' images
    assert judge(trial, expected, expected)[0] == "ok"
    assert judge(trial, apart, expected) == ("differs", "0.1 from float64, at most 0.001")
    wrong = {**expected, "picture": [0.5, float("nan")]}
    assert judge(trial, wrong, expected)[0] == "differs"
    assert judge(trial, {"error": "it broke"}, expected) == ("failed", "it broke")
    assert judge(trial, expected, {"error": "it broke"})[0] == "failed"
    large = Trial("cuda", "16-mixed", size=PUBLISHED)
    assert judge(large, {"finite": True}, expected) == ("ok", "")
    assert judge(large, {"finite": False}, expected)[0] == "failed"


def test_gpus_are_tried_in_every_precision_compiled_and_together(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    tried = list(trials("cuda"))
    assert tried[0] == truth(4)
    assert len(set(map(str, tried))) == len(tried)
    on_cuda = [trial for trial in tried if trial.device == "cuda"]
    assert {(t.precision, t.compiled) for t in on_cuda} == {
        (precision, compiled) for precision in TOLERANCES for compiled in (False, True)
    } - {("64-true", False), ("64-true", True)}
    assert {t.processes for t in on_cuda} == {1, 4}
    assert {t.batch for t in on_cuda if t.size != PUBLISHED} == {4}
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert {t.precision for t in trials("cuda") if t.device == "cuda"} == {"32-true", "16-mixed"}


def test_a_trial_that_breaks_leaves_its_last_words(monkeypatch):
    real = subprocess.Popen

    def broken(command, **options):
        script = "import sys; print('CUDA error: an illegal access', file=sys.stderr); sys.exit(3)"
        return real([sys.executable, "-c", script], **options)

    monkeypatch.setattr(subprocess, "Popen", broken)
    found = doctor.attempt(Trial("cpu", "32-true"))
    assert found == {"error": "exit code 3: CUDA error: an illegal access"}


def test_the_report_names_no_user_and_no_path(tmp_path):
    machine = describe_machine(tmp_path)
    row = {"name": "cpu <b>", "verdict": "differs", "why": "0.1 & more", "seconds": 0.5, "peak": 0}
    write_report(tmp_path, machine, [row])
    page, told = (tmp_path / f"report.{kind}" for kind in ("html", "json"))
    assert "1 of 1 not as they should be" in page.read_text()
    assert 'cpu &lt;b&gt;</td><td class="differs">' in page.read_text()
    assert json.loads(told.read_text()) == {"machine": machine, "trials": [row]}
    for secret in (os.path.expanduser("~"), str(tmp_path), os.getcwd()):
        assert secret not in told.read_text() + page.read_text()


def test_paths_in_what_a_trial_said_are_cut_to_their_ends(tmp_path, monkeypatch):
    said = (
        f"no compiler in '{os.path.expanduser('~')}/x/cc' or {tmp_path}/y.py: 1/2 as C:\\me\\z.dll"
    )
    monkeypatch.setattr(doctor, "trials", lambda device: [truth(2), Trial("cpu", "32-true")])
    monkeypatch.setattr(doctor, "attempt", lambda trial: {"error": said})
    with pytest.raises(SystemExit):
        doctor.main(["--device", "cpu", "--out", str(tmp_path / "out")])
    told = json.loads((tmp_path / "out" / "report.json").read_text())["trials"]
    assert [one["error"] for one in told] == ["no compiler in 'cc' or y.py: 1/2 as z.dll"] * 2
    assert [one["why"] for one in told] == ["no compiler in 'cc' or y.py: 1/2 as z.dll"] * 2


def test_what_cannot_be_tried_is_refused(tmp_path):
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="finds no CUDA device here"):
            doctor.main(["--device", "cuda", "--out", str(tmp_path / "x")])


def test_what_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=f"munit-doctor: {tmp_path / 'file' / 'x'}: Not a dir"):
        doctor.main(["--device", "cpu", "--out", str(tmp_path / "file" / "x")])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(SystemExit, match=f"munit-doctor: {tmp_path / 'file'}/.*: Not a directory"):
        doctor.main(["--device", "cpu", "--out", str(tmp_path / "out")])


@pytest.mark.process
def test_this_machine_is_well(tmp_path, capfd):
    doctor.main(["--device", "cpu", "--out", str(tmp_path)])
    assert "all well; the report: " in capfd.readouterr().out
    trials = json.loads((tmp_path / "report.json").read_text())["trials"]
    assert [one["verdict"] for one in trials] == ["ok"] * 4
