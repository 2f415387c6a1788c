"""Any bytes, and valid files that broke: the readers take them or refuse them in one line.

``fuzz.py`` searches for hours; what it found is kept here as cases.
"""

import io
import tempfile
from pathlib import Path

import hostile_files as hostile
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.reading import read_image, read_size
from munit_pl.data.images.tensors import to_tensor
from munit_pl.inference.generator_loading import read_generators
from munit_pl.io.safe_reading import read_checkpoint
from munit_pl.models.base.description import export_generators

FORMATS = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"),
    "PPM": ("L", "RGB"),
    "GIF": ("L", "P"),
}
LOSSLESS = ("PNG", "BMP", "TIFF", "PPM")

quick = settings(
    deadline=None,
    max_examples=100,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def image_bytes(mode, kind, size=(5, 4)):
    width, height = size
    values = (np.arange(width * height * 4) * 37 % 256).astype(np.uint8)
    if mode == "I;16":
        image = Image.frombytes(mode, size, values[: width * height * 2].tobytes())
    else:
        image = Image.frombytes("RGBA", size, values.tobytes()).convert("RGB").convert(mode)
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def model_bytes():
    """Return a tiny model in each of the formats that it is read from."""
    with tempfile.TemporaryDirectory() as folder:
        for zipped in (True, False):
            content = hostile.checkpoint()
            torch.save(content, f"{folder}/{zipped}", _use_new_zipfile_serialization=zipped)
        export_generators(f"{folder}/m.safetensors", *hostile.generators())
        return [path.read_bytes() for path in sorted(Path(folder).iterdir())]


IMAGES = [image_bytes(mode, kind) for kind, modes in FORMATS.items() for mode in modes]
MODELS = model_bytes()


def tried(content, *readers):
    """Return what each reader makes of a file, None where it refuses it in one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(content)
        return [_tried(path, read) for read in readers]


def _tried(path, read):
    try:
        return read(path)
    except (OSError, ValueError) as error:
        line = str(error)
    assert "\n" not in line
    assert 0 < len(line) < 2000
    return None


def seen(path):
    return to_tensor(read_image(path, 3))


def loaded(path):
    return ImageFolder([path], 3, 4, (4, 4)).load(0, None)


@st.composite
def broken(draw, files):
    """Cut one of these files, and change some of its bits."""
    content = bytearray(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(0, 4))):
        content[draw(st.integers(0, len(content) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(content[: draw(st.none() | st.integers(0, len(content)))])


@pytest.mark.filterwarnings("ignore")
@quick
@given(st.binary(max_size=300) | broken(IMAGES))
def test_what_is_no_whole_image_is_read_or_refused(content):
    for x in tried(content, seen, loaded):
        if x is not None:
            assert x.dtype == torch.float32
            assert len(x) == 3
            assert x.min() >= -1
            assert x.max() <= 1
    tried(content, read_size)


@pytest.mark.filterwarnings("ignore")
@quick
@given(st.binary(max_size=300) | broken(MODELS))
def test_what_is_no_whole_model_is_read_or_refused(content):
    _, gens = tried(content, read_checkpoint, read_generators)
    if gens is not None:  # bits of the weights' own are as good as any
        assert all(tensor.isfinite().all() for gen in gens for tensor in gen.state_dict().values())


@pytest.mark.filterwarnings("ignore")
@quick
@given(
    st.sampled_from([(mode, kind) for kind, modes in FORMATS.items() for mode in modes]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3, 4]),
)
def test_every_image_keeps_its_size_and_range(written, width, height, channels):
    mode, kind = written

    def read(path):
        return to_tensor(read_image(path, channels)), read_size(path)

    x, size = tried(image_bytes(mode, kind, (width, height)), read)[0]
    assert x.shape == (channels, height, width)
    assert size == (height, width)
    assert x.dtype == torch.float32
    assert x.min() >= -1
    assert x.max() <= 1
    if mode == "RGB" and kind in LOSSLESS and channels == 3:
        values = (np.arange(width * height * 4) * 37 % 256).reshape(height, width, 4)[..., :3]
        assert ((x + 1) * 127.5).round().permute(1, 2, 0).tolist() == values.tolist()


@settings(quick, max_examples=40)
@given(
    st.sampled_from(list(hostile.SIZES)),
    st.integers() | st.floats() | st.text() | st.booleans() | st.none() | st.lists(st.integers()),
)
def test_no_argument_of_a_file_but_the_right_one_builds_a_generator(name, value):
    if type(value) is int and value == hostile.SIZES[name]:
        return
    file = io.BytesIO()
    torch.save(hostile.checkpoint(**{name: value}), file)
    assert tried(file.getvalue(), read_generators) == [None]


# Found by fuzz.py, or by hand while it was written.
CASES = {
    "pickle that ends before it returns": lambda path: hostile.write_zip(path, b"\x80\x02}"),
    "pickle that takes more than there is": lambda path: hostile.write_zip(path, b"\x80\x02s."),
    "memo that is not there": lambda path: hostile.write_zip(path, b"\x80\x02h\x05."),
    "empty zip": lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)),
    "head of a zip": lambda path: path.write_bytes(b"PK\x03\x04"),
    "empty": lambda path: path.write_bytes(b""),
    "long header of safetensors": lambda path: path.write_bytes(b"\xff" * 8 + b"{"),
}


def test_what_was_found_is_refused(tmp_path):
    for write in CASES.values():
        write(tmp_path / "file")
        assert (
            tried((tmp_path / "file").read_bytes(), read_checkpoint, read_generators) == [None] * 2
        )
