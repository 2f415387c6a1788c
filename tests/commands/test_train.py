import json
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from composing import composed
from PIL import Image
from runs import DDP, SMALL, Run, assert_same_state, load

from munit_pl import (
    BicycleGANModule,
    CycleGANModule,
    MUNITModule,
    UNITModule,
)
from munit_pl.commands import train as train_file
from munit_pl.commands.config.building import build
from munit_pl.commands.errors import InputError
from munit_pl.commands.options.train import read_command_line
from munit_pl.commands.train import main, train
from munit_pl.evaluation.protocols.drawn_ground_truth import Drawn

OTHERS = pytest.mark.parametrize("method", ["unit", "noisy_cyclegan", "bicyclegan"], indirect=True)


@pytest.fixture
def trained(tmp_path):
    """Train in this process, in a folder below ``tmp_path``; return the newest checkpoint."""

    def run(*arguments, folder="run"):
        output = f"output_dir={tmp_path / folder}"
        cfg = composed("train", *SMALL, *arguments, output)
        train(cfg)
        return tmp_path / folder / "checkpoints/last.ckpt"

    return run


@pytest.fixture
def forked(tmp_path):
    """Run ``munit-train`` in processes of their own; return the newest checkpoint."""

    def run(*arguments, folder="run", processes=1):
        output = f"output_dir={tmp_path / folder}"
        statuses, said = Run(tmp_path, [*SMALL, *arguments, output], processes).wait()
        assert statuses == [0] * processes, said
        return tmp_path / folder / "checkpoints/last.ckpt"

    return run


def test_max_steps_are_iterations_and_checkpoints_lie_where_asked(config, tmp_path):
    trainer = train(config("trainer.max_steps=10", "callbacks.checkpoints.every_n_steps=4"))
    assert trainer.global_step == 10
    folder = tmp_path / "run" / "checkpoints"
    names = sorted(path.name for path in folder.glob("*.ckpt"))
    assert names == ["00000004.ckpt", "00000008.ckpt", "00000010.ckpt", "last.ckpt"]
    assert [load(folder / name)["global_step"] for name in names] == [4, 8, 10, 10]


def test_a_bar_and_checkpoints_that_are_left_out_are_not_lightnings_either(config, tmp_path):
    trainer = train(config("~callbacks.checkpoints", "trainer.max_steps=2"))  # without a bar
    assert trainer.progress_bar_callback is None
    assert not [*tmp_path.rglob("*.ckpt")]


def test_a_run_starts_from_a_model_and_then_goes_on_from_its_own_checkpoints(
    config, tmp_path, capsys
):
    train(config("trainer.max_steps=2"))
    first = tmp_path / "run"
    taken = (
        "trainer.max_steps=1",
        "model.optimizer.lr=1e-30",
        f"init_from={first}",
        "ckpt_path=auto",
    )
    train(config(*taken, output_dir := f"output_dir={tmp_path / 'second'}"))
    theirs = load(first / "checkpoints/last.ckpt")
    ours = load(tmp_path / "second/checkpoints/last.ckpt")
    assert ours["global_step"] == 1
    assert all(torch.equal(w, theirs["state_dict"][key]) for key, w in ours["state_dict"].items())
    assert f"starting from  {first}\n" in capsys.readouterr().out
    train(config("trainer.max_steps=2", "init_from=gone", "ckpt_path=auto", output_dir))
    with pytest.raises(InputError, match=r"there is no checkpoint gone$"):
        train(config("init_from=gone", f"output_dir={tmp_path / 'third'}"))


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_ten_iterations_are_five_and_five_more_in_a_new_process(config, command, tmp_path, workers):
    """Cut in mid-epoch: an epoch is three iterations here."""
    settings = [
        "data.length=6",
        "data.batch_size=2",
        f"data.num_workers={workers}",
        "model.scheduler.step_size=3",
    ]
    train(config(*settings, "trainer.max_steps=10", folder="whole"))
    train(config(*settings, "trainer.max_steps=5", folder="parts"))
    resumed = command(
        "data=drawn",
        f"output_dir={tmp_path / 'parts'}",
        *settings,
        "trainer.max_steps=10",
        "ckpt_path=last",
    )
    assert resumed.returncode == 0, resumed.stderr
    last = "checkpoints/last.ckpt"
    assert_same_state(tmp_path / "whole" / last, tmp_path / "parts" / last)


