"""Each attack works on a careless reader, within ``tmp_path``, and comes to nothing on ours."""

import io
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from types import SimpleNamespace

import pytest

from munit_pl.data.tools import archives
from munit_pl.data.tools.archives import extract

PIXELS = bytes(range(256)) * 8


@pytest.fixture
def target(tmp_path):
    """Where the archive is to be unpacked; beside it lies ``victim``, which is none of its own."""
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "unpacked").mkdir()
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
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
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


def assert_refused(archive, target, reason):
    with pytest.raises(ValueError, match=reason) as error:
        extract(archive, target)
    message = str(error.value)
    assert message.startswith(f"cannot unpack {str(archive)!r}: ")
    assert message.isprintable()  # so it is one line
    assert len(message) < 400
    assert (target.parent / "victim").read_bytes() == b"mine"
    assert not any(path.is_symlink() for path in target.rglob("*"))


@pytest.mark.parametrize("pack", [tar, zipped])
def test_no_name_leads_out_of_the_folder(tmp_path, target, pack):
    absolute = str(tmp_path / "victim")
    for name in ["../victim", "photos/../../victim", absolute]:
        archive = pack(tmp_path / "archive", ("photos/a.png", PIXELS), (name, b"theirs"))
        assert_refused(archive, target, "outside the folder")
        carelessly(archive, target)
        assert (tmp_path / "victim").read_bytes() == b"theirs"
        (tmp_path / "victim").write_bytes(b"mine")
    for name in ["C:/victim", "C:victim", "//host/share/x", "..\\victim"]:  # on Windows
        assert_refused(pack(tmp_path / "archive", (name, b"")), target, "outside the folder")


def test_no_link_device_or_pipe_is_made(tmp_path, target):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE):
        member = entry("photos", kind, linkname="..", devmajor=8)
        archive = tar(tmp_path / "archive.tar", (member, b""), ("photos/victim", b"theirs"))
        assert_refused(archive, target, "'photos' is a link, a device or a pipe")
    archive = tar(tmp_path / "archive.tar", (entry("photos", tarfile.FIFOTYPE), b""))
    assert_refused(archive, target, "'photos' is a link, a device or a pipe")
    link = zipfile.ZipInfo("photos")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zipped(tmp_path / "archive.zip", (link, b".."), ("photos/victim", b"theirs"))
    assert_refused(archive, target, "'photos' is a link")
    assert list(target.iterdir()) == []


def test_no_program_that_runs_as_its_owner_is_made(tmp_path, target):
    archive = tar(tmp_path / "archive.tar", (entry("sh", mode=0o6777), PIXELS))
    carelessly(archive, tmp_path / "careless")
    assert (tmp_path / "careless/sh").stat().st_mode & stat.S_ISUID
    extract(archive, target)
    assert not (target / "sh").stat().st_mode & (stat.S_ISUID | stat.S_ISGID | 0o022)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_a_small_archive_does_not_grow_without_end(tmp_path, target, monkeypatch, kind):
    monkeypatch.setattr(archives, "HARMLESS", 10**6)
    zeros = [("a.png", bytes(900_000)), ("b.png", bytes(900_000))]
    path = tmp_path / "bomb"
    archive = zipped(path, *zeros) if kind == "zip" else tar(path, *zeros, mode=f"w:{kind}")
    assert 200 * archive.stat().st_size < 1_800_000
    assert_refused(archive, target, "more than 200 times as large as itself")
    assert not (target / "b.png").exists()


def test_a_zip_that_grows_beyond_what_it_declares_is_refused(tmp_path, target):
    archive = zipped(tmp_path / "archive.zip", ("a.png", bytes(900_000)))
    small = archive.read_bytes().replace(struct.pack("<I", 900_000), struct.pack("<I", 1000))
    archive.write_bytes(small)
    assert_refused(archive, target, "damaged or incomplete")


def test_no_more_is_unpacked_than_there_is_room_for(tmp_path, target, monkeypatch):
    free = archives._SPARED + 3000
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    for pack in (tar, zipped):
        archive = pack(tmp_path / "archive", ("a.png", PIXELS), ("b.png", PIXELS))
        assert_refused(archive, target, "free some space, or take another disk")


def test_members_are_limited(tmp_path, target, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    for pack in (tar, zipped):
        archive = pack(tmp_path / "archive", *((f"{i}.png", b"") for i in range(3)))
        assert_refused(archive, target, "holds more than 2 files and folders")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_large_header_takes_no_memory(tmp_path, target, kind):
    members = ("a.png", PIXELS), (entry("x", kind), bytes(60 * 10**6))
    archive = tar(tmp_path / "a.tgz", *members, mode="w:gz")
    tracemalloc.start()
    try:
        assert_refused(archive, target, "larger than any file's name")
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_what_is_damaged_or_no_archive_is_told(tmp_path, target):
    good = [("a.png", os.urandom(2000)), ("b.png", os.urandom(2000))]
    for mode in ("w", "w:gz", "w:bz2", "w:xz", "zip"):
        path = tmp_path / "archive"
        zipped(path, *good) if mode == "zip" else tar(path, *good, mode=mode)
        path.write_bytes(path.read_bytes()[: 3000 if mode == "w" else -1200])
        assert_refused(path, target, "damaged( or incomplete,|:) fetch it again")
    (tmp_path / "photo.jpg").write_bytes(PIXELS)
    assert_refused(tmp_path / "photo.jpg", target, "it is no zip, tar, tar.gz, tar.bz2 or tar.xz")
    with pytest.raises(FileNotFoundError, match=r"none\.zip"):
        extract(tmp_path / "none.zip", target)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_every_kind_is_unpacked_whatever_its_ending(tmp_path, target, mode):
    files = {"trainA/mañana 日本.png": PIXELS, "trainA/sub/b.png": b"", "trainB/c.PNG": b"c"}
    members = [(f"./{name}", data) for name, data in files.items()]
    archive = tmp_path / "archive.data"
    zipped(archive, *members) if mode == "zip" else tar(archive, *members, mode=mode)
    extract(archive, target)
    found = {p.relative_to(target).as_posix(): p for p in target.rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == files


def test_a_disk_that_cannot_be_written_is_named(tmp_path, target, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extract", full)
    archive = tar(tmp_path / "archive.tar", ("a.png", PIXELS))
    with pytest.raises(OSError, match=r"unpacked': No space left on device$"):
        extract(archive, target)
