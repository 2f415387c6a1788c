import json
import shutil
import sys

import pytest
import torch
from PIL import Image

from munit_pl.commands import benchmark
from munit_pl.commands.benchmark import main
from munit_pl.commands.errors import InputError
from munit_pl.commands.options.benchmark import parse
from munit_pl.commands.train import RunFailed
from munit_pl.evaluation.comparison.rows import ROWS
from munit_pl.inference.precision_choice import Choice

TINY = [
    "data.size=[16,16]",
    "data.length=8",
    "model.generator.num_res_blocks=1",
    "model.discriminator.num_layers=2",
    "trainer.accelerator=cpu",
    "~callbacks.bar",
    "~callbacks.grid",
]


def run(out, *arguments):
    asked = ["--small", "--steps", "2", "--rows", "unit", "--out", str(out)]
    main(["table1", *asked, *TINY, *arguments])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with one row's run of two iterations, measured."""
    out = tmp_path_factory.mktemp("table1") / "out"
    run(out)
    return out


@pytest.fixture
def out(finished, tmp_path):
    """A copy of it."""
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def trained(monkeypatch):
    """Count what is trained: a checkpoint to go on from, or None, for each time."""
    calls = []

    def counted(cfg, train=benchmark.train):
        calls.append(cfg.ckpt_path)
        return train(cfg)

    monkeypatch.setattr(benchmark, "train", counted)
    return calls


def weights(out):
    path = out / "unit/0/checkpoints/last.ckpt"
    return torch.load(path, map_location="cpu", weights_only=True)["state_dict"]


def metrics(out):
    return json.loads((out / "unit/0/metrics.json").read_text())


def test_a_run_leaves_metrics_a_table_and_a_picture(finished):
    found = metrics(finished)
    assert (found["row"], found["seed"], found["asked"]["steps"]) == ("unit", 0, 2)
    assert found["seconds"] > 0
    assert set(found["losses"]) == {"gan", "image", "kl", "cycle", "cycle_kl"}
    assert found["metrics"].keys() == {
        "silhouette_iou",
        "color_energy",
        "color_spread",
        "kernel_distance",
        "pair_distance",
        "transfer_error",
        "parameters",
    }
    table = (finished / "table1.md").read_text()
    assert "| UNIT |" in table
    assert "| MUNIT |" not in table
    # Two rows of 16 pixels: the drawings and UNIT.
    assert Image.open(finished / "table1.png").height == 2 * (16 + 2)


def make_folders(root):
    for i, name in enumerate(("trainA", "trainB")):
        (root / name).mkdir(parents=True)
        for n in range(16):
            noise = Image.effect_noise((40 + 20 * i, 30), 9 + n).convert("RGB")
            noise.save(root / name / f"{n}.png")


@pytest.mark.slow
def test_folders_of_ones_own_make_the_same_table_by_what_needs_no_truth(tmp_path, capsys):
    make_folders(tmp_path / "data")
    asked = ["--small", "--steps", "2", "--rows", "munit", "bicyclegan"]
    own = ["data=folder", f"data.root={tmp_path}/data", "data.num_workers=0", "data.crop=[16,16]"]
    own += ["trainer.accelerator=cpu", "model.discriminator.num_layers=2", "~callbacks.bar"]
    main(["table1", *asked, "--out", str(tmp_path / "out"), *own])
    assert "bicyclegan is left out: it trains on pairs" in capsys.readouterr().err
    table = (tmp_path / "out/table1.md").read_text()
    assert table.startswith("# data: trainA to trainB")
    assert "| real images |" in table
    assert "silhouette" not in table
    assert "paper" not in table
    found = json.loads((tmp_path / "out/munit/0/metrics.json").read_text())["metrics"]
    assert {"kernel_distance", "pair_distance", "color_energy", "guided_error"} <= found.keys()