@pytest.mark.process
def test_an_experiment_of_ones_own_is_trained_and_gone_on_with(tmp_path):
    """That of docs/own_experiment.md, but for its data and its length."""
    page = Path(__file__).parents[2].joinpath("docs", "own_experiment.md").read_text()
    experiment, *_ = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    folder = tmp_path / "my_conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(experiment)
    for i, name in enumerate(("trainA", "trainB")):
        images = tmp_path / "my_data" / name
        images.mkdir(parents=True)
        pixels = np.random.default_rng(i).integers(0, 256, (140, 140, 3), np.uint8)
        Image.fromarray(pixels).save(images / "1.png")
    small = ["model.generator.dim=4", "model.discriminator.dim=4", "data.num_workers=0"]
    program = [sys.executable, "-m", "munit_pl.commands.train", "--config-dir", "my_conf"]
    words = [*program, "+experiment=mine", *small, "trainer.max_steps=1", "run=x"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (line,) = re.findall(r"^resume +munit-train (.*)$", done.stdout, re.MULTILINE)
    assert f"--config-dir={tmp_path / 'my_conf'}" in shlex.split(line)
    kept = yaml.safe_load((tmp_path / "outputs/mine/x/.hydra/config.yaml").read_text())
    assert kept["model"]["weights"]["cycle"] == 10.0
    assert "ema" in kept["callbacks"]


@pytest.mark.process
@OTHERS
def test_five_iterations_of_any_method_are_two_and_three_more_in_another_process(
    trained, forked, method
):
    settings = [*method.overrides, "data.batch_size=2"]
    whole = trained(*settings, "trainer.max_steps=5", folder="whole")
    trained(*settings, "trainer.max_steps=2", folder="parts")
    parts = forked(*settings, "trainer.max_steps=5", "ckpt_path=last", folder="parts")
    assert_same_state(whole, parts)


@pytest.mark.process
@OTHERS
def test_two_processes_of_any_method_are_one_with_twice_the_batch(trained, forked, method):
    settings = [*method.overrides, "trainer.max_steps=3", "trainer.precision=64-true"]
    if method.module is CycleGANModule:  # each process has a pool of its own
        settings.append("model.pool_size=0")
    each = 2 if method.module.paired else 1  # of which BicycleGAN translates half
    one = load(trained(*settings, f"data.batch_size={2 * each}", folder="one"))
    two = load(forked(*settings, f"data.batch_size={each}", *DDP, folder="two", processes=2))
    assert one["global_step"] == two["global_step"] == 3
    for name, weight in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], weight, atol=1e-5, rtol=0, msg=name)


@pytest.mark.process
@pytest.mark.parametrize("method", ["noisy_cyclegan"], indirect=True)
def test_pools_of_two_processes_survive_a_resumption(forked, method):
    def run(steps, folder, *others):
        settings = [*method.overrides, "data.batch_size=2", f"trainer.max_steps={steps}", *DDP]
        return forked(*settings, *others, folder=folder, processes=2)

    whole = run(4, "whole")
    run(2, "parts")  # the pools, of three, are full
    assert_same_state(whole, run(4, "parts", "ckpt_path=last"))
    for pools in load(whole)["pools"].values():
        assert pools.shape == (2, 3, 3, 16, 16)
        assert not torch.equal(*pools)


@pytest.mark.process
@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch_and_one_folder(config, command, tmp_path):
    # In fp64: rounding in fp32 turns, through Adam's first steps, into whole steps of some weights.
    settings = ["trainer.max_steps=3", "trainer.precision=64-true", "run=x"]
    two = command(
        "data=drawn",
        *settings,
        "data.batch_size=1",
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
    )
    assert two.returncode == 0, two.stderr
    assert [path.name for path in (tmp_path / "outputs" / "munit").iterdir()] == ["x"]
    train(config(*settings, "data.batch_size=2", folder="one"))
    here = load(tmp_path / "outputs/munit/x/checkpoints/last.ckpt")
    there = load(tmp_path / "one/checkpoints/last.ckpt")
    assert here["global_step"] == there["global_step"] == 3
    for name, weight in there["state_dict"].items():
        torch.testing.assert_close(here["state_dict"][name], weight, atol=1e-5, rtol=0, msg=name)


def test_a_checkpoint_loads_in_a_program_without_configurations(config, tmp_path):
    train(config("trainer.max_steps=1"))
    module = MUNITModule.load_from_checkpoint(tmp_path / "run/checkpoints/last.ckpt")
    assert module.hparams["generator"]["dim"] == 4


