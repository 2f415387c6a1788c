import numpy as np
import pytest
from PIL import Image

from munit_pl.data.listing import list_images
from munit_pl.data.tools.layouts import arrange, plan


def picture(path, color, size=(4, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def pair(path, left, right):
    """Save two 4x4 images side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    both = Image.new("RGB", (8, 4), left)
    both.paste(right, (4, 0, 8, 4))
    both.save(path)


def colors(folder):
    """The color of each image of a folder, by its path there."""
    found = {}
    for path in list_images(folder):
        pixels = np.asarray(Image.open(path))
        assert (pixels == pixels[0, 0]).all()
        found[path.relative_to(folder).as_posix()] = tuple(map(int, pixels[0, 0]))
    return found


def made(source, tmp_path, layout, classes=(), **options):
    out = tmp_path / "out"
    out.parent.mkdir(exist_ok=True)
    done = arrange(plan(source, layout, classes), out, layout == "pairs", **options)
    return out, done


@pytest.fixture
def pairs(tmp_path):
    """Nine pairs for training and two for the test; file n is (n, 0, 0) and (0, 0, n)."""
    source = tmp_path / "source"
    for n in range(1, 12):
        split = "train" if n < 10 else "val"
        pair(source / "edges2shoes" / split / f"{n}_AB.png", (n, 0, 0), (0, 0, n))
    return source


def test_no_pair_is_trained_on_from_both_sides(pairs, tmp_path):
    out, done = made(pairs, tmp_path, "pairs")
    a, b = colors(out / "trainA"), colors(out / "trainB")
    assert (len(a), len(b)) == (4, 5)
    assert not a.keys() & b.keys()
    assert {f"{n}_AB.png": (n, 0, 0) for n in range(1, 10)}.items() >= a.items()
    assert {f"{n}_AB.png": (0, 0, n) for n in range(1, 10)}.items() >= b.items()
    assert colors(out / "testA") == {"10_AB.png": (10, 0, 0), "11_AB.png": (11, 0, 0)}
    assert colors(out / "testB") == {"10_AB.png": (0, 0, 10), "11_AB.png": (0, 0, 11)}
    assert done.counts == {"trainA": 4, "trainB": 5, "testA": 2, "testB": 2}


def test_the_halves_of_a_set_are_mixed_and_the_same_each_time(tmp_path):
    for n in range(200):
        pair(tmp_path / "train" / f"{n:03}.png", (0, 0, 0), (0, 0, 0))
    pair(tmp_path / "val" / "0.png", (0, 0, 0), (0, 0, 0))
    first, again = (plan(tmp_path, "pairs") for _ in range(2))
    assert first == again
    early = sum(int(name.stem) < 100 for _, name in first["trainA"])
    assert 30 < early < 70  # of 100; by name they would all be


def test_pairs_that_cannot_be_halved_are_left_out_and_named(pairs, tmp_path):
    picture(pairs / "edges2shoes" / "train" / "odd.png", "red", (7, 4))
    (pairs / "edges2shoes" / "train" / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    for workers in (0, 1):
        out, done = made(pairs, tmp_path / str(workers), "pairs", workers=workers)
        faults = {path.name: fault for path, fault in done.bad.items()}
        assert faults.keys() == {"odd.png", "torn.jpg"}
        assert faults["odd.png"] == "is 7 pixels wide, but two halves have an even width"
        assert sum(done.counts.values()) == 13
        assert len(list_images(out)) == 13


def test_images_of_other_kinds_become_png_without_loss(tmp_path):
    rng = np.random.default_rng(0)
    for n, split in enumerate(["train", "train", "val"]):
        path = tmp_path / "source" / split / f"{n}_AB.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 16, 3), dtype=np.uint8)).save(path)
    out, _ = made(tmp_path / "source", tmp_path, "pairs")
    whole = np.asarray(Image.open(tmp_path / "source" / "val" / "2_AB.jpg"))
    halves = [np.asarray(Image.open(out / f"test{domain}" / "2_AB.png")) for domain in "AB"]
    assert (np.concatenate(halves, axis=1) == whole).all()


def test_cyclegans_folders_are_taken_as_they_are(tmp_path):
    source = tmp_path / "source"
    for n, folder in enumerate(["trainA", "trainB", "testA", "testB"], start=1):
        picture(source / "horse2zebra" / folder / "0.png", (n, n, n))
    picture(source / "__MACOSX" / "trainA" / "0.png", "red")
    picture(source / "__MACOSX" / "trainB" / "0.png", "red")
    (source / "horse2zebra" / "trainA" / "torn.jpg").write_bytes(b"hello")
    out, done = made(source, tmp_path, "folders", move=True)
    for n, folder in enumerate(["trainA", "trainB", "testA", "testB"], start=1):
        assert colors(out / folder) == {"0.png": (n, n, n)}
    assert (out / "trainA" / "torn.jpg").exists()  # of which the check tells, and a run
    assert done.counts["trainA"] == 2


def test_two_of_afhqs_kinds_are_the_domains_in_the_order_asked_for(tmp_path):
    color = {"cat": (1, 1, 1), "dog": (2, 2, 2), "wild": (3, 3, 3)}
    for split in ("train", "val"):
        for kind in color:
            picture(tmp_path / "source" / "afhq" / split / kind / f"{kind}.png", color[kind])
    out, _ = made(tmp_path / "source", tmp_path, "classes", ["wild", "cat"], move=True)
    for split in ("train", "test"):
        assert colors(out / f"{split}A") == {"wild.png": (3, 3, 3)}
        assert colors(out / f"{split}B") == {"cat.png": (1, 1, 1)}


def cityscapes(folder):
    for split, n in (("train", 1), ("val", 2), ("test", 3)):
        picture(folder / "leftImg8bit" / split / "ulm" / f"{n}_leftImg8bit.png", (n, 0, 0))
        picture(folder / "gtFine" / split / "ulm" / f"{n}_gtFine_color.png", (0, n, 0))
        picture(folder / "gtFine" / split / "ulm" / f"{n}_gtFine_labelIds.png", (9, 9, 9))
    (folder / "gtFine" / "train" / "ulm" / "1_gtFine_polygons.json").write_text("{}")


def test_cityscapes_photos_meet_their_colored_labels(tmp_path):
    cityscapes(tmp_path / "source")
    out, _ = made(tmp_path / "source", tmp_path, "cityscapes")
    assert colors(out / "trainA") == {"ulm/1_leftImg8bit.png": (1, 0, 0)}
    assert colors(out / "trainB") == {"ulm/1_gtFine_color.png": (0, 1, 0)}
    assert colors(out / "testA") == {"ulm/2_leftImg8bit.png": (2, 0, 0)}
    assert colors(out / "testB") == {"ulm/2_gtFine_color.png": (0, 2, 0)}


def test_synthias_last_twentieth_is_for_the_test(tmp_path):
    cityscapes(tmp_path / "source" / "real")
    for n in range(40):
        picture(tmp_path / "source" / "RAND_CITYSCAPES" / "RGB" / f"{n:07}.png", (n, n, n))
    picture(tmp_path / "source" / "RAND_CITYSCAPES" / "GT" / "LABELS" / "0000000.png", "red")
    out, _ = made(tmp_path / "source", tmp_path, "synthia2cityscape")
    train, test = colors(out / "trainA"), colors(out / "testA")
    names = [f"RAND_CITYSCAPES/RGB/{n:07}.png" for n in range(40)]
    assert [*train, *test] == names
    assert len(test) == 2
    assert colors(out / "trainB") == {"ulm/1_leftImg8bit.png": (1, 0, 0)}
    assert colors(out / "testB") == {"ulm/2_leftImg8bit.png": (2, 0, 0)}


def test_a_users_own_files_stay_and_take_no_room_twice(tmp_path):
    cityscapes(tmp_path / "source")
    out, _ = made(tmp_path / "source", tmp_path, "cityscapes")
    original = tmp_path / "source" / "leftImg8bit" / "train" / "ulm" / "1_leftImg8bit.png"
    assert original.samefile(out / "trainA" / "ulm" / "1_leftImg8bit.png")


def test_files_are_copied_where_no_link_can_be_made(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    cityscapes(tmp_path / "source")
    monkeypatch.setattr("os.link", refuse)
    out, _ = made(tmp_path / "source", tmp_path, "cityscapes")
    original = tmp_path / "source" / "leftImg8bit" / "train" / "ulm" / "1_leftImg8bit.png"
    copy = out / "trainA" / "ulm" / "1_leftImg8bit.png"
    assert not original.samefile(copy)
    assert copy.read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    ("layout", "classes", "named"),
    [
        ("folders", (), "trainA and trainB"),
        ("pairs", (), "train and val"),
        ("classes", ("cat", "dog"), "train/cat and train/dog"),
        ("cityscapes", (), "leftImg8bit/train and gtFine/train"),
        ("synthia2cityscape", (), "leftImg8bit/train"),
    ],
)
def test_another_layout_is_refused_by_what_is_missing(tmp_path, layout, classes, named):
    picture(tmp_path / "else" / "0.png", "red")
    with pytest.raises(ValueError, match=f"does not hold the folders {named}"):
        plan(tmp_path, layout, classes)


def test_one_pair_is_too_few_for_two_domains(tmp_path):
    pair(tmp_path / "train" / "0.png", "red", "blue")
    pair(tmp_path / "val" / "0.png", "red", "blue")
    with pytest.raises(ValueError, match=r"too few images in .* for trainA"):
        plan(tmp_path, "pairs")


def test_cityscapes_without_synthia_is_told(tmp_path):
    cityscapes(tmp_path)
    with pytest.raises(ValueError, match="holds no folder RGB, as SYNTHIA's"):
        plan(tmp_path, "synthia2cityscape")


def test_what_fails_leaves_nothing_behind(pairs, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    with pytest.raises(OSError, match=r"cannot write .*trainA.*png': No space left on device"):
        made(pairs, tmp_path, "pairs")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_folder_of_which_nothing_can_be_used_is_no_domain(tmp_path):
    for name in ("train/0.png", "train/1.png", "val/0.png"):
        picture(tmp_path / "source" / name, "red", (7, 4))
    with pytest.raises(ValueError, match=r"no image for train\w can be used: '\d.png' is 7 pixels"):
        made(tmp_path / "source", tmp_path, "pairs")
    assert not (tmp_path / "out").exists()
