"""What is imported before a command knows what to do, and what answers then."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import pytest

import munit_pl
from munit_pl.commands import start
from munit_pl.commands.options import evaluate, translate
from munit_pl.evaluation.feature_extractors import DistanceName, FeaturesName
from munit_pl.evaluation.protocols.registry import PROTOCOLS
from munit_pl.inference.animation import ANIMATIONS
from munit_pl.inference.execution import Precision
from munit_pl.models.munit.tiling import SMALLEST_TILE

COMMANDS = ("benchmark", "data", "demo", "evaluate", "export", "train", "translate")
SLOW = {
    "gradio", "hydra", "lightning", "matplotlib", "numpy", "onnx", "PIL", "scipy", "torch",
    "torch_fidelity", "torchmetrics", "torchvision", "wandb",
}  # fmt: skip

# Answers every command line in one process, and says what each had imported by then.
ANSWERS = """
import contextlib, io, json, sys
import munit_pl
dir(munit_pl)
slow, found = set(sys.argv[1:]), {"import munit_pl": list(sys.modules)}
from importlib import import_module
for name in ("translate", "demo", "export", "data", "evaluate", "benchmark", "train"):
    for option in ("--version", "--help"):
        sys.argv = [f"munit-{name}", option]
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
            import_module(f"munit_pl.commands.options.{name}").parse()
        assert munit_pl.__version__ in said.getvalue() or "usage: munit-" in said.getvalue()
        found[f"{name} {option}"] = list(sys.modules)
sys.argv = ["munit-train", "data.rezise=1"]
with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.suppress(SystemExit):
    import_module("munit_pl.commands.options.train").parse()
assert "data.rezise: did you mean data.size" in said.getvalue()
found["train data.rezise=1"] = list(sys.modules)
import munit_pl.commands.translate
found["munit_pl.commands.translate"] = list(sys.modules)
munit_pl.MUNITModule
found["munit_pl.MUNITModule"] = list(sys.modules)
print(json.dumps({where: sorted(slow & set(modules)) for where, modules in found.items()}))
"""


@pytest.mark.process
def test_what_takes_seconds_is_imported_for_work_alone():
    program = [sys.executable, "-c", ANSWERS, *SLOW]
    found = json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
    working = found.pop("munit_pl.commands.translate"), found.pop("munit_pl.MUNITModule")
    assert {"torch", "numpy", "PIL"} <= set(working[0]) <= {"torch", "numpy", "PIL", "hydra"}
    assert "lightning" in working[1]
    for where, modules in found.items():
        composes = where.split()[0] in ("evaluate", "benchmark", "train")
        assert set(modules) <= ({"hydra"} if composes else set()), where


def test_every_name_of_the_package_is_found_when_it_is_used():
    for name in munit_pl.__all__:
        assert getattr(munit_pl, name).__name__ == name
        assert name in dir(munit_pl)
    assert munit_pl.__version__ == version("munit-pl")
    with pytest.raises(AttributeError, match="no attribute 'MUNIX'"):
        munit_pl.MUNIX  # noqa: B018


def test_every_installed_command_starts_here():
    project = Path(__file__).parents[2].joinpath("pyproject.toml").read_text()
    for name in COMMANDS:
        assert f'munit-{name} = "munit_pl.commands.start:{name}"\n' in project
        assert getattr(start, name).args == (name,)


def test_what_there_is_can_be_asked_for(capsys):
    """The options name it anew, since the modules that have it take seconds to import."""
    for option, names in (
        ("--precision", get_args(Precision)),
        ("--features", get_args(FeaturesName)),
        ("--distance", get_args(DistanceName)),
    ):
        for name in names:
            assert name in vars(evaluate.parse(["x.ckpt", option, name])).values()
    for name in ANIMATIONS:
        assert translate.parse(["x.ckpt", "x.png", "--animate", name]).animate == name
    for name in get_args(Precision):
        assert translate.parse(["x.ckpt", "x.png", "--precision", name]).precision == name
    assert translate.parse(["x.ckpt", "x.png", "--tile", str(SMALLEST_TILE)]).tile == SMALLEST_TILE
    with pytest.raises(SystemExit):
        translate.parse(["x.ckpt", "x.png", "--tile", str(SMALLEST_TILE - 1)])
    with pytest.raises(SystemExit):
        evaluate.parse(["--help"])
    assert f" {', '.join(PROTOCOLS)}; unless given" in capsys.readouterr().out.replace("\n", " ")


# Presses Ctrl-C when a module is about to be imported.
INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(name, *_):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
from munit_pl.commands.start import data
data()
"""


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_ctrl_c_while_importing_ends_a_command_without_a_traceback():
    for module in ("munit_pl.commands.options.data", "munit_pl.commands.data"):
        program = [sys.executable, "-c", INTERRUPTED.replace("MODULE", repr(module))]
        done = subprocess.run([*program, "list"], capture_output=True, text=True)
        assert (done.returncode, done.stdout + done.stderr) == (130, "")
