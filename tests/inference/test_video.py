import importlib.util
import os
import sys
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from munit_pl.inference import video
from munit_pl.inference.animation import animate, even_times, lacking_sound
from munit_pl.inference.video import opened_video, read_frames, require_av

COLORS = [(255, 0, 0), (0, 160, 0), (0, 0, 255), (128, 128, 128), (200, 100, 50), (255, 255, 255)]


@pytest.fixture
def frames(tmp_path):
    """Files of one color each, 17 high and 23 wide."""
    files = [tmp_path / f"{i}.png" for i in range(len(COLORS))]
    for file, color in zip(files, COLORS, strict=True):
        Image.new("RGB", (23, 17), color).save(file)
    return files


def header(path, kind="gif"):
    """Return how many frames a video's header counts, and what an animation lacks of its sound."""
    with opened_video(path) as (container, stream):
        return stream.frames, lacking_sound(container, kind)


def center(picture):
    return np.asarray(picture.convert("RGB"))[8, 11].astype(int)


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_every_frame_is_there_in_its_colors_and_time(frames, tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    animate(frames, even_times(len(frames), Fraction(12)), path)
    lasted = []
    with Image.open(path) as animation:
        assert (animation.n_frames, animation.size) == (6, (23, 17))
        assert animation.info["loop"] == 0  # for ever
        for i, color in enumerate(COLORS):
            animation.seek(i)
            assert tuple(center(animation)) == color
            lasted.append(animation.info["duration"])
    assert sum(lasted) == 500  # six twelfths of a second, though a GIF counts hundredths
    assert max(lasted) - min(lasted) <= 10


def test_a_webp_holds_the_very_pixels(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (2, 17, 23, 3), np.uint8)
    files = [tmp_path / "0.png", tmp_path / "1.png"]
    for file, pixels in zip(files, noise, strict=True):
        Image.fromarray(pixels).save(file)
    animate(files, even_times(len(files), Fraction(2)), tmp_path / "x.webp")
    with Image.open(tmp_path / "x.webp") as animation:
        for i, pixels in enumerate(noise):
            animation.seek(i)
            assert np.array_equal(np.asarray(animation.convert("RGB")), pixels)


def test_transparent_pixels_are_white_and_gray_is_gray(tmp_path):
    pytest.importorskip("av")
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(tmp_path / "0.png")
    Image.new("L", (16, 16), 128).save(tmp_path / "1.png")
    for kind in ("gif", "mp4"):
        files = [tmp_path / "0.png", tmp_path / "1.png"]
        animate(files, even_times(2, Fraction(1)), tmp_path / f"x.{kind}")
    with Image.open(tmp_path / "x.gif") as animation:
        assert animation.convert("RGB").getpixel((8, 8)) == (255, 255, 255)
        animation.seek(1)
        assert animation.convert("RGB").getpixel((8, 8)) == (128, 128, 128)
    white, gray = (frame.picture for frame in read_frames(tmp_path / "x.mp4"))
    assert min(white.getpixel((8, 8))) >= 254
    assert max(abs(v - 128) for v in gray.getpixel((8, 8))) <= 1


def test_an_mp4_gives_back_every_frame_in_its_colors(frames, tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "x.mp4"
    animate(frames, even_times(len(frames), Fraction(30000, 1001)), path)
    assert header(path) == (6, "")
    read = [frame.picture for frame in read_frames(path)]
    assert [frame.start for frame in read_frames(path)] == even_times(5, Fraction(30000, 1001))
    assert [picture.mode for picture in read] == ["RGB"] * 6
    for picture, color in zip(read, COLORS, strict=True):
        assert abs(center(picture) - color).max() <= 3  # another matrix turns red by 23


def test_odd_sides_of_an_mp4_grow_by_the_pixels_at_the_edge(frames, tmp_path):
    pytest.importorskip("av")
    animate(frames, even_times(len(frames), Fraction(5)), tmp_path / "x.mp4")
    read = np.asarray(next(read_frames(tmp_path / "x.mp4")).picture).astype(int)
    assert read.shape == (18, 24, 3)
    assert abs(read - COLORS[0]).max() <= 3  # black, not red, if it were filled with nothing


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        ("mkv", "libx264"),
        ("webm", "libvpx"),
        ("avi", "libx264"),
        ("avi", "mpeg4"),
        ("mov", "mpeg4"),
    ],
)
def test_other_containers_are_read(tmp_path, kind, codec):
    write(tmp_path / f"x.{kind}", codec)
    read = list(read_frames(tmp_path / f"x.{kind}"))
    assert [frame.start for frame in read] == [0, 0.5, 1, 1.5]
    assert read[-1].end == 2


