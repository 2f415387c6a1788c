import subprocess
import sys

import pytest
import torch
from composing import composed as compose_once
from methods import METHODS

from munit_pl.commands.translate import main as translate
from munit_pl.layers.initialization import initialize
from munit_pl.models.base.description import export_generators
from munit_pl.models.munit.networks import AdaINGenerator

# The smallest run that does all a long one does: two layers of everything, 16x16 drawings.
TINY = [
    "data.size=[16,16]",
    "data.length=8",
    "data.test_length=4",
    *METHODS["munit"].sizes,
    "trainer.accelerator=cpu",
    "callbacks.grid.every_n_steps=1000",
    "~callbacks.bar",
]


@pytest.fixture
def config(tmp_path):
    """Compose a tiny run whose output goes to a folder below ``tmp_path``."""

    def composed(*overrides, folder="run"):
        output = f"output_dir={tmp_path / folder}"
        return compose_once("train", output, *TINY, *overrides)

    return composed


@pytest.fixture
def command(tmp_path):
    """Run a tiny ``munit-train`` in a process of its own, with ``tmp_path`` as its folder."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "munit_pl.commands.train", *TINY, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A file with the smallest generators, which are not trained."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        gens = [AdaINGenerator(dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
        for gen in gens:
            initialize(gen, "kaiming")
    export_generators(path, *gens)
    return path


@pytest.fixture
def translated(exported, tmp_path, monkeypatch):
    """Run ``munit-translate`` in this process, in ``tmp_path``; return its exit status."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: translate([str(exported), *map(str, arguments)])
