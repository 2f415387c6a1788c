import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_holds_no_output(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in cells)
    source = "\n".join("".join(cell["source"]) for cell in cells)
    assert "max_steps=400" in source
    shown = {}
    exec(compile(source.replace("max_steps=400", "max_steps=2"), str(path), "exec"), shown)
    assert shown["trainer"].global_step == 2
    assert [label for label, _ in shown["rows"]][-1] == "its style"
