"""Animations: image files shown one after another, as GIF, WebP or MP4, which can have sound.

GIF and WebP need Pillow alone, MP4 is written by PyAV.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from fractions import Fraction
from heapq import merge
from io import BytesIO
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from munit_pl.data.images.reading import read_image
from munit_pl.inference.video import opened_video, require_av

ANIMATIONS = ("gif", "webp", "mp4")

_BT709 = 1  # FFmpeg's number for the primaries, the curve and the matrix alike
_LIMITED = 1  # FFmpeg's number for levels of 16 to 235
_CLOCK = 90_000  # an MP4's ticks a second, as MPEG counts
_LONGEST = 2**31 - 1  # ticks of a frame


def even_times(count: int, fps: Fraction) -> list[Fraction]:
    """Return when so many frames appear that are evenly spaced, and when the last one goes."""
    return [i / fps for i in range(count + 1)]


def animate(
    files: Sequence[Path], times: Sequence[Fraction], path: Path, sound: Path | None = None
) -> None:
    """Write an animation that shows image files one after another; GIF and WebP repeat for ever.

    Transparent pixels show white. Frames that equal the one before may be stored as one that
    lasts longer.

    Args:
        files: The frames, of one size.
        times: When each frame appears, and when the last one goes, in seconds. A GIF counts in
            hundredths, a WebP in thousandths of a second, and a frame lasts at least one.
        path: What to write; its ending is that of one of ``ANIMATIONS``. A WebP holds the very
            pixels, a GIF the 256 colors that suit each frame, an MP4 is H.264 of high quality.
        sound: A video whose sound is copied into an MP4, as far as it can be; ``times`` are on
            that video's clock.

    Raises:
        ImportError: An MP4 is asked for and PyAV is not installed.
        OSError: A frame cannot be read, or the animation not be written.
    """
    if path.suffix == ".mp4":
        _write_mp4(files, times, path, sound)
        return
    unit = 10 if path.suffix == ".gif" else 1  # milliseconds
    durations = [unit * (end - start) for start, end in pairwise(_ticks(times, 1000 // unit))]
    pictures = _read(files)
    try:
        next(pictures).save(
            path, save_all=True, append_images=pictures, duration=durations, loop=0, lossless=True
        )
    except (struct.error, OverflowError, RuntimeError) as error:  # too long or too large a frame
        raise OSError(f"a {path.suffix[1:]} cannot hold these frames: {error}") from error


def lacking_sound(video: Any, kind: str) -> str:
    """Return why an animation of a video is without its sound, or some of it; "" if it is not.

    Args:
        video: PyAV's container, opened.
        kind: One of ``ANIMATIONS``.
    """
    streams = video.streams.audio
    if streams and kind != "mp4":
        return f"{kind} holds none"
    codecs = [_codec(stream) for stream in streams if not _fits(stream)]
    return f"MP4 does not hold {', '.join(codecs)}" if codecs else ""


def _codec(stream: Any) -> str:
    return str(stream.codec_context.name) if stream.codec_context else "an unknown codec"


def _fits(stream: Any) -> bool:
    """Tell whether an MP4 holds a stream of sound as it is, and players play it there."""
    import av

    if _codec(stream).startswith("pcm_"):
        return False
    try:
        with av.open(BytesIO(), "w", format="mp4") as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (ValueError, av.FFmpegError):
        return False
    return True


def _ticks(times: Sequence[Fraction], rate: int, zero: Fraction | None = None) -> list[int]:
    """Round times to ticks since ``zero``, or the first time, each after the one before."""
    zero = times[0] if zero is None else zero
    rounded = (round((time - zero) * rate) for time in times)
    return list(accumulate(rounded, lambda last, tick: max(tick, last + 1)))


def _read(files: Sequence[Path]) -> Iterator[Image.Image]:
    size = None
    for file in files:
        picture = read_image(file, channels=3)
        size = size or picture.size
        if picture.size != size:
            raise OSError(f"frames of several sizes make no animation: {file.name} is of another")
        yield picture


def _write_mp4(
    files: Sequence[Path], times: Sequence[Fraction], path: Path, sound: Path | None
) -> None:
    require_av()
    import av

    with opened_video(sound) if sound else nullcontext((None, None)) as (source, _):
        zero = times[0]
        if source and source.start_time is not None:
            # Sound before 0 is what its decoder needs to begin, and not heard.
            zero = min(zero, max(Fraction(source.start_time, av.time_base), Fraction(0)))
        ticks = _ticks(times, _CLOCK, zero)
        longest = max(end - start for start, end in pairwise(ticks))
        if longest > _LONGEST:
            raise OSError(f"a frame lasts {longest // _CLOCK} s, which is more than MP4 holds")
        try:
            with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
                rate = Fraction(_CLOCK * len(files), ticks[-1] - ticks[0])
                rate = max(rate.limit_denominator(1001), Fraction(1))
                stream = container.add_stream("libx264", rate, {"crf": "14"})
                packets = [_encoded(stream, files, ticks)]
                if source:
                    packets.append(_copied(source, container, zero))
                for packet in merge(*packets, key=lambda packet: packet.dts * packet.time_base):
                    container.mux(packet)
        except av.FFmpegError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def _encoded(stream: Any, files: Sequence[Path], ticks: Sequence[int]) -> Iterator[Any]:
    """Give an MP4's packets of pictures."""
    import av

    stream.pix_fmt = "yuv420p"  # the one that every player shows
    context = stream.codec_context
    context.time_base = Fraction(1, _CLOCK)
    # Untagged, players guess from the height which matrix gives the colors back.
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED
    for i, picture in enumerate(_read(files)):
        pixels = _even(np.asarray(picture))
        if i == 0:
            stream.height, stream.width = pixels.shape[:2]
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
        frame.pts, frame.duration = ticks[i], ticks[i + 1] - ticks[i]
        frame.time_base = context.time_base
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _copied(source: Any, container: Any, zero: Fraction) -> Iterator[Any]:
    """Add a video's sound to an MP4, as far as it fits, and give its packets."""
    sounds = [stream for stream in source.streams.audio if _fits(stream)]
    copies = {stream: container.add_stream_from_template(stream) for stream in sounds}
    last: dict[Any, int] = {}
    for packet in source.demux(sounds) if sounds else ():
        stream = packet.stream
        if packet.dts is None or packet.dts <= last.get(stream, packet.dts - 1):
            continue  # what the end is marked with, or damage
        last[stream] = packet.dts
        shift = round(zero / packet.time_base)
        packet.pts = max(packet.dts, packet.dts if packet.pts is None else packet.pts) - shift
        packet.dts -= shift
        packet.stream = copies[stream]
        yield packet


def _even(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Repeat the last row and column where their number is odd.

    Chroma is stored for squares of two by two pixels, so H.264 takes even sides only. A row more
    loses no pixel, where a crop would.
    """
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
