"""The adversarial losses, and the perceptual loss against the original's recorded numbers."""

import json
from itertools import pairwise
from math import exp, log

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from recorded import REFERENCE
from safetensors.torch import load_file
from torch import nn
from torchvision.transforms.functional import normalize

from munit_pl.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    adversarial_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    lsgan_discriminator_loss,
    lsgan_generator_loss,
    nsgan_discriminator_loss,
    nsgan_generator_loss,
    recording_logits,
)
from munit_pl.losses.perceptual import (
    Vgg16,
    load_vgg16,
    normalization,
    perceptual_loss,
    preprocess,
    vgg16_features,
)

CHANNELS = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
PAPER = ["1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1", "5_2", "5_3"]
TORCHVISION = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]


def scores(value, scales=2, dtype=torch.float32):
    return [torch.full((2, 1, 8 >> i, 4 >> i), value, dtype=dtype) for i in range(scales)]


@pytest.mark.parametrize(
    ("real", "fake", "loss"),
    [(1.0, 0.0, 0.0), (0.0, 1.0, 4.0), (0.5, 0.5, 1.0), (3.0, 0.0, 8.0), (1.0, -2.0, 8.0)],
)
def test_lsgan_discriminator_loss_at_constant_scores(real, fake, loss):
    value = lsgan_discriminator_loss(scores(real), scores(fake))
    assert value.shape == ()
    assert value.item() == pytest.approx(loss)


@pytest.mark.parametrize(("fake", "loss"), [(1.0, 0.0), (0.0, 2.0), (-1.0, 8.0), (3.0, 8.0)])
def test_lsgan_generator_loss_at_constant_scores(fake, loss):
    assert lsgan_generator_loss(scores(fake)).item() == pytest.approx(loss)


@pytest.mark.parametrize(
    ("real", "fake", "loss"),
    [
        (0.0, 0.0, 4 * log(2)),
        (2.0, -2.0, 4 * log(1 + exp(-2))),
        (-1.0, 0.0, 2 * log(1 + exp(1)) + 2 * log(2)),
    ],
)
def test_nsgan_discriminator_loss_at_constant_logits(real, fake, loss):
    value = nsgan_discriminator_loss(scores(real), scores(fake))
    assert value.shape == ()
    assert value.item() == pytest.approx(loss)


@pytest.mark.parametrize(("fake", "loss"), [(0.0, 2 * log(2)), (-1.0, 2 * log(1 + exp(1)))])
def test_nsgan_generator_loss_at_constant_logits(fake, loss):
    assert nsgan_generator_loss(scores(fake)).item() == pytest.approx(loss)


@pytest.mark.parametrize(
    ("real", "fake", "loss"),
    [(1.0, -1.0, 0.0), (5.0, -7.0, 0.0), (0.0, 0.0, 4.0), (0.5, -0.75, 1.5), (-2.0, 3.0, 14.0)],
)
def test_hinge_discriminator_loss_at_constant_scores(real, fake, loss):
    value = hinge_discriminator_loss(scores(real), scores(fake))
    assert value.shape == ()
    assert value.item() == pytest.approx(loss)


@pytest.mark.parametrize(("fake", "loss"), [(0.0, 0.0), (-1.0, 2.0), (3.0, -6.0)])
def test_hinge_generator_loss_at_constant_scores(fake, loss):
    assert hinge_generator_loss(scores(fake)).item() == pytest.approx(loss)


def test_hinge_has_no_gradient_beyond_the_margin_for_the_discriminator_but_for_the_generator():
    real, fake = (torch.tensor([2.0, -2.0]).view(2, 1, 1, 1).requires_grad_() for _ in range(2))
    hinge_discriminator_loss([real], [fake]).backward()
    assert real.grad.flatten().tolist() == [0.0, -0.5]
    assert fake.grad.flatten().tolist() == [0.5, 0.0]
    fake.grad = None
    hinge_generator_loss([fake]).backward()
    assert fake.grad.flatten().tolist() == [-0.5, -0.5]


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
@pytest.mark.parametrize("distance", [0.3, 2.0])
def test_the_boundary_lies_half_way_between_real_and_translated(name, distance):
    """A logit as far above it costs a real image what one as far below costs a translation."""
    loss = adversarial_loss(name)
    above, below = ([torch.full((1, 1, 2, 2), loss.boundary + d)] for d in (distance, -distance))
    torch.testing.assert_close(loss.discriminator(above, above), loss.discriminator(below, below))
    assert loss.discriminator(above, below) < loss.discriminator(below, above)


