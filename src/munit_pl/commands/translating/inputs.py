"""Images and videos as inputs of ``munit-translate``: each is looked up once, then read once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from munit_pl.commands.translating.batches import BatchTranslator, Job, Tally
from munit_pl.commands.translating.outputs import Settings, fingerprint
from munit_pl.commands.translating.sheets import ROWS, Cell, Sheets, spread, thumbnail
from munit_pl.commands.translating.sources import Source
from munit_pl.commands.translating.styles import NamedStyle
from munit_pl.data.images.reading import MODES, read_image, resize_image
from munit_pl.inference.animation import even_times, lacking_sound
from munit_pl.inference.video import opened_video, read_frames


@dataclass(frozen=True, slots=True)
class ImageInput:
    """What was found out of an image file; there may be very many.

    Attributes:
        source: The file.
        stamp: What outputs depend on of it.
        missing: Which of its styles it is not there in.
        unanimated: Whether its animation is missing.
    """

    source: Source
    stamp: Settings
    missing: Sequence[int]
    unanimated: bool


@dataclass(frozen=True, eq=False)
class Page:
    """Image files that share a contact sheet.

    Attributes:
        number: Counted from 0.
        inputs: The files.
        shows: Tells this page from one of other inputs or settings.
        wanted: Whether anything is missing, the sheet included.
    """

    number: int
    inputs: Sequence[ImageInput]
    shows: str
    wanted: bool


@dataclass(frozen=True)
class ImageJob(Job):
    """A job that ends in a row of a page."""

    input: ImageInput
    page: Page


class Images:
    """All image files of a run, looked up when this is made.

    Args:
        sources: The files.
        batches: Makes their outputs.
        sheets: Their contact sheets.

    Attributes:
        total: How many outputs there will be.

    Raises:
        InputError: If something is there that must not be replaced.
    """

    def __init__(self, sources: Sequence[Source], batches: BatchTranslator, sheets: Sheets) -> None:
        self.sources = sources
        self.batches = batches
        self.plan = batches.plan
        self.sheets = sheets
        self.total = 0
        self.pages = [
            self._look_up_page(number, sources[first : first + ROWS])
            for number, first in enumerate(range(0, len(sources), ROWS))
        ]

    def make(self, tally: Tally) -> None:
        """Make what is missing, page by page."""
        shown = {page.number for page in self.pages if not page.wanted}
        finished = self.batches.make(self._read(tally), tally)
        for page, jobs in groupby(finished, lambda job: job.page):
            rows = []
            for job in jobs:
                styles = self.plan.styles(job.name)
                if job.input.unanimated:
                    self._animate(job.input, styles)
                rows.append(self._row(job, styles))
            self.sheets.save(page.number, rows, page.shows)
            shown.add(page.number)
        if self.pages:
            self.sheets.remove_all_but(shown)

    def _look_up_page(self, number: int, sources: Sequence[Source]) -> Page:
        inputs, shown = [], []
        for source in sources:
            styles, stamp = self.plan.styles(source.name), source.stamp()
            inputs.append(self._look_up(source, stamp, styles))
            shown += [
                (source.name, style.label, self.plan.made_with(stamp, style)) for style in styles
            ]
        self.total += len(shown)
        shows = fingerprint([[text for text, _ in self.sheets.header], shown])
        current = self.sheets.is_current(number, shows)
        wanted = not current or any(one.missing or one.unanimated for one in inputs)
        return Page(number, inputs, shows, wanted)

    def _look_up(self, source: Source, stamp: Settings, styles: Sequence[NamedStyle]) -> ImageInput:
        missing = tuple(self.batches.missing(source.name, stamp, styles))
        unanimated = False
        if self.plan.animation and len(styles) > 1:
            settings = self.plan.animated_with(stamp, styles, self.plan.fps)
            unanimated = not self.batches.outputs.is_done(self._animation(source), settings)
        return ImageInput(source, stamp, missing, unanimated)

    def _read(self, tally: Tally) -> Iterator[ImageJob]:
        """Read the images of pages where anything is missing."""
        translator, domain = self.batches.translator, self.plan.source
        for page in self.pages:
            for one in page.inputs:
                source, styles = one.source, self.plan.styles(one.source.name)
                tally.found(len(styles) - len(one.missing))
                if not page.wanted:
                    continue
                try:
                    picture = translator.picture(source.path, domain, self.plan.resize)
                except (OSError, ValueError) as error:
                    tally.fail(source, error)
                    continue
                missing = [styles[i] for i in one.missing]
                yield ImageJob(source, source.name, one.stamp, picture, missing, one, page)

    def _animation(self, source: Source) -> str:
        return f"{source.name}_animation.{self.plan.animation}"

    def _animate(self, one: ImageInput, styles: Sequence[NamedStyle]) -> None:
        settings = self.plan.animated_with(one.stamp, styles, self.plan.fps)
        frames = [self.plan.output(one.source.name, style) for style in styles]
        times = even_times(len(frames), self.plan.fps)
        self.batches.animate(frames, times, self._animation(one.source), settings)

    def _row(self, job: ImageJob, styles: Sequence[NamedStyle]) -> list[Cell]:
        """Return the input and its outputs as they lie on disk, so that a later run's are equal."""
        row: list[Cell] = [(job.source.name, thumbnail(job.picture))]
        for i in spread(len(styles)):
            path = self.batches.outputs.folder / self.plan.output(job.name, styles[i])
            row.append((styles[i].label, thumbnail(read_image(path, channels=3))))
        return row


