import importlib.util
import sys
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from munit_pl.inference.video import animate, read_frames, read_header, require_av

COLOURS = [(255, 0, 0), (0, 160, 0), (0, 0, 255), (128, 128, 128), (200, 100, 50), (255, 255, 255)]


@pytest.fixture
def frames(tmp_path):
    """Files of one colour each, 17 high and 23 wide."""
    files = [tmp_path / f"{i}.png" for i in range(len(COLOURS))]
    for file, colour in zip(files, COLOURS, strict=True):
        Image.new("RGB", (23, 17), colour).save(file)
    return files


def centre(picture):
    return np.asarray(picture.convert("RGB"))[8, 11].astype(int)


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_every_frame_is_there_in_its_colours_and_time(frames, tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    animate(frames, path, Fraction(12))
    lasted = []
    with Image.open(path) as animation:
        assert (animation.n_frames, animation.size) == (6, (23, 17))
        assert animation.info["loop"] == 0  # for ever
        for i, colour in enumerate(COLOURS):
            animation.seek(i)
            assert tuple(centre(animation)) == colour
            lasted.append(animation.info["duration"])
    assert sum(lasted) == 500  # six twelfths of a second, though a GIF counts hundredths
    assert max(lasted) - min(lasted) <= 10


def test_a_webp_holds_the_very_pixels(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (2, 17, 23, 3), np.uint8)
    files = [tmp_path / "0.png", tmp_path / "1.png"]
    for file, pixels in zip(files, noise, strict=True):
        Image.fromarray(pixels).save(file)
    animate(files, tmp_path / "x.webp", Fraction(2))
    with Image.open(tmp_path / "x.webp") as animation:
        for i, pixels in enumerate(noise):
            animation.seek(i)
            assert np.array_equal(np.asarray(animation.convert("RGB")), pixels)


def test_transparent_pixels_are_white_and_grey_is_grey(tmp_path):
    pytest.importorskip("av")
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(tmp_path / "0.png")
    Image.new("L", (16, 16), 128).save(tmp_path / "1.png")
    for kind in ("gif", "mp4"):
        animate([tmp_path / "0.png", tmp_path / "1.png"], tmp_path / f"x.{kind}", Fraction(1))
    with Image.open(tmp_path / "x.gif") as animation:
        assert animation.convert("RGB").getpixel((8, 8)) == (255, 255, 255)
        animation.seek(1)
        assert animation.convert("RGB").getpixel((8, 8)) == (128, 128, 128)
    white, grey = read_frames(tmp_path / "x.mp4")
    assert min(white.getpixel((8, 8))) >= 254
    assert max(abs(v - 128) for v in grey.getpixel((8, 8))) <= 1


def test_an_mp4_gives_back_every_frame_in_its_colours(frames, tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "x.mp4"
    animate(frames, path, Fraction(30000, 1001))
    assert read_header(path) == (Fraction(30000, 1001), 6)
    read = list(read_frames(path))
    assert [picture.mode for picture in read] == ["RGB"] * 6
    for picture, colour in zip(read, COLOURS, strict=True):
        assert abs(centre(picture) - colour).max() <= 3  # another matrix turns red by 23


def test_odd_sides_of_an_mp4_grow_by_the_pixels_at_the_edge(frames, tmp_path):
    pytest.importorskip("av")
    animate(frames, tmp_path / "x.mp4", Fraction(5))
    read = np.asarray(next(read_frames(tmp_path / "x.mp4"))).astype(int)
    assert read.shape == (18, 24, 3)
    assert abs(read - COLOURS[0]).max() <= 3  # black, not red, if it were filled with nothing


@pytest.mark.parametrize(
    ("kind", "codec"), [("mkv", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4"), ("mov", "mpeg4")]
)
def test_other_containers_are_read(tmp_path, kind, codec):
    write(tmp_path / f"x.{kind}", codec)
    assert len(list(read_frames(tmp_path / f"x.{kind}"))) == 4
    assert read_header(tmp_path / f"x.{kind}")[0] == 2


def test_a_video_held_upright_is_upright(tmp_path):
    """The matrix is that of a telephone held upright: to be turned clockwise by a quarter."""
    write(tmp_path / "x.mp4", "libx264", matrix=[0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30])
    upright = np.asarray(next(read_frames(tmp_path / "x.mp4")).convert("L"))
    assert upright.shape == (64, 32)
    assert upright[:, 18:].min() > 230  # the white upper half is now on the right
    assert upright[:, :14].max() < 20


@pytest.mark.parametrize("content", [b"", b"no video " * 99])
def test_what_is_no_video_is_told(tmp_path, content):
    pytest.importorskip("av")
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    for read in (read_header, lambda path: list(read_frames(path))):
        with pytest.raises(OSError, match=r"cannot read video '.*x\.mp4': "):
            read(path)


def test_a_video_without_its_end_is_told_after_the_frames_that_are_there(frames, tmp_path):
    pytest.importorskip("av")
    whole = tmp_path / "x.mp4"
    animate(frames, whole, Fraction(1))
    content = whole.read_bytes()
    whole.write_bytes(content[: content.index(b"mdat") + (len(content) // 4)])
    read = []
    with pytest.raises(OSError, match=r"x\.mp4'"):
        read.extend(read_frames(whole))
    assert len(read) < 6


def test_without_pyav_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for use in (
        require_av,
        lambda: read_header(tmp_path / "x.mp4"),
        lambda: animate([tmp_path / "x.png"], tmp_path / "x.mp4", Fraction(1)),
    ):
        with pytest.raises(ImportError, match=r"pip install 'munit-pl\[video\]'"):
            use()


def write(path, codec, matrix=None):
    """Write four pictures of 32 by 64, white above and black below, two a second."""
    av = pytest.importorskip("av")
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=2)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        if matrix is not None:
            stream.set_display_matrix(matrix)
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
