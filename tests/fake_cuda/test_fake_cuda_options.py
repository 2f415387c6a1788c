import pytest
import torch
from fake_cuda.loop import train_on_fake_cuda
from fake_cuda.options import OPTIONS, SMALLEST, in_pairs, merged
from methods import METHODS

from munit_pl.losses.perceptual import Vgg16, normalization
from munit_pl.recipes import perceptual


@pytest.fixture(autouse=True)
def vgg(monkeypatch):
    """A VGG-16 of thin layers in place of that in a file."""

    def load(source, *_):
        parameters = normalization(source)
        for stage, layers in enumerate((2, 2, 3, 3, 3), start=1):
            for i in range(1, layers + 1):
                channels = 3 if (stage, i) == (1, 1) else 4
                parameters[f"conv{stage}_{i}.weight"] = torch.zeros(4, channels, 3, 3)
                parameters[f"conv{stage}_{i}.bias"] = torch.zeros(4)
        return Vgg16(source, parameters)

    monkeypatch.setattr(perceptual, "load_vgg16", load)


@pytest.fixture(autouse=True)
def _algorithms():
    yield
    torch.use_deterministic_algorithms(False)


def batches(steps):
    shapes = [(2, 3, 32, 32)] * 2 + [(2, 1, 32, 32)] * 2  # images, and their masks
    return [tuple(torch.zeros(shape).pin_memory() for shape in shapes) for _ in range(steps)]


def faults(method, row):
    """Return what is wrong with the second iteration under a combination of options."""
    chosen = [OPTIONS[method][axis][i] for axis, i in row.items()]
    options = merged(SMALLEST.get(method, {}), *chosen)
    precision = options.pop("precision")
    torch.use_deterministic_algorithms(options.pop("deterministic", False))
    _, seen = train_on_fake_cuda(
        lambda: METHODS[method].make(**options), precision=precision, batches=batches
    )
    # Of discriminators that come last the host reads whether the scale is to fall.
    reads = precision == "16-mixed" and METHODS[method].module.generators_first
    return seen.mixed + (seen.waits if len(seen.waits) > reads else [])


@pytest.mark.parametrize("method", ["munit", "noisy_cyclegan", "bicyclegan"])
def test_with_all_options_at_once_the_host_waits_for_nothing(method):
    row = {axis: len(values) - 1 for axis, values in OPTIONS[method].items()}
    less = {"precision": 0, "accumulate": 0, "generator.spectral": 0}  # of many operations
    assert not faults(method, row | {axis: i for axis, i in less.items() if axis in row})


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("method", OPTIONS)
def test_with_any_two_options_together_the_host_waits_for_nothing(method):
    for row in in_pairs(OPTIONS[method]):
        assert not faults(method, row), row
