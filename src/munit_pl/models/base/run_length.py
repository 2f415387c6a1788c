"""How long a run is, whether iterations or epochs end it."""

from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def run_length(trainer: "Trainer") -> int | None:
    """Return the iterations of a whole run, those done before it was resumed too; None if endless.

    An epoch's are known from the data, which is looked up for that.
    """
    length = trainer.estimated_stepping_batches
    return int(length) if isfinite(length) else None
