"""Each attack works on a careless reader, within ``tmp_path``, and comes to nothing on ours."""

import io
import os
import shutil
import stat
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import PureWindowsPath

import pytest

from munit_pl.data.tools import archives
from munit_pl.data.tools.archives import extract

PIXELS = bytes(range(256)) * 8


@pytest.fixture
def target(tmp_path):
    """Where the archive is to be unpacked; beside it lies ``victim``, which is none of its own."""
    (tmp_path / "victim").write_bytes(b"mine")
    return tmp_path / "unpacked"


def entry(name, kind=tarfile.REGTYPE, **attributes):
    member = tarfile.TarInfo(name)
    member.type = kind
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    return member


def tar(path, *members, mode="w"):
    """Write a tar of members, each a name or a header, with its content."""
    with tarfile.open(path, mode) as archive:
        for member, data in members:
            member = entry(member) if isinstance(member, str) else member
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def zipped(path, *members):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of names given twice
        for member, data in members:
            archive.writestr(member, data)
    return path


def carelessly(archive, folder):
    """Unpack as programs have done that trust their archives."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as careless:
            for name in careless.namelist():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(careless.read(name))
    else:
        with tarfile.open(archive) as careless:
            careless.extractall(folder, filter="fully_trusted")


def everything(folder):
    """All below a folder: names, sizes, contents' checksums, link or not."""
    return sorted(
        (str(path), path.is_symlink(), zlib.crc32(path.read_bytes()) if path.is_file() else None)
        for path in folder.rglob("*")
    )


def assert_refused(archive, target, reason, **limits):
    before = everything(target.parent)
    with pytest.raises(ValueError, match=reason) as error:
        extract(archive, target, **limits)
    message = str(error.value)
    assert message.startswith(f"cannot unpack {str(archive)!r}: ")
    assert message.isprintable()  # so it is one line
    assert len(message) < 400
    assert everything(target.parent) == before


# Out of the folder


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("name", ["../victim", "photos/../../victim"])
def test_no_name_climbs_out_of_the_folder(tmp_path, target, pack, name):
    archive = pack(tmp_path / "archive", ("photos/a.png", PIXELS), (name, b"theirs"))
    assert_refused(archive, target, "outside the folder")
    target.mkdir()
    carelessly(archive, target)
    assert (tmp_path / "victim").read_bytes() == b"theirs"


@pytest.mark.parametrize("pack", [tar, zipped])
def test_no_name_starts_at_the_root(tmp_path, target, pack):
    victim = tmp_path / "victim"
    archive = pack(tmp_path / "archive", ("a.png", PIXELS), (str(victim), b"theirs"))
    assert_refused(archive, target, "outside the folder")
    carelessly(archive, target)
    assert victim.read_bytes() == b"theirs"


def test_no_name_leads_out_of_the_folder_on_windows(tmp_path, target):
    for name in ["C:/victim", "C:victim", "//host/share/x", "..\\victim"]:
        joined = PureWindowsPath("D:/data/unpacked", name)
        assert ".." in joined.parts or not joined.is_relative_to("D:/data/unpacked")
        assert_refused(
            zipped(tmp_path / "archive", (name, b"theirs")), target, "outside the folder"
        )


@pytest.mark.skipif(os.name == "nt", reason="zipfile makes slashes of them there")
def test_names_that_windows_would_split_are_refused(tmp_path, target):
    assert PureWindowsPath("a\\b.png").parts == ("a", "b.png")
    assert_refused(zipped(tmp_path / "archive", ("a\\b.png", PIXELS)), target, "pack it again")


def test_nothing_is_written_through_a_symbolic_link(tmp_path, target):
    link = entry("photos", tarfile.SYMTYPE, linkname="..")
    archive = tar(tmp_path / "archive.tar", (link, b""), ("photos/victim", b"theirs"))
    assert_refused(archive, target, "is a symbolic link: pack the files themselves")
    carelessly(archive, target)
    assert (tmp_path / "victim").read_bytes() == b"theirs"


def test_nothing_is_written_through_a_hard_link(tmp_path, target):
    link = entry("a.png", tarfile.LNKTYPE, linkname="../victim")
    archive = tar(tmp_path / "archive.tar", (link, b""), ("a.png", b"theirs"))
    assert_refused(archive, target, "is a hard link")
    carelessly(archive, target)
    assert (tmp_path / "victim").read_bytes() == b"theirs"


def test_a_zip_holds_no_symbolic_link(tmp_path, target):
    link = zipfile.ZipInfo("photos")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zipped(tmp_path / "archive.zip", (link, b".."), ("photos/victim", b"theirs"))
    assert_refused(archive, target, "is a symbolic link")
    target.mkdir()
    with zipfile.ZipFile(archive) as careless:  # as programs do that restore links
        for member in careless.infolist():
            if stat.S_ISLNK(member.external_attr >> 16):
                (target / member.filename).symlink_to(careless.read(member).decode())
            else:
                (target / member.filename).write_bytes(careless.read(member))
    assert (tmp_path / "victim").read_bytes() == b"theirs"