class Video:
    """A video, every frame of which is an image; it is looked up when this is made.

    Frames are called ``CLIP.mp4/000001`` and so on, and share their random styles: others for
    each would flicker. An animation is made in each style, with the video's times and sound.

    Args:
        source: The file.
        batches: Makes its outputs.

    Attributes:
        total: How many outputs there will be, as far as the header tells.

    Raises:
        InputError: If something is there that must not be replaced.
    """

    def __init__(self, source: Source, batches: BatchTranslator) -> None:
        self.source = source
        self.batches = batches
        self.plan = batches.plan
        self.stamp = source.stamp()
        self.styles = self.plan.styles(source.name)
        folder = batches.outputs.folder / source.name
        present = folder.glob(f"[0-9]*{self.plan.suffix}")
        frames = {f"/{file.stem.partition('_')[0]}" for file in present}
        self.missing = {frame: self._missing(frame) for frame in frames}
        self.unanimated = self._unanimated() if self.plan.animation else []
        self.total, self.lacking = self._read_header()

    def make(self, tally: Tally) -> None:
        """Make what is missing, frame by frame."""
        frames: list[str] = []
        times: list[Fraction] = []
        for _ in self.batches.make(self._read(frames, times, tally), tally):
            pass  # written is all that a frame must be
        if self.source in tally.failed:
            return
        try:
            for style in self.unanimated:
                names = [self.plan.output(frame, style) for frame in frames]
                path, settings = self._animation(style), self._animated_with(style)
                self.batches.animate(names, times, path, settings, self.source.path)
        except OSError as error:
            tally.fail(self.source, error)

    def _read_header(self) -> tuple[int, str]:
        """Return how many outputs there will be, and what an animation will lack of the sound."""
        try:
            with opened_video(self.source.path) as (container, stream):
                total = stream.frames * len(self.styles)
                kind = self.plan.animation if self.unanimated else None
                return total, lacking_sound(container, kind) if kind else ""
        except OSError:  # told when it is the video's turn
            return 0, ""

    def _read(self, frames: list[str], times: list[Fraction], tally: Tally) -> Iterator[Job]:
        """Read the frames that anything is missing of.

        The names of all are appended to ``frames``, and to ``times`` what `animate` takes.
        """
        mode = MODES[self.batches.translator.channels(self.plan.source)]
        if self.lacking:
            tally.tell(self.source, f"the sound is left out: {self.lacking}")
        try:
            for number, (picture, start, end) in enumerate(read_frames(self.source.path), start=1):
                frame = f"/{number:06}"
                frames.append(self.source.name + frame)
                times[-1:] = [start, end]
                missing = self.missing.get(frame, self.styles)
                tally.found(len(self.styles) - len(missing))
                if missing:
                    picture = resize_image(picture.convert(mode), self.plan.resize)
                    yield Job(self.source, frames[-1], self._stamp(frame), picture, missing)
        except OSError as error:
            tally.fail(self.source, error)

    def _missing(self, frame: str) -> list[NamedStyle]:
        name, stamp = self.source.name + frame, self._stamp(frame)
        return [self.styles[i] for i in self.batches.missing(name, stamp, self.styles)]

    def _stamp(self, frame: str) -> Settings:
        return {**self.stamp, "input": f"{self.source.path}{frame}"}

    def _animation(self, style: NamedStyle) -> str:
        return f"{self.source.name}/animation_{style.label}.{self.plan.animation}"

    def _animated_with(self, style: NamedStyle) -> Settings:
        return self.plan.animated_with(self.stamp, [style], None)

    def _unanimated(self) -> list[NamedStyle]:
        is_done = self.batches.outputs.is_done
        return [
            style
            for style in self.styles
            if not is_done(self._animation(style), self._animated_with(style))
        ]
