import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from munit_pl.data.images.opening import FORMATS
from munit_pl.data.images.reading import read_image
from munit_pl.data.listing import list_images, scan_folder, scan_list


@pytest.fixture
def photo():
    y, x = np.mgrid[:30, :40]
    return Image.fromarray(np.stack([x * 6, y * 8, (x + y) * 3], axis=2).astype(np.uint8))


@pytest.fixture
def unprivileged(tmp_path, monkeypatch):
    """A folder in which `chmod` forbids, as it does not for the superuser; paths are relative."""
    monkeypatch.chdir(tmp_path)
    if not hasattr(os, "geteuid"):
        pytest.skip("no permissions here")
    if os.geteuid() != 0:
        yield Path("images")
        return

    def become_nobody():
        tmp_path.chmod(0o777)  # where we are: what lies above is not asked for
        os.seteuid(65534)

    become_nobody()
    yield Path("images")
    os.seteuid(0)


# By content


def test_every_format_is_found_whatever_the_ending(tmp_path, photo):
    kinds = ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF"]
    for kind in kinds:
        photo.save(tmp_path / f"{kind}.data", kind)
    photo.convert("L").save(tmp_path / "PGM.data", "PPM")
    Image.fromarray(np.zeros((4, 4), "uint16")).save(tmp_path / "big.data", "TIFF", big_tiff=True)
    found = [path.stem for path in list_images(tmp_path)]
    assert found == sorted([*kinds, "PGM", "big"])


def test_what_is_meant_to_be_an_image_and_is_none_is_bad(tmp_path, photo):
    photo.save(tmp_path / "png.jpg", "PNG")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "letters.BMP").write_text("BMW builds motorcycles and cars in Munich")
    (tmp_path / "empty.png").touch()
    photo.save(tmp_path / "page.eps")
    (tmp_path / "page.eps").rename(tmp_path / "page.TIFF")
    listing = scan_folder(tmp_path)
    assert listing.images == [tmp_path / "png.jpg"]
    none = f"starts as none of {', '.join(FORMATS)} does"
    assert listing.bad == {
        tmp_path / "empty.png": "is empty",
        tmp_path / "letters.BMP": none,
        tmp_path / "page.TIFF": none,
        tmp_path / "text.jpg": none,
    }


@pytest.mark.parametrize(
    "ending", ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "ppm", "pgm", "gif"]
)
def test_endings_in_any_case_say_that_an_image_was_meant(tmp_path, photo, ending):
    photo.save(tmp_path / "good.png")
    for name in (f"a.{ending}", f"B.{ending.upper()}"):
        (tmp_path / name).touch()
    listing = scan_folder(tmp_path)
    assert [path.stem for path in listing.bad] == ["B", "a"]
    assert not listing.ignored