# What is no file


def test_no_pipe_is_made(tmp_path, target):
    archive = tar(tmp_path / "archive.tar", (entry("a.png", tarfile.FIFOTYPE), b""))
    assert_refused(archive, target, "is a pipe")
    carelessly(archive, target)
    assert stat.S_ISFIFO((target / "a.png").stat().st_mode)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_no_device_is_made(tmp_path, target, monkeypatch, kind):
    made = []
    monkeypatch.setattr(os, "mknod", lambda *arguments: made.append(arguments), raising=False)
    monkeypatch.setattr(tarfile.TarFile, "chmod", lambda *_: None)  # of what was not made here
    monkeypatch.setattr(tarfile.TarFile, "utime", lambda *_: None)
    monkeypatch.setattr(tarfile.TarFile, "chown", lambda *_: None)
    device = entry("a.png", kind, devmajor=8, devminor=0)
    archive = tar(tmp_path / "archive.tar", (device, b""))
    assert_refused(archive, target, "is a device")
    assert not made
    carelessly(archive, target)
    assert made[0][2] == os.makedev(8, 0)


def test_no_program_that_runs_as_its_owner_is_made(tmp_path, target):
    archive = tar(
        tmp_path / "archive.tar",
        (entry("bin", tarfile.DIRTYPE, mode=0o7777), b""),
        (entry("bin/sh", mode=0o6777), PIXELS),
    )
    carelessly(archive, tmp_path / "careless")
    assert (tmp_path / "careless/bin/sh").stat().st_mode & stat.S_ISUID
    before = os.umask(0)
    try:
        extract(archive, target)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (target, *sorted(target.rglob("*")))]
    assert modes == [0o755, 0o755, 0o644]


# Too much


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_small_tar_does_not_grow_without_end(tmp_path, target, monkeypatch, suffix):
    monkeypatch.setattr(archives, "HARMLESS", 10**6)
    zeros = [("a.png", bytes(900_000)), ("b.png", bytes(900_000))]
    archive = tar(tmp_path / "bomb.tar", *zeros, mode=f"w:{suffix}")
    assert 200 * archive.stat().st_size < 1_800_000
    assert_refused(archive, target, "more than 200 times as large as itself")
    carelessly(archive, target)
    assert (target / "b.png").stat().st_size == 900_000


def test_a_small_zip_does_not_grow_without_end(tmp_path, target, monkeypatch):
    monkeypatch.setattr(archives, "HARMLESS", 10**6)
    archive = zipped(tmp_path / "bomb.zip", ("a.png", bytes(10**6 + 1)))
    assert_refused(archive, target, "more than 200 times as large as itself")
    target.mkdir()
    carelessly(archive, target)
    assert (target / "a.png").stat().st_size == 10**6 + 1


def test_what_shrinks_well_is_unpacked_up_to_a_size_that_does_no_harm(tmp_path, target):
    archive = zipped(tmp_path / "white.zip", ("a.bmp", bytes(10**6)))
    assert archive.stat().st_size < 10**6 / 200
    assert extract(archive, target).bytes == 10**6


def test_files_of_a_zip_share_no_bytes(tmp_path, target):
    """A zip of 46 MB can hold 4.5 PB if its table names the same bytes over and over."""
    archive = zipped(tmp_path / "bomb.zip", ("a.png", bytes(1000)))
    data = archive.read_bytes()
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    table = data[start:end] * 100
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 100, 100, len(table), start, 0)
    archive.write_bytes(data[:start] + table + tail)
    assert_refused(archive, target, "shares its bytes with another file")
    with zipfile.ZipFile(archive) as careless:
        compressed = [data[m.header_offset + 35 :][: m.compress_size] for m in careless.infolist()]
    assert sum(len(zlib.decompress(stream, wbits=-15)) for stream in compressed) == 100 * 1000


@pytest.mark.parametrize("pack", [tar, zipped])
def test_the_disk_is_not_filled(tmp_path, target, monkeypatch, pack):
    archive = pack(tmp_path / "archive", ("a.png", PIXELS), ("b.png", PIXELS))
    assert_refused(archive, target, "free some space", max_bytes=4095)
    assert extract(archive, target, max_bytes=4096) == (2, 4096)
    usage = type(archives.shutil.disk_usage("/"))(total=2**40, used=0, free=2**30 + 4095)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage)
    assert_refused(archive, tmp_path / "other", "take more than the 0.0 GiB")