def test_a_video_held_upright_is_upright(tmp_path):
    """The matrix is that of a telephone held upright: to be turned clockwise by a quarter."""
    write(tmp_path / "x.mp4", "libx264", matrix=[0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30])
    upright = np.asarray(next(read_frames(tmp_path / "x.mp4")).picture.convert("L"))
    assert upright.shape == (64, 32)
    assert upright[:, 18:].min() > 230  # the white upper half is now on the right
    assert upright[:, :14].max() < 20


@pytest.mark.parametrize("content", [b"", b"no video " * 99])
def test_what_is_no_video_is_told(tmp_path, content):
    pytest.importorskip("av")
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    for read in (header, lambda path: list(read_frames(path))):
        with pytest.raises(OSError, match=r"cannot read video '.*x\.mp4': "):
            read(path)


def test_a_video_without_its_end_is_told_after_the_frames_that_are_there(frames, tmp_path):
    pytest.importorskip("av")
    whole = tmp_path / "x.mp4"
    animate(frames, even_times(len(frames), Fraction(1)), whole)
    content = whole.read_bytes()
    whole.write_bytes(content[: content.index(b"mdat") + (len(content) // 4)])
    read = []
    with pytest.raises(OSError, match=r"x\.mp4'"):
        read.extend(read_frames(whole))
    assert len(read) < 6


UNEVEN = [Fraction(9), Fraction(11), Fraction(331, 30), Fraction(332, 30)]


def test_frames_keep_their_uneven_times_and_last_at_least_a_tick(frames, tmp_path):
    animate(frames[:3], UNEVEN, tmp_path / "x.gif")
    with Image.open(tmp_path / "x.gif") as animation:
        lasted = []
        for i in range(3):
            animation.seek(i)
            lasted.append(animation.info["duration"])
    assert lasted == [2000, 30, 40]  # 2.0333 and 2.0667 s after the first, to a hundredth
    pytest.importorskip("av")
    for times, starts in (
        (UNEVEN, [0, 180_000, 183_000]),
        ([Fraction(i, 10**6) for i in range(4)], [0, 1, 2]),
        ([Fraction(0)] * 4, [0, 1, 2]),
    ):
        animate(frames[:3], times, tmp_path / "x.mp4")
        read = list(read_frames(tmp_path / "x.mp4"))
        assert [frame.start * 90_000 for frame in read] == starts


def test_sound_is_copied_and_keeps_its_distance_to_the_frames(frames, tmp_path):
    av = pytest.importorskip("av")
    written = write(tmp_path / "x.mkv", "libx264", sound="aac", delay=3)
    assert header(tmp_path / "x.mkv", "gif")[1] == "gif holds none"
    assert header(tmp_path / "x.mkv", "mp4")[1] == ""
    times = [frame.start for frame in read_frames(tmp_path / "x.mkv")]
    assert times == [3, 3.5, 4, 4.5]
    animate(frames[:4], [*times, Fraction(5)], tmp_path / "x.mp4", tmp_path / "x.mkv")
    with av.open(str(tmp_path / "x.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        heard = [p for p in container.demux(audio=0) if p.size]
    assert [bytes(p) for p in heard] == written
    # The first packet, which begins a little before 0, is what the decoder needs to begin.
    start = float(next(read_frames(tmp_path / "x.mp4")).start - heard[0].pts * heard[0].time_base)
    assert start == pytest.approx(3 + 1024 / 48000, abs=1e-3)


def test_sound_that_an_mp4_does_not_hold_is_named_and_left_out(frames, tmp_path):
    av = pytest.importorskip("av")
    write(tmp_path / "x.avi", "mpeg4", sound="pcm_s16le")
    assert header(tmp_path / "x.avi", "mp4")[1] == "MP4 does not hold pcm_s16le"
    animate(frames, even_times(6, Fraction(2)), tmp_path / "x.mp4", tmp_path / "x.avi")
    with av.open(str(tmp_path / "x.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_what_no_animation_holds_is_told(frames, tmp_path):
    pytest.importorskip("av")
    for kind in ("gif", "webp", "mp4"):
        with pytest.raises(OSError, match=r"cannot hold these frames|a frame lasts 100000 s"):
            animate(frames[:3], [Fraction(10**5 * i) for i in range(4)], tmp_path / f"x.{kind}")
        Image.new("RGB", (9, 9)).save(tmp_path / "small.png")
        with pytest.raises(OSError, match=r"frames of several sizes.*small\.png"):
            animate([frames[0], tmp_path / "small.png"], UNEVEN[:3], tmp_path / f"x.{kind}")


def test_more_pixels_than_a_frame_may_have_are_refused(tmp_path, monkeypatch):
    write(tmp_path / "x.avi", "mpeg4")
    monkeypatch.setattr(video, "MAX_PIXELS", 32 * 64 - 1)
    for read in (header, lambda path: list(read_frames(path))):
        with pytest.raises(OSError, match=r"more pixels than 8K .*32x64"):
            read(tmp_path / "x.avi")
    monkeypatch.setattr(video, "MAX_PIXELS", 32 * 64)
    assert len(list(read_frames(tmp_path / "x.avi"))) == 4
    # The decoder's own limit is for frames that grow within the stream.
    monkeypatch.setattr(video, "_MAX_PIXELS", {"max_pixels": str(32 * 64 - 1)})
    with pytest.raises(OSError, match="cannot read video"):
        list(read_frames(tmp_path / "x.avi"))


def test_playlists_and_files_without_pictures_are_refused(tmp_path):
    write(tmp_path / "good.mp4", "libx264")
    write(tmp_path / "sound.mp4", None, sound="aac")
    path = tmp_path / "x.mp4"
    for content in (
        b"ffconcat version 1.0\nfile good.mp4\n",
        f"#EXTM3U\n#EXTINF:10,\nfile://{tmp_path}/good.mp4\n#EXT-X-ENDLIST\n".encode(),
        (tmp_path / "sound.mp4").read_bytes(),
        (tmp_path / "good.mp4").read_bytes().replace(b"avc1", b"zzzz"),
    ):
        path.write_bytes(content)
        with pytest.raises(OSError, match="cannot read video"):
            list(read_frames(path))
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(OSError, match="no regular file"):
        header(tmp_path / "pipe.mp4")


def test_without_pyav_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for use in (
        require_av,
        lambda: header(tmp_path / "x.mp4"),
        lambda: animate([tmp_path / "x.png"], [Fraction(0), Fraction(1)], tmp_path / "x.mp4"),
    ):
        with pytest.raises(ImportError, match=r"pip install 'munit-pl\[video\]'"):
            use()


def write(path, codec, matrix=None, sound=None, delay=0):
    """Write four pictures of 32 by 64, white above and black below, two a second.

    Returns:
        The packets of the sound, if any: of a second, ``delay`` seconds before the pictures.
    """
    av = pytest.importorskip("av")
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16] = 255
    packets = []
    with av.open(str(path), "w") as container:
        if codec:
            stream = container.add_stream(codec, rate=2)
            stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
            if matrix is not None:
                stream.set_display_matrix(matrix)
        if sound:
            heard = container.add_stream(sound, rate=48000)
            silence = np.zeros((2, 1024), np.float32)
            if sound != "aac":
                silence = np.zeros((1, 2048), np.int16)
            kind = "fltp" if sound == "aac" else "s16"
            for i in [*range(47), None]:
                if i is not None:
                    frame = av.AudioFrame.from_ndarray(silence, format=kind, layout="stereo")
                    frame.sample_rate, frame.pts = 48000, 1024 * i
                encoded = heard.encode(None if i is None else frame)
                packets += [bytes(packet) for packet in encoded]
                container.mux(encoded)
        for i in range(4) if codec else ():
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = i + 2 * delay, Fraction(1, 2)
            container.mux(stream.encode(frame))
        if codec:
            container.mux(stream.encode(None))
    return packets
