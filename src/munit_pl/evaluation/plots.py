"""An evaluation's plots, as PNG files in memory: equal numbers give equal bytes."""

import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from munit_pl.evaluation.report import MetricValue
from munit_pl.evaluation.style_space import Moments, StyleMap

_DPI = 110
BLUE, ORANGE = "#2563a8", "#d97706"
_GRAY, _PALE = "#6f757d", "#e3e6ea"
SMALL = 8  # points
_COLUMN = 64  # points: holds -1.882e-05 and the like in small letters, and a gap


def plot_distributions(distributions: Mapping[str, Sequence[float]]) -> bytes:
    """Draw a histogram of each set of values, a panel each, with their mean.

    Args:
        distributions: Values by label. What is no finite number is left out, and its panel says so.

    Raises:
        ValueError: If there is no set of values.
    """
    if not distributions:
        raise ValueError("there are no values to draw a histogram of")
    figure, panels = make_panels(len(distributions), 2, (4.6, 2.3))
    for panel, (label, values) in zip(panels, distributions.items(), strict=True):
        finite = [value for value in values if math.isfinite(value)]
        without = f", {len(values) - len(finite)} not finite" * (len(finite) < len(values))
        said = f"{len(finite)} inputs{without}"
        if finite:
            mean = sum(finite) / len(finite)
            panel.hist(finite, bins=min(30, 5 + len(finite) // 5), color=BLUE, alpha=0.75)
            panel.axvline(mean, color=ORANGE, linewidth=1.5)
            said = f"mean {mean:.4g} of {said}"
        panel.set_title(f"{label}\n{said}", fontsize=SMALL)
        panel.set_ylabel("inputs", fontsize=SMALL)
    return to_png(figure)


def plot_metrics(metrics: Sequence[MetricValue]) -> bytes:
    """Draw each metric and that of real images on one line, whose scale is its own.

    A scale goes from 0, or the lower of the two if that is below, to the higher of the two. Metrics
    without a value of real images are left out.
    """
    rows = [metric for metric in metrics if metric.real is not None]
    figure = Figure(figsize=(9.5, 0.7 + 0.34 * max(1, len(rows))), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.set_frame_on(False)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(max(1, len(rows)) - 0.4, -0.6)
    axes.set_xticks([])
    names = [f"{metric.key.split('/')[0]}: {metric.label}" for metric in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=SMALL)
    axes.tick_params(length=0)
    if not rows:
        axes.text(0.5, 0, "no metric has a value of real images beside it", ha="center")
        return to_png(figure)
    for y, metric in enumerate(rows):
        _draw_row(axes, y, metric)
    _write_beside(axes, -0.75, "● model", "◆ real", "")
    return to_png(figure)


def _draw_row(axes: Axes, y: int, metric: MetricValue) -> None:
    assert metric.real is not None
    low, high = min(0, metric.value, metric.real), max(0, metric.value, metric.real)
    value, real = ((x - low) / ((high - low) or 1) for x in (metric.value, metric.real))
    axes.plot([0, 1], [y, y], color=_PALE, linewidth=5, solid_capstyle="round", zorder=1)
    axes.plot([value, real], [y, y], color=BLUE, linewidth=2, alpha=0.6, zorder=2)
    axes.plot(real, y, "D", color=ORANGE, markersize=8, zorder=3)
    axes.plot(value, y, "o", color=BLUE, markersize=7, zorder=4)
    better = {"higher": "more is better", "lower": "less is better", "": ""}[metric.better]
    _write_beside(axes, y, f"{metric.value:.4g}", f"{metric.real:.4g}", better)


def _write_beside(axes: Axes, y: float, value: str, real: str, better: str) -> None:
    """Write a row's three columns right of the axes, in points, for the layout to make room."""
    columns = (
        (_COLUMN, value, "right", BLUE),
        (2 * _COLUMN, real, "right", ORANGE),
        (2 * _COLUMN + 10, better, "left", _GRAY),
    )
    for points, text, side, color in columns:
        axes.annotate(
            text,
            (1, y),
            (points, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            color=color,
            fontsize=SMALL,
            annotation_clip=False,
        )


def plot_style_map(styles: StyleMap) -> bytes:
    """Draw encoded and random styles on one plane, and each dimension's moments against N(0, 1).

    Where a picture has no room there is a dot.
    """
    figure = Figure(figsize=(11, 7.6), dpi=_DPI, layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(3.2, 1))
    source, target = styles.direction
    titles = (
        f"real images of domain {target}, by their style",
        f"one image of domain {source} in random styles",
    )
    layers = styles.encoded, styles.sampled
    low, high = _square(np.concatenate([layer.points.numpy() for layer in layers]), styles.side)
    for column, (title, layer) in enumerate(zip(titles, layers, strict=True)):
        axes = figure.add_subplot(grid[0, column])
        x, y = layer.points.T.numpy()
        axes.scatter(x, y, s=9, color=_GRAY, alpha=0.7, linewidths=0)
        for i, picture in layer.pictures.items():
            _place(axes, picture, layer.points[i].tolist(), styles.side)
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        axes.set_title(title, fontsize=SMALL + 2)
        first, second = styles.explained
        axes.set_xlabel(f"first axis: {first:.0%} of the variance", fontsize=SMALL)
        axes.set_ylabel(f"second axis: {second:.0%}", fontsize=SMALL)
        axes.tick_params(labelsize=SMALL - 1)
    _draw_moments(figure.add_subplot(grid[1, :]), styles.found)
    return to_png(figure)


def _square(points: npt.NDArray[np.float64], side: float) -> npt.NDArray[np.float64]:
    """Return the corners ``(low, high)`` of a square that holds all points and their pictures."""
    low, high = points.min(0), points.max(0)
    half = (high - low).max() / 2 + side
    return (low + high) / 2 + half * np.array([[-1], [1]])


def _place(axes: Axes, picture: Image.Image, center: Sequence[float], side: float) -> None:
    width, height = (side * length / max(picture.size) / 2 for length in picture.size)
    x, y = center
    axes.imshow(picture, extent=(x - width, x + width, y - height, y + height))


def _draw_moments(axes: Axes, found: Moments) -> None:
    deviation = found.variance.sqrt().numpy()
    dimensions = np.arange(len(deviation))
    axes.axhspan(-1, 1, color=_PALE, label="N(0, 1): mean and one standard deviation")
    axes.axhline(0, color="white")
    axes.errorbar(
        dimensions, found.mean.numpy(), deviation, fmt="o", color=BLUE, capsize=4, label="encoded"
    )
    numbers = zip(found.mean.tolist(), found.variance.tolist(), strict=True)
    names = [
        f"{i}\nmean {round(mean, 2) + 0:.2f}\nvar. {var:.2g}"
        for i, (mean, var) in enumerate(numbers)
    ]
    few = dimensions[:: -(-len(names) // 16)]
    axes.set_xticks(few, [names[i] for i in few], fontsize=SMALL - 1)
    axes.tick_params(labelsize=SMALL - 1)
    axes.set_title("encoded styles of real images, by dimension", fontsize=SMALL + 2)
    axes.margins(y=0.4)
    axes.legend(fontsize=SMALL - 1, frameon=False, loc="upper right", ncols=2)


def make_panels(n: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Return ``n`` panels of a size in inches, row by row."""
    columns = min(n, columns)
    rows = -(-n // columns)
    figure = Figure(figsize=(columns * size[0], rows * size[1]), dpi=_DPI, layout="constrained")
    panels = [figure.add_subplot(rows, columns, i + 1) for i in range(n)]
    for panel in panels:
        panel.tick_params(labelsize=SMALL - 1)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file; equal figures give equal bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
