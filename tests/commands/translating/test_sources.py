from pathlib import Path, PurePath

import pytest
from PIL import Image

from munit_pl.commands.errors import InputError
from munit_pl.commands.translating.sources import find_examples, find_sources, tell_apart


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Make files below ``tmp_path``; those of other endings than ``.txt`` are images inside."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".txt":
                path.write_text("text")
            else:
                Image.new("RGB", (2, 2)).save(path, "PNG")

    return make


def names(*arguments, out="out"):
    return [source.name for source in find_sources(arguments, Path(out))]


def test_a_folder_is_searched_whole_and_its_tree_kept(files):
    files("photos/b.png", "photos/a/z.jpg", "photos/a/note.txt", "photos/.hidden/x.png")
    files("photos/film.mp4", "photos/.hidden/y.mov")
    assert names("photos") == ["a/z", "b", "film.mp4"]


def test_what_is_an_image_by_its_name_alone_is_an_input_to_be_reported(files, tmp_path):
    files("in/a.png", "in/notes.txt")
    for name in ("in/torn.JPG", "in/.hidden.png"):
        (tmp_path / name).write_bytes(b"")
    assert names("in") == ["a", "torn"]


def test_several_arguments_keep_the_tree_from_where_they_part(files):
    files("in/u/x.png", "in/v/w/x.png", "in/y.png")
    assert names("in/u", "in/v") == ["u/x", "v/w/x"]
    assert names("in/y.png", "in/v/w/x.png") == ["y", "v/w/x"]


def test_a_pattern_keeps_the_tree_from_its_first_wildcard_on(files):
    files("in/u/x.png", "in/v/x.png", "in/v/x.jpg")
    assert names("in/**/*.png") == ["u/x", "v/x"]
    assert names("in/v/x.*") == ["x.jpg", "x.png"]


def test_a_file_named_twice_is_one_input(files):
    files("in/x.png", "in/y.png")
    assert names("in/y.png", "in", "in/*.png") == ["y", "x"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(files):
    files("x[1].png", "x1.png")
    assert names("x[1].png") == ["x[1]"]


def test_earlier_outputs_below_the_inputs_are_passed_over(files):
    files("x.png", "out/x_s00.png", "out/sheet_0001.png")
    assert names(".") == names("**/*.png") == ["x"]


def test_outputs_as_inputs_of_another_run_are_found(files):
    files("out/x_s00.png")
    assert names("out", out="back") == ["x_s00"]
    assert names("out/deep/../x_s00.png") == ["x_s00"]  # called by name, even in --out


@pytest.mark.parametrize("arguments", [["in"], ["in/*.png"], ["in/u", "in/v"]])
def test_outputs_among_inputs_that_are_searched_for_are_refused(files, arguments):
    files("in/x.png", "in/u/x.png", "in/v/x.png")
    with pytest.raises(InputError, match=r"among the inputs in .*in, .* give another --out"):
        names(*arguments, out="in")
    assert names("in/x.png", out="in") == ["x"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("none", "there is no file or folder none"),
        ("in/*.jpg", r"no file fits the pattern in/\*\.jpg"),
        ("texts", "there is no image and no video in texts"),
    ],
)
def test_what_is_not_there_is_told(files, argument, message):
    files("in/x.png", "texts/x.txt")
    with pytest.raises(InputError, match=message):
        names(argument)


def test_examples_are_images_alone(files):
    files("in/x.png", "in/film.mp4")
    assert [path.name for path in find_examples(["in"])] == ["x.png"]
    with pytest.raises(InputError, match=r"no image in in/film\.mp4 to take a style from"):
        find_examples(["in/film.mp4"])


def test_names_differ_even_where_case_and_accents_do_not_count():
    for paths, expected in [
        (["x.png", "y.jpg"], ["x", "y"]),
        (["x.jpg", "x.png", "y.png"], ["x.jpg", "x.png", "y"]),
        (["u/x.jpg", "v/x.png"], ["u/x", "v/x"]),
        (["X.png", "x.jpg"], ["X.png", "x.jpg"]),
        (["X.png", "x.png"], ["X.png", "x.png-2"]),  # files of their own on some systems only
        (["x.png", "x.jpg", "x.jpg.gif"], ["x.png", "x.jpg", "x.jpg.gif"]),
        (["x.png", "X.png", "x.png-2.gif"], ["x.png-3", "X.png", "x.png-2"]),
        (["caf\u00e9.png", "cafe\u0301.png"], ["caf\u00e9.png-2", "cafe\u0301.png"]),
        (["film.mp4", "film.png", "film.mp4.png"], ["film.mp4", "film", "film.mp4.png"]),
    ]:
        assert tell_apart(list(map(PurePath, paths))) == expected


def test_a_changed_file_has_another_stamp(files):
    files("x.png")
    (source,) = find_sources(["x.png"], Path("out"))
    before = source.stamp()
    Image.new("RGB", (9, 9)).save("x.png")
    assert source.stamp()["input"] == before["input"]
    assert source.stamp() != before
