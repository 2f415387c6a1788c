"""Moving pictures: a video's frames in, animations out.

Animated GIF and WebP need Pillow alone. Videos are read, and MP4 is written, by PyAV, which is
installed with ``munit-pl[video]`` and imported only where it is used.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from munit_pl.data.images import read_image

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi")
ANIMATIONS = ("gif", "webp", "mp4")

_BT709 = 1  # FFmpeg's number for the primaries, the curve and the matrix alike
_LIMITED = 1  # FFmpeg's number for levels of 16 to 235
_FALLBACK_RATE = Fraction(25)


def require_av() -> None:
    """Make sure that PyAV is installed.

    Raises:
        ImportError: If it is not; the message says how to install it.
    """
    if importlib.util.find_spec("av") is None:
        raise ImportError("videos need PyAV: pip install 'munit-pl[video]'")


def read_header(path: Path) -> tuple[Fraction, int]:
    """Read a video's frames per second, and how many frames its header counts (0: none told).

    Raises:
        ImportError: PyAV is not installed.
        OSError: The file cannot be read, or holds no video.
    """
    with _opened(path) as (_, stream):
        return stream.average_rate or stream.guessed_rate or _FALLBACK_RATE, stream.frames


def read_frames(path: Path) -> Iterator[Image.Image]:
    """Read a video's frames one after another, upright, in RGB.

    Raises:
        ImportError: PyAV is not installed.
        OSError: The file cannot be read or decoded, or holds no video; frames before the damage
            have been given by then.
    """
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        end = 0
        for frame in container.decode(stream):
            # A telephone films in the sensor's orientation and notes how it was held.
            turns = round(frame.rotation / 90) % 4
            yield Image.fromarray(np.rot90(frame.to_ndarray(format="rgb24"), turns).copy())
            end = (frame.pts or 0) + (frame.duration or 0)
        missing = (stream.start_time or 0) + (stream.duration or 0) - end
        # FFmpeg ends a file that was cut off without a word.
        if stream.time_base and missing * stream.time_base > 1:
            raise OSError(f"cannot read video {str(path)!r}: its last seconds are missing")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a video's container and its first stream of pictures."""
    require_av()
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise OSError(f"cannot read video {str(path)!r}: it holds no pictures")
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise OSError(f"cannot read video {str(path)!r}: {error.strerror}") from error


def animate(files: Sequence[Path], path: Path, fps: Fraction) -> None:
    """Write an animation that shows image files one after another; GIF and WebP repeat for ever.

    Transparent pixels show white. Frames that equal the one before may be stored as one that
    lasts longer.

    Args:
        files: The frames, of one size.
        path: What to write; its ending is that of one of ``ANIMATIONS``. A WebP holds the very
            pixels, a GIF the 256 colours that suit each frame, an MP4 is H.264 of high quality.
        fps: Frames per second.

    Raises:
        ImportError: An MP4 is asked for and PyAV is not installed.
        OSError: A frame cannot be read, or the animation not be written.
    """
    if path.suffix == ".mp4":
        _write_mp4(files, path, fps)
        return
    pictures = (read_image(file, channels=3) for file in files)
    first = next(pictures)
    unit = 10 if path.suffix == ".gif" else 1  # milliseconds that the format counts in
    ends = [round(i * 1000 / (fps * unit)) * unit for i in range(len(files) + 1)]
    durations = [end - start for start, end in pairwise(ends)]
    first.save(
        path, save_all=True, append_images=pictures, duration=durations, loop=0, lossless=True
    )


def _write_mp4(files: Sequence[Path], path: Path, fps: Fraction) -> None:
    require_av()
    import av

    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "14"})
        stream.pix_fmt = "yuv420p"  # the one that every player shows
        context = stream.codec_context
        # Untagged, players guess from the height which matrix gives the colours back.
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED
        pictures = (_even(np.asarray(read_image(file, channels=3))) for file in files)
        first = next(pictures)
        stream.height, stream.width = first.shape[:2]
        for pixels in chain([first], pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(
                format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _even(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Repeat the last row and column where their number is odd.

    Chroma is stored for squares of two by two pixels, so H.264 takes even sides only. A row more
    loses no pixel, where a crop would.
    """
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