def test_a_watched_loss_is_the_same_and_shows_the_logits():
    loss = adversarial_loss("hinge")
    same, *seen = recording_logits(loss)
    real, fake = [torch.randn(2, 1, 3, 3)], [torch.randn(2, 1, 3, 3)]
    assert torch.equal(same.discriminator(real, fake), loss.discriminator(real, fake))
    assert same.generator is loss.generator
    assert [logits for (logits,) in seen] == [real, fake]


def test_lsgan_is_summed_over_scales_without_a_half():
    zeros = scores(0.0, scales=3)
    assert lsgan_discriminator_loss(zeros, zeros).item() == pytest.approx(3)
    assert lsgan_generator_loss(zeros).item() == pytest.approx(3)


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_losses_are_averaged_within_a_scale_and_summed_over_scales(name):
    """So the loss of several scales is the sum of each alone, however many pixels it has."""
    real, fake = ([torch.randn(2, 1, n, n) for n in (4, 2, 1)] for _ in range(2))
    game = ADVERSARIAL_LOSSES[name]
    alone = [game.discriminator([r], [f]) for r, f in zip(real, fake, strict=True)]
    torch.testing.assert_close(game.discriminator(real, fake), sum(alone))
    torch.testing.assert_close(game.generator(fake), sum(game.generator([f]) for f in fake))
    tiled = [f.repeat(1, 1, 2, 3) for f in fake]
    torch.testing.assert_close(game.generator(tiled), game.generator(fake))


def test_nsgan_is_the_cross_entropy_of_the_logits():
    real, fake = (3 * torch.randn(2, 1, 4, 4) for _ in range(2))
    one, zero = torch.ones_like(real), torch.zeros_like(real)
    entropy = F.binary_cross_entropy_with_logits
    expected = entropy(real, one) + entropy(fake, zero)
    torch.testing.assert_close(nsgan_discriminator_loss([real], [fake]), expected)
    torch.testing.assert_close(nsgan_generator_loss([fake]), entropy(fake, one))


def test_nsgan_of_logits_at_a_thousand_is_exact_with_a_finite_gradient():
    logits = torch.tensor([-1000.0, 1000.0], requires_grad=True).view(2, 1, 1, 1)
    logits.retain_grad()
    loss = nsgan_discriminator_loss([logits], [logits]) + nsgan_generator_loss([logits])
    assert loss.item() == pytest.approx(1500)
    loss.backward()
    # Of each mean over two: -1 or 0 as real, 0 or 1 as fake, -1 or 0 for the generator.
    torch.testing.assert_close(logits.grad.flatten(), torch.tensor([-1.0, 0.5]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "discriminator"),
    [("lsgan", 2 * 301**2 + 2 * 300**2), ("nsgan", 1200), ("hinge", 1204)],
)
def test_losses_of_half_scores_are_summed_in_fp32(name, discriminator, dtype):
    """Squares of 300 leave fp16's range."""
    real, fake = scores(-300.0, dtype=dtype), scores(300.0, dtype=dtype)
    game = ADVERSARIAL_LOSSES[name]
    for loss in (game.discriminator(real, fake), game.generator(real)):
        assert loss.dtype == torch.float32
    assert game.discriminator(real, fake).item() == pytest.approx(discriminator)


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_numbers_of_scales_that_differ_are_refused(name):
    with pytest.raises(ValueError, match="2 scales, translated ones 3"):
        ADVERSARIAL_LOSSES[name].discriminator(scores(0.0, scales=2), scores(0.0, scales=3))


def formula(k, shape, factor):
    """Parameter number ``k`` of the recording: see reference/README.md."""
    i = np.arange(np.prod(shape), dtype=np.float64)
    v = 43758.5453 * np.sin(12.9898 * i + 78.233 * k)
    values = (v - np.floor(v) - 0.5) * factor
    return torch.from_numpy(values.astype(np.float32)).view(*shape)


@pytest.fixture(scope="module")
def parameters():
    """Weight and bias of each convolution."""
    pairs = []
    for n, (before, after) in enumerate(pairwise(CHANNELS)):
        weight = formula(2 * n, (after, before, 3, 3), np.sqrt(24 / (9 * before)))
        pairs.append((weight, formula(2 * n + 1, (after,), 0.02)))
    return pairs


