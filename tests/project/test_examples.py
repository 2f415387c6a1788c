"""Use from other projects: the scripts in examples/."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader
from training import make_trainer, moved, weights

from munit_pl import MUNITModule
from munit_pl.models.base.module import MicroBatch

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(monkeypatch, name, *arguments):
    """Run a script as ``python NAME ARGUMENTS`` would, in this process."""
    path = str(EXAMPLES / name)
    monkeypatch.setattr(sys, "argv", [path, *arguments])
    return runpy.run_path(path, run_name="__main__")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain_loop.py", {}),
        ("fabric_loop.py", {"accelerator": "cpu"}),
        ("fabric_loop.py", {"accelerator": "cpu", "precision": "bf16-mixed"}),
    ],
)
def test_a_loop_of_ones_own_trains_all_four_networks(name, options):
    train = runpy.run_path(str(EXAMPLES / name))["train"]
    torch.manual_seed(0)
    before = train(0, **options)
    torch.manual_seed(0)
    after = train(2, **options)
    for network in ("gen_a", "gen_b", "dis_a", "dis_b"):
        assert moved(weights(before.get_submodule(network)), weights(after.get_submodule(network)))
    assert all(value.isfinite().all() for value in weights(after))


def test_the_plain_loop_makes_the_modules_update(monkeypatch):
    train = runpy.run_path(str(EXAMPLES / "plain_loop.py"))["train"]
    torch.manual_seed(0)
    start = train(0)
    x_a, x_b = torch.rand(2, 2, 3, 16, 16) * 2 - 1  # in the order in which the loop draws
    styles = {"dis": torch.randn(2, 2, 8), "gen": torch.randn(2, 2, 8)}

    module = MUNITModule(
        generator={"dim": 4, "mlp_dim": 8, "num_res_blocks": 1},
        discriminator={"dim": 4, "num_layers": 2, "num_scales": 2},
    )
    module.load_state_dict(start.state_dict())
    monkeypatch.setattr(module, "draw_styles", lambda n, player, *_: styles[player])
    make_trainer(max_steps=1).fit(module, DataLoader([(x_a, x_b)], batch_size=None))

    torch.manual_seed(0)
    trained = train(1)
    assert moved(weights(start), weights(trained))
    torch.testing.assert_close(weights(trained), weights(module), atol=1e-6, rtol=0)


def test_a_subclass_trains_with_its_own_data_and_term(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    names = run(monkeypatch, "subclass.py", "2")
    assert "2 iterations" in capsys.readouterr().out

    module = names["BrightMUNIT"](**names["SMALL"])
    x_a, x_b = torch.full((2, 1, 3, 16, 16), 0.5).unbind(0)
    part = MicroBatch(x_a, x_b, module.draw(x_a, x_b, 0), fraction=1.0, is_whole_batch=True)
    added = (
        module.generator_terms(part)["image"] - MUNITModule.generator_terms(module, part)["image"]
    )
    darker = (module.translate(x_a, part.draws["gen_b"]).mean() - 0.5).abs()
    torch.testing.assert_close(added, torch.stack([darker, torch.zeros(())]))


def test_a_project_with_a_configuration_of_its_own_finds_this_packages_groups(
    monkeypatch, tmp_path, capsys
):
    """`hydra.searchpath` in its own file; the groups' settings can be given as ever."""
    quiet = ["hydra/job_logging=none", "hydra/hydra_logging=none", f"hydra.run.dir={tmp_path}"]
    run(monkeypatch, "own_project/train.py", "trainer.max_steps=2", "trainer=cpu", *quiet)
    assert "2 iterations" in capsys.readouterr().out
