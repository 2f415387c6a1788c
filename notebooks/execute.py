"""Execute the notebooks and keep what their cells show: ``execute.py [NOTEBOOK ...]``, or all.

Progress bars, logs and how long it took are left out; pictures have 256 colors.
"""

import base64
import io
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent


def execute(path: Path) -> None:
    """Execute a notebook in an empty folder, and write it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as work:
        client = NotebookClient(
            notebook,
            timeout=600,
            record_timing=False,
            resources={"metadata": {"path": work}},
        )
        client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [tidied(output) for output in cell.outputs if is_kept(output)]
    nbformat.write(notebook, path)


def is_kept(output: nbformat.NotebookNode) -> bool:
    """Return whether an output is a result, or was printed, and is no progress bar or log."""
    if output.output_type == "stream":
        return output.name == "stdout" and "\r" not in output.text
    return not any("widget" in kind for kind in output.data)


def tidied(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return an output without the address of what it shows, its picture made small."""
    data = output.get("data", {})
    if "image/png" in data:
        output.data = {"image/png": small(data["image/png"])}
    elif "text/markdown" in data:
        timeless = re.sub(r"(?m)^- \d+ s\n", "", data["text/markdown"])  # of a report
        output.data = {"text/markdown": timeless}
    return output


def small(picture: str) -> str:
    """Return a PNG, in base64, with 256 colors."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    file = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    for path in [Path(name) for name in sys.argv[1:]] or sorted(HERE.glob("*.ipynb")):
        execute(path)