def test_other_files_are_ignored_and_counted_by_ending(tmp_path, photo):
    photo.save(tmp_path / "x.jpg")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    for name in ["a.txt", "b.TXT", "README", "empty.mov"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    listing = scan_folder(tmp_path)
    assert (listing.images, listing.bad) == ([tmp_path / "x.jpg"], {})
    assert listing.ignored == Counter({".txt": 2, ".db": 1, "": 1, ".mov": 1})


def test_hidden_files_and_folders_are_passed_over_in_silence(tmp_path, photo):
    (tmp_path / ".cache").mkdir()
    for name in ["seen.jpg", ".hidden.jpg", "._seen.jpg", ".cache/thumb.jpg"]:
        photo.save(tmp_path / name)
    (tmp_path / "._bad.jpg").write_bytes(b"\0\5\x16\7")  # AppleDouble
    (tmp_path / ".DS_Store").touch()
    assert scan_folder(tmp_path) == ([tmp_path / "seen.jpg"], {}, Counter())


# Folders, links and permissions


def test_nested_folders_are_read_in_the_order_of_relative_paths(tmp_path, photo):
    names = ["10.jpg", "2.jpg", "a b/c d.jpg", "mañana/日本.jpg", "x.jpg", "x/1/2/3.jpg"]
    for name in reversed(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        photo.save(tmp_path / name)
    assert [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)] == sorted(names)


def test_links_to_files_are_read_and_loops_are_not_followed(tmp_path, photo):
    folder = tmp_path / "images"
    folder.mkdir()
    photo.save(tmp_path / "elsewhere.png")
    (folder / "link.png").symlink_to(tmp_path / "elsewhere.png")
    (folder / "loop").symlink_to(folder)
    assert scan_folder(folder) == ([folder / "link.png"], {}, Counter())


def test_links_that_lead_nowhere_are_bad(tmp_path, photo):
    photo.save(tmp_path / "x.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "broken.txt").symlink_to(tmp_path / "nothing.txt")
    listing = scan_folder(tmp_path)
    assert listing.images == [tmp_path / "x.png"]
    assert listing.bad[tmp_path / "broken.png"] == "is a link to a missing file"
    assert "links" in listing.bad[tmp_path / "self.png"]  # ELOOP, in the system's words
    assert listing.ignored == {".txt": 1}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(20)
def test_a_pipe_does_not_block_the_search(tmp_path, photo):
    os.mkfifo(tmp_path / "pipe.jpg")
    photo.save(tmp_path / "image.jpg")
    listing = scan_folder(tmp_path)
    assert listing.images == [tmp_path / "image.jpg"]
    assert listing.bad == {tmp_path / "pipe.jpg": "is not a file"}


def test_an_unreadable_file_is_bad(unprivileged, photo):
    unprivileged.mkdir()
    for name in ["closed.png", "open.png"]:
        photo.save(unprivileged / name)
    (unprivileged / "closed.png").chmod(0)
    listing = scan_folder(unprivileged)
    assert listing.images == [unprivileged / "open.png"]
    assert listing.bad == {unprivileged / "closed.png": "cannot be read: Permission denied"}


@pytest.mark.parametrize("closed", [".", "below"])
def test_an_unreadable_folder_is_an_error_that_names_it(unprivileged, photo, closed):
    (unprivileged / "below").mkdir(parents=True)
    photo.save(unprivileged / "x.png")
    (unprivileged / closed).chmod(0)
    with pytest.raises(PermissionError) as error:
        scan_folder(unprivileged)
    (unprivileged / closed).chmod(0o700)
    assert error.value.filename == str(unprivileged / closed)


def test_a_missing_folder_is_named(tmp_path):
    for scan in (scan_folder, list_images):
        with pytest.raises(FileNotFoundError, match=r"^there is no folder '.*trainA'$"):
            scan(tmp_path / "trainA")


# Names


@pytest.mark.skipif(os.name != "posix", reason="names are not bytes here")
@pytest.mark.parametrize(
    "name", [b"ma\xc3\xb1ana \xe6\x97\xa5.png", b"two\nlines.png", b"\xff\xfe.png", b"x" * 251]
)
def test_any_name_is_listed_read_and_told_in_one_printable_line(tmp_path, photo, name):
    folder = tmp_path / ("long" * 60) / ("long" * 60) / ("long" * 60)
    folder.mkdir(parents=True)
    path = folder / os.fsdecode(name)
    photo.save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(path)
    assert list_images(tmp_path) == [path]
    assert read_image(path, 3).tobytes() == photo.tobytes()
    path.unlink()
    (bad := path.with_suffix(".jpg")).touch()
    with pytest.raises(ValueError, match=r"1 bad: .* is empty$") as error:
        scan_folder(tmp_path)
    assert "\n" not in str(error.value)
    assert repr(bad.name)[1:-1] in str(error.value).encode().decode()


# Nothing found


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    for name in ["a.mov", "b.mov", "c.txt", "d"]:
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypqt  ")
    for i in range(5):
        (tmp_path / f"{i}.jpg").touch()
    named = "; ".join(f"{str(tmp_path / f'{i}.jpg')!r} is empty" for i in range(3))
    message = (
        f"no image in {str(tmp_path)!r}: it holds 2 '.mov', 1 '.txt', 1 without ending, "
        f"5 bad: {named}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        scan_folder(tmp_path)


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"^no image in '.*': it holds nothing$"):
        scan_folder(tmp_path)


# Lists


def test_a_list_gives_its_files_in_its_order(tmp_path, photo):
    for name in ["b.png", "a b.png", "日本.png"]:
        photo.save(tmp_path / name)
    lines = "\ufeff./b.png\r\n\r\n  日本.png \r\na b.png"
    (tmp_path / "list.txt").write_bytes(lines.encode())
    listing = scan_list(tmp_path / "list.txt", tmp_path)
    assert [path.name for path in listing.images] == ["b.png", "日本.png", "a b.png"]
    assert not listing.bad


@pytest.mark.skipif(os.name != "posix", reason="names are not bytes here")
def test_a_list_names_files_by_their_bytes(tmp_path, photo):
    photo.save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / os.fsdecode(b"\xff.png"))
    (tmp_path / "list.txt").write_bytes(b"\xff.png\n")
    assert len(scan_list(tmp_path / "list.txt", tmp_path).images) == 1


def test_what_a_list_names_and_is_no_image_is_bad(tmp_path, photo):
    photo.save(tmp_path / "a.png")
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    names = ["a.png", "gone.png", "text", "empty.png", "folder.png", "nul\0.png", "n" * 300]
    (tmp_path / "list.txt").write_text("\n".join(names))
    listing = scan_list(tmp_path / "list.txt", tmp_path)
    assert listing.images == [tmp_path / "a.png"]
    faults = {path.name: fault for path, fault in listing.bad.items()}
    assert list(faults) == names[1:]
    assert faults["gone.png"] == "is missing"
    assert faults["text"].startswith("starts as none of")
    assert faults["empty.png"] == "is empty"
    assert faults["folder.png"] == "is not a file"
    assert faults["nul\0.png"] == "has a name that no file can have"
    assert faults["n" * 300] == "cannot be read: File name too long"


@pytest.mark.parametrize("line", ["/etc/passwd", "../x.png", "a/../../x.png", "a/..", "{}/x.png"])
def test_a_line_that_leads_out_of_the_folder_is_an_error(tmp_path, photo, line):
    (tmp_path / "images").mkdir()
    photo.save(tmp_path / "x.png")
    photo.save(tmp_path / "images" / "x.png")
    line = line.format(tmp_path / "images")  # even a whole path to a file in it
    (tmp_path / "list.txt").write_text(f"x.png\n\n{line}\n")
    message = f"list.txt', line 3: {line!r} leads out of {str(tmp_path / 'images')!r}: name files"
    with pytest.raises(ValueError, match=re.escape(message)):
        scan_list(tmp_path / "list.txt", tmp_path / "images")


def test_names_that_only_look_like_leading_out_are_read(tmp_path, photo):
    for name in ["..x.png", "...png"]:
        photo.save(tmp_path / name, "PNG")
    (tmp_path / "list.txt").write_text("..x.png\n...png\n")
    assert len(scan_list(tmp_path / "list.txt", tmp_path).images) == 2


def test_a_list_may_name_files_behind_links_that_the_folder_has(tmp_path, photo):
    (tmp_path / "disk").mkdir()
    photo.save(tmp_path / "disk" / "x.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "link").symlink_to(tmp_path / "disk")
    (tmp_path / "list.txt").write_text("link/x.png\n")
    (image,) = scan_list(tmp_path / "list.txt", tmp_path / "images").images
    assert image == tmp_path / "images" / "link" / "x.png"


def test_a_list_that_names_no_image_is_an_error(tmp_path):
    (tmp_path / "list.txt").write_text("\n \n")
    with pytest.raises(ValueError, match=r"^the list '.*list\.txt' names no image in .*: nothing$"):
        scan_list(tmp_path / "list.txt", tmp_path)
    (tmp_path / "list.txt").write_text("a.png\nb.png\n")
    message = r"names no image in .*: 2 bad: '.*a\.png' is missing; '.*b\.png' is missing$"
    with pytest.raises(ValueError, match=message):
        scan_list(tmp_path / "list.txt", tmp_path)


def test_a_list_of_a_missing_folder_and_a_missing_list_are_named(tmp_path):
    (tmp_path / "list.txt").write_text("a.png\n")
    with pytest.raises(FileNotFoundError, match=r"^there is no folder '.*trainA'$"):
        scan_list(tmp_path / "list.txt", tmp_path / "trainA")
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        scan_list(tmp_path / "none.txt", tmp_path)


def test_lists_of_windows_are_read(tmp_path, photo):
    (tmp_path / "one").mkdir()
    photo.save(tmp_path / "one" / "ä.png")
    for encoding, name in (("utf-16", "one/ä.png"), ("utf-8-sig", "one\\ä.png")):
        (tmp_path / "list.txt").write_text(f"{name}\r\n", encoding=encoding)
        found = scan_list(tmp_path / "list.txt", tmp_path)
        assert found.images == [tmp_path / "one" / "ä.png"], encoding
    (tmp_path / "list.txt").write_text("..\\x.png\n")
    with pytest.raises(ValueError, match="leads out of"):
        scan_list(tmp_path / "list.txt", tmp_path / "one")


def test_an_iphones_photographs_are_named_where_they_cannot_be_read(tmp_path, monkeypatch, photo):
    photo.save(tmp_path / "x.png")
    (tmp_path / "photo.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    monkeypatch.setattr("munit_pl.data.listing.reads_heic", lambda: False)
    assert "pip install 'munit-pl[heif]'" in scan_folder(tmp_path).bad[tmp_path / "photo.HEIC"]
    monkeypatch.undo()
    if features.check("avif"):
        photo.save(tmp_path / "x.jpg", "AVIF", quality=100)
        assert tmp_path / "x.jpg" in list_images(tmp_path)
        assert read_image(tmp_path / "x.jpg", 3).size == photo.size


def test_every_netpbm_is_found_and_read(tmp_path):
    contents = {
        "p1": b"P1 2 1\n0 1\n",
        "p2": b"P2 2 1 255\n255 0\n",
        "p3": b"P3 2 1 255\n255 255 255 0 0 0\n",
        "p4": b"P4 2 1\n\x40",
        "p5": b"P5 2 1 255\n\xff\0",
        "p6": b"P6 2 1 255\n\xff\xff\xff\0\0\0",
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.pnm").write_bytes(content)
    for path in list_images(tmp_path):
        assert read_image(path, 1).tobytes() == b"\xff\0", path.name
    assert len(list_images(tmp_path)) == 6


def test_of_very_many_files_some_are_looked_into_and_endings_decide_the_others(
    tmp_path, photo, monkeypatch
):
    monkeypatch.setattr("munit_pl.data.listing._LOOKED_INTO", 2)
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_text("text")
    photo.save(tmp_path / "4.data", "PNG")
    (tmp_path / "notes.txt").touch()
    listing = scan_folder(tmp_path)  # every third is looked into
    assert [path.name for path in listing.images] == ["1.jpg", "2.jpg"]
    assert {path.name for path in listing.bad} == {"0.jpg", "3.jpg"}
    assert listing.ignored == {".data": 1, ".txt": 1}
    (tmp_path / "list").write_text("0.jpg\n1.jpg\ngone.jpg\n4.data\nnul\0.jpg\n")
    listing = scan_list(tmp_path / "list", tmp_path)
    assert [path.name for path in listing.images] == ["1.jpg", "gone.jpg", "4.data"]
    assert {path.name for path in listing.bad} == {"0.jpg", "nul\0.jpg"}
