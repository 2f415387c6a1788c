import json
import os
import warnings
from types import SimpleNamespace

import pytest
from lightning.pytorch import Trainer
from PIL import Image
from ranks import in_two_processes
from torch import distributed

from munit_pl import MUNITModule, UnpairedDataModule
from munit_pl.callbacks import bad_files
from munit_pl.callbacks.bad_files import BadFilesLog, append_to_list
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.stop_request import RunStopped
from munit_pl.callbacks.stopping import GracefulStop
from munit_pl.data.sample_order import sample_at
from munit_pl.data.skipped_files import BadFile, SkippedFiles


def bad(i, domain="a"):
    return BadFile(f"{i}.png", domain, "is torn", position=i)


class Data(bad_files.TwoDomains):
    """A data module of which only the skipped files are asked for."""

    def __init__(self):
        super().__init__((1, 1), 1, 0, 0)
        self.skipped_files = SkippedFiles({"a": 1000, "b": 1000})


class Run:
    """What the callback asks of a trainer and a module."""

    def __init__(self, rank=0, world_size=1, data=None):
        self.datamodule = data or Data()
        self.is_global_zero = rank == 0
        self.world_size = world_size
        self.global_step = 0
        self.log_every_n_steps = 2
        self.logged = []

    def log(self, name, value):
        self.logged.append((self.global_step, name, value))

    def iterate(self, callback, files=(), replaced=0):
        self.datamodule.skipped_files.add(files, replaced)
        callback.on_train_batch_start(self, self)
        self.global_step += 1
        callback.on_train_batch_end(self, self)


def start(folder, run=None, state=None):
    callback, run = BadFilesLog(folder), run or Run()
    if state is not None:
        callback.load_state_dict(state)
    callback.on_fit_start(run, run)
    callback.on_train_start(run, run)
    return callback, run


def listed(folder):
    lines = (folder / "bad_files.jsonl").read_text().splitlines()
    return [tuple(json.loads(line).values()) for line in lines]


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# The list


def test_each_file_is_listed_once_with_the_iteration_that_met_it(tmp_path):
    callback, run = start(tmp_path)
    run.iterate(callback)
    run.iterate(callback, [bad(1), bad(2)])
    run.iterate(callback, [bad(1), bad(1, "b")])
    assert listed(tmp_path) == [
        ("1.png", "a", "is torn", 2),
        ("2.png", "a", "is torn", 2),
        ("1.png", "b", "is torn", 3),
    ]
    assert run.datamodule.skipped_files.list_file == tmp_path / "bad_files.jsonl"


def test_what_was_found_before_the_first_iteration_is_listed(tmp_path):
    run = Run()
    run.datamodule.skipped_files.add([bad(7)])
    start(tmp_path, run)
    assert listed(tmp_path) == [("7.png", "a", "is torn", 1)]


def test_no_list_is_made_of_nothing(tmp_path):
    callback, run = start(tmp_path)
    run.iterate(callback)
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_text_come_back_as_they_were(tmp_path):
    name = os.fsdecode(b"a/\xff\n.png")
    append_to_list(tmp_path / "x.jsonl", [BadFile(name, "a", f"{name} is torn")], 1)
    (line,) = (tmp_path / "x.jsonl").read_bytes().splitlines()
    assert os.fsencode(json.loads(line)["file"]) == b"a/\xff\n.png"


def test_a_damaged_list_is_gone_on_with(tmp_path):
    file = tmp_path / "bad_files.jsonl"
    append_to_list(file, [bad(1)], 1)
    with file.open("ab") as lines:
        lines.write(b'[]\n7\n\xff\n{"file": "2.png", "dom')
    append_to_list(file, [bad(1), bad(2)], 5)
    last = file.read_bytes().splitlines()[-1]
    assert json.loads(last)["file"] == "2.png"
    assert file.read_bytes().count(b"1.png") == 1


def test_a_list_that_cannot_be_written_does_not_end_the_run(tmp_path):
    (tmp_path / "file").touch()
    callback, run = start(tmp_path / "file")
    with pytest.warns(UserWarning, match="cannot list bad files"):
        run.iterate(callback, [bad(1)])


# The counts


def test_counts_are_logged_in_the_iterations_that_are_written_down(tmp_path):
    callback, run = start(tmp_path)
    run.iterate(callback, [bad(1)], replaced=1)
    run.iterate(callback, [bad(2), bad(2, "b")], replaced=2)
    run.iterate(callback, [bad(1)], replaced=1)
    run.iterate(callback)
    assert run.logged == [
        (2, "data/bad_files", 2),
        (2, "data/substituted", 3),
        (4, "data/bad_files", 2),
        (4, "data/substituted", 4),
    ]


def test_a_resumed_run_counts_on_and_lists_nothing_twice(tmp_path):
    callback, run = start(tmp_path)
    run.iterate(callback, [bad(1), bad(2)], replaced=2)
    callback, run = start(tmp_path, state=callback.state_dict())
    run.iterate(callback, [bad(2)], replaced=1)
    run.iterate(callback, [bad(3)], replaced=1)
    assert [entry[0] for entry in listed(tmp_path)] == ["1.png", "2.png", "3.png"]
    assert run.logged == [(2, "data/bad_files", 3), (2, "data/substituted", 4)]


def test_a_run_resumed_in_another_folder_lists_everything_there(tmp_path):
    callback, run = start(tmp_path / "old")
    run.iterate(callback, [bad(1)])
    start(tmp_path / "new", state=callback.state_dict())
    assert [entry[0] for entry in listed(tmp_path / "new")] == ["1.png"]


