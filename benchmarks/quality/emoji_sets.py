"""Two sets of real pictures, from packages of npm: outlines in five tones, and two designs."""

import io
import json
import random
import sys
import tarfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.quality import SIDE
from benchmarks.quality.layout import KnownImage, write_images, write_truth
from munit_pl.data.images.tensors import to_tensor

OPENMOJI = "openmoji-17.0.0"
GOOGLE, TWITTER = "emoji-datasource-google-16.0.0", "emoji-datasource-twitter-16.0.0"
TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
_PEOPLE = {"1F468", "1F469", "1F9D1", "2640", "2642", "200D", "FE0F"}  # man, woman, joiners ...
_DIFFERENT = 16  # of 255: from here on two versions differ at a pixel
_SMALLEST = 100  # pixels at which an emoji's versions must differ: fewer show no tone
_WHITE = 0.85  # the smallest channel of what is ground, in [-1, 1]


def make_tones(root: Path, packages: Path) -> None:
    """Draw outlines, and pictures of other people and hands in five tones.

    What differs in a person's sex alone is in one of trainA, trainB and the test images.
    """
    files = _read_package(
        packages,
        OPENMOJI,
        lambda name: name == "data/openmoji.json" or name.endswith(".svg"),
    )
    listed = json.loads(files["data/openmoji.json"])
    variants: dict[str, dict[str, str]] = defaultdict(dict)
    for emoji in listed:
        if emoji["skintone_combination"] == "single" and emoji["skintone"]:
            variants[emoji["skintone_base_hexcode"]][emoji["skintone"]] = emoji["hexcode"]
    pictures = {
        base: (
            _render(files[f"black/svg/{base}.svg"]),
            torch.stack([_render(files[f"color/svg/{codes[t]}.svg"]) for t in sorted(codes)]),
        )
        for base, codes in variants.items()
    }
    pictures = {b: (x, y) for b, (x, y) in pictures.items() if _differing(y).sum() >= _SMALLEST}
    test, train_a, train_b = _split(_grouped(pictures), (60, 140))
    write_images(root / "trainA", {name: pictures[name][0] for name in train_a})
    for split, names in (("trainB", train_b), ("testB", test)):
        colored = {f"{n}-{k}": y for n in names for k, y in enumerate(pictures[n][1])}
        write_images(root / split, colored)
    rng, images = random.Random(0), {}
    for name in test:
        x, versions = pictures[name]
        others = [other for other in test if other != name]
        examples = [f"{rng.choice(others)}-{k}" for k in range(len(TONES))]
        images[name] = KnownImage(
            x, versions, _differing(versions), read_shape(versions[-1]), examples
        )
    write_truth(root, images, [1 / len(TONES)] * len(TONES))


def make_designs(root: Path, packages: Path, held_out: int = 100) -> None:
    """Write emoji of Google's design and others of Twitter's; flags are left out."""
    google, twitter = (
        _read_package(
            packages,
            package,
            lambda name, design=design: (
                name == "emoji.json" or name.startswith(f"img/{design}/64/")
            ),
        )
        for package, design in ((GOOGLE, "google"), (TWITTER, "twitter"))
    )
    names = [
        emoji["image"].removesuffix(".png")
        for emoji in json.loads(google["emoji.json"])
        if emoji["category"] != "Flags" and emoji["has_img_google"] and emoji["has_img_twitter"]
    ]
    random.Random(0).shuffle(names)
    test, train = names[:held_out], names[held_out:]
    a = {name: _on_white(google[f"img/google/64/{name}.png"]) for name in (*test, *train[::2])}
    b = {name: _on_white(twitter[f"img/twitter/64/{name}.png"]) for name in (*test, *train[1::2])}
    write_images(root / "trainA", {name: a[name] for name in train[::2]})
    write_images(root / "trainB", {name: b[name] for name in train[1::2]})
    write_images(root / "testB", {name: b[name] for name in test})
    images = {}
    for name in test:
        shape = read_shape(b[name])
        images[name] = KnownImage(a[name], b[name][None], shape | read_shape(a[name]), shape, [])
    write_truth(root, images, None)


def read_shape(x: Tensor) -> Tensor:
    """Return what of images ``(..., 3, H, W)`` in [-1, 1] is not white, bool ``(..., H, W)``."""
    return x.amin(-3) < _WHITE


def _differing(versions: Tensor) -> Tensor:
    """Return where any two of ``(M, 3, H, W)`` differ, bool ``(H, W)``."""
    pairs = [(x - y).abs().amax(0) * 127.5 for x, y in combinations(versions, 2)]
    return torch.stack(pairs).amax(0) >= _DIFFERENT


def _grouped(names: Mapping[str, object]) -> list[list[str]]:
    """Put together what shows the same in several sexes: all but those parts of their codes."""
    groups = defaultdict(list)
    for name in names:
        groups["-".join(c for c in name.split("-") if c not in _PEOPLE) or name].append(name)
    return [groups[key] for key in sorted(groups)]


def _split(groups: Sequence[list[str]], sizes: Sequence[int]) -> list[list[str]]:
    """Deal groups out in random order: parts of at least so many names, and the rest."""
    rest = [*groups]
    random.Random(0).shuffle(rest)
    parts: list[list[str]] = []
    for size in sizes:
        part: list[str] = []
        while len(part) < size:
            part += rest.pop()
        parts.append(part)
    return [*parts, [name for group in rest for name in group]]


def _read_package(folder: Path, package: str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Return files of an archive that ``npm pack`` fetched, by their names in it."""
    path = folder / f"{package}.tgz"
    name, version = package.rsplit("-", 1)
    if not path.exists():
        sys.exit(f"{folder} lacks {path.name}: run npm pack {name}@{version} there")
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            inside = member.name.removeprefix("package/")
            if member.isfile() and wanted(inside):
                found[inside] = archive.extractfile(member).read()
    return found


def _render(svg: bytes) -> Tensor:
    """Draw an SVG picture on white."""
    try:
        import resvg_py
    except ModuleNotFoundError:
        sys.exit("drawing OpenMoji's pictures takes resvg-py: pip install resvg-py")
    png = resvg_py.svg_to_bytes(
        svg_string=svg.decode(), width=SIDE, height=SIDE, background="white", skip_system_fonts=True
    )
    return to_tensor(Image.open(io.BytesIO(bytes(png))).convert("RGB"))


def _on_white(png: bytes) -> Tensor:
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return to_tensor(Image.alpha_composite(white, picture).convert("RGB").resize((SIDE, SIDE)))