def named(parameters, prefixes):
    return {
        f"{prefix}.{name}": tensor
        for prefix, pair in zip(prefixes, parameters, strict=True)
        for name, tensor in zip(("weight", "bias"), pair, strict=True)
    }


@pytest.fixture(scope="module")
def paper_file(parameters, tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "paper.pt"
    torch.save(named(parameters, [f"conv{layer}" for layer in PAPER]), path)
    return path


@pytest.fixture(scope="module")
def torchvision_file(parameters, tmp_path_factory):
    """As in torchvision's file: with a classifier's tensors after the features'."""
    path = tmp_path_factory.mktemp("vgg") / "torchvision.pt"
    features = named(parameters, [f"features.{layer}" for layer in TORCHVISION])
    torch.save(features | {"classifier.0.weight": torch.zeros(2, 2)}, path)
    return path


@pytest.fixture(scope="module")
def caffe(paper_file):
    return load_vgg16("caffe", str(paper_file))


@pytest.fixture(scope="module")
def recorded():
    folder = REFERENCE / "perceptual"
    loss = json.loads((folder / "loss.json").read_text())["loss"]
    return load_file(folder / "perceptual.safetensors") | {"loss": torch.tensor(loss)}


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """PyTorch's cache, empty; a download fails."""

    def fail(*_, **__):
        raise AssertionError("downloads")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"


def test_vgg16_is_read_the_same_under_either_set_of_names(caffe, torchvision_file):
    other = load_vgg16("caffe", path=str(torchvision_file))
    assert other.source == caffe.source == "caffe"
    assert list(other.parameters) == list(caffe.parameters)
    assert len(caffe.parameters) == 27  # 13 weights and biases, and the mean of images
    assert all(torch.equal(p, caffe.parameters[name]) for name, p in other.parameters.items())


def test_perceptual_loss_features_and_gradient_are_the_recorded_ones(caffe, recorded):
    """In float64, where they depart by the recording's rounding; in fp32 ties of maxima turn."""
    for dtype, value, share in ((torch.float64, 2e-6, 2e-5), (torch.float32, 2e-5, 2e-2)):
        vgg = caffe._replace(parameters={k: w.to(dtype) for k, w in caffe.parameters.items()})
        expected = {name: tensor.to(dtype) for name, tensor in recorded.items()}
        x = expected["x"].clone().requires_grad_()
        features = vgg16_features(x, vgg)
        assert features.shape == (2, 512, 8, 8)  # an eighth of the side
        scale = expected["features_x"].abs().max().item()
        torch.testing.assert_close(features, expected["features_x"], atol=value * scale, rtol=0)
        loss = perceptual_loss(x, expected["y"], vgg)
        loss.backward()
        assert loss.item() == pytest.approx(recorded["loss"].item(), rel=value)
        difference = torch.linalg.vector_norm(x.grad - expected["grad_x"])
        assert difference / torch.linalg.vector_norm(expected["grad_x"]) < share


def test_perceptual_loss_of_an_image_and_itself_is_zero(caffe):
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    assert perceptual_loss(x, x, caffe).item() == 0


def test_perceptual_loss_does_not_see_a_features_scale(caffe):
    """Each feature of either image is brought to deviation 1."""
    x, y = torch.rand(2, 1, 3, 16, 16) * 2 - 1
    factors = torch.rand(512) * 3 + 0.5
    last = {
        "conv5_3.weight": caffe.parameters["conv5_3.weight"] * factors[:, None, None, None],
        "conv5_3.bias": caffe.parameters["conv5_3.bias"] * factors,
    }
    scaled = caffe._replace(parameters=caffe.parameters | last)
    expected = perceptual_loss(x, y, caffe)
    assert expected > 0.01
    torch.testing.assert_close(perceptual_loss(x, y, scaled), expected, atol=0, rtol=1e-3)


def test_perceptual_loss_tells_red_from_blue(caffe):
    x, y = torch.rand(2, 1, 3, 16, 16) * 2 - 1
    swapped = perceptual_loss(x.flip(1), y.flip(1), caffe)
    assert abs(swapped - perceptual_loss(x, y, caffe)) > 1e-3


def test_perceptual_loss_sends_no_gradient_to_its_target_or_its_network(caffe):
    x, y = (torch.rand(1, 3, 16, 16, requires_grad=True) for _ in range(2))
    perceptual_loss(x, y, caffe).backward()
    assert x.grad.any()
    assert y.grad is None
    assert not any(p.requires_grad for p in caffe.parameters.values())


def test_caffes_network_takes_blue_first_in_bytes_less_the_means():
    vgg = Vgg16("caffe", normalization("caffe"))
    x = torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1)  # red, green, blue
    expected = torch.tensor([0 - 103.939, 127.5 - 116.779, 255 - 123.680])
    torch.testing.assert_close(preprocess(x, vgg).flatten(), expected)


