import json

import pytest
import torch

from munit_pl import DrawnDataModule, MUNITModule
from munit_pl.callbacks.drawn_report import DrawnReport
from munit_pl.metrics.drawn import drawn_figures


class Run:
    def __init__(self, datamodule):
        self.datamodule = datamodule
        self.is_global_zero = True
        self.precision_plugin = self

    def forward_context(self):
        return torch.no_grad()


def pictures(datamodule, n):
    a, b = datamodule.make_domains("test")
    return [a.truth(i) for i in range(n)], [b.truth(i) for i in range(n)]


def figures_of(translate):
    """Figures of perfect translations, changed by ``translate``."""
    drawings, shoes = pictures(DrawnDataModule(size=(64, 64), test_length=24), 24)
    recoloured = [[translate(d.x_b, d, shoe) for shoe in shoes[:8]] for d in drawings]
    return drawn_figures(
        torch.stack([torch.stack(row) for row in recoloured]),
        torch.stack([translate(d.x_b, d, s) for d, s in zip(drawings, shoes, strict=True)]),
        torch.stack([d.silhouette for d in drawings]),
        torch.stack([d.upper for d in drawings]),
        torch.stack([s.x_b for s in shoes]),
        torch.stack([s.upper for s in shoes]),
    )


def paint(x, drawing, shoe):
    """Give a drawing's own shoe the mean body colour of another."""
    colour = shoe.x_b[:, shoe.upper].mean(1)
    return torch.where(drawing.upper, colour[:, None, None], x)


def test_perfect_translations_have_perfect_figures():
    figures = figures_of(paint)
    assert figures.silhouette_iou > 0.98
    assert figures.guided_error < 1e-3
    assert figures.chance_error > 40
    assert figures.colour_spread == pytest.approx(1, abs=0.25)  # eight colours of 24


def test_ignoring_the_style_shows_in_error_and_spread():
    figures = figures_of(lambda x, *_: x)
    assert figures.guided_error == pytest.approx(figures.chance_error, rel=0.25)
    assert figures.colour_spread == 0


def test_losing_the_shape_shows_in_the_silhouette():
    assert figures_of(lambda x, *_: x.roll(16, -1)).silhouette_iou < 0.7


def test_the_report_saves_prints_and_draws_what_it_measured(tiny, tmp_path, capsys):
    datamodule = DrawnDataModule(test_length=5)
    DrawnReport(tmp_path, num_shapes=8, num_styles=3).on_train_end(
        Run(datamodule), MUNITModule(**tiny)
    )
    figures = json.loads((tmp_path / "drawn.json").read_text())
    told = capsys.readouterr().out
    assert "On 5 test drawings, 3 random styles each" in told
    assert f"IoU {figures['silhouette_iou']:.3f}" in told
    assert str(tmp_path / "drawn.png") in told
    assert (tmp_path / "drawn.png").stat().st_size > 1000


def test_other_data_is_refused(tiny, tmp_path):
    with pytest.raises(TypeError, match="data=drawn"):
        DrawnReport(tmp_path).on_train_end(Run(None), MUNITModule(**tiny))
    with pytest.raises(TypeError, match="data=drawn"):  # and before training already
        DrawnReport(tmp_path).on_fit_start(Run(None), MUNITModule(**tiny))


def test_a_spread_needs_two(tmp_path):
    with pytest.raises(ValueError, match="at least 2"):
        DrawnReport(tmp_path, num_styles=1)