@pytest.mark.parametrize("row", ["munit", "bicyclegan"])
def test_pairs_are_shown_to_methods_that_train_on_them_alone(tmp_path, monkeypatch, row):
    (tmp_path / "train").mkdir()
    for n in range(16):
        Image.new("RGB", (128, 64), (n * 9, 9, 99)).save(tmp_path / "train" / f"{n}.png")
    paired = []

    def stop(cfg):
        paired.append(cfg.data.paired)
        raise InputError("that is enough")

    monkeypatch.setattr(benchmark, "train", stop)
    asked = ["--small", "--rows", row, "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="that is enough"):
        main(["table1", *asked, "data=aligned", f"data.root={tmp_path}", "trainer.accelerator=cpu"])
    assert paired == [row == "bicyclegan"]


def test_rows_of_a_table_are_pairs_if_that_is_said(tmp_path, monkeypatch):
    pytest.importorskip("datasets.features", reason="the extra datasets has it")
    monkeypatch.setattr(benchmark, "_check", lambda _: sys.exit("trains"))
    asked = ["table1", "--rows", "bicyclegan", "data=huggingface", "data.path=set"]
    none = "no row is left: .* data.paired=true"
    for paired, said in (
        ([], none),
        (["data.paired=false"], none),
        (["data.paired=true"], "trains"),
    ):
        with pytest.raises(SystemExit, match=said):
            main([*asked, *paired, "--out", str(tmp_path)])


def test_what_is_done_is_not_done_again(out, trained, monkeypatch):
    monkeypatch.setattr(benchmark, "measure", lambda *_: pytest.fail("measured again"))
    before = metrics(out)
    (out / "table1.md").unlink()
    run(out)
    assert trained == []
    assert metrics(out) == before
    assert (out / "table1.md").exists()


def test_a_run_that_was_not_measured_is_measured_without_training(out, trained):
    before = metrics(out)
    (out / "unit/0/metrics.json").unlink()
    run(out)
    assert trained == []
    assert metrics(out) == {**before, "seconds": None}


def test_a_run_that_was_interrupted_goes_on_to_the_same_weights(out, trained):
    before = weights(out)
    checkpoints = out / "unit/0/checkpoints"
    (out / "unit/0/metrics.json").unlink()
    (checkpoints / "00000002.ckpt").unlink()
    (checkpoints / "last.ckpt").write_bytes(b"half of it")
    run(out)
    assert trained == [str((checkpoints / "00000001.ckpt").resolve())]
    after = weights(out)
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_each_row_is_trained_under_each_seed_and_its_own_folder(tmp_path, monkeypatch):
    seen = []

    def fake(cfg, options, extractors):
        seen.append((cfg.row, cfg.seed, cfg.trainer.max_steps, cfg.output_dir))

    monkeypatch.setattr(benchmark, "_run", fake)
    monkeypatch.setattr(benchmark, "conclude", lambda *_: "")
    asked = ["--rows", "munit", "cyclegan", "--seeds", "3", "5", "--steps", "7"]
    main(["table1", *asked, "--out", str(tmp_path)])
    assert seen == [
        (row, seed, 7, str(tmp_path / row / str(seed)))
        for seed in (3, 5)
        for row in ("munit", "cyclegan")
    ]


def test_settings_that_hydra_does_not_take_as_they_are_typed_reach_each_run(tmp_path, monkeypatch):
    seen = []

    def fake(cfg, *_):
        seen.append((cfg.data.root, cfg.model.optimizer.amsgrad, cfg.output_dir))

    monkeypatch.setattr(benchmark, "_run", fake)
    monkeypatch.setattr(benchmark, "conclude", lambda *_: "")
    make_folders(root := tmp_path / "a,b (1)")
    settings = ["data=folder", f"data.root={root}", "model.optimizer.amsgrad=true"]
    settings += ["trainer.accelerator=cpu"]
    main(["table1", "--small", "--rows", "munit", *settings, "--out", str(tmp_path / "o (1)")])
    assert seen == [(str(root), True, str(tmp_path / "o (1)/munit/0"))]


def test_all_rows_and_three_seeds_are_what_is_trained_without_a_word():
    options = parse(["table1"])
    assert options.rows == list(ROWS)
    assert options.seeds == [0, 1, 2]
    assert options.steps == 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "3"], "holds runs with steps 2, and 3 is asked for"),
        (["model.optimizer.lr=1"], "holds runs with settings .*name another folder"),
        (["model.optimizr.lr=1"], "no setting model.optimizr.lr: did you mean model.optimizer.lr"),
    ],
)
def test_another_budget_or_a_misspelt_setting_is_refused_in_one_line(
    out, trained, arguments, message
):
    with pytest.raises(SystemExit, match=f"munit-benchmark: .*{message}") as stopped:
        run(out, *arguments)
    assert len(str(stopped.value.code).splitlines()) == 1
    assert trained == []


def test_images_that_one_row_cannot_take_are_refused_before_any_is_trained(tmp_path, trained):
    with pytest.raises(SystemExit, match=r"munit-benchmark: .*multiples of 16"):
        main(["table1", "--small", "--out", str(tmp_path / "new"), "data.size=[40,40]"])
    assert trained == []
    assert not (tmp_path / "new").exists()


def test_all_rows_are_trained_in_what_the_first_machine_was_faster_in(tmp_path, monkeypatch):
    def settled(*settings, bf16):
        choice = Choice(bf16, "it is faster")
        monkeypatch.setattr(benchmark, "choose_precision", lambda *_, **__: choice)
        options = parse(["table1", "--out", str(tmp_path / "out"), *settings])
        benchmark._settle_precision(options)
        return options.settings

    assert settled(bf16=True) == ["trainer.precision=bf16-mixed"]
    assert settled("trainer.precision=auto", "data.length=8", bf16=False) == [
        "data.length=8",
        "trainer.precision=32-true",
    ]
    assert settled("trainer.precision=16-mixed", bf16=True) == ["trainer.precision=16-mixed"]
    (tmp_path / "out").mkdir()
    there = json.dumps({"settings": ["trainer.precision=32-true"]})
    (tmp_path / "out/asked.json").write_text(there)
    assert settled(bf16=True) == ["trainer.precision=32-true"]


@pytest.mark.parametrize(
    ("setting", "option"),
    [("seed=1", "--seeds"), ("trainer.max_steps=9", "--steps"), ("+experiment=demo", "--rows")],
)
def test_what_has_an_option_is_no_setting(capsys, setting, option):
    with pytest.raises(SystemExit):
        main(["table1", setting])
    assert f"{setting} is asked for by {option}" in capsys.readouterr().err


@pytest.mark.parametrize("error", [InputError, RunFailed])
def test_a_mistake_in_a_run_is_told_in_one_line(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error("it cannot be")

    monkeypatch.setattr(benchmark, "_run", fail)
    with pytest.raises(SystemExit, match=r"^munit-benchmark: it cannot be$"):
        run(tmp_path / "new")