def test_torchvisions_network_takes_what_torchvision_prepares():
    vgg = Vgg16("torchvision", normalization("torchvision"))
    x = torch.rand(2, 3, 4, 4) * 2 - 1
    expected = normalize((x + 1) / 2, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(preprocess(x, vgg), expected)


def test_torchvision_features_are_torchvisions_but_for_the_pool_after_conv4_3(torchvision_file):
    with torch.device("meta"):
        layers = torchvision.models.vgg16().features
    state = torch.load(torchvision_file)
    weights = {name.removeprefix("features."): w for name, w in state.items() if "feat" in name}
    layers.load_state_dict(weights, assign=True)
    assert isinstance(layers[22], nn.ReLU)  # relu4_3
    assert isinstance(layers[23], nn.MaxPool2d)
    assert isinstance(layers[29], nn.ReLU)  # relu5_3
    x = torch.rand(1, 3, 32, 24) * 2 - 1
    vgg = load_vgg16("torchvision", str(torchvision_file))
    with torch.no_grad():
        expected = layers[24:30](layers[:23](preprocess(x, vgg)))
        features = vgg16_features(x, vgg)
    assert features.shape == (1, 512, 4, 3)
    torch.testing.assert_close(features, expected)


def test_the_two_sources_see_images_differently(caffe):
    x, y = torch.rand(2, 1, 3, 16, 16) * 2 - 1
    parameters = caffe.parameters | normalization("torchvision")
    other = perceptual_loss(x, y, Vgg16("torchvision", parameters))
    assert abs(other - perceptual_loss(x, y, caffe)) > 1e-3


def test_without_a_path_the_file_in_pytorchs_cache_is_read(caffe, torchvision_file, offline):
    offline.parent.mkdir(parents=True)
    offline.symlink_to(torchvision_file)
    vgg = load_vgg16()
    assert vgg.source == "torchvision"
    weights = {name: p for name, p in caffe.parameters.items() if name != "mean"}
    assert all(torch.equal(p, vgg.parameters[name]) for name, p in weights.items())


def test_without_a_file_nothing_is_downloaded_unless_asked(offline):
    with pytest.raises(
        FileNotFoundError, match=f"no {offline}: .*model.recipes.perceptual.download=true"
    ):
        load_vgg16()


def test_a_download_that_is_asked_for_fetches_torchvisions_file(parameters, offline, monkeypatch):
    urls = []

    def fetch(url, **_):
        urls.append(url)
        return named(parameters, [f"features.{layer}" for layer in TORCHVISION])

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    assert len(load_vgg16(download=True).parameters) == 28
    assert urls == [f"https://download.pytorch.org/models/{offline.name}"]
    assert urls == [torchvision.models.VGG16_Weights.IMAGENET1K_V1.url]


def test_caffes_weights_need_a_path(offline):
    with pytest.raises(ValueError, match="caffe needs a path"):
        load_vgg16("caffe", download=True)


def test_an_unknown_source_is_refused_with_the_ones_there_are():
    with pytest.raises(ValueError, match="source is 'keras', but must be torchvision or caffe"):
        load_vgg16("keras")


@pytest.mark.parametrize("source", ["torchvision", "caffe"])
def test_a_missing_file_is_named(source, tmp_path, offline):
    with pytest.raises(FileNotFoundError, match=f"no file of VGG-16 weights at {tmp_path}/no.pt"):
        load_vgg16(source, str(tmp_path / "no.pt"))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"conv1_1.weight": 1},
        {"features.0.weight": torch.zeros(64, 3, 3, 3)},
        [1],
        torch.ones(2),
    ],
    ids=["empty", "number", "incomplete", "list", "tensor"],
)
def test_a_file_of_something_else_is_refused(content, tmp_path):
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=f"{path} holds no VGG-16"):
        load_vgg16(path=str(path))


def test_a_file_that_is_not_pytorchs_is_refused(tmp_path):
    path = tmp_path / "vgg16.t7"
    path.write_text("Lua")
    with pytest.raises(ValueError, match=r"no file of PyTorch weights .*\.t7"):
        load_vgg16("caffe", str(path))