def test_a_run_leaves_grids_curves_and_metrics(config, tmp_path):
    train(
        config(
            "callbacks=[default,drawn_report]",
            "logger=tensorboard",
            "trainer.max_steps=4",
            "trainer.log_every_n_steps=1",
            "trainer.val_check_interval=2",
            "callbacks.speed.every_n_steps=2",
            "callbacks.grid.every_n_steps=2",
        )
    )
    folder = tmp_path / "run"
    grids = sorted(path.name for path in (folder / "grids").iterdir())
    assert grids == [f"0000000{i}_{d}.png" for i in (2, 4) for d in ("a2b", "b2a")]
    rows = (folder / "csv/version_0/metrics.csv").read_text().splitlines()
    header = rows[0].split(",")
    steps = {int(row.split(",")[header.index("step")]) for row in rows[1:]}
    assert steps == {0, 1, 2, 3}
    assert {"val/image", "speed/iterations_per_second", "speed/images_per_second"} <= set(header)
    for update in ("dis", "gen"):
        assert {f"{update}/{x}" for x in ("gan_a", "gan_b", "total", "lr", "grad_norm")} <= set(
            header
        )
    assert list((folder / "tensorboard").iterdir())
    metrics = json.loads((folder / "drawn.json").read_text())
    assert set(metrics) == set(Drawn().keys())
    assert Image.open(folder / "drawn.png").size[0] > 100


@pytest.mark.process  # W&B reads the environment once in the life of a process
def test_wandb_goes_offline_without_a_key(command, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    given = ["data=drawn", "logger=wandb", "trainer.max_steps=2", "callbacks.grid.every_n_steps=2"]
    done = command(*given, f"output_dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert len(list((run / "files/media/images/grid").iterdir())) == 2


def test_a_folder_that_holds_a_run_is_not_written_over(config):
    train(config("trainer.max_steps=1"))
    with pytest.raises(InputError, match="holds a run already: go on with it"):
        train(config("trainer.max_steps=1"))


def test_last_is_the_newest_run_of_the_name_where_the_folder_is_new(config, tmp_path):
    train(config("trainer.max_steps=2", folder="first"))
    trainer = train(config("trainer.max_steps=3", "ckpt_path=last", folder="second"))
    assert trainer.global_step == 3
    assert (tmp_path / "second/checkpoints/00000003.ckpt").exists()


def test_bad_settings_are_told_in_one_line_before_training(config, tmp_path):
    for overrides, message in [
        (["ckpt_path=last"], "ckpt_path=last finds no checkpoint in"),
        (["ckpt_path=none.ckpt"], "there is no checkpoint none.ckpt"),
        (["data.size=[8,8]"], "size is 8x8, but both sides must be at least 16"),
        (["model.discriminator.num_layers=5"], "too small for the discriminator"),
        (["data.size=[18,18]"], "both sides must be multiples of 4"),
        (
            ["+model.generator.dmi=4"],
            r"no setting model\.generator\.dmi: did you mean model\.generator\.dim\?",
        ),
        (["+recipe=perceptual", "model.recipes.perceptual.path=x.pt"], "no file .* at x.pt"),
    ]:
        with pytest.raises(InputError, match=message) as error:
            train(config(*overrides))
        assert len(str(error.value).splitlines()) == 1
        assert not (tmp_path / "run/checkpoints").exists()


@pytest.mark.parametrize("method", ["bicyclegan"], indirect=True)
def test_a_method_that_learns_from_pairs_refuses_images_that_are_none(trained, method, tmp_path):
    message = "BicycleGANModule trains on pairs, .*: use data=aligned, or data.paired=true"
    with pytest.raises(InputError, match=message) as error:
        trained(*method.overrides, "data.paired=false")
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "run/checkpoints").exists()


def test_a_file_that_is_no_checkpoint_is_refused(config, tmp_path):
    (tmp_path / "x.ckpt").write_text("hello")
    with pytest.raises(InputError, match=r"x\.ckpt is no checkpoint"):
        train(config(f"ckpt_path={tmp_path / 'x.ckpt'}"))


def test_a_checkpoint_of_another_model_is_refused(config, tmp_path):
    train(config("trainer.max_steps=1"))
    told = (
        r"of another model: .* is \(.*\) there and .* here; give model.generator.dim=\d+, as there"
    )
    with pytest.raises(InputError, match=told):
        train(config("model.generator.dim=8", "ckpt_path=last", folder="other"))


def test_a_pickled_program_is_not_run(config, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"state_dict": Payload()}, tmp_path / "x.ckpt")
    with pytest.raises(InputError, match="is no checkpoint"):
        train(config(f"ckpt_path={tmp_path / 'x.ckpt'}"))
    assert not (tmp_path / "executed").exists()