def test_a_run_killed_before_it_saved_lists_nothing_twice(tmp_path):
    callback, run = start(tmp_path)
    run.iterate(callback, [bad(1)])
    callback, run = start(tmp_path)
    run.iterate(callback, [bad(1)], replaced=1)
    assert len(listed(tmp_path)) == 1


def met_by(rank, folder):
    """What one of two processes counts that both met a file, and the second one of its own."""
    distributed.init_process_group("gloo")
    run = Run(rank, 2)
    callback, _ = start(folder, run)
    met = BadFile("same.png", "a", "is torn", position=rank)
    own = BadFile(f"{rank}.png", "a", "is torn", position=rank)
    run.iterate(callback, [own, met] if rank else [met], replaced=1 + rank)
    run.iterate(callback)
    run.iterate(callback, [BadFile("late.png", "b", "is torn")] if rank else [])
    counted = callback.state_dict()["substituted"]  # before the iteration after
    run.iterate(callback)
    return run.logged, counted, len(run.datamodule.skipped_files.found)


@pytest.mark.process
def test_all_processes_count_what_any_of_them_met_in_the_same_iteration(tmp_path):
    outcomes = in_two_processes(met_by, tmp_path, tmp_path)
    logged = [(step, "data/" + name, n) for step in (2, 4) for name, n in counts(step).items()]
    assert outcomes == [(logged, 3, 3)] * 2
    assert sorted((entry[0], entry[-1]) for entry in listed(tmp_path)) == [
        ("1.png", 1),
        ("late.png", 3),
        ("same.png", 1),
    ]


def counts(step):
    return {"bad_files": 2 if step == 2 else 3, "substituted": 3}


def too_many_together(rank, folder):
    """Neither process alone has met too many files, and the next batch would find that they are."""
    distributed.init_process_group("gloo")
    run = Run(rank, 2)
    run.estimated_stepping_batches = 100
    run.callbacks = []
    run.strategy = SimpleNamespace(launcher=None)
    run.fit_loop = SimpleNamespace(epoch_loop=SimpleNamespace())
    callback, _ = start(folder, run)
    stop = GracefulStop()
    stop.on_train_start(run, run)
    files = [bad(i) for i in range(6 * rank, 6 * rank + 6)]
    run.datamodule.skipped_files.add(files)
    alone = run.datamodule.skipped_files.stop_reason
    callback.on_train_batch_start(run, run)
    stop.on_train_batch_start(run, run)
    run.global_step = 1
    callback.on_train_batch_end(run, run)
    try:
        stop.on_train_batch_end(run)
    except RunStopped as stopped:
        return alone is None, stopped.code, str(stopped)
    return None


@pytest.mark.process
def test_files_that_are_too_many_only_together_end_the_run_in_that_iteration(tmp_path):
    outcomes = in_two_processes(too_many_together, tmp_path, tmp_path)
    for alone_is_fine, code, message in outcomes:
        assert alone_is_fine
        assert code == 65
        assert "12 of 1000 images cannot be used" in message
        assert "stopped after iteration 1" in message


# Warnings


def test_warnings_come_at_most_once_a_minute_and_none_is_lost(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(bad_files, "time", SimpleNamespace(monotonic=lambda: now[0]))
    told = []
    monkeypatch.setattr(bad_files, "rank_zero_warn", told.append)
    callback, run = start(tmp_path)
    for seconds, files in [(0, [1]), (30, [2]), (29, [3, 4]), (1, []), (1, []), (1, [5])]:
        now[0] += seconds
        run.iterate(callback, [bad(i) for i in files])
    assert len(told) == 2
    assert "'1.png' is torn; all are in" in told[0]
    assert "'2.png' is torn, and 2 more; all are in" in told[1]
    callback.on_train_end(run, run)
    assert "'5.png' is torn;" in told[2]
    callback.on_train_end(run, run)
    assert len(told) == 3


def test_other_data_is_refused_before_training(tmp_path):
    with pytest.raises(TypeError, match="this package's data modules"):
        start(tmp_path, Run(data=SimpleNamespace()))


# In a run


@pytest.mark.parametrize("workers", [0, 1])
def test_an_interrupted_run_counts_what_an_uninterrupted_one_counts(tiny, tmp_path, workers):
    for domain in "AB":
        (tmp_path / f"train{domain}").mkdir()
        for i in range(5):
            image = Image.effect_noise((16, 16), 60 + 9 * i).convert("RGB")
            image.save(tmp_path / f"train{domain}" / f"{i}.png")
    torn = tmp_path / "trainA" / f"{sample_at(3, 5, 'a', 0)}.png"
    torn.write_bytes(torn.read_bytes()[:60])

    def train(name, until, resume=None):
        callback = BadFilesLog(tmp_path / name)
        trainer = Trainer(
            accelerator="cpu",
            max_steps=until,
            max_epochs=-1,
            limit_val_batches=0,
            log_every_n_steps=1,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[callback, Checkpoints(tmp_path / name / "checkpoints")],
        )
        data = UnpairedDataModule(
            tmp_path, resize=None, crop=(16, 16), num_workers=workers, max_bad_fraction=0.5
        )
        trainer.fit(MUNITModule(**tiny), data, ckpt_path=resume, weights_only=True)
        counts = {k: v.item() for k, v in trainer.callback_metrics.items() if "data/" in k}
        return callback.state_dict(), counts

    whole = train("whole", 5)
    # The torn image is of the batch after the third, which has been read ahead by then.
    state, counts = train("parts", 3)
    assert (state["substituted"], counts["data/substituted"]) == (0, 0)
    last = tmp_path / "parts" / "checkpoints" / "last.ckpt"
    assert train("parts", 5, last) == whole
    assert listed(tmp_path / "parts") == listed(tmp_path / "whole")
    assert whole[1] == {"data/bad_files": 1, "data/substituted": 1}
