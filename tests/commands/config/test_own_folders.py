import pytest

from munit_pl.commands.config.own_folders import missing_folder, settings_for

FOLDER = {"_target_": "munit_pl.UnpairedDataModule", "train_a": "trainA", "train_b": "trainB"}
ALIGNED = {"_target_": "munit_pl.AlignedDataModule", "train": "train"}


@pytest.fixture
def holding(tmp_path):
    """Make a folder that holds empty files of these names."""

    def make(*names):
        root = tmp_path / f"set{len(list(tmp_path.iterdir()))}"
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        return root

    return make


def test_what_a_folder_holds_decides_how_it_is_trained_on(holding):
    for names, settings in {
        ("trainA/0.png", "trainB/0.png", "testA/0.png"): "",
        ("dogs/x/0.JPG", "cats/0.png", "notes/a.txt", ".git/0.png"): (
            " data.train_a=cats data.train_b=dogs"
        ),
        ("train/cat/0.png", "train/dog/0.png"): " data.train_a=train/cat data.train_b=train/dog",
        ("my cats/0.png", "dogs/0.png"): " data.train_a=dogs 'data.train_b=my cats'",
        ("a/0.png", "b/0.png", "c/0.png"): "",
        ("a/0.png", "b/0.png", "test/0.png"): " data.train_a=a data.train_b=b",
        ("trainA/0.png", "testA/0.png"): "",
        ("trainA/0.png", "trainA_masks/0.png"): "",
        ("a/0.png", "a_masks/0.png", "b/0.png", "b_masks/0.png"): " data.train_a=a data.train_b=b",
    }.items():
        root = holding(*names)
        assert settings_for(root) == f"data=folder data.root={root}{settings}"
    root = holding("train/0.png", "val/0.png")
    assert settings_for(root) == f"data=aligned data.root={root}"


def test_a_folder_that_is_missing_is_told_with_those_that_there_are(holding):
    two = holding("cats/0.png", "dogs/0.png")
    for names, data, end in (
        ((), {**FOLDER, "root": str(two)}, "add data.train_a=cats data.train_b=dogs"),
        (
            (),
            {**FOLDER, "root": str(two), "train_a": "cats"},
            "data.train_a=cats data.train_b=dogs",
        ),
        (
            (),
            {**ALIGNED, "root": str(two)},
            "the folders cats and dogs: add data=folder data.train_a=cats data.train_b=dogs",
        ),
        (("train/0.png",), FOLDER, "holds the folder train: add data=aligned"),
        (("trainA/0.png", "trainB/0.png"), ALIGNED, "trainA and trainB: add data=folder"),
        (("0.png",), FOLDER, "images, but no folders: name one for each domain, as "),
        (("a.txt",), FOLDER, "holds no images: name one"),
    ):
        lines = list(missing_folder({"root": str(holding(*names) if names else two), **data}))
        assert len(lines) == 1
        assert end in lines[0]


def test_nothing_is_told_where_the_folders_are_or_nothing_is(holding, tmp_path):
    root = str(holding("trainA/0.png", "trainB/0.png"))
    for data in (
        {**FOLDER, "root": root},
        {**FOLDER, "root": str(tmp_path / "none")},
        {**ALIGNED, "root": "???"},
        {"_target_": "munit_pl.DrawnDataModule"},
        None,
    ):
        assert not list(missing_folder(data))
