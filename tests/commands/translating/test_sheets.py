import pytest
from PIL import Image

from munit_pl.commands.errors import InputError
from munit_pl.commands.translating.sheets import Sheets, draw_sheet, spread, thumbnail


def plain(size, color="red"):
    return Image.new("RGB", size, color)


@pytest.mark.parametrize(
    ("size", "small"),
    [((640, 320), (160, 80)), ((100, 1600), (10, 160)), ((64, 48), (64, 48))],
)
def test_thumbnails_keep_the_aspect_and_never_grow(size, small):
    assert thumbnail(plain(size)).size == small


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_thumbnails_show_mid_gray_as_mid_gray(mode):
    gray = Image.new("L", (300, 300), 128).convert(mode)
    assert thumbnail(gray).getpixel((80, 80)) == (128, 128, 128)


def test_transparent_pixels_are_white():
    assert thumbnail(Image.new("RGBA", (9, 9), (255, 0, 0, 0))).getpixel((4, 4)) == (255,) * 3


def test_all_outputs_are_shown_or_twelve_evenly_spread_with_both_ends():
    assert spread(12) == list(range(12))
    assert spread(34) == list(range(0, 34, 3))
    assert len({*spread(13)}) == 12


def test_pictures_stand_in_rows_and_columns_in_the_middle_of_their_places():
    rows = [
        [("", None), ("", plain((40, 20), "blue"))],
        [("x", plain((30, 50), "red")), ("", plain((20, 10), "lime"))],
    ]
    sheet = draw_sheet(rows)
    assert sheet.size == (6 + 30 + 6 + 40 + 6, 6 + 20 + 14 + 6 + 50 + 14 + 6)
    assert sheet.getpixel((6 + 30 + 6, 6)) == (0, 0, 255)
    top = 6 + 20 + 14 + 6
    assert sheet.getpixel((6, top)) == sheet.getpixel((35, top + 49)) == (255, 0, 0)
    assert sheet.getpixel((42 + 10, top)) == (0, 255, 0)  # 40 wide is its column
    assert sheet.getpixel((42 + 9, top)) == (255, 255, 255)


def test_a_long_name_stays_in_its_column():
    names = ["a_long_name_that_has_no_room_here.png", "two\nlines", "\udcff"]
    sheet = draw_sheet([[(name, plain((40, 20))), ("", plain((40, 20)))] for name in names])
    gap = sheet.crop((46, 0, 52, sheet.height))
    assert gap.getextrema() == ((255, 255),) * 3
    assert sheet.crop((6, 26, 46, 40)).getextrema() != ((255, 255),) * 3


def test_a_sheet_knows_what_it_shows_and_the_same_is_not_written_again(tmp_path):
    sheets = Sheets(tmp_path, "sheet_")
    assert not sheets.is_current(0, "this")
    rows = [[("x", plain((30, 50)))]]
    sheets.save(0, rows, "this")
    assert sheets.is_current(0, "this")
    assert not sheets.is_current(0, "that")
    path = tmp_path / "sheet_0001.png"
    before = path.stat()
    sheets.save(0, rows, "this")
    assert path.stat().st_ino == before.st_ino
    sheets.save(0, rows, "that")
    assert sheets.is_current(0, "that")
    assert [file.name for file in tmp_path.iterdir()] == ["sheet_0001.png"]


def test_sheets_of_an_earlier_command_are_removed_and_no_other_files(tmp_path):
    sheets, rows = Sheets(tmp_path, "sheet_"), [[("x", plain((30, 50)))]]
    for page in range(3):
        sheets.save(page, rows, "earlier")
    Sheets(tmp_path, "sheet_r1_").save(0, rows, "another process")
    plain((9, 9)).save(tmp_path / "sheet_0009.png")
    sheets.save(0, rows, "now")
    sheets.remove_all_but({0})
    left = sorted(file.name for file in tmp_path.iterdir())
    assert left == ["sheet_0001.png", "sheet_0009.png", "sheet_r1_0001.png"]


def test_the_header_stands_above_the_outputs(tmp_path):
    Sheets(tmp_path, "s", [("shoe", plain((20, 20), "blue"))]).save(
        1, [[("x", plain((30, 30))), ("like-shoe", plain((20, 20), "lime"))]], ""
    )
    sheet = Image.open(tmp_path / "s0002.png")
    column = 6 + 30 + 6 + 10
    assert sheet.getpixel((column, 16)) == (0, 0, 255)
    assert sheet.getpixel((column, 6 + 34 + 6 + 10)) == (0, 255, 0)


@pytest.mark.parametrize("content", ["a photograph", None])
def test_a_file_that_is_no_contact_sheet_is_not_replaced(tmp_path, content):
    path = tmp_path / "sheet_0001.png"
    plain((5, 5)).save(path) if content is None else path.write_text(content)
    with pytest.raises(InputError, match=r"sheet_0001\.png is not of munit-translate: move it"):
        Sheets(tmp_path, "sheet_").is_current(0, "")


def test_the_summary_names_the_pages_that_are_there(tmp_path):
    sheets = Sheets(tmp_path, "sheet_")
    assert sheets.summary(17) == ""
    for page in range(3):
        sheets.save(page, [[("x", plain((5, 5)))]], "")
    assert sheets.summary(16) == f"; contact sheet {tmp_path}/sheet_0001.png"
    assert sheets.summary(17) == f"; contact sheet {tmp_path}/sheet_0001.png to sheet_0002.png"
