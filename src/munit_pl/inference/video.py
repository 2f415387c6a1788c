"""Videos read frame by frame, by PyAV, which is installed with ``munit-pl[video]``.

PyAV is imported only where it is used.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi")

MAX_PIXELS = 8192 * 4320  # 8K: fewer than an image's, since a decoder holds some twenty frames
_MAX_PIXELS = {"max_pixels": str(MAX_PIXELS)}
_OPTIONS = {  # a playlist would have other files read, or pages of the web
    "format_whitelist": "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg",
    "protocol_whitelist": "file",
    **_MAX_PIXELS,
}
_FALLBACK_RATE = Fraction(25)


class Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        picture: The frame, upright, in RGB.
        start: When it appears, in seconds on the file's clock.
        end: When it goes, unless the next one appears before.
    """

    picture: Image.Image
    start: Fraction
    end: Fraction


def require_av() -> None:
    """Make sure that PyAV is installed.

    Raises:
        ImportError: If it is not; the message says how to install it.
    """
    if importlib.util.find_spec("av") is None:
        raise ImportError("videos need PyAV: pip install 'munit-pl[video]'")


def read_frames(path: Path) -> Iterator[Frame]:
    """Read a video's frames one after another, in the order in which they are shown.

    A frame that has no time, or one before the last frame's, follows the last frame.

    Raises:
        ImportError: PyAV is not installed.
        OSError: The file cannot be read or decoded, holds no video, or frames of more than
            ``MAX_PIXELS``; frames before the damage have been given by then.
    """
    with opened_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        unit = stream.time_base
        usual = 1 / (stream.average_rate or stream.guessed_rate or _FALLBACK_RATE)
        # AVI notes when frames are decoded; with B-frames that is another order.
        untimed = container.format.name == "avi" and stream.codec_context.has_b_frames
        start, end = None, (stream.start_time or 0) * unit
        for frame in container.decode(stream):
            noted = end if frame.pts is None or untimed else frame.pts * unit
            start = end if start is not None and noted < start else noted
            end = start + (frame.duration * unit if frame.duration > 0 else usual)
            # A telephone films in the sensor's orientation and notes how it was held.
            turns = round(frame.rotation / 90) % 4
            pixels = np.rot90(frame.to_ndarray(format="rgb24"), turns)
            yield Frame(Image.fromarray(np.ascontiguousarray(pixels)), start, end)
        if start is None:
            raise OSError(f"cannot read video {str(path)!r}: it holds no pictures")
        length = (stream.start_time or 0) + (stream.duration or 0)
        # FFmpeg reports nothing where a file was cut off.
        if length * unit - end > 1:
            raise OSError(f"cannot read video {str(path)!r}: its last seconds are missing")


@contextmanager
def opened_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a video: PyAV's container and its first stream of pictures, a cover's left aside.

    The stream's ``frames`` is how many the header counts, 0 if it does not tell.

    Raises:
        ImportError: PyAV is not installed.
        OSError: As `read_frames` does; within the block too, where PyAV fails.
    """
    require_av()
    import av

    try:
        if not path.is_file():  # a pipe would be waited for
            raise _unreadable(path, "it is no regular file")
        with av.open(str(path), options=_OPTIONS, metadata_errors="replace") as container:
            yield container, _pictures(container, path)
    except av.FFmpegError as error:
        raise _unreadable(path, str(error.strerror)) from error


def _pictures(container: Any, path: Path) -> Any:
    import av

    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        raise _unreadable(path, "it holds no pictures")
    codec = streams[0].codec_context
    if codec is None:
        raise _unreadable(path, "FFmpeg has no decoder for its pictures")
    if codec.width * codec.height > MAX_PIXELS:
        size = f"height x width {codec.height}x{codec.width}"
        raise _unreadable(path, f"more pixels than 8K (8192x4320) has, resize it ({size})")
    codec.options = _MAX_PIXELS  # frames may grow within the stream
    return streams[0]


def _unreadable(path: Path, cause: str) -> OSError:
    return OSError(f"cannot read video {str(path)!r}: {cause}")
