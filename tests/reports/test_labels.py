import numpy as np
import pytest
from PIL import Image, ImageDraw

from munit_pl.reports import labels


@pytest.fixture(params=[labels._FONTS, ()], ids=["the system's", "Pillow's"])
def font(request, monkeypatch):
    monkeypatch.setattr(labels, "_FONTS", request.param)
    labels._font.cache_clear()
    yield
    labels._font.cache_clear()


def gaps(text, size):
    """Return how many columns without ink lie between letters."""
    width = labels.label_width(text, size)
    picture = Image.new("L", (width, 2 * size), "white")
    labels.write_label(ImageDraw.Draw(picture), (0, size), text, size, "lm")
    inked = np.flatnonzero((np.asarray(picture) < 255).any(0))
    return np.diff(inked) - 1


def test_words_stand_further_apart_than_letters(font):
    for size in (11, 12, 24):
        assert gaps("l l", size).max() - gaps("ll", size).max() >= size / 4
