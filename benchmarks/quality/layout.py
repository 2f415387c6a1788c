"""A set as files: training and test images of two domains, and the truth about the latter.

trainA trainB testA testB   PNG, 64x64
truth/STEM/0.png, 1.png ... what test image STEM.png of a is in domain b, in each of its versions
truth/STEM/region.png       where versions differ in color, white; there colors are measured
truth/STEM/shape.png        where the object is, white
truth.json                  how often domain b has each version (null: they are no modes), and
                            for each test image of a, and each version, an example in testB
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.images.tensors import to_pil_image, to_tensor


class KnownImage(NamedTuple):
    """A test image of domain a and what is known of it.

    Attributes:
        x: The image, ``(3, H, W)`` in [-1, 1].
        versions: What it is in domain b, ``(M, 3, H, W)``.
        region: Where colors are measured, bool ``(H, W)``.
        shape: Where the object is, bool ``(H, W)``.
        examples: The name of an image in testB of each version; none where there is no such thing.
    """

    x: Tensor
    versions: Tensor
    region: Tensor
    shape: Tensor
    examples: Sequence[str]


class Truth(NamedTuple):
    """All test images of a set.

    Attributes:
        x: ``(N, 3, H, W)`` in [-1, 1].
        versions: ``(N, M, 3, H, W)``.
        regions: Bool ``(N, H, W)``.
        shapes: Likewise.
        real: The test images of domain b, ``(R, 3, H, W)``.
        examples: Which of them are the examples, ``(N, M)``; None where there are none.
        shares: How often domain b has each version, ``(M,)``; None where they are no modes.
    """

    x: Tensor
    versions: Tensor
    regions: Tensor
    shapes: Tensor
    real: Tensor
    examples: Tensor | None
    shares: Tensor | None


def write_images(folder: Path, images: Mapping[str, Tensor | Image.Image]) -> None:
    """Write images under their names, without ending."""
    folder.mkdir(parents=True)
    for name, image in images.items():
        picture = to_pil_image(image) if isinstance(image, Tensor) else image
        picture.save(folder / f"{name}.png")


def write_truth(
    root: Path, images: Mapping[str, KnownImage], shares: Sequence[float] | None
) -> None:
    """Write test images of domain a, by name, and what is known of them."""
    write_images(root / "testA", {name: image.x for name, image in images.items()})
    for name, image in images.items():
        masks = {"region": _as_picture(image.region), "shape": _as_picture(image.shape)}
        versions = {str(k): version for k, version in enumerate(image.versions)}
        write_images(root / "truth" / name, versions | masks)
    examples = {name: list(image.examples) for name, image in images.items()}
    text = json.dumps({"shares": shares, "examples": examples}, indent=1)
    (root / "truth.json").write_text(text + "\n")  # last: with it the set is complete


def read_truth(root: Path) -> Truth:
    """Read what `write_truth` wrote, and the test images of domain b."""
    if not (root / "truth.json").exists():
        sys.exit(f"{root} holds no set: python -m benchmarks.quality.sets makes it")
    described = json.loads((root / "truth.json").read_text())
    names, folders = (
        list(described["examples"]),
        [root / "truth" / n for n in described["examples"]],
    )
    real = sorted(path.stem for path in (root / "testB").glob("*.png"))
    places = {name: i for i, name in enumerate(real)}
    examples = [[places[name] for name in row] for row in described["examples"].values()]
    count = len(list(folders[0].glob("[0-9].png")))
    return Truth(
        x=torch.stack([_read(root / "testA" / f"{name}.png") for name in names]),
        versions=torch.stack(
            [torch.stack([_read(f / f"{k}.png") for k in range(count)]) for f in folders]
        ),
        regions=torch.stack([_read_mask(folder / "region.png") for folder in folders]),
        shapes=torch.stack([_read_mask(folder / "shape.png") for folder in folders]),
        real=torch.stack([_read(root / "testB" / f"{name}.png") for name in real]),
        examples=torch.tensor(examples) if examples[0] else None,
        shares=torch.tensor(described["shares"]) if described["shares"] else None,
    )


def _read(path: Path) -> Tensor:
    return to_tensor(Image.open(path).convert("RGB"))


def _read_mask(path: Path) -> Tensor:
    return torch.from_numpy(np.array(Image.open(path).convert("L")) > 127)


def _as_picture(mask: Tensor) -> Image.Image:
    return Image.fromarray(mask.byte().mul(255).numpy())