def test_a_file_with_holes_is_refused(tmp_path, target):
    """Ten blocks of a tar say that a file has a terabyte, nearly all of it zeros."""
    holes = {"GNU.sparse.map": "0,0", "GNU.sparse.realsize": str(2**40)}
    archive = tar(tmp_path / "archive.tar", (entry("a.png", pax_headers=holes), b""))
    assert_refused(archive, target, "is no plain file", max_bytes=2**41)
    carelessly(archive, target)
    assert (target / "a.png").stat().st_size == 2**40
    os.truncate(target / "a.png", 0)


@pytest.mark.parametrize("pack", [tar, zipped])
def test_files_and_folders_are_limited_in_number(tmp_path, target, pack):
    names = [("a/b/1.png", b""), ("a/b/2.png", b""), ("a/b/3.png", b"")]
    archive = pack(tmp_path / "archive", *names)
    assert_refused(archive, target, "more than 4 files and folders", max_members=4)
    assert extract(archive, target, max_members=5).files == 3
    carelessly(archive, tmp_path / "careless")
    assert len(list((tmp_path / "careless").rglob("*"))) == 5


def test_a_huge_table_of_contents_is_not_read(tmp_path, target):
    names = [(f"{number}{'x' * 190}", b"") for number in range(5000)]
    archive = zipped(tmp_path / "archive.zip", *names)
    assert archive.stat().st_size > 2**20
    assert_refused(archive, target, "table of contents is too large", max_members=100)
    with zipfile.ZipFile(archive) as careless:
        assert len(careless.infolist()) == 5000


def test_folders_lie_in_each_other_up_to_a_depth(tmp_path, target):
    """Python 3.10 to 3.13 cannot remove what is deeper than its stack, nor list it."""
    archive = tar(tmp_path / "archive.tar", ("d/" * 100 + "a.png", b""))
    assert_refused(archive, target, "more than 64 folders")
    carelessly(archive, target)
    assert (target / ("d/" * 100) / "a.png").exists()


