import json
import os
from collections import Counter
from pathlib import Path

import pytest

from munit_pl.data.tools.assessment import as_values, assess, shared
from munit_pl.data.tools.decoded_image import DecodedImage
from munit_pl.data.tools.inspection import Inspection

PICTURE = DecodedImage((300, 300), "PNG RGB", False, False, False, 200, "", (True,))


def folder(name, good=0, bad=0, blank=0, prefix="", **attributes):
    """A folder of made-up files; digests are ``prefix`` and the file's number."""
    root = Path("/data", name)
    decoded = {root / f"{n}.png": PICTURE._replace(digest=f"{prefix}{n}") for n in range(good)}
    decoded |= {root / f"blank{n}.png": PICTURE._replace(levels=1, digest="") for n in range(blank)}
    faults = {root / f"bad{n}.png": "is empty" for n in range(bad)}
    split, _, domain = name.partition("_")
    return Inspection(split, domain, root, None, decoded, faults, **attributes)


def stops(*folders):
    return assess(folders).stops


def test_two_sound_domains_stop_no_run_and_skip_nothing():
    assessment = assess([folder("train_a", 30, prefix="a"), folder("train_b", 10, prefix="b")])
    assert assessment.stops == assessment.skips == []
    assert assessment.notes == [
        "train_a and train_b have 30 and 10 images: in an epoch, a pass over the larger domain, "
        "each of train_b is seen 3 times",
        "train_a and train_b have 10 file names in common, which is fine: names never pair images",
    ]


def test_a_ratio_of_domains_is_of_images_that_can_be_used():
    smaller = folder("train_b", 25, bad=1, blank=1, prefix="b")
    notes = assess([folder("train_a", 50, prefix="a"), smaller]).notes
    assert "train_a and train_b have 50 and 25 images: " in notes[0]
    assert notes[0].endswith("each of train_b is seen 2 times")


def test_of_as_many_images_in_both_domains_no_ratio_is_told():
    assessment = assess([folder("train_a", 3, prefix="a"), folder("train_b", 3, prefix="b")])
    assert not [note for note in assessment.notes if "epoch" in note]


@pytest.mark.parametrize(
    ("good", "bad", "stopped"),
    [(1, 1, False), (99, 1, False), (98, 2, True), (198, 2, False), (197, 3, True)],
)
def test_more_than_one_percent_of_bad_files_stop_a_run_but_one_never_does(good, bad, stopped):
    found = folder("train_a", good, bad)
    assessment = assess([found])
    assert bool(assessment.stops) is stopped
    assert assessment.skips == [f"train_a: {bad} of {good + bad} images that cannot be used"]
    if stopped:
        assert f"{bad} of {good + bad} images cannot be used" in assessment.stops[0]
        assert "raise data.max_bad_fraction" in assessment.stops[0]


def test_bad_files_of_a_domain_are_counted_over_training_and_test():
    train, test = folder("train_a", 98, 1), folder("test_a", 99, 2, prefix="t")
    (line,) = stops(train, folder("train_b", 50, prefix="b"), test)
    assert line.startswith("train_a and test_a: 3 of 200 images cannot be used, which is 1.5%")


def test_images_of_one_color_are_skipped_in_training_alone():
    assessment = assess([folder("train_a", 10, blank=5), folder("test_a", 10, blank=5, prefix="t")])
    assert assessment.stops == []
    assert assessment.skips == ["train_a: 5 images of one color"]


def test_a_domain_of_which_nothing_can_be_used_stops_a_run():
    assert stops(folder("train_a", blank=3)) == ["train_a: none of its 3 images can be used"]
    assert stops(folder("test_a", blank=3)) == []
    assert stops(folder("test_a", bad=1)) == ["test_a: none of its 1 images can be used"]


def test_a_folder_that_is_not_there_stops_a_run():
    missing = Inspection("train", "b", Path("x"), "there is no folder 'x'")
    assert stops(folder("train_a", 3), missing) == ["train_b: there is no folder 'x'"]


@pytest.fixture
def linked(tmp_path):
    """Make a folder whose files are links of either kind to another's, or that folder again."""

    def link(name, how):
        (tmp_path / "real").mkdir(exist_ok=True)
        (tmp_path / "linked").mkdir(exist_ok=True)
        found = folder(name, 3)
        found.decoded = {}
        for n in range(3):
            path = tmp_path / "real" / f"{n}.png"
            path.touch()
            if how != "again" and name != "train_a":
                path = tmp_path / "linked" / f"{n}.png"
                (os.link if how == "hard" else os.symlink)(tmp_path / "real" / f"{n}.png", path)
            found.decoded[path] = PICTURE._replace(digest=str(n))
        found.source = path.parent
        return found

    return link


@pytest.mark.parametrize("how", ["again", "hard", "symbolic"])
def test_two_domains_of_the_same_files_stop_a_run(linked, how):
    (line,) = stops(linked("train_a", how), linked("train_b", how))
    assert line.startswith("train_a and train_b are the same files: ")
    assert "data.allow_same_domain=true" in line


@pytest.mark.parametrize("how", ["hard", "symbolic"])
def test_a_test_on_the_training_images_by_other_names_stops_a_run(linked, how):
    (line,) = stops(linked("train_a", how), linked("test_a", how))
    assert line.startswith("train_a and test_a are the same files: name a folder of other images")


def test_a_test_on_the_training_folder_itself_is_meant(linked):
    assessment = assess([linked("train_a", "again"), linked("test_a", "again")])
    assert assessment.stops == []
    assert assessment.notes == [
        "train_a and test_a share 3 images, pixel for pixel, so tests tell less than they seem to"
    ]


def test_copies_are_told_within_and_across_folders():
    a, b = folder("train_a", 4, prefix="x"), folder("train_b", 2, prefix="x")
    a.decoded[Path("/data/train_a/copy.png")] = PICTURE._replace(digest="x3")
    assessment = assess([a, b])
    assert assessment.stops == []
    assert "train_a: exact copies of other images there: 1" in assessment.notes
    assert "train_a and train_b share 2 images, pixel for pixel" in assessment.notes
    assert shared(b, a) == [(Path(f"/data/train_b/{n}.png"), a.source / f"{n}.png") for n in (0, 1)]


def test_all_that_was_found_survives_json():
    name = os.fsdecode(b"\xff.png")
    a = folder("train_a", 2, 1, 1, ignored=Counter({".txt": 3}))
    a.bad[a.source / name] = "is empty"
    test = folder("test_a", 1)
    values = json.loads(json.dumps(as_values([a, test], assess([a, test]))))
    assert values.keys() == {"stops", "skips", "notes", "folders", "shared"}
    found = values["folders"]["train_a"]
    assert found["images"] == 5
    assert found["bad"] == {
        "/data/train_a/bad0.png": "is empty",
        f"/data/train_a/{name}": "is empty",
    }
    assert found["blank"] == ["/data/train_a/blank0.png"]
    assert found["ignored"] == {".txt": 3}
    assert found["kinds"] == {"PNG RGB": 3}
    assert found["sizes"]["/data/train_a/0.png"] == [300, 300]
    assert values["shared"] == {"train_a test_a": [["/data/train_a/0.png", "/data/test_a/0.png"]]}
