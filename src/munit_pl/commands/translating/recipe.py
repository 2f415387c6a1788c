"""What one run of ``munit-translate`` does to every input alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from munit_pl.commands.translating.looks import How, Look
from munit_pl.commands.translating.outputs import Settings, fingerprint
from munit_pl.data.domain import DomainName
from munit_pl.data.sizes import Size


@dataclass(frozen=True)
class Recipe:
    """What holds for all outputs of a run.

    Attributes:
        source: The domain of the inputs.
        to: The domain of the outputs; equal to ``source`` where inputs are reconstructed.
        looks: Gives the styles of the input called so.
        resize: What inputs are resized to, if at all.
        suffix: Ending of the outputs' names.
        saving: Pillow's options for writing them.
        batch_size: Inputs that are translated at once, at most.
        animation: Ending of the animations' names, if any are to be made.
        fps: Frames per second of the animation of an image.
        settings: What outputs depend on besides: the model, and so on.
        seed: The run's seed, for the manifest.
    """

    source: DomainName
    to: DomainName
    looks: Callable[[str], Sequence[Look]]
    resize: Size | None
    suffix: str
    saving: Mapping[str, Any]
    batch_size: int
    animation: str | None
    fps: Fraction
    settings: Settings
    seed: int

    def output(self, name: str, look: Look) -> str:
        """Return where in the output folder an input called ``name`` is shown in a style."""
        return f"{name}_{look.label}{self.suffix}"

    def made_with(self, stamp: Settings, look: Look) -> Settings:
        """Return all that an output depends on; ``stamp`` tells its input."""
        return self._with(stamp, look.how)

    def animated_with(
        self, stamp: Settings, looks: Sequence[Look], fps: Fraction | None
    ) -> Settings:
        """Return all that an animation depends on; no ``fps`` where a video's times are kept."""
        shown = fingerprint([look.how for look in looks])
        return self._with(stamp, {"animation": shown, "fps": fps and str(fps)})

    def _with(self, stamp: Settings, how: How) -> Settings:
        direction = f"{self.source}2{self.to}"
        return {**stamp, "direction": direction, "how": how, **self.settings}
