import hashlib
import io
import random
import shutil
import tarfile
import zipfile
from collections import namedtuple

import pytest
from PIL import Image
from serving import serving

from munit_pl.commands.data import main
from munit_pl.data.listing import list_images
from munit_pl.data.tools.catalogue import CATALOGUE

Usage = namedtuple("Usage", "total used free")


def image(seed, width=16):
    file = io.BytesIO()
    Image.frombytes("RGB", (width, 16), random.Random(seed).randbytes(width * 48)).save(file, "PNG")
    return file.getvalue()


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for seed, name in enumerate(names):
            archive.writestr(name, image(seed))
    return file.getvalue()


def tarred(*names):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for seed, name in enumerate(names):
            member = tarfile.TarInfo(name)
            member.size = len(data := image(seed, 32))
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


ARCHIVES = {
    "/edges2shoes.tar.gz": tarred(
        *(f"edges2shoes/train/{n}_AB.png" for n in range(6)), "edges2shoes/val/1_AB.png"
    ),
    "/horse2zebra.zip": zipped(
        *(f"horse2zebra/{split}{domain}/0.png" for split in ("train", "test") for domain in "AB")
    ),
    "/afhq.zip": zipped(
        *(f"afhq/{split}/{kind}/0.png" for split in ("train", "val") for kind in ("cat", "dog"))
    ),
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A server with small archives, which the catalogue names; the tests' folder is current."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MUNIT_DATA", raising=False)
    with serving(dict(ARCHIVES)) as site:
        for path, data in ARCHIVES.items():
            one = CATALOGUE[path[1:].partition(".")[0]]
            sha256 = hashlib.sha256(data).hexdigest() if one.sha256 else None
            here = one._replace(url=f"{site.url}{path}?dl=1", sha256=sha256)
            monkeypatch.setitem(CATALOGUE, one.name, here)
        yield site


def fetch(*arguments):
    return main(["download", *map(str, arguments), "--workers", "0"])


def failed(capsys, *arguments):
    """Return the one line that tells why a download did not come to its end."""
    assert fetch(*arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("munit-data: ")
    assert err.count("\n") == 1
    return err


def counts(folder):
    return {path.name: len(list_images(path)) for path in sorted(folder.iterdir())}


def test_what_to_do_next_is_quoted_where_names_have_blanks(site, tmp_path, capsys):
    assert fetch("horse2zebra", "--out", "my sets/x") == 0
    assert capsys.readouterr().out.endswith(
        "next: munit-data check 'my sets/x'; munit-train +experiment=horse2zebra "
        "'data.root=my sets/x'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "folder", "experiment", "expected"),
    [
        (["edges2shoes"], "edges2shoes", "edges2shoes", [1, 1, 3, 3]),
        (["horse2zebra"], "horse2zebra", "horse2zebra", [1, 1, 1, 1]),
        (["afhq", "--domains", "cat", "dog"], "afhq_cat2dog", "afhq_cat2dog", [1, 1, 1, 1]),
    ],
)
def test_a_set_is_fetched_and_made_ready_for_its_experiment(
    site, tmp_path, capsys, arguments, folder, experiment, expected
):
    assert fetch(*arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    made = tmp_path / "datasets" / folder
    assert list(counts(made).values()) == expected
    assert f"images in 'datasets/{folder}': trainA {expected[2]}, trainB {expected[3]}, " in out
    assert out.endswith(
        f"next: munit-data check datasets/{folder}; munit-train +experiment={experiment}\n"
    )
    one = CATALOGUE[arguments[0]]
    assert f"license: {one.license}; checksum: " in out
    archive = site.url and one.url.rpartition("/")[2].removesuffix("?dl=1")
    assert {path.name for path in made.parent.iterdir()} == {folder, archive}
    assert main(["check", str(made), "--workers", "0"]) == 0
    assert "Nothing stops a run." in capsys.readouterr().out


def test_what_is_not_published_is_told_and_what_came_too(site, capsys):
    assert fetch("edges2shoes") == 0
    out = capsys.readouterr().out
    assert "checksum: not published\n" in out
    digest = hashlib.sha256(ARCHIVES["/edges2shoes.tar.gz"]).hexdigest()
    assert f"SHA-256 of what came: {digest}\n" in out


def test_the_folder_may_lie_elsewhere(site, tmp_path, monkeypatch, capsys):
    assert fetch("horse2zebra", "--out", tmp_path / "far" / "mine") == 0
    assert capsys.readouterr().out.endswith(
        f"munit-train +experiment=horse2zebra data.root={tmp_path / 'far' / 'mine'}\n"
    )
    monkeypatch.setenv("MUNIT_DATA", str(tmp_path / "sets"))
    assert fetch("horse2zebra") == 0
    assert (tmp_path / "sets" / "horse2zebra" / "trainA" / "0.png").exists()


def test_an_interrupted_download_goes_on_with_the_same_command(site, tmp_path, capsys):
    whole = len(ARCHIVES["/horse2zebra.zip"])
    site.stops_after = 1000
    told = failed(capsys, "horse2zebra")
    assert f"broke off after 1000 of {whole} bytes: the same command goes on with it\n" in told
    assert not (tmp_path / "datasets" / "horse2zebra").exists()
    site.stops_after = None
    assert fetch("horse2zebra") == 0
    assert site.asked == [None, "bytes=1000-"]
    assert counts(tmp_path / "datasets" / "horse2zebra")["trainA"] == 1


def test_the_archive_is_fetched_once_for_all_pairs_of_domains(site, tmp_path):
    assert fetch("afhq", "--domains", "cat", "dog") == 0
    assert fetch("afhq", "--domains", "dog", "cat") == 0
    assert len(site.asked) == 1
    assert {path.name for path in (tmp_path / "datasets").iterdir()} == {
        "afhq.zip",
        "afhq_cat2dog",
        "afhq_dog2cat",
    }


def test_a_checksum_that_differs_unpacks_nothing(site, tmp_path, capsys):
    site.files["/horse2zebra.zip"] = ARCHIVES["/afhq.zip"]
    assert "the checksum of what http" in failed(capsys, "horse2zebra")
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == ["horse2zebra.zip.differs"]


def test_a_wrong_archive_makes_no_data_set(site, tmp_path, capsys):
    for wrong, told in (
        (ARCHIVES["/horse2zebra.zip"], "this is not edges2shoes as published: "),
        (b"hello", "it is no zip, tar, tar.gz"),
        (ARCHIVES["/edges2shoes.tar.gz"][:-500], "it is damaged or incomplete"),
    ):
        site.files["/edges2shoes.tar.gz"] = wrong
        line = failed(capsys, "edges2shoes")
        archive = tmp_path / "datasets" / "edges2shoes.tar.gz"
        assert told in line
        assert f"(from 'datasets/{archive.name}': remove that to fetch it again)\n" in line
        assert [path.name for path in archive.parent.iterdir()] == [archive.name]
        archive.unlink()


def test_without_room_nothing_is_fetched(site, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 10**9))
    assert "no room in 'datasets': download and unpacked" in failed(capsys, "horse2zebra")
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_dead_address_and_a_dead_server_are_told(site, monkeypatch, capsys):
    site.files.clear()
    assert "the server answers 404 (Not Found) to http" in failed(capsys, "horse2zebra")
    dead = CATALOGUE["horse2zebra"]._replace(url="http://munit.invalid/horse2zebra.zip")
    monkeypatch.setitem(CATALOGUE, "horse2zebra", dead)
    assert "cannot reach munit.invalid (" in failed(capsys, "horse2zebra")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edges2shos"], "there is no data set 'edges2shos': did you mean edges2shoes?"),
        (
            ["imagenet_full_size"],
            "there is no data set 'imagenet_full_size'; there are edges2shoes,",
        ),
        (["afhq"], "afhq has cat, dog, wild: name two, as in --domains cat dog"),
        (["afhq", "--domains", "cat", "cat"], "afhq has cat, dog, wild: name two"),
        (["afhq", "--domains", "cat", "cow"], "afhq has cat, dog, wild: name two"),
        (["maps", "--domains", "cat", "dog"], "maps has two domains only (aerial photos, maps)"),
        (["maps", "--from", "none"], "there is no folder 'none'"),
        (["maps", "--workers", "-1"], "--workers is -1"),
        (["maps", "--out", "full"], "'full' is there already: remove it, or name another"),
        (["maps", "--out", "full/file/maps"], "full/file' is no folder"),
        (["cityscapes"], "cityscapes is fetched by hand: register at https://www.cityscapes-"),
        (["synthia2cityscape"], "; then munit-data download synthia2cityscape --from FOLDER\n"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(site, tmp_path, capsys, arguments, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        main(["download", *arguments])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert site.asked == []


def test_what_was_fetched_by_hand_is_made_ready(site, tmp_path, capsys):
    for split in ("train", "val"):
        for seed, name in enumerate(
            ("leftImg8bit/{}/ulm/1.png", "gtFine/{}/ulm/1_gtFine_color.png")
        ):
            path = tmp_path / "mine" / name.format(split)
            path.parent.mkdir(parents=True)
            path.write_bytes(image(seed))
    assert fetch("cityscapes", "--from", tmp_path / "mine") == 0
    made = tmp_path / "datasets" / "cityscapes"
    assert counts(made) == {"testA": 1, "testB": 1, "trainA": 1, "trainB": 1}
    assert capsys.readouterr().out.startswith("images in 'datasets/cityscapes': trainA 1, ")
    assert len(list_images(tmp_path / "mine")) == 4
    told = failed(capsys, "horse2zebra", "--from", tmp_path / "mine")
    assert "this is not horse2zebra as published: " in told
    assert site.asked == []


def test_the_list_fits_a_screen_and_names_all(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[1 : 1 + len(CATALOGUE)]] == list(CATALOGUE)
    (row,) = (line for line in lines if line.startswith("horse2zebra "))
    assert row.split("  ")[-1] == "none stated (ImageNet)"
    assert " 117 MB " in row
