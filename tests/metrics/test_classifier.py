import json
from math import exp

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torchvision.models import inception_v3

from munit_pl.data.images.reading import read_image
from munit_pl.data.images.tensors import to_tensor
from munit_pl.metrics import classifier as classifiers
from munit_pl.metrics.classifier import (
    load_classifier,
    save_classifier,
)
from munit_pl.metrics.classifier_training import fit_linear, train_classifier

COLORS = {"blue": (40, 60, 220), "green": (50, 200, 60), "red": (230, 50, 40)}


class MeanColor(nn.Module):
    """Wrong in training mode."""

    name = "mean color"

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(x.mean((2, 3)))


class Pixels(nn.Module):
    name = "pixels"

    def forward(self, x):
        return x.flatten(1)


@pytest.fixture
def patches(tmp_path):
    """Ten patches of each color, of uneven sizes and brightness."""
    folder = tmp_path / "patches"
    (folder / ".hidden").mkdir(parents=True)
    for name, color in COLORS.items():
        (folder / name).mkdir()
        for i in range(10):
            shade = tuple(min(round(c * (0.85 + 0.03 * i)), 255) for c in color)
            Image.new("RGB", (6 + i, 9), shade).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def tuned():
    """torchvision's network for four classes, as fine-tuning leaves it."""
    torch.manual_seed(0)
    return inception_v3(num_classes=4, aux_logits=True, init_weights=False).eval()


def test_three_colors_are_told_apart_without_an_error(patches):
    classifier, metrics = train_classifier(patches, MeanColor())
    assert metrics == (1.0, 24, 6)
    assert classifier.classes == ("blue", "green", "red")
    assert classifier.name == "mean color linear, 3 classes"
    for label, name in enumerate(classifier.classes):
        for file in (patches / name).iterdir():
            logits = classifier(to_tensor(read_image(file, 3))[None])
            assert logits.shape == (1, 3)
            assert logits.argmax() == label


def test_a_classifier_is_frozen_and_stays_in_evaluation_mode(patches):
    classifier, _ = train_classifier(patches, MeanColor().train())
    classifier.train()
    assert not any(module.training for module in classifier.modules())
    assert not any(p.requires_grad for p in classifier.parameters())


