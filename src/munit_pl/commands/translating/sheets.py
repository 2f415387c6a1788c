"""Contact sheets: small pictures of inputs and outputs, a page for every few inputs."""

import io
from collections.abc import Collection, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, PngImagePlugin

from munit_pl.commands.errors import InputError
from munit_pl.io.files import write_whole
from munit_pl.reports.labels import label_width, write_label

ROWS = 16  # inputs on a page
COLUMNS = 12  # outputs of an input that are shown

_SIDE = 160  # pixels of a thumbnail at most
_GAP = 6
_LINE = 14  # pixels of a line of text
_TEXT = 11  # pixels of its letters
_KEY = "munit_pl"  # of the PNG's text that tells what is shown

Cell = tuple[str, Image.Image | None]  # what is written below a picture, and the picture


def thumbnail(picture: Image.Image) -> Image.Image:
    """Return a small copy in RGB, transparent pixels white."""
    if picture.has_transparency_data:
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture.convert("RGBA"))
    small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    return small


def spread(n: int) -> list[int]:
    """Return which of ``n`` outputs are shown: all, or ``COLUMNS`` evenly spread, both ends too."""
    if n <= COLUMNS:
        return list(range(n))
    return [round(i * (n - 1) / (COLUMNS - 1)) for i in range(COLUMNS)]


def draw_sheet(rows: Sequence[Sequence[Cell]]) -> Image.Image:
    """Lay out rows of labeled pictures, in columns as wide as their widest picture."""
    columns = list(zip(*rows, strict=True))
    widths = [max(_size(cell)[0] for cell in column) for column in columns]
    heights = [max(_size(cell)[1] for cell in row) + _LINE for row in rows]
    size = (sum(widths) + _GAP * (len(widths) + 1), sum(heights) + _GAP * (len(heights) + 1))
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        left = _GAP
        for (text, picture), width in zip(row, widths, strict=True):
            if picture is not None:
                sheet.paste(picture, (left + (width - picture.width) // 2, top))
            middle = (left + width / 2, top + height)
            write_label(pen, middle, _fitting(text, width), _TEXT, "mb")
            left += width + _GAP
        top += height + _GAP
    return sheet


def _size(cell: Cell) -> tuple[int, int]:
    return cell[1].size if cell[1] is not None else (0, 0)


def _fitting(text: str, width: int) -> str:
    """Return the end of a text, which tells names apart best, as far as one line has room."""
    text = " ".join(text.split())
    if label_width(text, _TEXT) <= width:
        return text
    while text and label_width(f"...{text}", _TEXT) > width:
        text = text[1:]
    return f"...{text}"


class Sheets:
    """The contact sheets of a run, which take the place of an earlier one's.

    Args:
        folder: Where they go.
        prefix: What their names begin with, before the page's number.
        header: What stands above the columns of outputs on each page, if anything does.
    """

    def __init__(self, folder: Path, prefix: str, header: Sequence[Cell] = ()) -> None:
        self.folder = folder
        self.prefix = prefix
        self.header = header

    def path(self, page: int) -> Path:
        """Return a page's file; pages count from 0, files from 1."""
        return self.folder / f"{self.prefix}{page + 1:04}.png"

    def summary(self, inputs: int) -> str:
        """Say where the pages of so many inputs are, as the end of a sentence."""
        paths = [self.path(page) for page in range(-(-inputs // ROWS))]
        there = [path for path in paths if path.exists()]
        if not there:
            return ""
        return f"; contact sheet {there[0]}" + (f" to {there[-1].name}" if there[1:] else "")

    def is_current(self, page: int, shows: str) -> bool:
        """Tell whether a page is there and shows what it should.

        Raises:
            InputError: If the file is no contact sheet.
        """
        path = self.path(page)
        if not path.exists():
            return False
        shown = _shown_by(path)
        if shown is None:
            raise InputError(f"{path} is not of munit-translate: move it, or give another --out")
        return bool(shown == shows)

    def remove_all_but(self, pages: Collection[int]) -> None:
        """Remove the sheets of an earlier command, beside which these pages would mislead."""
        kept = {self.path(page) for page in pages}
        for path in self.folder.glob(f"{self.prefix}[0-9]*.png"):
            if path not in kept and _shown_by(path) is not None:
                path.unlink()

    def save(self, page: int, rows: Sequence[Sequence[Cell]], shows: str) -> None:
        """Save a page with a note of what it shows; one that is there and the same stays.

        Args:
            page: Its number.
            rows: An input and its outputs each.
            shows: What `is_current` compares.
        """
        header = [[("", None), *self.header]] if self.header else []
        note = PngImagePlugin.PngInfo()
        note.add_text(_KEY, shows)
        buffer = io.BytesIO()
        draw_sheet([*header, *rows]).save(buffer, "PNG", pnginfo=note)
        path = self.path(page)
        if not path.exists() or path.read_bytes() != buffer.getvalue():
            write_whole(path, buffer.getvalue())


def _shown_by(path: Path) -> str | None:
    """Return the note of what a sheet shows; None if the file is none."""
    try:
        with Image.open(path, formats=["PNG"]) as sheet:
            shown: str | None = sheet.info.get(_KEY)
            return shown
    except OSError:
        return None
