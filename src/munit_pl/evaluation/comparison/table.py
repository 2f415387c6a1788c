"""The comparison as a Markdown table."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

from munit_pl.evaluation.comparison.rows import REAL, ROWS, Row
from munit_pl.evaluation.comparison.subject import Wording

Run = Mapping[str, Any]  # a run's metrics.json


class Column(NamedTuple):
    """A metric of the runs.

    Attributes:
        key: Its key in a run's metrics.
        title: What it is called.
        decimals: How it is rounded.
    """

    key: str
    title: str
    decimals: int


_COLUMNS = (
    Column("silhouette_iou", "quality: silhouette IoU ↑", 3),
    Column("kernel_distance", "quality: KD (lite0) ↓", 3),
    Column("color_energy", "quality: colors' energy distance ↓", 1),
    Column("color_spread", "diversity: colors' spread, of the real set's", 2),
    Column("pair_distance", "diversity: lite0 distance (not LPIPS)", 3),
    Column("guided_error", "example's style: color error, of 255 ↓", 1),
    Column("transfer_error", "example's AdaIN statistics: the same ↓", 1),
    Column("chance_error", "example ignored: the same", 1),
)
_PAPER = (
    "paper, edges to shoes: preferred to MUNIT",
    "paper, edges to shoes: LPIPS",
)
_TERMS = ("image", "content", "style")


def summarize(values: Sequence[float | None], decimals: int) -> str:
    """Return mean ± standard deviation, unbiased, of runs; "-" where a run has no such metric."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return "-"
    if len(known) == 1:
        return f"{known[0]:.{decimals}f}"
    return f"{mean(known):.{decimals}f} ± {stdev(known):.{decimals}f}"


def make_table(
    runs: Mapping[str, Sequence[Run]], real: Mapping[str, float], wording: Wording
) -> str:
    """Return the page: the comparison, the ablations' losses, and what was run.

    Args:
        runs: The ``metrics.json`` of each row's seeds, at least one row's.
        real: The metrics of real images.
        wording: How to speak of the images, and whether the paper's results stand beside.
    """
    found = {key for row in runs.values() for run in row for key in run["metrics"]} | real.keys()
    columns = [column for column in _COLUMNS if column.key in found]
    titles = ["method", *(column.title for column in columns)]
    lines = [
        [
            ROWS[name].label,
            *(
                summarize([run["metrics"].get(column.key) for run in runs[name]], column.decimals)
                for column in columns
            ),
        ]
        for name in ROWS
        if name in runs
    ]
    of_real = [summarize([real.get(column.key)], column.decimals) for column in columns]
    lines.append([wording.real, *of_real])
    if wording.published:
        titles += _PAPER
        for line, row in zip(lines, [*(ROWS[n] for n in ROWS if n in runs), REAL], strict=True):
            line += _published(row)
    parts = [_heading(titles), *(_line(*line) for line in lines), ""]
    parts += [*_losses(runs), *_costs(runs), *_notes(runs, wording)]
    return "\n".join([f"# {wording.title}", "", *parts]) + "\n"


def _published(row: Row) -> tuple[str, str]:
    marks = {key: "" if key in row.checked else " ?" for key in ("preferred", "lpips")}
    preferred = "-" if row.preferred is None else f"{row.preferred:.1f} %{marks['preferred']}"
    return preferred, f"{row.lpips:.3f}{marks['lpips']}"


def _losses(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    """Return the second table: what each ablation does to the loss that it drops."""
    compared = [name for name in ROWS if name in runs and (name == "munit" or ROWS[name].dropped)]
    if not compared:
        return []
    lines = []
    for name in compared:
        values = {term: [run["losses"].get(term) for run in runs[name]] for term in _TERMS}
        shown = {term: summarize(values[term], 3) for term in _TERMS}
        if dropped := ROWS[name].dropped:
            shown[dropped] = f"**{shown[dropped]}**"
        lines.append(_line(ROWS[name].label, *shown.values()))
    titles = ["losses on test images, unweighted", *_TERMS]
    return ["The loss that an ablation drops is in bold.", "", _heading(titles), *lines, ""]


def _costs(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    lines = []
    for name in (name for name in ROWS if name in runs):
        parameters = runs[name][0]["metrics"]["parameters"]
        minutes = [None if run["seconds"] is None else run["seconds"] / 60 for run in runs[name]]
        seeds = ", ".join(str(run["seed"]) for run in runs[name])
        cells = f"{parameters:,.0f}", summarize(minutes, 1), seeds
        lines.append(_line(ROWS[name].label, *cells))
    titles = ["what it took", "parameters of a translation", "minutes of training", "seeds"]
    return [_heading(titles), *lines, ""]


def _notes(runs: Mapping[str, Sequence[Run]], wording: Wording) -> list[str]:
    """Say how the numbers came about."""
    (first, *_), *_ = runs.values()
    asked, data = first["asked"], first["data"]
    height, width = data["size"]
    settings = f"; settings {' '.join(asked['settings'])}" if asked["settings"] else ""
    extent = asked["extent"]
    versions = ", ".join(f"{name} {number}" for name, number in first["versions"].items())
    notes = [
        "Mean ± standard deviation over the seeds of training. Test images and random styles are "
        "the same for all runs.",
        f"Trained for {asked['steps']} iterations of {data['batch_size']} {wording.trained} of "
        f"each domain, {height}x{width}{settings}.",
        f"KD is KID's estimator with features of lite0, on {extent['compared']} translations and "
        f"as many {wording.real}; the distance is lite0's, of {extent['pairs']} pairs of "
        f"translations of each of {extent['varied']} {wording.input}s.",
        f"UNIT and CycleGAN give one translation of each {wording.input}, and so have no diversity "
        "at all.",
        *wording.notes,
    ]
    if wording.published:
        notes.append(
            "The paper's results are of photographs, by people's choice and by LPIPS: compare the "
            "orders of rows, not the numbers. Those with a question mark are as remembered, not as "
            "checked against the publication."
        )
    return [f"- {note}" for note in (*notes, f"{versions}.")]


def _heading(titles: Sequence[str]) -> str:
    return f"{_line(*titles)}\n{'|---' * len(titles)}|"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
