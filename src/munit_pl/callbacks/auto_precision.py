"""Training in bf16-mixed where the device is faster in it."""

from collections.abc import Callable

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import MixedPrecision

from munit_pl.inference.precision_choice import choose_precision


class AutoPrecision(Callback):
    """Train in ``bf16-mixed`` where the device is faster in it; the trainer is one of ``32-true``.

    Process 0 chooses, before training and once all have met, and all follow: with clocks of their
    own they might differ. See `munit_pl.inference.precision_choice.choose_precision`.

    Args:
        note: Called by each process with what was chosen, "bf16-mixed" or "32-true".

    Attributes:
        reason: Why that, in a few words; known from `setup` on.
    """

    def __init__(self, note: Callable[[str], None] | None = None) -> None:
        self.note = note
        self.reason = ""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Choose."""
        if stage != "fit":
            return
        device, first = trainer.strategy.root_device, trainer.is_global_zero
        choice = choose_precision(device, training=True) if first else None
        choice = trainer.strategy.broadcast(choice)
        assert choice is not None
        if choice.bf16:
            trainer.strategy.precision_plugin = MixedPrecision("bf16-mixed", device.type)
        self.reason = choice.reason
        if self.note is not None:
            self.note(str(trainer.precision))
