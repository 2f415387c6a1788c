"""Plots of codes, as PNG files in memory."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from munit_pl.evaluation.codes import Reading
from munit_pl.evaluation.plots import BLUE, ORANGE, SMALL, make_panels, to_png

_LOWEST = -0.25  # a reading that is worse is drawn as this: how much worse says nothing


def plot_readings(readings: Sequence[Reading]) -> bytes:
    """Draw what can be read off content and off style, a bar each, and what chance comes to.

    Bars end at -0.25 to the left.
    """
    figure = Figure(figsize=(9.5, 0.9 + 0.36 * len(readings)), dpi=110, layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(readings))
    for shift, part, color in ((-0.2, "content", BLUE), (0.2, "style", ORANGE)):
        values = [max(_LOWEST, getattr(reading, part)) for reading in readings]
        axes.barh(places + shift, values, 0.36, color=color, label=f"read off the {part} code")
    chances = [reading.chance for reading in readings]
    axes.vlines(chances, places - 0.42, places + 0.42, color="black", linewidth=1, label="chance")
    names = [f"{reading.part}: {reading.truth} ({reading.measure})" for reading in readings]
    axes.set_yticks(places, names, fontsize=SMALL)
    axes.set(xlim=(_LOWEST, 1.02), ylim=(len(readings) - 0.5, -0.5))
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", fontsize=SMALL, frameon=False, ncols=3)
    return to_png(figure)


def plot_style_histograms(styles: Tensor) -> bytes:
    """Draw a histogram of each dimension of styles ``(N, S)`` under the density of N(0, 1)."""
    figure, panels = make_panels(styles.shape[1], 4, (2.4, 1.7))
    for i, (panel, values) in enumerate(zip(panels, styles.double().T.numpy(), strict=True)):
        low, high = min(-3.5, values.min()), max(3.5, values.max())
        bins = np.linspace(low, high, 29).tolist()
        panel.hist(values, bins, density=True, color=BLUE, alpha=0.75)
        at = np.linspace(low, high, 200)
        panel.plot(at, np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi), color=ORANGE, linewidth=1.5)
        panel.set_yticks([])
        said = f"mean {values.mean():.2f}, variance {values.var(ddof=1):.2g}"
        panel.set_title(f"dimension {i}\n{said}", fontsize=SMALL)
    return to_png(figure)
