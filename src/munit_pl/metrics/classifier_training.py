"""Training of a classifier of a domain's modes, on a folder of images of each."""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munit_pl.data.images.bit_depth import find_max_value
from munit_pl.data.images.reading import read_image
from munit_pl.data.images.tensors import to_tensor
from munit_pl.data.listing import list_images
from munit_pl.metrics.classifier import Classifier, device_of, linear_classifier
from munit_pl.randomness import rng_for

# Scores need probabilities that hold on other images, not only the right class. Of 1e-4 to 10 this
# gave the least cross-entropy on held-out images, with Lite0 and 250 or 400 digits of ten classes.
_L2 = 0.1


class HeldOutAccuracy(NamedTuple):
    """How well a classifier does on images that it was not trained on.

    Attributes:
        accuracy: Share of the held-out images put into the right class, in [0, 1].
        train_images: Images trained on.
        test_images: Images held out.
    """

    accuracy: float
    train_images: int
    test_images: int


def fit_linear(features: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Fit a multinomial logistic regression.

    The features are standardized first, and that is folded into the result, which takes them as
    they are. The weights' squares are penalized, the biases' not.

    Args:
        features: ``(N, D)``.
        labels: Which class each belongs to, int64 ``(N,)``.
        num_classes: Number of classes.

    Returns:
        Weight ``(num_classes, D)`` and bias ``(num_classes,)``, float32, on the CPU.
    """
    x, labels = features.detach().double().cpu(), labels.cpu()
    std, mean = torch.std_mean(x, 0, correction=0)
    std = torch.where(std > 1e-6 * std.max(), std, 1.0)  # a constant says nothing of the class
    x = (x - mean) / std
    weight = x.new_zeros(num_classes, x.shape[1], requires_grad=True)
    bias = x.new_zeros(num_classes, requires_grad=True)
    optimizer: torch.optim.Optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=500, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimizer.zero_grad()
        penalty = _L2 / 2 * weight.square().sum()
        loss = F.cross_entropy(F.linear(x, weight, bias), labels) + penalty
        torch.autograd.backward(loss)
        return loss.item()

    with torch.enable_grad():
        optimizer.step(closure)
    folded = weight.detach() / std
    return folded.float(), (bias.detach() - folded @ mean).float()


def train_classifier(
    folder: Path, network: nn.Module, test_share: float = 0.2, seed: int = 0
) -> tuple[Classifier, HeldOutAccuracy]:
    """Train a linear layer on the network's features to tell classes of images apart.

    Args:
        folder: Holds a folder of images for each class, named after it.
        network: Images ``(N, 3, H, W)`` of any size in [-1, 1] to features ``(N, D)``; it has a
            ``name``. Its device is used.
        test_share: Share of each class's images that is held out, above 0 and below 1; at least
            one image, and never all.
        seed: Decides which images are held out.

    Returns:
        The classifier, and how well it does on the images held out.

    Raises:
        FileNotFoundError: There is no such folder.
        OSError: An image cannot be read.
        ValueError: There are fewer than two classes, a class has fewer than two images, or
            ``test_share`` is out of range.
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share is {test_share}, but must lie between 0 and 1")
    classes = _list_classes(folder)
    files = [file for images in classes.values() for file in images]
    sizes = [len(images) for images in classes.values()]
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    held_out = torch.cat(
        [
            _held_out(len(images), test_share, rng_for(seed, "classifier", name))
            for name, images in classes.items()
        ]
    )
    features = _features(network, files)
    weight, bias = fit_linear(features[~held_out], labels[~held_out], len(classes))
    guesses = F.linear(features[held_out], weight, bias).argmax(1)
    found = HeldOutAccuracy(
        accuracy=(guesses == labels[held_out]).double().mean().item(),
        train_images=int((~held_out).sum()),
        test_images=int(held_out.sum()),
    )
    return linear_classifier(network, weight, bias, list(classes)), found


def _list_classes(folder: Path) -> dict[str, list[Path]]:
    """Return each class's images, in the order of the classes' names."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(folders) < 2:
        raise ValueError(
            "a classifier needs at least two classes, each a folder of images, and "
            f"{str(folder)!r} holds {len(folders)}"
        )
    classes = {path.name: list_images(path) for path in folders}
    for name, images in classes.items():
        if len(images) < 2:
            raise ValueError(
                f"class {name!r} in {str(folder)!r} has one image, but needs at least two: one to "
                "train on and one to test with"
            )
    return classes


def _held_out(size: int, share: float, rng: torch.Generator) -> Tensor:
    """Return which images of a class of ``size`` are held out, bool ``(size,)``."""
    number = min(max(round(share * size), 1), size - 1)
    return torch.randperm(size, generator=rng) < number


@torch.no_grad()
def _features(network: nn.Module, files: list[Path]) -> Tensor:
    """Return the images' features, ``(N, D)`` on the CPU; one by one, as sizes may differ."""
    network.eval()
    max_value = find_max_value(files)
    images = (to_tensor(read_image(file, 3, max_value=max_value))[None] for file in files)
    return torch.cat([network(x.to(device_of(network))).float().cpu() for x in images])
