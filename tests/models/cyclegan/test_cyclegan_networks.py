import pytest
import torch
from torch import nn

from munit_pl.layers.initialization import initialize
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.components.resnet import ResnetTranslator
from munit_pl.models.cyclegan.networks import CycleGANGenerator


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("blocks", "expected"), [(9, 11_378_179), (6, 7_837_699)])
def test_published_sizes_have_as_many_parameters_as_published(blocks, expected):
    with torch.device("meta"):
        assert count(ResnetTranslator(num_res_blocks=blocks)) == expected
        assert count(CycleGANGenerator(num_res_blocks=blocks)) == expected


class Residual(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(dim, dim, 3),
            nn.InstanceNorm2d(dim),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(dim, dim, 3),
            nn.InstanceNorm2d(dim),
        )

    def forward(self, x):
        return x + self.body(x)


def written_out(in_channels, out_channels, dim, blocks, first_norm):
    """Return the paper's network, c7s1-k to c7s1-3, layer by layer."""
    return nn.Sequential(
        nn.ReflectionPad2d(3),
        nn.Conv2d(in_channels, dim, 7),
        first_norm,
        nn.ReLU(),
        nn.Conv2d(dim, 2 * dim, 3, stride=2, padding=1),
        nn.InstanceNorm2d(2 * dim),
        nn.ReLU(),
        nn.Conv2d(2 * dim, 4 * dim, 3, stride=2, padding=1),
        nn.InstanceNorm2d(4 * dim),
        nn.ReLU(),
        *(Residual(4 * dim) for _ in range(blocks)),
        nn.ConvTranspose2d(4 * dim, 2 * dim, 3, stride=2, padding=1, output_padding=1),
        nn.InstanceNorm2d(2 * dim),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * dim, dim, 3, stride=2, padding=1, output_padding=1),
        nn.InstanceNorm2d(dim),
        nn.ReLU(),
        nn.ReflectionPad2d(3),
        nn.Conv2d(dim, out_channels, 7),
        nn.Tanh(),
    )


@pytest.mark.parametrize(
    ("noise_dim", "first_norm"), [(0, nn.InstanceNorm2d(4)), (2, nn.Identity())]
)
def test_translator_is_the_published_network_on_image_and_noise(noise_dim, first_norm):
    network = ResnetTranslator(3, 1, 4, 2, noise_dim)
    plain = written_out(3 + noise_dim, 1, 4, 2, first_norm)
    for ours, theirs in zip(plain.parameters(), network.parameters(), strict=True):
        ours.data.copy_(theirs.data)
    x, z = torch.randn(2, 3, 16, 24), torch.randn(2, noise_dim)
    repeated = z.view(2, noise_dim, 1, 1).repeat(1, 1, 16, 24)
    torch.testing.assert_close(network(x, z), plain(torch.cat([x, repeated], dim=1)))


def test_noise_changes_the_image_and_is_not_normalized_away():
    gen, x = CycleGANGenerator(dim=4, num_res_blocks=1, noise_dim=2), torch.randn(1, 3, 16, 16)
    first, second = (gen.decode(x, torch.randn(1, 2)) for _ in range(2))
    assert (first - second).abs().max() > 1e-2


def test_published_generator_has_no_styles_and_reads_none():
    gen, x = CycleGANGenerator(dim=2, num_res_blocks=1), torch.randn(2, 3, 16, 16)
    content, style = gen.encode(x)
    assert gen.style_dim == 0
    assert gen.style_encoder is None
    assert content is x
    assert tuple(style.shape) == (2, 0)


def test_noise_is_a_style_that_no_image_is_read_for():
    gen = CycleGANGenerator(dim=2, num_res_blocks=1, noise_dim=3)
    assert gen.style_dim == 3
    assert gen.style_encoder is None


def test_noise_of_another_length_is_refused():
    gen = CycleGANGenerator(dim=2, num_res_blocks=1)
    with pytest.raises(RuntimeError):
        gen.decode(torch.randn(1, 3, 16, 16), torch.randn(1, 8))


def test_generator_makes_its_domains_channels_out_of_the_others():
    gen = CycleGANGenerator(in_channels=1, other_channels=3, dim=2, num_res_blocks=1)
    y = gen.decode(torch.randn(2, 3, 16, 24), torch.empty(2, 0))
    assert tuple(y.shape) == (2, 1, 16, 24)
    assert y.abs().max() < 1


def test_generator_says_how_to_make_another():
    arguments = {
        "in_channels": 1,
        "other_channels": 4,
        "dim": 2,
        "num_res_blocks": 2,
        "noise_dim": 3,
    }
    gen = CycleGANGenerator(**arguments)
    assert gen.arguments == arguments
    another = DomainGenerator.kinds["CycleGANGenerator"](**gen.arguments)
    another.load_state_dict(gen.state_dict())
    x, z = torch.randn(1, 4, 8, 8), torch.randn(1, 3)
    assert torch.equal(another.decode(x, z), gen.decode(x, z))


def test_just_the_sizes_that_come_back_are_accepted():
    gen = CycleGANGenerator(dim=2, num_res_blocks=1)

    def accepts(side):
        try:
            gen.check_size(side, 16)
        except ValueError:
            return False
        return True

    def returns(side):
        x = torch.randn(1, 3, side, 16)
        try:
            return gen.decode(x, torch.empty(1, 0)).shape == x.shape
        except (RuntimeError, ValueError):
            return False

    for side in range(2, 21):
        assert accepts(side) == returns(side) == (side in (8, 12, 16, 20))


def test_normal_initialization_reaches_every_convolution():
    network = ResnetTranslator(3, 3, 16, 1)
    initialize(network, "normal")
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == 8
    for layer in convolutions:
        # Five standard errors of a deviation.
        error = 5 / (2 * layer.weight.numel()) ** 0.5
        assert layer.weight.std().item() == pytest.approx(0.02, rel=error)
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 0}, "in_channels is 0"),
        ({"other_channels": 0}, "other_channels is 0"),
        ({"dim": 0}, "dim is 0"),
        ({"num_res_blocks": 0}, "num_res_blocks is 0"),
        ({"noise_dim": -1}, "noise_dim is -1"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        CycleGANGenerator(**arguments)
