"""What ``benchmarks/latency.py`` measures with, and that exported networks are the eager ones."""

import math

import pytest
import torch

from benchmarks import latency
from munit_pl import Translator
from munit_pl.layers.initialization import initialize
from munit_pl.models.munit.networks import AdaINGenerator

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def gens():
    torch.manual_seed(0)
    gens = tuple(AdaINGenerator(dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab")
    for gen in gens:
        initialize(gen, "kaiming")
    return gens


def test_errors_are_those_worked_out_by_hand():
    exact = torch.zeros(1, 1, 1, 4)
    errors = latency.compare(torch.tensor([[[[0.2, -0.2, 0.0, 0.0]]]]), exact)
    assert errors.largest == pytest.approx(0.2)
    assert errors.mean == pytest.approx(0.1)
    assert errors.psnr == pytest.approx(10 * math.log10(2**2 / 0.02))  # 23.01 dB
    assert latency.compare(exact, exact).psnr == math.inf


@pytest.mark.parametrize(
    ("errors", "precision", "within"),
    [
        ((9e-5, 1e-5, 90), "fp32", True),
        ((2e-4, 1e-5, 90), "fp32", False),
        ((2e-2, 1.9e-3, 46), "bf16", True),
        ((2e-2, 2.1e-3, 46), "bf16", False),
        ((2e-2, 1.9e-3, 44), "fp16", False),
    ],
)
def test_errors_are_held_against_the_limits_of_their_precision(errors, precision, within):
    assert latency.Errors(*errors).within(precision) is within


@pytest.mark.slow
def test_one_content_serves_many_styles_of_exported_networks(gens):
    eager, exported = (latency.make(way, gens, "fp32", CPU) for way in ("eager", "exported"))
    for n, size in ((1, (32, 32)), (3, (48, 24))):
        x, z = torch.rand(n, 3, *size) * 2 - 1, torch.randn(4, 8)
        for batch_size in (1, 5):
            exported.batch_size = batch_size
            shown = exported.translate(x, z)
            torch.testing.assert_close(shown, eager.translate(x, z), atol=1e-4, rtol=0)
    kinds = [type(gen).__name__ for gen in exported.generators]
    parts = exported.generators[0].content_encoder, exported.generators[1].decoder
    assert kinds == ["AdaINGenerator"] * 2
    assert [type(part).__name__ for part in parts] == ["Graph"] * 2


@pytest.mark.slow
def test_an_export_in_half_precision_is_the_translators_own(gens):
    eager, exported = (latency.make(way, gens, "bf16", CPU) for way in ("eager", "exported"))
    x, z = torch.rand(1, 3, 32, 32) * 2 - 1, torch.randn(2, 8)
    exact = Translator(*gens, device=CPU).translate(x, z)
    usual, error = (latency.compare(way.translate(x, z), exact) for way in (eager, exported))
    assert 0 < error.mean < 1.5 * usual.mean


def test_ways_take_turns_and_are_timed_as_often(gens):
    exact = latency.make("eager", gens, "fp32", CPU)
    called = []

    class Watched(Translator):
        def translate(self, x, styles, to="b"):
            called.append(self.precision)
            return super().translate(x, styles, to)

    ways = {
        (name, "eager"): Watched(*gens, device=CPU, precision=name) for name in ("fp32", "bf16")
    }
    rows = latency.measure(ways, exact, (16, 1, 2), turns=3, seconds=0)
    # A first call, whose errors are seen; then turns, each begun by another way.
    assert called[2:] == ["fp32", "bf16", "bf16", "fp32", "fp32", "bf16"]
    assert [len(row.seconds) for row in rows] == [3, 3]
    assert [row.errors.largest == 0 for row in rows] == [True, False]


def test_the_table_has_images_a_second_and_the_median_of_the_turns_ratios():
    errors = latency.Errors(1e-5, 1e-6, 100.0)
    plain = latency.Row(256, 2, 10, "fp32", "eager", errors, 9.0, [1.0, 2.0, 4.0])
    other = latency.Row(256, 2, 10, "bf16", "packaged", errors, 9.0, [0.5, 0.5, 1.0])
    cells = [cell.strip() for cell in latency.table([plain, other]).splitlines()[3].split("|")]
    # The turns' ratios are 0.5, 0.25 and 0.25; the ratio of the totals would be 0.29.
    assert cells[1:9] == ["256", "2", "10", "bf16", "packaged", "500 (500-900)", "40", "0.25"]
    assert cells[-2] == "yes"
