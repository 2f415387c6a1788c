import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.data.images.image_like import as_batch, as_list, as_pil_image
from munit_pl.data.images.reading import read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def forms(folder):
    """One image in all forms that a program may hold it in."""
    path = folder / "image.png"
    Image.fromarray(PIXELS).save(path)
    return [str(path), path, Image.open(path), Image.fromarray(PIXELS), PIXELS, PIXELS / 255]


def test_an_image_is_the_same_in_all_its_forms(tmp_path):
    for channels, mode in ((3, "RGB"), (1, "L"), (4, "RGBA")):
        expected = read_image(tmp_path / "image.png", channels) if channels != 3 else None
        for form in forms(tmp_path):
            picture = as_pil_image(form, channels)
            assert picture.mode == mode
            expected = expected or picture
            assert np.array_equal(picture, expected)
    assert np.array_equal(as_pil_image(PIXELS, 3), PIXELS)


def test_what_is_open_already_is_turned_and_laid_on_white_as_the_reader_does(tmp_path):
    path = tmp_path / "turned.png"
    picture = Image.fromarray(np.dstack([PIXELS, PIXELS[:, :, 0]]))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(path, exif=exif)
    for opened in (Image.open(path), Image.open(path).convert("RGBA")):
        turned = as_pil_image(opened, 3)
        assert turned.size == (5, 7)
        assert np.array_equal(turned, read_image(path, 3))
    for mode in ("L", "LA", "P", "1", "CMYK", "I;16"):
        other = picture.convert("L").convert(mode)
        assert as_pil_image(other, 3).mode == "RGB"


def test_gray_arrays_have_two_or_three_dimensions():
    gray = PIXELS[:, :, :1]
    for array in (gray, gray[:, :, 0], gray / 255):
        assert np.array_equal(as_pil_image(array, 1), gray[:, :, 0])


def test_tensors_become_batches_of_floats():
    bytes_ = torch.from_numpy(PIXELS).permute(2, 0, 1)
    floats = bytes_ / 127.5 - 1
    for x in (bytes_, floats, floats.double(), bytes_[None], floats[None]):
        batch = as_batch(x)
        assert (batch.shape, batch.dtype) == ((1, 3, 5, 7), torch.float32)
        torch.testing.assert_close(batch[0], floats, atol=1e-6, rtol=0)


def test_what_is_no_image_is_told_from_one(tmp_path):
    channels_first, nan = PIXELS.transpose(2, 0, 1), np.full((5, 7), np.nan)
    for bad, error, says in (
        (3, TypeError, "and not a int"),
        ([PIXELS], TypeError, "give several one by one"),
        (channels_first, ValueError, r"this one is \(3, 5, 7\); channels come last"),
        (PIXELS[:0], ValueError, "this one is"),
        (PIXELS[0, 0], ValueError, "this one is"),
        (PIXELS.astype(float), ValueError, r"lie in \[0, 1\], but these run from \d+ to \d+"),
        (nan, ValueError, "run from nan to nan"),
        (PIXELS.astype(int), ValueError, "but this is int64"),
        (Image.new("F", (5, 7)), ValueError, "no fixed white"),
        (tmp_path / "none.png", FileNotFoundError, "none.png"),
    ):
        with pytest.raises(error, match=says):
            as_pil_image(bad, 3)
    for bad, says in (
        (torch.rand(5, 7), r"this one is \(5, 7\)"),
        (torch.zeros(0, 3, 5, 7), "this one is"),
        (torch.full((3, 5, 7), 255.0), "run from 255 to 255"),
        (torch.full((3, 5, 7), torch.nan), "run from nan to nan"),
        (torch.zeros(3, 5, 7, dtype=torch.int64), "but this is torch.int64"),
    ):
        with pytest.raises(ValueError, match=says):
            as_batch(bad)
    with pytest.raises(ValueError, match="no image in the list"):
        as_list([])
    assert len(as_list("ab.png")) == len(as_list(torch.zeros(2, 3, 5, 7))) == 1
