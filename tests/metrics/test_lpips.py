import pytest
import torch
from torch import nn
from torchmetrics.functional.image.lpips import _LPIPS

from munit_pl.metrics.lpips import (
    FeatureDistance,
    lpips_alexnet,
    read_heads,
    read_heads_v01,
)

CHANNELS = [64, 192, 384, 256, 256]


@pytest.fixture(scope="module")
def reference():
    """torchmetrics' LPIPS 0.1 around an AlexNet that has learnt nothing."""
    torch.manual_seed(0)
    return _LPIPS(pnet_rand=True, net="alex")


@pytest.fixture(scope="module")
def weights(reference):
    state = reference.net.state_dict()  # slice2.3.weight is torchvision's features.3.weight
    return {"features." + name.split(".", 1)[1]: tensor for name, tensor in state.items()}


def images(n=2, height=64, width=80):
    return 2 * torch.rand(n, 3, height, width) - 1


def pixel(*channels):
    return torch.tensor(channels).view(1, -1, 1, 1)


def raw(x):
    return [x]


def test_lpips_is_torchmetrics_lpips(reference, weights):
    x, y = images(), images()
    expected = reference(x, y).flatten()
    assert expected.min() > 0.01
    distance = lpips_alexnet(weights, read_heads_v01(), "0.1")
    assert distance.name == "LPIPS (AlexNet, v0.1)"
    torch.testing.assert_close(distance(x, y), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("version", ["0.0", "0.1"])
def test_an_image_is_at_exactly_no_distance_from_itself(weights, version):
    x = images()
    assert lpips_alexnet(weights, read_heads_v01(), version)(x, x.clone()).tolist() == [0.0, 0.0]


def test_version_0_0_feeds_the_network_images_as_they_are(weights):
    x, y = images(), images()
    old, new = (lpips_alexnet(weights, read_heads_v01(), version) for version in ("0.0", "0.1"))
    assert old.name == "LPIPS (AlexNet, v0.0)"
    assert (old(x, y) - new(x, y)).abs().max() > 1e-5
    torch.testing.assert_close(old(*map(new.backbone.scale_input, (x, y))), new(x, y))


def test_distance_of_two_pixels():
    """They are (0.6, 0, 0.8) and (0, 1, 0) at length 1, and all squares but for the 1 below it."""
    x, y = pixel(3.0, 0.0, 4.0), pixel(0.0, 2.0, 0.0)
    assert FeatureDistance(raw, None, "")(x, y).item() == pytest.approx((0.36 + 1 + 0.64) / 3)
    weighted = FeatureDistance(raw, [torch.tensor([1.0, 2.0, 3.0])], "")
    assert weighted(x, y).item() == pytest.approx(0.36 + 2 + 3 * 0.64)


def test_pixels_are_averaged_and_layers_summed():
    x = torch.cat([pixel(1.0, 0.0), pixel(1.0, 0.0)], dim=3)
    y = torch.cat([pixel(1.0, 0.0), pixel(0.0, 1.0)], dim=3)
    distance = FeatureDistance(lambda x: [x, x[..., 1:]], None, "")
    assert distance(x, y).item() == pytest.approx(0.5 + 1.0)


def test_features_that_are_all_zero_stay_zero():
    assert FeatureDistance(raw, None, "")(pixel(0.0, 0.0), pixel(5.0, 0.0)).item() == 0.5


def test_half_precision_images_are_measured_in_fp32(weights):
    distance = lpips_alexnet(weights, read_heads_v01(), "0.1")
    x, y = images().bfloat16(), images().bfloat16()
    assert torch.equal(distance(x, y), distance(x.float(), y.float()))


def test_features_in_half_precision_are_squared_in_fp32():
    """300^2 + 400^2 is more than fp16 holds."""
    distance = FeatureDistance(lambda x: [x.half()], None, "")
    x, y = pixel(300.0, 400.0), pixel(0.0, 1.0)
    assert distance(x, y).item() == pytest.approx((0.36 + 0.04) / 2)


def test_the_network_and_its_heads_move_together(weights):
    distance = lpips_alexnet(weights, read_heads_v01(), "0.1").to("meta")
    assert distance(images().to("meta"), images().to("meta")).is_meta


def test_a_backbone_is_put_into_evaluation_mode():
    assert not FeatureDistance(nn.Dropout(), None, "").backbone.training


@pytest.mark.parametrize("head", [torch.tensor([1.0, -0.1]), torch.ones(1, 2), torch.ones(())])
def test_heads_are_vectors_without_negative_weights(head):
    with pytest.raises(ValueError, match=r"head 0 of mine must be a vector"):
        FeatureDistance(raw, [head], "mine")


def test_every_layer_needs_a_head():
    distance = FeatureDistance(raw, [torch.ones(2), torch.ones(2)], "mine")
    with pytest.raises(ValueError, match="mine has 2 heads, but 1 layers"):
        distance(pixel(1.0, 0.0), pixel(0.0, 1.0))


def test_a_wrong_network_is_refused_by_the_tensor_that_does_not_fit(weights):
    for broken in (
        {name: t for name, t in weights.items() if name != "features.6.bias"},
        weights | {"features.6.bias": torch.zeros(7)},
    ):
        with pytest.raises(ValueError, match=r"features\.6\.bias is missing or not of the shape"):
            lpips_alexnet(broken, read_heads_v01(), "0.1")


def test_unknown_versions_and_other_networks_heads_are_refused(weights):
    with pytest.raises(ValueError, match=r"LPIPS version is '1', but must be 0\.0 or 0\.1"):
        lpips_alexnet(weights, read_heads_v01(), "1")
    with pytest.raises(ValueError, match="needs heads of"):
        lpips_alexnet(weights, [torch.ones(64)] * 5, "0.1")


def test_31_pixels_are_enough_for_alexnet_and_30_are_refused(weights):
    distance = lpips_alexnet(weights, read_heads_v01(), "0.1")
    assert distance(images(1, 31, 31), images(1, 31, 31)).item() > 0
    x = images(1, 40, 30)
    with pytest.raises(ValueError, match=r"at least 31 pixels a side, but got"):
        distance(x, x)


def test_gray_images_are_seen_as_color_images_without_color(weights):
    distance = lpips_alexnet(weights, read_heads_v01(), "0.1")
    x, y = torch.rand(2, 1, 1, 40, 40) * 2 - 1
    expected = distance(x.repeat(1, 3, 1, 1), y.repeat(1, 3, 1, 1))
    assert torch.equal(distance(x, y), expected)


def test_the_heads_of_0_1_are_torchmetrics(reference):
    heads = read_heads_v01()
    assert [len(head) for head in heads] == CHANNELS
    for head, lin in zip(heads, reference.lins, strict=True):
        assert torch.equal(head, lin.model[-1].weight.flatten())


def test_a_file_of_heads_is_read_in_the_order_of_layers(tmp_path):
    layers = {f"lin{i}.model.1.weight": torch.full((1, 2, 1, 1), float(i)) for i in (1, 0, 2)}
    torch.save(layers, tmp_path / "heads.pth")
    assert [head.tolist() for head in read_heads(tmp_path / "heads.pth")] == [
        [i, i] for i in range(3)
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file of LPIPS heads at .*heads.pth"),
        (b"text", "heads.pth is no file of PyTorch weights"),
        ({"conv1.weight": torch.ones(1)}, "heads.pth holds no LPIPS heads: there is no lin0"),
        (torch.ones(3), "heads.pth holds no LPIPS heads: there is no lin0"),
        ({"lin0.model.1.weight": torch.ones(2, 3, 1, 1)}, "each must be a tensor"),
        ({"lin0.model.1.weight": "ones"}, "each must be a tensor"),
    ],
)
def test_a_file_without_heads_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "heads.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_heads(path)
