"""Images translated in batches, written and animated, whatever they came from."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from munit_pl.commands.translating.looks import Look
from munit_pl.commands.translating.outputs import Outputs, Settings
from munit_pl.commands.translating.recipe import Recipe
from munit_pl.commands.translating.sources import Source
from munit_pl.data.images.tensors import to_picture, to_tensor
from munit_pl.inference.animation import animate
from munit_pl.inference.translator import Translator

_HELD = 2**29  # bytes that a batch's outputs may come to, unless a single input's are more


@dataclass(frozen=True)
class Job:
    """An image, and what is still to be made of it.

    Attributes:
        source: The file that it is from.
        name: What its outputs are called, before the style.
        stamp: What they depend on of their input.
        picture: The image.
        looks: The styles that are missing.
    """

    source: Source
    name: str
    stamp: Settings
    picture: Image.Image
    looks: Sequence[Look]

    def goes_with(self, other: "Job") -> bool:
        """Tell whether both fit into one batch."""
        return self.picture.size == other.picture.size and len(self.looks) == len(other.looks)


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
class Workshop:
    """Where outputs are made: a model, what to do with it, and a folder."""

    translator: Translator
    recipe: Recipe
    outputs: Outputs

    def missing(self, name: str, stamp: Settings, looks: Sequence[Look]) -> list[Look]:
        """Return the styles that an input is not there in.

        Raises:
            InputError: If something else is there, and must not be replaced.
        """
        return [
            look
            for look in looks
            if not self.outputs.is_done(
                self.recipe.output(name, look), self.recipe.made_with(stamp, look)
            )
        ]

    def make(self, jobs: Iterable[AnyJob], tally: Tally) -> Iterator[AnyJob]:
        """Do jobs, and hand each on when its outputs are written.

        Jobs that follow each other and are of one size are translated together. One that cannot
        be done is told and left out.
        """
        channels = self.translator.channels(self.recipe.to)
        for batch in _batches(jobs, channels, self.recipe.batch_size):
            if batch[0].looks:
                try:
                    images, styles = self._translate(batch)
                except ValueError as error:  # too small an image, for one
                    for job in batch:
                        tally.fail(job.source, error)
                    continue
                for job, *made in zip(batch, images, styles, strict=True):
                    for look, image, style in zip(job.looks, *made, strict=True):
                        self._write(job, look, image, style)
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
        """Return a batch's images in their missing styles, ``(N, K, C, H, W)``, and the styles."""
        x = torch.stack([to_tensor(job.picture) for job in batch])
        to = self.recipe.to
        if self.recipe.source == to:
            shown = self.translator.reconstruct(x, to)[:, None]
            if not self.translator.reads_styles:
                return shown, x.new_empty(len(x), 1, 0)
            return shown, self.translator.encode_style(x, to)[:, None]
        rows = [[look.style for look in job.looks if look.style is not None] for job in batch]
        styles = torch.stack([torch.stack(row) for row in rows])
        return self.translator.translate(x, styles, to), styles

    def _write(self, job: Job, look: Look, image: Tensor, style: Tensor) -> None:
        more = {
            "style": [float(str(value)) for value in style.numpy()],  # float32 needs no more digits
            "size": list(image.shape[1:]),
            "seed": self.recipe.seed,
        }
        path, settings = self.recipe.output(job.name, look), self.recipe.made_with(job.stamp, look)
        with self.outputs.making(path, settings, more) as unfinished:
            to_picture(image).save(unfinished, **self.recipe.saving)


def _batches(jobs: Iterable[AnyJob], channels: int, most: int) -> Iterator[list[AnyJob]]:
    batch: list[AnyJob] = []
    room = 0
    for job in jobs:
        if batch and (len(batch) == room or not job.goes_with(batch[0])):
            yield batch
            batch = []
        if not batch:
            width, height = job.picture.size
            each = 4 * channels * height * width * max(1, len(job.looks))
            room = min(most, max(1, _HELD // each))
        batch.append(job)
    if batch:
        yield batch
