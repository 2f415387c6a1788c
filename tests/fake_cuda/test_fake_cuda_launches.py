"""How many operations an iteration has a GPU run: what Python takes longer to start than it to do.

Of the published networks, with one image of 256x256 pixels in each domain. Bounds leave a little
room for versions of PyTorch that split an operation in two; a cast or a copy for each layer breaks
them.
"""

import pytest
import torch
from fake_cuda.loop import train_on_fake_cuda

from munit_pl import BicycleGANModule, CycleGANModule, MUNITModule, UNITModule
from munit_pl.callbacks.ema import WeightAverage

KINDS = {
    "convolutions": ({"convolution", "convolution_backward"}, 340),
    "paddings": (
        {
            f"{kind}_pad2d{back}"
            for kind in ("reflection", "replication")
            for back in ("", "_backward")
        },
        285,
    ),
    "normalizations": ({"native_batch_norm", "native_batch_norm_backward"}, 140),
    "activations": ({"relu_", "threshold_backward", "leaky_relu_", "leaky_relu_backward"}, 245),
    "sums of maps and gradients": ({"add", "add_", "sub_"}, 185),
    "copies": ({"copy_", "clone", "cat", "stack", "flip", "new_zeros", "zeros_like"}, 135),
    "updates": ({"_fused_adam_", "_foreach_norm", "_foreach_copy_", "_foreach_add_"}, 22),
}


def images(steps):
    return [tuple(torch.zeros(1, 3, 256, 256) for _ in "ab") for _ in range(steps)]


def of_an_iteration(module, precision, *callbacks):
    """Train the module; return the second iteration's operations."""
    options = {"batches": images, "callbacks": callbacks, "log_every_n_steps": 50}
    return train_on_fake_cuda(module, 2, precision, **options)[-1]


def test_an_iteration_of_munit_is_of_fewer_than_1800_operations():
    seen = of_an_iteration(MUNITModule, "bf16-mixed")
    for kind, (names, most) in KINDS.items():
        assert 0 < sum(seen.launches[name] for name in names) <= most, kind
    assert 0 < seen.casts <= 125
    assert seen.launches.total() < 1800


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "precision", "most"),
    [
        (MUNITModule, "16-mixed", 1810),
        (MUNITModule, "32-true", 1700),
        (UNITModule, "bf16-mixed", 2130),
        (CycleGANModule, "bf16-mixed", 1520),
        (BicycleGANModule, "bf16-mixed", 1550),
    ],
)
def test_so_it_is_in_other_precisions_and_methods(module, precision, most):
    assert of_an_iteration(module, precision).launches.total() <= most


class Averaged(WeightAverage):
    """One that has an average, of weights whose values nobody can tell."""

    def on_train_start(self, trainer, module):
        generators = (module.gen_a, module.gen_b)
        self._average = [p.detach().clone() for gen in generators for p in gen.parameters()]
        super().on_train_start(trainer, module)


@pytest.mark.slow
def test_averages_and_statistics_take_few_operations_however_many_tensors_there_are():
    plain = of_an_iteration(MUNITModule, "bf16-mixed")
    averaged = of_an_iteration(MUNITModule, "bf16-mixed", Averaged())
    assert averaged.launches["_foreach_lerp_"] == 1
    assert averaged.launches.total() - plain.launches.total() < 20
