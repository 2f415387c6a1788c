import inspect
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from munit_pl.commands.config.building import find_target
from munit_pl.commands.config.spelling import setting_for, spelled


def faults(*overrides, **options):
    return spelled(overrides, **options).faults


def completed(overrides, **options):
    taken, wrong = spelled(overrides, **options)
    assert not wrong
    return taken


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("lr=1e-4", "there is no setting lr: did you mean model.optimizer.lr?"),
        ("max_steps=1000", "there is no setting max_steps: did you mean trainer.max_steps?"),
        ("trainer.lr=1", "there is no setting trainer.lr: did you mean model.optimizer.lr?"),
        (
            "dim=32",
            "there is no setting dim: did you mean model.generator.dim or model.discriminator.dim?",
        ),
        (
            "data.root=x",
            "data.root is a setting of data=aligned or data=folder: choose that as well",
        ),
        (
            "root=x",
            "there is no setting root: did you mean data.root, with data=aligned or data=folder?",
        ),
        ("+demo=munit_modern", "demo is chosen already: write demo=munit_modern, without +"),
        ("+seed=1", "seed is a setting already: write seed=1, without +"),
        ("experiment=demo", "experiment is chosen by nothing yet: write +experiment=demo"),
        ("modle=unit", "there is no setting modle: did you mean model?"),
        (
            "demo=munit_modren",
            "there is no demo munit_modren: did you mean munit_modern?",
        ),
        ("published=cycle", "there is no published cycle: did you mean cyclegan?"),
        ("data=foldr", "there is no data foldr: did you mean folder?"),
        ("callbacks=[default,emaa]", "there is no callbacks emaa: did you mean ema?"),
        ("+recipe=[r1,adda]", "there is no recipe adda: did you mean ada?"),
        (
            "model.recipes.r1.weight=2",
            "model.recipes.r1.weight is a setting of +recipe=r1: choose that as well",
        ),
        ("~callbacks.bat", "there is no setting callbacks.bat: did you mean callbacks.bar?"),
        (
            "callbacks=evaluate",
            "callbacks=evaluate would leave out checkpoints and all else: write "
            "callbacks=[default,evaluate]",
        ),
        (
            "callbacks.ema.decay=0.9",
            "callbacks.ema.decay is a setting of callbacks=[default,ema]: choose that as well",
        ),
        ("nothing", "nothing is no setting, such as seed=1 or data.root=FOLDER"),
        ("last.ckpt", "last.ckpt is no setting: write ckpt_path=last.ckpt"),
    ],
)
def test_a_first_mistake_is_told_with_its_cure(typed, line):
    assert faults(typed) == [line]


@pytest.mark.skipif(find_spec("hydra_plugins") is not None, reason="the extra is installed")
def test_a_missing_launcher_is_told_with_its_extra():
    assert faults("hydra/launcher=joblib") == [
        "hydra/launcher=joblib needs another package: pip install 'munit-pl[sweeps]'"
    ]


def test_recipes_beside_those_of_an_experiment_are_told_with_all_of_them():
    assert faults("+experiment=synthia2cityscape", "+recipe=r1") == [
        "recipes are chosen already: write recipe=[perceptual,r1], without +"
    ]


def test_all_that_is_misspelt_is_told_at_once():
    assert faults("data=foldr", "data.szie=3", "seed=1", "lr=1", "model.genrator.dim=2") == [
        "there is no data foldr: did you mean folder?",
        "there is no setting data.szie: did you mean data.size?",
        "there is no setting lr: did you mean model.optimizer.lr?",
        "there is no setting model.genrator.dim: did you mean model.generator.dim?",
    ]


def test_what_no_file_lists_may_be_an_argument_and_is_let_through():
    unlisted = ["trainer.fast_dev_run=true", "trainer.min_steps=3", "model.optimizer.amsgrad=true"]
    listed = ["trainer.max_steps=3", "data.size=[16,16]", "hydra.job.chdir=false", "+mine=1"]
    assert completed([*unlisted, *listed]) == [*(f"+{one}" for one in unlisted), *listed]
    assert completed(completed(unlisted)) == completed(unlisted)


def test_what_is_chosen_decides_what_there_is():
    chosen = ["model=bicyclegan", "data=folder", "data.root=my photos (1)"]
    assert completed(chosen) == [*chosen[:2], "data.root='my photos (1)'"]


def test_a_sweep_is_looked_at_by_its_first_values():
    sweep = ["data=folder,aligned", "data.root=/ü,/b", "seed=0,1", "model.optimizer.lr=1,2"]
    expected = [sweep[0], "data.root='/ü',/b", *sweep[2:]]
    assert completed(sweep, sweeping=True) == expected
    assert faults(*sweep, "lr=1,2", sweeping=True) == [
        "there is no setting lr: did you mean model.optimizer.lr?"
    ]


def test_an_option_is_told_as_the_setting_that_it_is(tmp_path):
    for words, setting in {
        ("--lr", "1e-4"): "model.optimizer.lr=1e-4",
        ("--batch-size=4", "seed=1"): "data.batch_size=4",
        ("--seed", "--multirun"): "seed=VALUE",
        ("--nonsense", "3"): "",
        ("--data", "folder"): "data=folder",
        ("--data", str(tmp_path)): f"data=folder data.root={tmp_path}",
        ("--dataroot", str(tmp_path)): f"data=folder data.root={tmp_path}",
        ("--output_dir", str(tmp_path)): f"output_dir={tmp_path}",
    }.items():
        assert setting_for(words[0], words, "train") == setting, words


def test_the_files_list_all_that_classes_of_the_package_take():
    """Other settings of theirs are refused without importing them."""
    found = {}
    for path in (Path(__file__).parents[3] / "conf").glob("*/*.yaml"):
        whole = yaml.safe_load(path.read_text()) or {}
        for node in (whole, *whole.values()):
            if isinstance(node, dict) and str(node.get("_target_")).startswith("munit_pl."):
                found.setdefault(find_target(node["_target_"]), set()).update(node)
    for cls, listed in found.items():
        inherited = [listed, *(names for base, names in found.items() if base in cls.__mro__)]
        assert inspect.signature(cls).parameters.keys() <= set().union(*inherited), cls