def test_accuracy_is_that_on_images_held_out(tmp_path):
    """Twenty noise images can be learnt by heart from 48 pixels, but twenty others not guessed."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(20):
            pixels = torch.randint(256, (4, 4, 3), dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(tmp_path / name / f"{i}.png")
    _, metrics = train_classifier(tmp_path, Pixels(), test_share=0.5)
    assert metrics.train_images == metrics.test_images == 20
    assert 0.2 < metrics.accuracy < 0.8


def test_the_seed_alone_decides_what_is_held_out(patches):
    weights = [
        train_classifier(patches, MeanColor(), seed=seed)[0].linear.weight for seed in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(("share", "held_out"), [(0.01, 3), (0.25, 6), (0.99, 27)])
def test_each_class_keeps_one_image_to_train_on_and_one_to_test_with(patches, share, held_out):
    """Of ten a class: one at least, nine at most; and half to even, two of ten at a quarter."""
    _, metrics = train_classifier(patches, MeanColor(), test_share=share)
    assert metrics.test_images == held_out
    assert metrics.train_images == 30 - held_out


def test_two_points_are_split_as_the_penalty_allows():
    """At -1 and 1 with weights -w and w: log(1 + exp(-2 w)) + 0.1 w^2, with derivative zero."""
    weight, bias = fit_linear(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2)
    w = weight[1, 0].item()
    assert 0.1 * w == pytest.approx(1 / (1 + exp(2 * w)), rel=1e-4)
    torch.testing.assert_close(weight, torch.tensor([[-w], [w]]))
    assert bias[1] - bias[0] == pytest.approx(0, abs=1e-5)


def test_features_that_never_differ_leave_the_classes_shares():
    labels = torch.tensor([0, 1, 1, 2, 2, 2, 2, 2])
    features = torch.full((8, 4), 0.3)
    logits = features @ (fit := fit_linear(features, labels, 3))[0].T + fit[1]
    expected = torch.tensor([1, 2, 5]) / 8
    torch.testing.assert_close(logits[0].softmax(0), expected, atol=1e-5, rtol=0)


def test_the_unit_and_the_zero_of_features_do_not_matter():
    labels = torch.arange(30) % 3
    x = torch.randn(30, 5) + labels[:, None]
    unit, zero = torch.tensor([1e-2, 1.0, 30.0, 1e3, 5.0]), torch.tensor([0.0, 9.0, -4.0, 1e3, 1.0])
    logits = []
    for features in (x, x * unit + zero):
        weight, bias = fit_linear(features, labels, 3)
        logits.append(features @ weight.T + bias)
    torch.testing.assert_close(*logits, atol=1e-3, rtol=1e-3)


def test_a_saved_classifier_gives_the_same_logits(patches, tmp_path):
    classifier, _ = train_classifier(patches, MeanColor())
    path = tmp_path / "colors.safetensors"
    save_classifier(classifier, path)
    with safe_open(path, "pt") as file:
        assert sorted(file.keys()) == ["bias", "weight"]
        assert json.loads(file.metadata()["classes"]) == ["blue", "green", "red"]
        assert file.metadata()["network"] == "mean color"
    other = load_classifier(path, MeanColor())
    assert (other.classes, other.name) == (classifier.classes, classifier.name)
    x = torch.rand(5, 3, 8, 8) * 2 - 1
    assert torch.equal(other(x), classifier(x))


def test_a_known_network_is_loaded_by_the_name_in_the_file(patches, tmp_path, monkeypatch):
    class Stand(MeanColor):
        name = "lite0"

    path = tmp_path / "colors.safetensors"
    save_classifier(train_classifier(patches, Stand())[0], path)
    monkeypatch.setattr(classifiers, "load_lite0", Stand)
    assert isinstance(load_classifier(path).network, Stand)


def test_a_network_that_is_another_or_unknown_is_refused(patches, tmp_path):
    path = tmp_path / "colors.safetensors"
    save_classifier(train_classifier(patches, MeanColor())[0], path)
    with pytest.raises(ValueError, match=f"{path} stands on .*'mean color', not of 'pixels'"):
        load_classifier(path, Pixels())
    with pytest.raises(ValueError, match=f"{path} stands on .*'mean color': pass that network"):
        load_classifier(path)


def test_a_fine_tuned_inception_is_read_with_its_classes(tuned, tmp_path):
    path = tmp_path / "tuned.pth"
    torch.save(tuned.state_dict(), path)
    classifier = load_classifier(path)
    assert classifier.classes == ("class 0", "class 1", "class 2", "class 3")
    assert classifier.name == "fine-tuned inception_v3, 4 classes"
    x = torch.rand(1, 3, 299, 299) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(classifier(x), tuned(x))


@pytest.mark.parametrize(
    ("content", "reason"),
    [({}, "it has no 'fc.weight'"), ({"fc.weight": 1, "fc.bias": 1}, "Missing key")],
)
def test_weights_of_another_network_are_refused_in_one_line(content, reason, tmp_path):
    path = tmp_path / "other.pth"
    torch.save(content, path)
    expected = f"{path} holds no inception_v3 of torchvision: .*{reason}"
    with pytest.raises(ValueError, match=expected) as caught:
        load_classifier(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 300


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_file_that_is_missing_or_no_classifier_is_named(suffix, tmp_path):
    path = tmp_path / f"own.{suffix}"
    with pytest.raises(FileNotFoundError, match=f"no classifier at {path}"):
        load_classifier(path)
    path.write_text("no weights")
    with pytest.raises(ValueError, match=f"{path} "):
        load_classifier(path)


def test_safetensors_of_something_else_are_refused(tmp_path):
    path = tmp_path / "own.safetensors"
    save_file({"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=f"{path} holds no classifier .*classes"):
        load_classifier(path)
    save_file({"other": torch.zeros(2)}, path, {"classes": "[]", "network": "pixels"})
    with pytest.raises(ValueError, match=f"{path} holds no classifier .*weight"):
        load_classifier(path)


def test_a_classifier_is_saved_under_the_ending_it_is_read_by(patches, tmp_path):
    classifier, _ = train_classifier(patches, MeanColor())
    with pytest.raises(ValueError, match=r"saved as \.safetensors, not as 'colors\.pth'"):
        save_classifier(classifier, tmp_path / "colors.pth")


def test_fewer_than_two_classes_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no folder '{tmp_path}/no'"):
        train_classifier(tmp_path / "no", Pixels())
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match=f"at least two classes, .* '{tmp_path}' holds 1$"):
        train_classifier(tmp_path, Pixels())


def test_a_class_of_one_image_or_none_is_named(patches):
    for file in sorted((patches / "red").iterdir())[1:]:
        file.unlink()
    with pytest.raises(ValueError, match=r"class 'red' .* has one image"):
        train_classifier(patches, MeanColor())
    next((patches / "red").iterdir()).unlink()
    with pytest.raises(ValueError, match=f"no image in '{patches}/red'"):
        train_classifier(patches, MeanColor())


def test_an_image_that_cannot_be_read_is_named(patches):
    broken = patches / "green" / "3.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(OSError, match=f"cannot read image '{broken}'"):
        train_classifier(patches, MeanColor())


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_that_leaves_nothing_to_train_on_or_to_test_with_is_refused(share, tmp_path):
    with pytest.raises(ValueError, match=f"test_share is {share}, but must lie between 0 and 1"):
        train_classifier(tmp_path, Pixels(), test_share=share)