def test_the_command_says_what_is_wrong_and_exits_with_an_error(monkeypatch, capsys, tmp_path):
    for arguments, message in [
        (["model.optimizr.lr=1"], "no setting model.optimizr.lr: did you mean model.optimizer.lr?"),
        (["data=foldr"], "there is no data foldr: did you mean folder?"),
        (["+experiment=edges2shos"], "no experiment edges2shos: did you mean edges2shoes?"),
        (["experiment=demo"], "write +experiment=demo"),
        (["+experiment=edges2shoes"], "`munit-train` alone draws its own data"),
        (["data=folder"], "data.root is not given: add data.root=VALUE"),
    ]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("MUNIT_DATA", raising=False)
        monkeypatch.setattr(sys, "argv", ["munit-train", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        told = capsys.readouterr().err
        assert message in told
        assert len(told.strip().splitlines()) == 1


def test_processes_started_from_outside_must_share_a_run_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["munit-train"])
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "add run=NAME" in capsys.readouterr().err


def test_a_run_that_goes_on_by_itself_needs_a_name_or_a_folder(monkeypatch, capsys):
    assert "ckpt_path=auto" in read_command_line(["ckpt_path=auto", "output_dir=x"])
    monkeypatch.setattr(sys, "argv", ["munit-train", "ckpt_path=auto"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "add run=NAME" in capsys.readouterr().err


def test_auto_starts_a_run_and_goes_on_with_it(config, capsys):
    for steps in (2, 3):
        trainer = train(config(f"trainer.max_steps={steps}", "ckpt_path=auto"))
        assert trainer.global_step == steps
        assert ("resuming from" in capsys.readouterr().out) == (steps == 3)


def test_the_demo_is_what_is_trained_without_a_word(monkeypatch):
    composed = []
    monkeypatch.setattr(train_file, "_main", lambda: composed.extend(sys.argv[1:]))
    for arguments in ([], ["seed=1"], ["data=folder", "data.root=x"], ["+experiment=edges2shoes"]):
        monkeypatch.setattr(sys, "argv", ["munit-train", *arguments])
        main()
    assert composed == [
        "+experiment=demo",
        "seed=1",
        "+experiment=demo",
        "data=folder",
        "data.root=x",
        "+experiment=edges2shoes",
    ]


@pytest.mark.parametrize(
    ("arguments", "completed"),
    [
        (["--multirun", "seed=0,1"], ["seed=0,1", "+experiment=demo", "--multirun"]),
        (["seed=0,1", "--multirun"], ["seed=0,1", "+experiment=demo", "--multirun"]),
        (["--cfg", "job"], ["+experiment=demo", "--cfg", "job"]),
    ],
)
def test_the_demo_is_added_beside_other_settings_where_there_are_flags(
    monkeypatch, arguments, completed
):
    monkeypatch.setattr(train_file, "_main", lambda: None)
    monkeypatch.setattr(sys, "argv", ["munit-train", *arguments])
    with suppress(SystemExit):  # what asks something is answered at once
        main()
    assert sys.argv[1:] == completed


@pytest.mark.parametrize(
    ("model", "module", "small"),
    [
        ("munit", MUNITModule, {"num_res_blocks": 2, "padding_mode": "zeros"}),
        ("unit", UNITModule, {"num_res_blocks": 2}),
        ("cyclegan", CycleGANModule, {"num_res_blocks": 3}),
        ("bicyclegan", BicycleGANModule, {"num_downsample": 4}),
    ],
)
def test_a_model_alone_trains_on_the_demo_with_small_settings_of_its_own(
    monkeypatch, model, module, small
):
    words = []
    monkeypatch.setattr(train_file, "_main", lambda: words.extend(sys.argv[1:]))
    monkeypatch.setattr(sys, "argv", ["munit-train", f"model={model}"])
    main()
    cfg = composed("train", *words)
    assert (cfg.name, cfg.data.size) == ("demo", [64, 64])
    schedule = cfg.model.scheduler
    if model == "unit":
        assert schedule.step_size < cfg.trainer.max_steps  # the rate falls once
    else:
        lengths = [schedule.constant, schedule.decay]
        assert lengths == [None, None] or sum(lengths) == cfg.trainer.max_steps  # it falls to 0
    assert cfg.data.paired == module.paired
    assert cfg.model.generator.items() >= {"dim": 16, **small}.items()
    built = build(cfg.model)
    assert isinstance(built, module)
    built.check_size(64, 64)
