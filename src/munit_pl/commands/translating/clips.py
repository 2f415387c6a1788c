"""Videos as inputs of ``munit-translate``: every frame is an image, named by its number."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from munit_pl.commands.translating.jobs import Job, Tally, Workshop
from munit_pl.commands.translating.looks import Look
from munit_pl.commands.translating.outputs import Settings
from munit_pl.commands.translating.sources import Source
from munit_pl.data.images.reading import MODES, resize_image
from munit_pl.inference.animation import lacking_sound
from munit_pl.inference.video import count_frames, read_frames


class Clip:
    """A video.

    Frames are called ``CLIP.mp4/000001`` and so on, and share their random styles: others for
    each would flicker. An animation is made in each style, with the video's times and sound.

    Args:
        source: The file.
        shop: Where its outputs are made.
    """

    def __init__(self, source: Source, shop: Workshop) -> None:
        self.source = source
        self.shop = shop
        self.stamp = source.stamp()
        self.looks: Sequence[Look] = shop.recipe.looks(source.name)

    def check(self) -> int:
        """Return how many outputs there will be, as far as the header tells.

        Raises:
            InputError: If something is there that must not be replaced.
        """
        folder = self.shop.outputs.folder / self.source.name
        present = folder.glob(f"[0-9]*{self.shop.recipe.suffix}")
        for number in {file.stem.partition("_")[0] for file in present}:
            self._missing(f"/{number}")
        try:
            frames = count_frames(self.source.path)
        except OSError:  # told when it is the video's turn
            return 0
        self._unanimated()
        return frames * len(self.looks)

    def make(self, tally: Tally) -> None:
        """Make what is missing, frame by frame."""
        frames: list[str] = []
        times: list[Fraction] = []
        for _ in self.shop.make(self._read(frames, times, tally), tally):
            pass  # written is all that a frame must be
        if self.source in tally.failed:
            return
        try:
            for look in self._unanimated():
                names = [self.shop.recipe.output(frame, look) for frame in frames]
                path, settings = self._animation(look), self._animated_with(look)
                self.shop.animate(names, times, path, settings, self.source.path)
        except OSError as error:
            tally.fail(self.source, error)

    def _read(self, frames: list[str], times: list[Fraction], tally: Tally) -> Iterator[Job]:
        """Read the frames that anything is missing of.

        The names of all are appended to ``frames``, and to ``times`` what `animate` takes.
        """
        recipe = self.shop.recipe
        mode = MODES[self.shop.translator.channels(recipe.source)]
        try:
            if self._unanimated():
                lacking = lacking_sound(self.source.path, str(recipe.animation))
                if lacking:
                    tally.tell(self.source, f"the sound is left out: {lacking}")
            for number, (picture, start, end) in enumerate(read_frames(self.source.path), start=1):
                frame = f"/{number:06}"
                frames.append(self.source.name + frame)
                times[-1:] = [start, end]
                missing = self._missing(frame)
                tally.found(len(self.looks) - len(missing))
                if missing:
                    picture = resize_image(picture.convert(mode), recipe.resize)
                    yield Job(self.source, frames[-1], self._stamp(frame), picture, missing)
        except OSError as error:
            tally.fail(self.source, error)

    def _missing(self, frame: str) -> list[Look]:
        return self.shop.missing(self.source.name + frame, self._stamp(frame), self.looks)

    def _stamp(self, frame: str) -> Settings:
        return {**self.stamp, "input": f"{self.source.path}{frame}"}

    def _animation(self, look: Look) -> str:
        return f"{self.source.name}/animation_{look.label}.{self.shop.recipe.animation}"

    def _animated_with(self, look: Look) -> Settings:
        return self.shop.recipe.animated_with(self.stamp, [look], None)

    def _unanimated(self) -> list[Look]:
        """Return the styles whose animation is missing.

        Raises:
            InputError: If something else is there, and must not be replaced.
        """
        if self.shop.recipe.animation is None:
            return []
        is_done = self.shop.outputs.is_done
        return [
            look
            for look in self.looks
            if not is_done(self._animation(look), self._animated_with(look))
        ]