def peak(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_header_in_a_tar_does_not_fill_the_memory(tmp_path, target):
    archive = tmp_path / "bomb.tar.gz"
    with tarfile.open(archive, "w:gz") as writing:
        long_name = entry("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=40 * 10**6)
        writing.addfile(long_name, io.BytesIO(bytes(40 * 10**6)))
        writing.addfile(entry("a.png"))
    assert archive.stat().st_size < 50_000
    ours = peak(lambda: assert_refused(archive, target, "larger than any file's name"))
    assert ours < 4 * 10**6
    assert peak(lambda: carelessly(archive, target)) > 40 * 10**6


def test_a_zip_of_another_compression_does_not_fill_the_memory(tmp_path, target):
    """Python's reader of bzip2 in a zip makes all bytes of a chunk at once."""
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as writing:
        writing.writestr("a.png", bytes(40 * 10**6))

    def careless():
        with zipfile.ZipFile(archive) as file, file.open("a.png") as data:
            assert len(data.read(10)) == 10

    assert archive.stat().st_size < 500
    assert_refused(archive, target, "otherwise than by deflate: pack it again")
    assert peak(careless) > 40 * 10**6


# Not what it seems


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("second", ["a.png", "./a.png", "a.png/b.png"])
def test_no_file_takes_another_ones_place(tmp_path, target, pack, second):
    archive = pack(tmp_path / "archive", ("a.png", b"checked"), (second, b"not checked"))
    assert_refused(archive, target, "it holds 'a.png' twice")
    if second == "a.png":
        target.mkdir()
        carelessly(archive, target)
        assert (target / "a.png").read_bytes() == b"not checked"


def test_an_encrypted_zip_leaves_no_half_of_it_behind(tmp_path, target):
    archive = zipped(tmp_path / "archive.zip", ("a.png", PIXELS), ("b.png", PIXELS))
    data = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.rindex(signature) + flags] |= 1
    archive.write_bytes(data)
    assert_refused(archive, target, "'b.png' is encrypted: pack it without a password")
    target.mkdir()
    with pytest.raises(RuntimeError, match="password"):
        carelessly(archive, target)
    assert (target / "a.png").exists()


def test_an_archive_in_an_archive_stays_packed(tmp_path, target):
    inner = zipped(tmp_path / "inner.zip", ("a.png", bytes(10**5))).read_bytes()
    archive = zipped(tmp_path / "42.zip", ("inner.zip", inner))
    assert extract(archive, target) == (1, len(inner))
    assert (target / "inner.zip").read_bytes() == inner


@pytest.mark.parametrize("damage", ["header", "cut at a header", "cut in a file"])
def test_a_damaged_tar_is_not_taken_for_a_smaller_one(tmp_path, target, damage):
    archive = tar(tmp_path / "archive.tar", ("a.png", PIXELS), ("b.png", PIXELS))
    data = bytearray(archive.read_bytes())
    second = data.index(b"b.png")
    data[second + 100] ^= 1
    length = {"header": len(data), "cut at a header": second, "cut in a file": second + 700}
    if damage != "header":
        data[second + 100] ^= 1
    archive.write_bytes(data[: length[damage]])
    assert_refused(archive, target, "damaged or incomplete, fetch it again")
    if damage != "cut in a file":
        carelessly(archive, target)
        assert [path.name for path in target.iterdir()] == ["a.png"]


def test_a_file_that_is_not_what_its_checksum_says_is_refused(tmp_path, target):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("a.png", PIXELS)
    archive.write_bytes(archive.read_bytes().replace(b"\1\2\3\4\5", b"\1\2\3\4\6", 1))
    assert_refused(archive, target, "damaged or incomplete")


def test_a_changed_byte_never_hangs_nor_leaves_a_trace(tmp_path, target):
    pax = entry("ä" * 60, pax_headers={"comment": "x" * 50})
    archive = tar(tmp_path / "archive.tar", (pax, PIXELS), ("b" * 150, b""))
    whole = archive.read_bytes()
    for position in range(0, 1500, 37):
        data = bytearray(whole)
        data[position] ^= 0xFF
        archive.write_bytes(data)
        before = everything(tmp_path)
        try:
            extract(archive, target)
        except ValueError:
            assert everything(tmp_path) == before, position
        else:  # the byte is a picture's, or one that no checksum covers
            assert len(list(target.rglob("*"))) == 2, position
            shutil.rmtree(target)


# Harmless archives


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_every_kind_is_unpacked_whatever_its_ending(tmp_path, target, mode):
    files = {"trainA/mañana 日本.png": PIXELS, "trainA/sub/b.png": b"", "trainB/c.PNG": b"c"}
    files["trainB/c.png"] = b"other case, other file"
    members = [(f"./{name}", data) for name, data in files.items()]
    archive = tmp_path / "archive.data"
    zipped(archive, *members) if mode == "zip" else tar(archive, *members, mode=mode)
    assert extract(archive, target) == (4, sum(map(len, files.values())))
    found = {p.relative_to(target).as_posix(): p for p in target.rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == files
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "archive.data",
        "unpacked",
        "victim",
    ]


def test_folders_of_their_own_and_empty_ones_are_made(tmp_path, target):
    folders = [(entry(name, tarfile.DIRTYPE), b"") for name in (".", "a", "a/b", "a")]
    target.mkdir()
    assert extract(tar(tmp_path / "archive.tar", *folders), target) == (0, 0)
    assert (target / "a/b").is_dir()


@pytest.mark.skipif(os.name == "nt", reason="its names are text")
def test_names_of_other_encodings_are_kept(tmp_path, target):
    name = os.fsdecode(b"\xff.png")
    archive = tmp_path / "archive.tar"
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as writing:
        writing.addfile(entry(name))
    extract(archive, target)
    assert os.listdir(os.fsencode(target)) == [b"\xff.png"]


def test_what_lies_at_the_target_is_never_touched(tmp_path, target):
    archive = tar(tmp_path / "archive.tar", ("a.png", PIXELS))
    target.mkdir()
    (target / "mine.png").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="name a folder that is not"):
        extract(archive, target)
    with pytest.raises(FileExistsError, match="is there already"):
        extract(archive, tmp_path / "victim")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        extract(archive, tmp_path / "no" / "folder")
    assert everything(target) == [(str(target / "mine.png"), False, zlib.crc32(b"mine"))]


def test_what_is_no_archive_is_told(tmp_path, target):
    (tmp_path / "photo.jpg").write_bytes(PIXELS)
    assert_refused(tmp_path / "photo.jpg", target, "it is no zip, tar, tar.gz, tar.bz2 or tar.xz")
    with pytest.raises(FileNotFoundError, match=r"none\.zip"):
        extract(tmp_path / "none.zip", target)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_leaves_nothing_behind(tmp_path, target, monkeypatch):
    archive = tar(tmp_path / "archive.tar", ("a/a.png", PIXELS))
    before = everything(tmp_path)
    monkeypatch.setattr(archives, "_open_plain", lambda *_: os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(OSError, match=r"nothing is left there: No space left on device$"):
        extract(archive, target)
    assert everything(tmp_path) == before


def test_an_interrupt_leaves_nothing_behind(tmp_path, target, monkeypatch):
    archive = tar(tmp_path / "archive.tar", ("a.png", PIXELS), ("b.png", PIXELS))
    before = everything(tmp_path)
    open_plain = archives._open_plain

    def interrupted(path, flags):
        if str(path).endswith("b.png"):
            raise KeyboardInterrupt
        return open_plain(path, flags)

    monkeypatch.setattr(archives, "_open_plain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(archive, target)
    assert everything(tmp_path) == before
