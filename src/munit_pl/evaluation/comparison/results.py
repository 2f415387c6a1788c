"""What runs leave behind, and the page that is made of it."""

import json
import math
from collections.abc import Mapping
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

from munit_pl.evaluation.comparison.measure import measure_real
from munit_pl.evaluation.comparison.picture import draw_table
from munit_pl.evaluation.comparison.rows import ROWS
from munit_pl.evaluation.comparison.subject import Subject
from munit_pl.evaluation.comparison.table import make_table
from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.inference.translator import Translator
from munit_pl.io.files import write_whole


def metrics_file(run: Path) -> Path:
    """Return where a run's metrics are, once it is done."""
    return run / "metrics.json"


def last_checkpoint(run: Path) -> Path:
    """Return where a run's newest checkpoint is."""
    return run / "checkpoints" / "last.ckpt"


def write_metrics(run: Path, found: Mapping[str, Any]) -> None:
    """Write a run's metrics, and with what they were found; from then on the run is done."""
    versions = {name: version(name) for name in ("munit-pl", "torch")}
    _write_json(metrics_file(run), {**found, "versions": versions})


def conclude(out: Path, extractors: FeatureExtractors, subject: Subject) -> str:
    """Write ``table1.md`` and ``table1.png`` of all runs in a folder, and return the table.

    Args:
        out: Holds a folder for each row, which holds one for each seed. At least one is done.
        extractors: The feature extractors for real images, unless ``real.json`` tells of them.
        subject: What was compared on.
    """
    files = {row: sorted(out.glob(f"{row}/*/metrics.json"), key=_seed) for row in ROWS}
    runs = {row: [_read_json(file) for file in files[row]] for row in ROWS if files[row]}
    (first, *_), *_ = runs.values()
    if not (out / "real.json").exists():
        _write_json(out / "real.json", measure_real(subject, extractors))
    real = {**first["real"], **_read_json(out / "real.json")}
    table = make_table(runs, real, subject.wording)
    write_whole(out / "table1.md", table)
    translators = {row: Translator.load(last_checkpoint(files[row][0].parent)) for row in runs}
    png = BytesIO()
    draw_table(translators, subject).save(png, "png")
    write_whole(out / "table1.png", png.getvalue())
    return table


def _seed(file: Path) -> int:
    return int(file.parent.name)


def _read_json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def _write_json(file: Path, values: Mapping[str, Any]) -> None:
    write_whole(file, json.dumps(_finite(values), indent=1, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """Return plain values with None for NaN/Inf, as a run that diverged may have."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
