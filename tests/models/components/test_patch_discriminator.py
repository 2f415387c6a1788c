import pytest
import torch
from torch import nn

from munit_pl.models.components.discriminators import downsample
from munit_pl.models.components.patch_discriminator import PatchDiscriminator


def test_published_size_has_as_many_parameters_as_published():
    with torch.device("meta"):
        network = PatchDiscriminator()
        (logits,) = network(torch.empty(1, 3, 256, 256))
    assert sum(p.numel() for p in network.parameters()) == 2_764_737
    assert tuple(logits.shape) == (1, 1, 30, 30)


@pytest.mark.parametrize(("layers", "side"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_judges_a_patch_of_the_published_side(layers, side):
    network = PatchDiscriminator(1, 2, layers, norm="none")
    for parameter in network.parameters():  # so that no path is blocked or cancelled
        nn.init.constant_(parameter, 0.1)
    x = torch.zeros(1, 1, 128, 128, requires_grad=True)
    (logits,) = network(x)
    middle = logits.shape[2] // 2
    logits[0, 0, middle, middle].backward()
    rows, columns = x.grad[0, 0].nonzero().unbind(1)
    assert int(rows.max() - rows.min()) + 1 == int(columns.max() - columns.min()) + 1 == side


def test_logits_are_those_of_the_published_layers_written_out():
    network = PatchDiscriminator(3, 4)
    plain = nn.Sequential(
        nn.Conv2d(3, 4, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4, 8, 4, 2, 1),
        nn.InstanceNorm2d(8),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 16, 4, 2, 1),
        nn.InstanceNorm2d(16),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, 1, 1),
        nn.InstanceNorm2d(32),
        nn.LeakyReLU(0.2),
        nn.Conv2d(32, 1, 4, 1, 1),
    )
    for ours, theirs in zip(plain.parameters(), network.parameters(), strict=True):
        ours.data.copy_(theirs.data)
    x = torch.randn(2, 3, 32, 48)
    torch.testing.assert_close(network(x)[0], plain(x))


def test_widths_double_up_to_eight_times_the_first():
    network = PatchDiscriminator(3, 2, num_layers=5)
    widths = [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert widths == [2, 4, 8, 16, 16, 16, 1]


def test_further_scales_are_other_networks_on_halved_images():
    network, x = PatchDiscriminator(3, 2, 2, num_scales=2), torch.randn(2, 3, 32, 40)
    full, half = network(x)
    torch.testing.assert_close(full, network.scales[0](x))
    torch.testing.assert_close(half, network.scales[1](downsample(x)))
    weights = [scale[0].conv.weight for scale in network.scales]
    assert not torch.equal(weights[0], weights[1])


def test_batches_judged_at_once_are_judged_apart():
    for norm in ["none", "instance", "batch", "layer"]:
        network = PatchDiscriminator(3, 2, 2, 2, norm)
        x, y, larger = (
            torch.randn(2, 3, 32, 32),
            torch.randn(2, 3, 32, 32),
            torch.randn(2, 3, 40, 32),
        )
        for batches in ((x, y), (x, larger)):
            for logits, batch in zip(network.score_batches(*batches), batches, strict=True):
                for scale, expected in zip(logits, network(batch), strict=True):
                    torch.testing.assert_close(scale, expected)


def test_judged_at_once_is_one_pass_where_samples_are_independent(monkeypatch):
    passes = []
    monkeypatch.setattr(PatchDiscriminator, "forward", lambda self, x: passes.append(len(x)) or [x])
    x = torch.zeros(2, 3, 8, 8)
    PatchDiscriminator(3, 4, 2).score_batches(x, x)
    PatchDiscriminator(3, 4, 2, norm="batch").score_batches(x, x)
    assert passes == [4, 2, 2]


def test_just_the_sizes_that_leave_a_logit_are_accepted():
    for norm in ["none", "instance"]:
        for layers, scales in [(1, 1), (2, 1), (3, 1), (1, 2), (2, 3)]:
            network = PatchDiscriminator(1, 1, layers, scales, norm)

            def judges(*sides):
                try:
                    return all(logits.numel() for logits in network(torch.randn(1, 1, *sides)))
                except (RuntimeError, ValueError):
                    return False

            def accepts(*sides):
                try:
                    network.check_size(*sides)
                except ValueError:
                    return False
                return True

            found = {side: accepts(side, 64) for side in range(2, 52)}
            assert found == {side: judges(side, 64) for side in found}
            assert found == {side: accepts(64, side) for side in found}
            assert set(found.values()) == {False, True}


def test_published_size_refuses_23_pixels():
    network = PatchDiscriminator(1, 1)
    network.check_size(24, 24)
    with pytest.raises(ValueError, match=r"23x64 are too small .* at least 24"):
        network.check_size(23, 64)


def test_a_number_below_one_is_refused_by_name():
    for name in ["in_channels", "dim", "num_layers", "num_scales"]:
        with pytest.raises(ValueError, match=f"{name} is 0"):
            PatchDiscriminator(**{name: 0})
