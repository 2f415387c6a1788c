"""Model cards: networks, training data, metrics and license of a shared model."""

import json
import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from munit_pl.data.sizes import ImageSize
from munit_pl.hub.pretrained import PRETRAINED
from munit_pl.io.files import digest
from munit_pl.io.regular_files import open_regular

DRAWN = "drawn shoes, which munit_pl draws itself: no third party has rights in them"
_MAX_REPORT = 1 << 20  # bytes
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Facts(NamedTuple):
    """What is known of a model besides its networks.

    Attributes:
        data: What it was trained on, in words.
        metrics: What was measured, by name.
        measured: How the metrics came about, in words.
        license: Under which license it may be used, by SPDX's name: "apache-2.0".
    """

    data: str | None = None
    metrics: Mapping[str, float] | None = None
    measured: str | None = None
    license: str | None = None


def facts_beside(checkpoint: Path) -> Facts:
    """Gather what lies beside a checkpoint: a run's ``drawn.json``, a report on this very file.

    Of a model that comes with the package it is what the package says.

    A report is the ``metrics.json`` of ``munit-evaluate``, in the checkpoint's folder or the run's;
    it counts only if it names the checkpoint's SHA-256.
    """
    if checkpoint in PRETRAINED.values():
        return Facts(**json.loads(checkpoint.with_suffix(".json").read_text()))
    run = checkpoint.resolve().parent.parent
    facts = Facts()
    own = cache(partial(digest, checkpoint))  # which takes seconds
    if drawn := _metrics(_read(run / "drawn.json")):
        facts = Facts(DRAWN, drawn, "at the end of the run (drawn.json); protocol drawn")
    for folder in (run, checkpoint.parent):
        for path in (
            *folder.glob("metrics.json"),
            *sorted(folder.glob("evaluation/*/metrics.json")),
        ):
            report = _read(path)
            file, metrics = report.get("checkpoint"), report.get("metrics")
            if not isinstance(file, dict) or not isinstance(metrics, dict):
                continue
            if "sha256" in file and file["sha256"] == own():
                values = {k: v.get("value") for k, v in metrics.items() if isinstance(v, dict)}
                measured = f"by munit-evaluate, protocol {report.get('protocol')}"
                facts = facts._replace(metrics=_metrics(values), measured=measured)
    return facts


def model_card(networks: Mapping[str, Any], facts: Facts, whole: bool) -> str:
    """Write the page.

    Args:
        networks: Kind and arguments of the generators, as `describe` returns them.
        facts: What else is known.
        whole: Whether the discriminators are there, too.
    """
    license = f"license: {json.dumps(facts.license)}\n" if facts.license else ""
    rows = [
        f"| {name} | {plain(network['kind'])} | {plain(_listed(network['arguments']))} |"
        for name, network in networks.items()
    ]
    sizes = {ImageSize.from_plain(n["image_size"]) for n in networks.values() if "image_size" in n}
    whites = [
        f"white is {network['max_value']} in 16-bit gray files for {name}"
        for name, network in networks.items()
        if "max_value" in network
    ]
    return _PAGE.format(
        front=license,
        whole=_WHOLE if whole else "",
        networks="\n".join(rows),
        data="; ".join([plain(facts.data or "not told"), *map(str, sizes), *whites]),
        metrics=_table(facts),
        license=plain(facts.license or "") or "Not told: ask whoever trained it before you use it.",
    )


_PAGE = """---
library_name: munit_pl
pipeline_tag: image-to-image
{front}---

# An image-to-image translator

It translates images of domain a to domain b, and back.

```python
from munit_pl import Translator

translator = Translator.load("FOLDER")  # where these files lie
pictures = translator("photo.png", styles=10)
```
{whole}
## Networks

| | kind | arguments |
|---|---|---|
{networks}

## Data

Trained on: {data}.

## Metrics

{metrics}

## License

{license}
"""

_WHOLE = """
The discriminators are in it, too: `MUNIT.from_pretrained("FOLDER")`.
"""


def plain(text: str) -> str:
    """Return a text in which Markdown and HTML mean nothing, in one line.

    Names of metrics, protocols and arguments come from files beside a checkpoint, or from within.
    """
    return re.sub(r"([\\`*\[\]<>|&~#!$])", r"\\\1", " ".join(_UNSEEN.sub(" ", text).split()))


def _table(facts: Facts) -> str:
    if not facts.metrics:
        return "None are known."
    rows = [f"| {plain(name)} | {value:.4g} |" for name, value in facts.metrics.items()]
    measured = plain(facts.measured or "by whoever trained it")
    return "\n".join([f"Measured {measured}:", "", "| | |", "|---|---|", *rows])


def _listed(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in arguments.items())


def _read(path: Path) -> dict[str, Any]:
    """Read a report; an empty one if it is missing, broken or too long: an export needs none."""
    try:
        with open_regular(path) as file:
            values = json.loads(file.read(_MAX_REPORT))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _metrics(values: Mapping[str, Any]) -> dict[str, float]:
    return {str(k): float(v) for k, v in values.items() if isinstance(v, int | float)}
