import numpy as np
import torch

from munit_pl.data.images.tensors import to_pil_image
from munit_pl.evaluation.comparison.drawn_subject import DrawnSubject
from munit_pl.evaluation.comparison.picture import draw_table
from munit_pl.evaluation.comparison.rows import Extent


class Constant:
    """Translates everything to one gray."""

    def __init__(self, gray):
        self.gray = gray

    def style_dim(self, domain):
        return 2

    def translate(self, x, styles, to):
        return torch.full((len(x), len(styles), *x.shape[1:]), self.gray)


def test_rows_are_methods_in_the_papers_order_below_the_true_shoes():
    extent = Extent(inputs=2, styles=2, varied=2, pairs=2, compared=2)
    shoes = DrawnSubject((16, 16), extent)
    drawings = shoes.inputs
    picture = draw_table({"munit": Constant(1.0), "unit": Constant(-1.0)}, shoes)
    assert picture.height == 3 * 18
    pixels = np.asarray(picture)[:, -12 * 18 :]  # twelve columns to the right of the labels

    def cell(row, column):
        return pixels[row * 18 : row * 18 + 16, column * 18 : column * 18 + 16]

    for place, column in ((0, 0), (1, 6)):
        truth = drawings.truth(place)
        for row in range(3):
            assert (cell(row, column) == np.asarray(to_pil_image(truth.x_a))).all()
        assert (cell(0, column + 1) == np.asarray(to_pil_image(truth.x_b))).all()
        for style in range(1, 6):
            assert (cell(1, column + style) == 0).all()
            assert (cell(2, column + style) == 255).all()
