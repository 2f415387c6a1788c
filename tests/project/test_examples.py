"""Use from other projects: the scripts in examples/."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader
from training import fit, make_trainer, moved, weights

from munit_pl import MUNITModule, Recipe, Translator
from munit_pl.callbacks.ema import averages
from munit_pl.recipes.base import GeneratorPass

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


def test_a_recipe_of_ones_own_trains_and_is_found_in_checkpoints_by_its_name(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    names = run(monkeypatch, "own_recipe.py", "2")
    assert "2 iterations" in capsys.readouterr().out

    x = torch.full((4, 2, 3, 16, 16), 0.5)
    x[2] -= 0.25  # x_ab
    z = torch.zeros(2, 0)
    done = GeneratorPass(*x, z, z, None, None, {})
    assert names["Brightness"]().generator_term(done).tolist() == [0, 0.25]

    recipes = {"brightness": {"weight": 5.0}}
    module = MUNITModule(**names["SMALL"], recipes=recipes)
    metrics = fit(module, steps=1)
    assert {"gen/brightness_a", "gen/brightness_b"} <= metrics.callback_metrics.keys()
    metrics.save_checkpoint("x.ckpt")
    assert MUNITModule.load_from_checkpoint("x.ckpt").hparams["recipes"] == recipes
    monkeypatch.delitem(Recipe.kinds, "brightness")  # a program that knows nothing of it
    with pytest.raises(ValueError, match=r"no recipe brightness .*of your own must have"):
        MUNITModule.load_from_checkpoint("x.ckpt")
    assert MUNITModule.load_from_checkpoint("x.ckpt", recipes={}).hparams["recipes"] == {}
    assert Translator.load("x.ckpt") is not None


def test_a_metric_of_ones_own_stands_in_the_report_of_a_protocol():
    names = runpy.run_path(str(EXAMPLES / "own_metric.py"))
    metric = names["BrightnessChange"]()
    metric.update(torch.zeros(1, 3, 4, 4), torch.tensor([0.5, -0.1]).view(1, 2, 1, 1, 1))
    assert metric.compute().item() == pytest.approx(0.3 * 127.5)
    made = names["report"]("drawn-shoes", limit=2)
    own = [metric for metric in made.metrics if metric.key.endswith("/brightness")]
    assert [metric.key for metric in own] == ["a2b/brightness", "b2a/brightness"]
    assert all(0 < metric.value < 255 for metric in own)
    assert "brightness kept: error, of 255" in made.markdown()


def test_a_project_with_a_configuration_of_its_own_finds_this_packages_groups(
    monkeypatch, tmp_path, capsys
):
    """`hydra.searchpath` in its own file; the groups' settings can be given as ever."""
    quiet = ["hydra/job_logging=none", "hydra/hydra_logging=none", f"hydra.run.dir={tmp_path}"]
    run(monkeypatch, "own_project/train.py", "trainer.max_steps=2", "trainer=cpu", *quiet)
    assert "2 iterations" in capsys.readouterr().out


def test_such_a_project_averages_the_weights_of_munit_modern(monkeypatch, tmp_path):
    fitted = []
    monkeypatch.setattr(Trainer, "fit", lambda trainer, *_: fitted.append(trainer))
    quiet = ["hydra/job_logging=none", "hydra/hydra_logging=none", f"hydra.run.dir={tmp_path}"]
    run(monkeypatch, "own_project/train.py", "model=munit_modern", "trainer=cpu", *quiet)
    assert len(averages(fitted[0])) == 1


@pytest.mark.process
@pytest.mark.slow
def test_workers_of_ray_train_one_run_and_go_on_with_it(tmp_path):
    pytest.importorskip("ray.train", reason="no extra has it: pip install 'ray[train]'")
    for steps in (2, 4):
        command = [sys.executable, str(EXAMPLES / "ray_train.py"), str(tmp_path), "2", str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    assert "Restored all states from the checkpoint" in done.stdout + done.stderr
    names = {path.name for path in (tmp_path / "checkpoints").glob("*.ckpt")}
    assert names == {"00000002.ckpt", "00000004.ckpt", "last.ckpt"}
    saved = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert saved["munit_pl"]["world_size"] == 2
