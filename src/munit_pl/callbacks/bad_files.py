"""Which image files a run skipped, and how many samples it had to replace for them."""

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn
from torch import distributed

from munit_pl.callbacks.consensus import ProcessConsensus, consensus_of
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.skipped_files import BadFile, SkippedFiles

_SECONDS_BETWEEN_WARNINGS = 60.0

News = tuple[list[BadFile], int]


class BadFilesLog(Callback):
    """List every file that is skipped in ``bad_files.jsonl``, and log how many there are.

    A line of the list is a JSON object: ``file``, ``domain``, ``reason`` and the ``iteration`` that
    first met it. ``data/bad_files`` are such files up to now, ``data/substituted`` the training
    samples that others took the place of, in all processes.

    Args:
        folder: Where the list goes.
    """

    def __init__(self, folder: str | Path) -> None:
        self.list_file = Path(folder) / "bad_files.jsonl"
        self._replaced = 0
        self._found: list[BadFile] = []
        self._untold: list[BadFile] = []
        self._told_at: float | None = None
        self._news: News = [], 0
        self._consensus: ProcessConsensus | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say where the list is; refuse data that counts nothing before anything is trained."""
        _skipped_files(trainer).list_file = self.list_file

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count on from what a checkpoint knew, and list what was found before training."""
        _skipped_files(trainer).restore(self._found)
        self._consensus = consensus_of(trainer)
        self._consensus.join("news", lambda: self._count_news(trainer))
        self._write(self._found, trainer.global_step + 1, trainer)
        self._share(trainer, trainer.global_step + 1)

    def on_train_batch_start(self, *_: object) -> None:
        """Let the other processes know whether there is news."""
        assert self._consensus is not None
        self._consensus.begin()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Count and list what was skipped for this batch, before anything is saved after it.

        The counts are logged in the iterations that are written down.
        """
        assert self._consensus is not None
        if self._consensus.maximum("news"):
            self._share(trainer, trainer.global_step)
            # With this news it may be too many, and the run's end, which all must know by now.
            self._consensus.begin()
            self._consensus.finish()
        self._tell(_SECONDS_BETWEEN_WARNINGS)
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            counts = {"bad_files": _skipped_files(trainer).count, "substituted": self._replaced}
            for name, count in counts.items():  # on the CPU, so that no device is waited for
                pl_module.log(f"data/{name}", torch.tensor(float(count)))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell of the files that no warning has told of."""
        self._tell(0)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return {"substituted": self._replaced, "found": [list(bad) for bad in self._found]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Count on from there."""
        self._replaced = state_dict["substituted"]
        self._found = [BadFile(*bad) for bad in state_dict["found"]]

    def _count_news(self, trainer: Trainer) -> int:
        files, replaced = _skipped_files(trainer).take_news()
        self._news = self._news[0] + files, self._news[1] + replaced
        return len(self._news[0]) + self._news[1]

    def _share(self, trainer: Trainer, iteration: int) -> None:
        """Bring together what is new in any process."""
        skipped = _skipped_files(trainer)
        self._count_news(trainer)
        own, self._news = self._news, ([], 0)
        for others, count in _gathered(own, trainer.world_size):
            self._replaced += count
            skipped.add(others)
        skipped.take_news()  # what came from others is none any more
        known = {(bad.domain, bad.file) for bad in self._found}
        new = [bad for place, bad in skipped.found.items() if place not in known]
        self._found += new
        self._untold += new
        self._write(new, iteration, trainer)

    def _write(self, files: Sequence[BadFile], iteration: int, trainer: Trainer) -> None:
        """Add files to the list; a run does not end because that fails."""
        if not files or not trainer.is_global_zero:
            return
        try:
            append_to_list(self.list_file, files, iteration)
        except OSError as error:
            rank_zero_warn(f"cannot list bad files: {error}")

    def _tell(self, seconds: float) -> None:
        """Warn of what is new, if the last warning was so long ago."""
        now = time.monotonic()
        if not self._untold or (self._told_at is not None and now - self._told_at < seconds):
            return
        first, *others = self._untold
        more = f", and {len(others)} more" if others else ""
        rank_zero_warn(f"images are skipped: {first}{more}; all are in {self.list_file}")
        self._untold, self._told_at = [], now


def append_to_list(list_file: Path, files: Iterable[BadFile], iteration: int) -> None:
    """Append files to a list of JSON lines, except those that it has already.

    Names that are no text are written as Python has them, with escaped surrogates.

    Args:
        list_file: The list; made if it is missing. A last line that was cut short does no harm.
        files: What to append.
        iteration: The iteration that met them.

    Raises:
        OSError: If the list cannot be written.
    """
    list_file.parent.mkdir(parents=True, exist_ok=True)
    text = ""
    if list_file.exists():
        text = list_file.read_text(encoding="utf-8", errors="replace")
    listed = {_place(line) for line in text.splitlines()}
    new = [bad for bad in files if (bad.file, bad.domain) not in listed]
    with list_file.open("a", encoding="utf-8") as lines:
        if text and not text.endswith("\n"):
            lines.write("\n")
        for bad in new:
            about = {"file": bad.file, "domain": bad.domain, "reason": bad.reason}
            lines.write(json.dumps(about | {"iteration": iteration}) + "\n")


def _place(line: str) -> tuple[str, str] | None:
    """Return which file of which domain a line is about; None if it is damaged."""
    try:
        about = json.loads(line)
        return about["file"], about["domain"]
    except (ValueError, TypeError, KeyError):
        return None


def _gathered(own: News, world_size: int) -> list[News]:
    """Return the news of all processes."""
    if world_size == 1:
        return [own]
    everyone: list[Any] = [None] * world_size
    distributed.all_gather_object(everyone, own)
    return everyone


def _skipped_files(trainer: Trainer) -> SkippedFiles:
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, TwoDomains):
        raise TypeError("bad files are counted by this package's data modules")
    return datamodule.skipped_files
