from functools import partial

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from munit_pl.callbacks.grids import ImageGrid
from munit_pl.commands.config.building import KINDS, build
from munit_pl.commands.config.targets import find_class
from munit_pl.commands.errors import InputError
from munit_pl.data.datamodules.drawn import DrawnDataModule


class Theirs(Callback):
    """A class of another project: it keeps what it is given."""

    def __init__(self, path=None, **given):
        if path == "missing":
            raise FileNotFoundError(2, "no such file", path)
        self.given = given


THEIRS = f"{__name__}.Theirs"


def test_a_class_is_made_with_its_other_keys_and_what_is_given_beside():
    node = {"_target_": "munit_pl.DrawnDataModule", "size": [16, 24], "length": 3}
    made = build(OmegaConf.create(node), seed=7)
    assert isinstance(made, DrawnDataModule)
    assert (made.size, made.lengths["train"], made.seed) == ((16, 24), 3, 7)


def test_what_is_given_beside_goes_before_what_is_written():
    assert build({"_target_": THEIRS, "a": 1}, a=2).given == {"a": 2}


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


def test_nothing_is_built_of_nothing():
    assert build(None) is None
    assert build({}) == {}


def test_a_partial_class_is_made_later():
    made = build({"_target_": THEIRS, "_partial_": True, "a": 1})
    assert isinstance(made, partial)
    assert made(b=2).given == {"a": 1, "b": 2}


@pytest.mark.parametrize("key", ["_args_", "_recursive_", "_convert_"])
def test_hydras_other_special_keys_are_refused(key):
    with pytest.raises(InputError, match=rf"^part\.{key} is not supported"):
        build(OmegaConf.create({"part": {"_target_": THEIRS, key: []}}).part)


def test_an_error_says_where_in_the_configuration_it_lies():
    cfg = OmegaConf.create(
        {"callbacks": {"grid": {"_target_": "munit_pl.callbacks.grids.ImageGrid"}}}
    )
    with pytest.raises(InputError, match=r"^callbacks\.grid: .*missing.*'folder'"):
        build(cfg.callbacks)


def test_an_error_of_the_system_stays_what_it_is():
    with pytest.raises(FileNotFoundError, match="missing"):
        build({"_target_": THEIRS, "path": "missing"})


def test_a_missing_value_is_named():
    cfg = OmegaConf.create({"data": {"_target_": THEIRS, "root": "???"}})
    with pytest.raises(MissingMandatoryValue) as error:
        build(cfg.data)
    assert error.value.full_key == "data.root"


def test_nothing_is_built_if_one_of_all_is_refused(tmp_path):
    node = [
        {"_target_": "lightning.pytorch.loggers.TensorBoardLogger", "save_dir": str(tmp_path)},
        {"_target_": THEIRS, "function": {"_target_": "os.getcwd"}},
    ]
    with pytest.raises(InputError, match=r"^\[1\]\.function\._target_ is os\.getcwd, which"):
        build(node)


@pytest.mark.parametrize(
    ("target", "cls"),
    [
        (THEIRS, Theirs),
        ("munit_pl.DrawnDataModule", DrawnDataModule),
        ("munit_pl.callbacks.grids.ImageGrid", ImageGrid),
        ("lightning.pytorch.loggers.CSVLogger", CSVLogger),
    ],
)
def test_classes_are_found_by_any_of_their_names(target, cls):
    assert find_class(target, KINDS) is cls


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("munit_pl.MUNITModul", "munit_pl.MUNITModul, which does not exist"),
        ("munit_pl.no_such.Thing", "which does not exist: there is no munit_pl.no_such"),
        ("no_such_package.Thing", "which does not exist: there is no no_such_package"),
        ("munit_pl.callbacks.grids._datamodule", "must be a class's full name"),
        ("broken_on_purpose.Thing", "cannot be imported: RuntimeError: two lines"),
    ],
)
def test_a_class_that_cannot_be_had_is_told_in_one_line(target, message, tmp_path, monkeypatch):
    (tmp_path / "broken_on_purpose.py").write_text('raise RuntimeError("two\\nlines")\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        find_class(target, KINDS)
    assert len(str(error.value).splitlines()) == 1
