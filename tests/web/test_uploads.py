"""What becomes of pictures that somebody sent."""

import numpy as np
import pytest
from PIL import Image

from munit_pl.web.uploads import read_or_tell, read_upload

RED = (200, 40, 60)


def test_an_upload_is_brought_to_the_size_of_training(tmp_path):
    for name, kind in (("x.png", "PNG"), ("x.jpg", "JPEG"), ("x.gif", "GIF"), ("x", "PNG")):
        path = tmp_path / name
        Image.new("RGB", (160, 80), RED).save(path, kind)
        picture = read_or_tell(path, 3, 32, 65535)
        assert picture.size == (64, 32)
        assert np.abs(np.asarray(picture, int) - RED).max() <= 4
    assert read_or_tell(path, 1, 100, 65535).size == (200, 100)  # and made larger
    Image.new("I;16", (20, 20), 2048).save(path, "PNG")
    assert read_or_tell(path, 1, 20, 4095).getpixel((9, 9)) == 128


@pytest.mark.process
def test_it_is_read_in_another_process(tmp_path):
    path = tmp_path / "x.png"
    Image.new("RGB", (160, 80), RED).save(path)
    assert read_upload(path, 3, 32, 65535).getpixel((9, 9)) == RED
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match="no image that can be read here"):
        read_upload(path, 3, 32, 65535)


def told(path):
    """What the sender is told, which must give away nothing of this machine."""
    text = read_or_tell(path, 3, 32, 65535)
    assert text[0].isupper()
    assert text.endswith(".")
    assert "/" not in text
    assert path.name not in text
    return text


def test_an_upload_that_cannot_be_used_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "upload.png"
    for content in (b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>"):
        path.write_bytes(content)
        assert "no image that can be read here: choose a file of JPEG" in told(path)
    assert "no image that can be read here" in told(tmp_path)
    assert "no image that can be read here" in told(tmp_path / "gone")
    # The header alone tells the size: no pixel of these is there to be decoded.
    path.write_bytes(b"P5 6000 5000 255\n")
    assert told(path) == (
        "It is 5000x6000 pixels and has too many pixels: 24 million are taken. Make it smaller."
    )
    path.write_bytes(b"P5 100000 100000 255\n")
    assert told(path).startswith("It has too many pixels: 24 million are taken.")
    path.write_bytes(b"P5 90 10 255\n")
    assert told(path).startswith("It is 10x90 pixels: one side may be 8 times the other")
    path.write_bytes(b"P5 90 20 255\n12345")
    assert "damaged or of an unusual kind" in told(path)
    Image.fromarray(np.zeros((20, 20), np.float32)).save(path, "TIFF")
    assert "damaged or of an unusual kind" in told(path)
