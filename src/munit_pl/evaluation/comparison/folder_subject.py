"""Images of files as what methods are compared on, by metrics that need no truth."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from munit_pl.data.datamodules.aligned import AlignedDataModule
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.datamodules.huggingface import HuggingFaceDataModule
from munit_pl.data.datamodules.unpaired import UnpairedDataModule
from munit_pl.data.domain import DomainName
from munit_pl.data.file_identity import files_of
from munit_pl.evaluation.comparison.rows import SEED, Extent
from munit_pl.evaluation.comparison.subject import Metrics, Subject, Wording
from munit_pl.evaluation.style_transfer import transfer_statistics
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.metrics.drawn import chance_error, color_error, color_spread
from munit_pl.metrics.energy_distance import energy_distance
from munit_pl.metrics.network_metric import to_rgb

_FEWEST = 8  # images of a set: below, metrics of sets tell nothing


class LoadedImages:
    """A domain of images in memory.

    Args:
        x: The images, ``(N, C, H, W)`` in [-1, 1].
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def load(self, index: int, rng: torch.Generator | None) -> Tensor:
        """Return one as it is."""
        return self.x[index]


class FolderSubject(Subject):
    """Test images of files; the training images where there are none.

    Of training images in the place of test images every second one of domain b is compared with,
    and the rest are the others.

    Args:
        datamodule: The images, set up.
        extent: How much is measured at most: what there are images for is.

    Raises:
        ValueError: If there are too few images.
        OSError: If none can be read.
    """

    def __init__(self, datamodule: TwoDomains, extent: Extent) -> None:
        self.datamodule = datamodule
        n, domains = max(extent.compared, extent.inputs, extent.varied), datamodule.domains
        untested = [
            name
            for name, train, test in zip("ab", domains["train"], domains["test"], strict=True)
            if files_of(test) and files_of(train) == files_of(test)
        ]
        inputs = datamodule.first_images("test", "a", n)
        if "b" in untested:
            both = datamodule.first_images("test", "b", 2 * n)
            real, others = both[::2], both[1::2]
        else:
            real, others = (datamodule.first_images(s, "b", n) for s in ("test", "train"))
        self._check_enough(inputs, "a", "a" in untested, 1)
        self._check_enough(others, "b", "b" in untested, 2 if "b" in untested else 1)
        self._check_enough(real, "b", "b" in untested, 1)
        self.inputs, self.real, self.others = map(LoadedImages, (inputs, real, others))
        compared = min(extent.compared, len(inputs), len(real), len(others))
        self.extent = replace(
            extent,
            inputs=min(extent.inputs, len(inputs), len(real)),
            varied=min(extent.varied, len(inputs)),
            compared=compared,
            subset=min(extent.subset, compared),
        )
        self._x_a, self._x_b = inputs, real
        self._colors = mean_color(real[:compared]), mean_color(others[:compared])
        self.wording = self._wording(untested)

    def measure(self, translator: Translator) -> tuple[Metrics, Metrics]:
        """Return measures of images' mean colors, which need no truth.

        "color_energy", the energy distance of translations' colors to those of real images;
        "color_spread" of one image's translations, as a share of the real images'; if the method
        reads styles "guided_error", the distance to the example's color, and "chance_error", that
        to others' of the same translations; and "transfer_error" if it has a content code.
        """
        n, styles, dim = self.extent.inputs, self.extent.styles, translator.style_dim("b")
        real, others = self._colors
        images = self._x_a[:n]
        examples = self._x_b[:n].roll(-1, 0)  # a pair's partner is no example
        shown = (
            mean_color(
                translator.translate(x[None], random_styles(styles, dim, SEED, "colors", i))[0]
            )
            for i, x in enumerate(images)
        )
        colors = torch.stack(list(shown))
        metrics = {
            "color_energy": energy_distance(colors.flatten(0, 1), real).item(),
            "color_spread": (color_spread(colors) / color_spread(real)).item(),
        }
        wanted = mean_color(examples)
        pairs = list(zip(images[:, None], examples[:, None], strict=True))
        if translator.reads_styles:
            guided = [translator.translate(x, translator.encode_style(y, "b")) for x, y in pairs]
            followed = mean_color(torch.cat(guided)[:, 0])
            metrics["guided_error"] = color_error(followed, wanted).mean().item()
            metrics["chance_error"] = chance_error(followed, wanted)
        if translator.reconstructs:
            moved = torch.cat([transfer_statistics(translator, x, y, "b") for x, y in pairs])
            metrics["transfer_error"] = color_error(mean_color(moved), wanted).mean().item()
        return metrics, {
            "color_energy": energy_distance(others, real).item(),
            "color_spread": (color_spread(others) / color_spread(real)).item(),
        }

    def show(self, n: int, beside: int) -> tuple[str, Tensor, Tensor]:
        """Return inputs, and beside each its partner, or real images if there are no pairs."""
        x = self._x_a[:n]
        if self.datamodule.has_pairs:
            whole = self.datamodule.first_images("test", "b", n)
            return "input, its partner", x, whole[:, None]
        k = min(beside, len(self._x_b) // n)
        return "input, real images", x, self._x_b[: n * k].view(n, k, *self._x_b.shape[1:])

    def _check_enough(self, images: Tensor, domain: DomainName, untested: bool, share: int) -> None:
        if len(images) >= _FEWEST:
            return
        kind = "training images, and no test images" if untested else "test images"
        there = len(self.datamodule.domains["test"]["ab".index(domain)])
        raise ValueError(
            f"domain {domain} has {there} {kind}, but a comparison takes {share * _FEWEST} or more"
        )

    def _wording(self, untested: Sequence[str]) -> Wording:
        n, styles = self.extent.inputs, self.extent.styles
        notes = [
            f"Colors are the mean colors of whole images, of {n} inputs, {styles} styles each. The "
            "color error of a method that ignores the example is that to other examples.",
            "BicycleGAN is shown which images are pairs, the others are not."
            if self.datamodule.has_pairs
            else "BicycleGAN is left out: it trains on pairs, and these images are none.",
        ]
        if untested:
            where = " and ".join(untested)
            notes.append(
                f"There are no test images of domain {where}: measured on the training images."
            )
        return Wording(_title(self.datamodule), "real images", "images", "image", tuple(notes))


def mean_color(x: Tensor) -> Tensor:
    """Return the mean colors of images ``(N, C, H, W)`` in [-1, 1]: RGB, ``(N, 3)`` in [0, 255]."""
    return (to_rgb(x).mean((2, 3)) + 1) * 127.5


def _title(datamodule: TwoDomains) -> str:
    root = Path(getattr(datamodule, "root", "")).resolve().name
    match datamodule:
        case UnpairedDataModule(folders=folders):
            return f"{root}: {folders['train_a']} to {folders['train_b']}"
        case AlignedDataModule(reverse=True):
            return f"{root}: right halves to left halves"
        case AlignedDataModule():
            return f"{root}: left halves to right halves"
        case HuggingFaceDataModule(path=path, found=(a, b)):
            apart = [(str(x), str(y)) for x, y in zip(a, b, strict=True) if x != y]
            return f"{path}: {' to '.join(map(' '.join, zip(*apart, strict=True)))}"
    return root
