"""The notebooks, in small: their cells say which values are replaced, as nbmake reads it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def code_cells(path):
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_holds_no_output_and_trains_little_under_test(path):
    cells = code_cells(path)
    assert all(cell["outputs"] == [] for cell in cells)
    replaced = [cell["metadata"].get("nbmake", {}).get("mock", {}) for cell in cells]
    assert any(values.get("steps") == 2 for values in replaced)


def test_the_first_steps_train_and_show_their_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = {}
    for cell in code_cells(NOTEBOOKS[0].with_name("first_steps.ipynb")):
        exec("".join(cell["source"]), shown)
        shown |= cell["metadata"].get("nbmake", {}).get("mock", {})
    assert shown["trainer"].global_step == 2
    assert [label for label, _ in shown["rows"]][-1] == "its style"


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_in_a_kernel(path, tmp_path):
    pytest.importorskip("nbmake", reason="runs notebooks in kernels")
    pytest.importorskip("ipykernel", reason="the kernel")
    copy = shutil.copy(path, tmp_path)  # a kernel works where its notebook lies
    run = [sys.executable, "-m", "pytest", "--nbmake", "-p", "no:cacheprovider", str(copy)]
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [*run, "--rootdir", str(tmp_path), "--override-ini", "addopts="],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=230,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
