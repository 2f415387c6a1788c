import subprocess
import sys

import pytest
from hydra import compose, initialize_config_module

# The smallest run that does all a long one does: two layers of everything, 16x16 drawings.
TINY = [
    "data.size=[16,16]",
    "data.length=8",
    "data.test_length=4",
    "model.generator.dim=4",
    "model.generator.mlp_dim=8",
    "model.generator.num_res_blocks=1",
    "model.discriminator.dim=4",
    "model.discriminator.num_layers=2",
    "model.discriminator.num_scales=2",
    "trainer.accelerator=cpu",
    "callbacks.grid.every_n_steps=1000",
    "~callbacks.bar",
]


@pytest.fixture
def config(tmp_path):
    """Compose a tiny run whose output goes to a folder below ``tmp_path``."""

    def composed(*overrides, folder="run"):
        output = f"output_dir={tmp_path / folder}"
        with initialize_config_module("munit_pl.conf", version_base="1.3"):
            return compose("train", [output, *TINY, *overrides])

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
