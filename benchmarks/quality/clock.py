"""A callback that tells what an iteration costs, on a machine that others use as well."""

import json
import statistics
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from munit_pl.models.base.module import AdversarialModule

WINDOW = 16  # iterations that are timed together: a lazy penalty's round


class ProcessorTime(Callback):
    """Write a file with the processor seconds of an iteration: the median of windows' means.

    The first window, in which much happens for the first time, does not count.

    Args:
        file: The file, JSON.
    """

    def __init__(self, file: str) -> None:
        self.file = Path(file)
        self._marks: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, module: AdversarialModule, *_: Any) -> None:
        """Look at the clock, window by window."""
        if trainer.global_step % WINDOW == 0:
            self._marks.append(time.process_time())

    def on_train_end(self, trainer: Trainer, module: AdversarialModule) -> None:
        """Write the file."""
        windows = zip(self._marks, self._marks[1:], strict=False)
        seconds = statistics.median((end - start) / WINDOW for start, end in windows)
        self.file.write_text(json.dumps(seconds))
