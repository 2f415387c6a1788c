from functools import partial
from pathlib import Path

import pytest
from hydra.errors import HydraException, InstantiationException
from lightning.pytorch import Callback
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from munit_pl.callbacks.grids import ImageGrid
from munit_pl.commands.config.building import build, find_target
from munit_pl.commands.config.overrides import failing_as_input_error
from munit_pl.commands.errors import InputError
from munit_pl.data.datamodules.drawn import DrawnDataModule


class Theirs(Callback):
    """A class of another project: it keeps what it is given."""

    def __init__(self, path=None, **given):
        if path == "missing":
            raise FileNotFoundError(2, "no such file", path)
        self.given = given


def jitter(strength):
    """A function of another project, which inherits nothing."""
    return lambda image: image * strength


THEIRS = f"{__name__}.Theirs"


def test_a_class_is_made_with_its_other_keys_and_what_is_given_beside():
    node = {"_target_": "munit_pl.DrawnDataModule", "size": [16, 24], "length": 3}
    made = build(OmegaConf.create(node), seed=7)
    assert isinstance(made, DrawnDataModule)
    assert (made.size, made.lengths["train"], made.seed) == ((16, 24), 3, 7)


def test_what_is_given_beside_goes_before_what_is_written_and_is_taken_as_it_is():
    given = [Theirs(), object()]
    made = build({"_target_": THEIRS, "a": 1}, a=2, parts=given).given
    assert made["a"] == 2
    assert all(taken is one for taken, one in zip(made["parts"], given, strict=True))


def test_mappings_become_plain_and_objects_are_made_wherever_they_lie():
    inner = {"_target_": THEIRS, "deep": {"list": [1, {"x": None}]}}
    cfg = OmegaConf.create({"n": 2, "callbacks": {"one": inner, "more": [inner, "${n}"]}})
    made = build(cfg.callbacks)
    assert type(made) is dict
    assert type(made["more"]) is list
    assert made["more"][1] == 2
    for theirs in (made["one"], made["more"][0]):
        assert theirs.given == {"deep": {"list": [1, {"x": None}]}}
        assert not isinstance(theirs.given["deep"], DictConfig)
        assert not isinstance(theirs.given["deep"]["list"], ListConfig)


def test_a_persons_own_function_and_pythons_are_called_where_an_object_is_wanted():
    """A configuration is its user's own program."""
    transform = {"_target_": f"{__name__}.jitter", "strength": 3}
    folder = {"_target_": "pathlib.Path", "_args_": ["a", "b"]}
    made = build({"_target_": THEIRS, "transform": transform, "folder": folder}).given
    assert made["transform"](2) == 6
    assert made["folder"] == Path("a/b")


def test_what_hydra_itself_refuses_is_not_called(tmp_path):
    (tmp_path / "there").touch()
    with pytest.raises(InstantiationException):
        build({"_target_": "shutil.rmtree", "path": str(tmp_path)})
    assert (tmp_path / "there").exists()


def test_nothing_is_built_of_nothing():
    assert build(None) is None
    assert build({}) == {}


def test_a_partial_class_is_made_later():
    made = build({"_target_": THEIRS, "_partial_": True, "a": 1})
    assert isinstance(made, partial)
    assert made(b=2).given == {"a": 1, "b": 2}


def told(node):
    with pytest.raises(InputError) as error, failing_as_input_error("fetch it"):
        build(node)
    return str(error.value)


def test_an_error_says_in_one_line_where_in_the_configuration_it_lies():
    grid = {"_target_": "munit_pl.callbacks.grids.ImageGrid"}
    cfg = OmegaConf.create({"callbacks": {"grid": grid, "theirs": {"_target_": THEIRS}}})
    line = told(cfg.callbacks)
    assert line.startswith("callbacks.grid: ")
    assert "missing 1 required positional argument: 'folder'" in line
    assert "\n" not in line


def test_a_missing_file_is_told_with_how_to_get_it():
    assert told({"_target_": THEIRS, "path": "missing"}).endswith("'missing'. fetch it")


def test_a_missing_value_is_named():
    cfg = OmegaConf.create({"data": {"_target_": THEIRS, "root": "???"}})
    with pytest.raises(MissingMandatoryValue) as error:
        build(cfg.data)
    assert error.value.full_key == "data.root"


def test_targets_are_found_by_any_of_their_names():
    for target, found in {
        THEIRS: Theirs,
        f"{__name__}.jitter": jitter,
        "munit_pl.DrawnDataModule": DrawnDataModule,
        "munit_pl.callbacks.grids.ImageGrid": ImageGrid,
    }.items():
        assert find_target(target) is found


def test_an_unknown_target_is_an_error_of_hydras():
    with pytest.raises(HydraException):
        build({"_target_": "munit_pl.MUNITModul"})
