"""The notebooks, in small: their cells say which values are replaced, as nbmake reads it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def code_cells(path):
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]


def test_notebooks_show_what_their_cells_show_and_nothing_of_where_they_ran():
    """`notebooks/execute.py` writes the outputs."""
    shown = 0
    for path in NOTEBOOKS:
        assert path.stat().st_size < 200_000, path  # a PNG of 150 kB, in base64
        for cell in code_cells(path):
            last = "".join(cell["source"]).splitlines()[-1]
            kinds = [output["output_type"] for output in cell["outputs"]]
            assert "error" not in kinds
            assert bool(kinds) == last.startswith(("draw_grid(", "Markdown(", "munit_data(")), last
            for text in texts(cell["outputs"]):
                assert not re.search(r"(?<![\w.])(/|[A-Z]:\\)[\w.-]+", text), text
            shown += len(kinds)
    assert shown >= len(NOTEBOOKS)


def texts(outputs):
    for output in outputs:
        data = {"text/plain": output.get("text", "")} | output.get("data", {})
        yield from ("".join(text) for kind, text in data.items() if kind.startswith("text/"))


def test_notebooks_install_the_package_first_where_it_is_missing(monkeypatch):
    for path in NOTEBOOKS:
        called = []
        shell = SimpleNamespace(run_line_magic=lambda *words, called=called: called.append(words))
        for missing in (False, True):
            with monkeypatch.context() as patched:
                if missing:
                    patched.setattr("importlib.util.find_spec", lambda name: None)
                exec("".join(code_cells(path)[0]["source"]), {"get_ipython": lambda: shell})
            assert called == [("pip", "install --quiet munit-pl")] * missing


def test_notebooks_that_train_do_so_for_two_steps_under_test():
    for path in NOTEBOOKS:
        mocked = [c["metadata"].get("nbmake", {}).get("mock", {}) for c in code_cells(path)]
        assert any(values.get("steps") == 2 for values in mocked) == (
            "Trainer(" in path.read_text()
        )


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
