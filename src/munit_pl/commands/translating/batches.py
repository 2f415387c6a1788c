"""The plan of a run, and images translated in batches, written and animated."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from munit_pl.commands.translating.outputs import Outputs, Settings, fingerprint
from munit_pl.commands.translating.sources import Source
from munit_pl.commands.translating.styles import NamedStyle, StylesOf
from munit_pl.data.domain import DomainName
from munit_pl.data.images.tensors import to_pil_image, to_tensor
from munit_pl.data.sizes import Size
from munit_pl.inference.animation import animate
from munit_pl.inference.translator import Translator

_HELD = 2**29  # bytes that a batch's outputs may come to, unless a single input's are more


@dataclass(frozen=True)
class Plan:
    """What holds for all outputs of a run.

    Attributes:
        source: The domain of the inputs.
        to: The domain of the outputs; equal to ``source`` where inputs are reconstructed.
        styles: Gives the styles of the input called so.
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
    styles: StylesOf
    resize: Size | None
    suffix: str
    saving: Mapping[str, Any]
    batch_size: int
    animation: str | None
    fps: Fraction
    settings: Settings
    seed: int

    def output(self, name: str, style: NamedStyle) -> str:
        """Return where in the output folder an input called ``name`` is shown in a style."""
        return f"{name}_{style.label}{self.suffix}"

    def made_with(self, stamp: Settings, style: NamedStyle) -> Settings:
        """Return all that an output depends on; ``stamp`` tells its input."""
        return self._with(stamp, style.how)

    def animated_with(
        self, stamp: Settings, styles: Sequence[NamedStyle], fps: Fraction | None
    ) -> Settings:
        """Return all that an animation depends on; no ``fps`` where a video's times are kept."""
        shown = fingerprint([style.how for style in styles])
        return self._with(stamp, {"animation": shown, "fps": fps and str(fps)})

    def _with(self, stamp: Settings, how: Settings) -> Settings:
        direction = f"{self.source}2{self.to}"
        return {**stamp, "direction": direction, "how": how, **self.settings}


@dataclass(frozen=True)
class Job:
    """An image, and what is still to be made of it.

    Attributes:
        source: The file that it is from.
        name: What its outputs are called, before the style.
        stamp: What they depend on of their input.
        picture: The image.
        styles: Those that it is not there in.
    """

    source: Source
    name: str
    stamp: Settings
    picture: Image.Image
    styles: Sequence[NamedStyle]

    def goes_with(self, other: "Job") -> bool:
        """Tell whether both fit into one batch."""
        return self.picture.size == other.picture.size and len(self.styles) == len(other.styles)


AnyJob = TypeVar("AnyJob", bound=Job)


class Tally:
    """What has been done so far, in numbers and on a bar.

    Args:
        total: Outputs there will be.
        hidden: Whether to show no bar. Where nobody watches there is none anyway.
    """

    def __init__(self, total: int, hidden: bool) -> None:
        self.written = 0
        self.present = 0
        self.failed: set[Source] = set()
        self.bar = tqdm(total=total, unit="image", disable=True if hidden else None)

    def wrote(self, n: int) -> None:
        """Count outputs that were written."""
        self.written += n
        self.bar.update(n)

    def found(self, n: int) -> None:
        """Count outputs that were there already."""
        self.present += n
        self.bar.update(n)

    def fail(self, source: Source, error: Exception) -> None:
        """Tell why an input cannot be translated, once."""
        if source not in self.failed:
            self.tell(source, str(error))
        self.failed.add(source)

    def tell(self, source: Source, message: str) -> None:
        """Say something of an input."""
        named = message if str(source.path) in message else f"{source.path}: {message}"
        tqdm.write(f"munit-translate: {named}", file=sys.stderr)


@dataclass(frozen=True)
class BatchTranslator:
    """Makes the outputs: a model, what to do with it, and a folder."""

    translator: Translator
    plan: Plan
    outputs: Outputs

    def missing(self, name: str, stamp: Settings, styles: Sequence[NamedStyle]) -> list[int]:
        """Return which of an input's styles it is not there in.

        Raises:
            InputError: If something else is there, and must not be replaced.
        """
        output, made_with = self.plan.output, self.plan.made_with
        return [
            i
            for i, style in enumerate(styles)
            if not self.outputs.is_done(output(name, style), made_with(stamp, style))
        ]

    def make(self, jobs: Iterable[AnyJob], tally: Tally) -> Iterator[AnyJob]:
        """Do jobs, and hand each on when its outputs are written.

        Jobs that follow each other and are of one size are translated together. One that cannot
        be done is told and left out.
        """
        channels = self.translator.channels(self.plan.to)
        for batch in _batches(jobs, channels, self.plan.batch_size):
            if batch[0].styles:
                try:
                    images, codes = self._translate(batch)
                except ValueError as error:  # too small an image, for one
                    for job in batch:
                        tally.fail(job.source, error)
                    continue
                for job, *made in zip(batch, images, codes, strict=True):
                    for style, image, code in zip(job.styles, *made, strict=True):
                        self._write(job, style, image, code)
                        tally.wrote(1)
            yield from batch

    def animate(
        self,
        names: Sequence[str],
        times: Sequence[Fraction],
        path: str,
        settings: Settings,
        sound: Path | None = None,
    ) -> None:
        """Write an animation of outputs, as `munit_pl.inference.animation.animate` does."""
        files = [self.outputs.folder / name for name in names]
        with self.outputs.making(path, settings, {"frames": len(files)}) as unfinished:
            animate(files, times, unfinished, sound)

    def _translate(self, batch: Sequence[Job]) -> tuple[Tensor, Tensor]:
        """Return a batch's images in their missing styles, ``(N, K, C, H, W)``, and the codes."""
        x = torch.stack([to_tensor(job.picture) for job in batch])
        to = self.plan.to
        if self.plan.source == to:
            shown = self.translator.reconstruct(x, to)[:, None]
            if not self.translator.reads_styles:
                return shown, x.new_empty(len(x), 1, 0)
            return shown, self.translator.encode_style(x, to)[:, None]
        rows = [[style.code for style in job.styles if style.code is not None] for job in batch]
        codes = torch.stack([torch.stack(row) for row in rows])
        return self.translator.translate(x, codes, to), codes

    def _write(self, job: Job, style: NamedStyle, image: Tensor, code: Tensor) -> None:
        more = {
            "style": [float(str(value)) for value in code.numpy()],  # float32 needs no more digits
            "size": list(image.shape[1:]),
            "seed": self.plan.seed,
        }
        path, settings = self.plan.output(job.name, style), self.plan.made_with(job.stamp, style)
        with self.outputs.making(path, settings, more) as unfinished:
            to_pil_image(image).save(unfinished, **self.plan.saving)


def _batches(jobs: Iterable[AnyJob], channels: int, most: int) -> Iterator[list[AnyJob]]:
    batch: list[AnyJob] = []
    room = 0
    for job in jobs:
        if batch and (len(batch) == room or not job.goes_with(batch[0])):
            yield batch
            batch = []
        if not batch:
            width, height = job.picture.size
            each = 4 * channels * height * width * max(1, len(job.styles))
            room = min(most, max(1, _HELD // each))
        batch.append(job)
    if batch:
        yield batch
