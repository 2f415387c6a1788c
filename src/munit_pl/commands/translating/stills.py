"""Image files as inputs of ``munit-translate``, and the contact sheets that show them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from munit_pl.commands.translating.jobs import Job, Tally, Workshop
from munit_pl.commands.translating.looks import Look
from munit_pl.commands.translating.outputs import Settings, fingerprint
from munit_pl.commands.translating.sheets import ROWS, Cell, Sheets, spread, thumbnail
from munit_pl.commands.translating.sources import Source
from munit_pl.data.images.reading import read_image, resize_image
from munit_pl.inference.animation import even_times


@dataclass(frozen=True)
class Still:
    """An image file.

    Attributes:
        source: The file.
        stamp: What outputs depend on of it.
        looks: The styles to show it in.
        missing: Those that it is not there in.
        unanimated: Whether its animation is missing.
    """

    source: Source
    stamp: Settings
    looks: Sequence[Look]
    missing: Sequence[Look]
    unanimated: bool


@dataclass(frozen=True, eq=False)
class Page:
    """Image files that share a contact sheet.

    Attributes:
        number: Counted from 0.
        stills: The files.
        shows: Tells this page from one of other inputs or settings.
        wanted: Whether anything is missing, the sheet included.
    """

    number: int
    stills: Sequence[Still]
    shows: str
    wanted: bool


@dataclass(frozen=True)
class StillJob(Job):
    """A job that ends in a row of a page."""

    still: Still
    page: Page


class Stills:
    """All image files of a run.

    Args:
        sources: The files.
        shop: Where their outputs are made.
        sheets: Their contact sheets.
    """

    def __init__(self, sources: Sequence[Source], shop: Workshop, sheets: Sheets) -> None:
        self.sources = sources
        self.shop = shop
        self.sheets = sheets

    def check(self) -> int:
        """Return how many outputs there will be.

        Raises:
            InputError: If something is there that must not be replaced.
        """
        return sum(len(still.looks) for page in self._pages() for still in page.stills)

    def make(self, tally: Tally) -> None:
        """Make what is missing, page by page."""
        finished = self.shop.make(self._read(tally), tally)
        for page, jobs in groupby(finished, lambda job: job.page):
            rows = []
            for job in jobs:
                if job.still.unanimated:
                    self._animate(job.still)
                rows.append(self._row(job))
            self.sheets.save(page.number, rows, page.shows)

    def _pages(self) -> Iterator[Page]:
        """Find out what is missing, page by page: all inputs' plans would take much memory."""
        header = [text for text, _ in self.sheets.header]
        for number, first in enumerate(range(0, len(self.sources), ROWS)):
            stills = [self._look_up(source) for source in self.sources[first : first + ROWS]]
            shown = [
                (still.source.name, look.label, self.shop.recipe.made_with(still.stamp, look))
                for still in stills
                for look in still.looks
            ]
            shows = fingerprint([header, shown])
            current = self.sheets.is_current(number, shows)
            wanted = not current or any(still.missing or still.unanimated for still in stills)
            yield Page(number, stills, shows, wanted)

    def _look_up(self, source: Source) -> Still:
        stamp, looks = source.stamp(), self.shop.recipe.looks(source.name)
        missing = self.shop.missing(source.name, stamp, looks)
        unanimated = False
        if self.shop.recipe.animation and len(looks) > 1:
            settings = self.shop.recipe.animated_with(stamp, looks, self.shop.recipe.fps)
            unanimated = not self.shop.outputs.is_done(self._animation(source), settings)
        return Still(source, stamp, looks, missing, unanimated)

    def _read(self, tally: Tally) -> Iterator[StillJob]:
        """Read the images of pages where anything is missing, each once."""
        recipe = self.shop.recipe
        channels = self.shop.translator.channels(recipe.source)
        max_value = self.shop.translator.max_value(recipe.source)
        for page in self._pages():
            for still in page.stills:
                tally.found(len(still.looks) - len(still.missing))
                if not page.wanted:
                    continue
                source = still.source
                try:
                    picture = read_image(source.path, channels, max_value=max_value)
                    picture = resize_image(picture, recipe.resize)
                except (OSError, ValueError) as error:
                    tally.fail(source, error)
                    continue
                yield StillJob(
                    source, source.name, still.stamp, picture, still.missing, still, page
                )

    def _animation(self, source: Source) -> str:
        return f"{source.name}_animation.{self.shop.recipe.animation}"

    def _animate(self, still: Still) -> None:
        recipe = self.shop.recipe
        settings = recipe.animated_with(still.stamp, still.looks, recipe.fps)
        frames = [recipe.output(still.source.name, look) for look in still.looks]
        times = even_times(len(frames), recipe.fps)
        self.shop.animate(frames, times, self._animation(still.source), settings)

    def _row(self, job: StillJob) -> list[Cell]:
        """Return the input and its outputs as they lie on disk, so that a later run's are equal."""
        row: list[Cell] = [(job.source.name, thumbnail(job.picture))]
        for i in spread(len(job.still.looks)):
            look = job.still.looks[i]
            path = self.shop.outputs.folder / self.shop.recipe.output(job.name, look)
            row.append((look.label, thumbnail(read_image(path, channels=3))))
        return row
