"""Configurations from a stranger. Each attack works under Hydra's own instantiate, as is shown."""

import logging.config
import sys

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import configure_log
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from munit_pl.commands.config.building import build
from munit_pl.commands.config.overrides import check_overrides
from munit_pl.commands.errors import InputError


class Payload:
    """Leaves a mark where it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def shell(folder, marker):  # a function of torch, which hands its argument to a shell
    return {"_target_": "torch.utils.collect_env.run", "command": f"touch {marker}"}


def unpickle(folder, marker):
    torch.save(Payload(marker), folder / "x.pt")
    return {"_target_": "torch.load", "f": str(folder / "x.pt"), "weights_only": False}


def hub(folder, marker):  # a file of the stranger's, run as a module
    (folder / "hubconf.py").write_text(f"open({str(marker)!r}, 'w')\n\ndef x(): pass\n")
    where = {"repo_or_dir": str(folder), "source": "local", "model": "x"}
    return {"_target_": "torch.hub.load", **where}


def main_module(folder, marker):  # it does its work when it is imported
    (folder / "innocent").mkdir()
    (folder / "innocent/__init__.py").touch()
    (folder / "innocent/__main__.py").write_text(f"open({str(marker)!r}, 'w')\nThing = int\n")
    return {"_target_": "innocent.__main__.Thing"}


def class_that_writes(folder, marker):
    return {"_target_": "zipfile.ZipFile", "file": str(marker), "mode": "w"}


def positional(folder, marker):
    path = {"_target_": "pathlib.Path", "_args_": [str(marker)]}
    return {"_target_": "pathlib.Path.touch", "_args_": [path]}


def in_generator(folder, marker):
    return {"_target_": "munit_pl.MUNITModule", "generator": {"dim": shell(folder, marker)}}


def in_list(folder, marker):
    shown = {"_target_": "munit_pl.DrawnDataModule", "size": [16, [shell(folder, marker)]]}
    return {"any": [shown]}


def by_interpolation(folder, marker):
    hidden = {"size": "${.hidden}", "hidden": shell(folder, marker)}
    return {"_target_": "munit_pl.DrawnDataModule", **hidden}


def by_escaped_interpolation(folder, marker):
    """Looked at once it is text, looked at again it is the attack."""
    made = f"{{_target_: torch.utils.collect_env.run, command: 'touch {marker}'}}"
    return {"_target_": "munit_pl.DrawnDataModule", "size": f"\\${{oc.create:{made}}}"}


def from_environment(folder, marker):
    return {"_target_": "${oc.env:MUNIT_NAME}", "command": f"touch {marker}"}


ATTACKS = [
    shell,
    unpickle,
    hub,
    main_module,
    class_that_writes,
    positional,
    in_generator,
    in_list,
    by_interpolation,
    by_escaped_interpolation,
    from_environment,
]


@pytest.fixture
def marker(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MUNIT_NAME", "torch.utils.collect_env.run")
    yield tmp_path / "marker"
    for name in ("innocent", "innocent.__main__", "hubconf"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_configuration_has_hydra_call_is_not_called_here(attack, tmp_path, marker):
    node = OmegaConf.create({"part": attack(tmp_path, marker)}).part
    with pytest.raises(InputError) as told:
        build(node)
    assert not marker.exists()
    assert len(str(told.value).splitlines()) == 1
    try:
        instantiate(node, _convert_="all")
    except Exception as error:  # some fail once the harm is done
        print(error)
    assert marker.exists()


def test_a_hook_cannot_be_given_a_function(tmp_path, marker):
    hook = {**shell(tmp_path, marker), "_partial_": True}
    node = {"_target_": "lightning.pytorch.callbacks.LambdaCallback", "setup": hook}
    with pytest.raises(InputError, match=r"^setup._target_ is torch.utils.collect_env.run"):
        build(node)
    instantiate(node).setup()
    assert marker.exists()


def test_functions_and_classes_of_other_kinds_are_refused_whatever_leads_to_them():
    for target in [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "lightning.pytorch.trainer.connectors.signal_connector.call",
        "lightning.pytorch.cli.LightningCLI",
        "hydra.utils.get_method",
        "hydra.utils.instantiate",
        "munit_pl.MUNITModule.load_from_checkpoint",
        "munit_pl.callbacks.checkpoints.os.system",
        "munit_pl.commands.train.train",
        "torch.nn.Linear",
        "torch.utils.data.DataLoader",
        "..os",
        "os",
        "",
        3,
        None,
        ["os.system"],
    ]:
        with pytest.raises(InputError, match=r"^_target_ is "):
            build({"_target_": target})


def test_the_standard_library_is_not_even_imported():
    assert "antigravity" not in sys.modules
    with pytest.raises(InputError, match=r"antigravity\.fly, which a configuration may not call"):
        build({"_target_": "antigravity.fly"})
    assert "antigravity" not in sys.modules


def composed(overrides):
    with initialize_config_module("munit_pl.conf", version_base="1.3"):
        return compose("train", [*overrides], return_hydra_config=True)


def test_a_callback_of_hydras_is_refused_before_hydra_makes_it(tmp_path, marker):
    overrides = [f"+hydra.callbacks.x={{_target_: zipfile.ZipFile, file: '{marker}', mode: w}}"]
    with pytest.raises(InputError, match=r"hydra\.callbacks\.x\._target_ is zipfile\.ZipFile"):
        check_overrides(overrides)
    assert not marker.exists()
    Callbacks(composed(overrides))
    assert marker.exists()


@pytest.mark.parametrize("override", ["hydra.callbacks=${evil}", "+hydra.callbacks.x=${evil.x}"])
def test_a_callback_of_hydras_is_refused_wherever_it_is_written(tmp_path, marker, override):
    evil = f"+evil={{x: {{_target_: zipfile.ZipFile, file: '{marker}', mode: w}}}}"
    overrides = [evil, override]
    with pytest.raises(InputError, match=r"hydra\.callbacks\.x\._target_ is zipfile\.ZipFile"):
        check_overrides(overrides)
    Callbacks(composed(overrides))
    assert marker.exists()


def test_a_launchers_argument_is_refused_before_hydra_makes_it(tmp_path, marker):
    overrides = [f"+hydra.launcher.x={{_target_: zipfile.ZipFile, file: '{marker}', mode: w}}"]
    with pytest.raises(InputError, match=r"hydra\.launcher\.x\._target_ is zipfile\.ZipFile"):
        check_overrides(overrides)
    with pytest.raises(InstantiationException, match="unexpected keyword"):  # it is made by then
        Plugins.instance()._instantiate(composed(overrides).hydra.launcher)
    assert marker.exists()


def test_a_handler_of_log_lines_is_refused_before_hydra_makes_it(tmp_path, marker, monkeypatch):
    monkeypatch.setattr(logging.config, "_clearExistingHandlers", lambda: None)  # pytest's stay
    handler = f"{{class: zipfile.ZipFile, file: '{marker}', mode: w}}"
    overrides = ["hydra/job_logging=stdout", f"+hydra.job_logging.handlers.x={handler}"]
    with pytest.raises(InputError, match=r"handlers\.x\.class is zipfile\.ZipFile, but may be"):
        check_overrides(overrides)
    assert not marker.exists()
    with pytest.raises(ValueError, match="Unable to configure handler"):  # once it is made
        configure_log(composed(overrides).hydra.job_logging)
    assert marker.exists()
