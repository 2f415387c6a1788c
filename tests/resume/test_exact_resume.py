"""An interrupted run equals the one that was left alone: weights, Adams, averages, curves."""

import json
import os
from pathlib import Path

import pytest
from methods import METHODS
from PIL import Image
from runs import DDP, Run, assert_same_state, curves

pytestmark = pytest.mark.process

STEPS = 8


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Domains of unequal size; one image of each is bad, one blank. Returns settings."""
    root = tmp_path_factory.mktemp("images")
    for domain, n in (("trainA", 7), ("trainB", 5), ("testA", 2), ("testB", 2)):
        (root / domain).mkdir()
        for i in range(n):
            Image.effect_noise((24, 20), 60 + i).convert("RGB").save(root / domain / f"{i}.png")
    for domain in ("trainA", "trainB"):
        file = root / domain / "1.png"
        file.write_bytes(file.read_bytes()[:300])
        Image.new("RGB", (24, 20), "white").save(root / domain / "2.png")
    return "data=folder", f"data.root={root}"


@pytest.fixture(scope="session")
def rows(images, tmp_path_factory):
    """The same images in the rows of a saved data set."""
    datasets = pytest.importorskip("datasets", reason="the extra datasets has it")
    splits = {}
    for folder in Path(images[1].partition("=")[2]).iterdir():
        encoded = [{"bytes": file.read_bytes(), "path": None} for file in sorted(folder.iterdir())]
        kinds = datasets.Features(image=datasets.Image())
        splits[folder.name] = datasets.Dataset.from_dict({"image": encoded}, kinds)
    saved = tmp_path_factory.mktemp("rows")
    datasets.DatasetDict(splits).save_to_disk(saved)
    return "data=huggingface", f"data.path={saved}"


@pytest.fixture(scope="session")
def left_alone(tmp_path_factory):
    """Return the folder of a run that nothing happens to, by images, method and processes."""
    done = {}

    def run(*what):
        if what not in done:
            folder = tmp_path_factory.mktemp("left_alone")
            finish(start(folder, *what), [0] * what[-1])
            done[what] = folder / "run"
        return done[what]

    return run


def start(folder, images, method, processes, *others):
    settings = [
        f"model={METHODS[method].model}",
        *METHODS[method].sizes,
        *images,
        "data.resize=18",
        "data.crop=[16,16]",
        "data.num_workers=0",
        "data.max_bad_fraction=1",
        "trainer.accelerator=cpu",
        f"trainer.max_steps={STEPS}",
        "trainer.log_every_n_steps=1",
        "trainer.val_check_interval=3",
        "callbacks.grid.every_n_steps=1000",
        "callbacks.checkpoints.every_n_steps=2",
        "+callbacks.ema._target_=munit_pl.callbacks.ema.WeightAverage",
        "+callbacks.ema.decay=0.9",
        "~callbacks.bar",
        f"output_dir={folder / 'run'}",
        "ckpt_path=auto",
    ]
    return Run(folder, [*settings, *(DDP if processes == 2 else []), *others], processes)


def finish(run, expected):
    statuses, said = run.wait()
    assert statuses == expected, said


def fault(kind, step, rank=0):
    chosen = {"kind": kind, "step": step, "rank": rank}
    return [
        "callbacks=[default,fault_injection]",
        *(f"callbacks.fault.{k}={v}" for k, v in chosen.items()),
    ]


def check(folder, images, left_alone, method, processes, workers, kind, step):
    """Let a fault end a run, go on with it, and compare."""
    own_workers = f"data.num_workers={workers}"
    over = kind == "sigterm" and step == STEPS  # there is nothing left to stop
    status = 0 if over else {"sigterm": 143, "sigkill": -9}[kind]
    statuses = [status] * processes
    run = start(folder, images, method, processes, own_workers, *fault(kind, step, processes - 1))
    if kind == "sigkill" and processes == 2:
        run.processes[1].join(60)
        run.processes[0].kill()  # as launchers do when one is gone
        statuses = [-9, -9]
    finish(run, statuses)
    finish(start(folder, images, method, processes, own_workers), [0] * processes)
    whole, parts = left_alone(images, method, processes), folder / "run"
    last = "checkpoints/last.ckpt"
    assert_same_state(whole / last, parts / last)
    assert curves(whole) == curves(parts)
    bad = [
        sorted({(row["domain"], row["file"]) for row in map(json.loads, file)})
        for file in ((run / "bad_files.jsonl").read_text().splitlines() for run in (whole, parts))
    ]
    assert bad[0] == bad[1]


# Every third iteration is validated after, every second saved. After a kill, what lies after the
# last checkpoint is computed again.
QUICK = [
    (1, 2, "sigkill", 4),
    (2, 0, "sigterm", 6),
]
# A single process without workers is cut at every iteration. What several processes and workers
# add depends on what an iteration is: the first, before anything is saved; one validated after,
# saved or not; an epoch's end; the last. There each number of workers meets each iteration, by one
# kind of cut and by the other in turn. With EVERY_CUT set, all are cut everywhere.
EPOCH = {1: 7, 2: 4}  # iterations, by processes
KINDS = ("sigterm", "sigkill")
ALL = [
    (processes, workers, kind, step)
    for processes in (1, 2)
    for workers in (0, 2, 4)
    for kind in KINDS
    for step in range(1, STEPS + 1)
    if (processes, workers) == (1, 0)
    or "EVERY_CUT" in os.environ
    or (
        step in (1, 3, 6, EPOCH[processes], STEPS)
        and kind == KINDS[(processes + workers // 2 + step) % 2]
    )
]


@pytest.mark.parametrize(("processes", "workers", "kind", "step"), QUICK)
def test_an_interrupted_run_is_the_uninterrupted(
    tmp_path, images, left_alone, processes, workers, kind, step
):
    check(tmp_path, images, left_alone, "munit", processes, workers, kind, step)


def test_an_interrupted_run_on_rows_of_a_table_is_the_uninterrupted(tmp_path, rows, left_alone):
    check(tmp_path, rows, left_alone, "munit", 1, 2, "sigkill", 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "workers", "kind", "step"), [case for case in ALL if case not in QUICK]
)
def test_an_interrupted_run_is_the_uninterrupted_wherever_it_is_cut(
    tmp_path, images, left_alone, processes, workers, kind, step
):
    check(tmp_path, images, left_alone, "munit", processes, workers, kind, step)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["unit", "noisy_cyclegan"])
@pytest.mark.parametrize("kind", ["sigterm", "sigkill"])
def test_an_interrupted_run_of_another_method_is_the_uninterrupted(
    tmp_path, images, left_alone, method, kind
):
    check(tmp_path, images, left_alone, method, 1, 2, kind, 5)
