"""FID's network with random weights in the file's format; the real file is 96 MB to download."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from munit_pl.data.images.tensors import to_uint8
from munit_pl.metrics.inception_v3 import TunedInception, find_inception, load_inception

FILE = "weights-inception-2015-12-05-6726825d.pth"


@pytest.fixture(scope="module")
def fidelity():
    return pytest.importorskip(
        "torch_fidelity.feature_extractor_inceptionv3", reason="needs the extra evaluate"
    )


@pytest.fixture(scope="module")
def own_file(fidelity, tmp_path_factory):
    """torch-fidelity's network as it is before any weights are read."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("inception") / "own.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = fidelity.FeatureExtractorInceptionV3("random", ["2048"])
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def inception(own_file):
    return load_inception(own_file)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_features_and_logits_are_those_of_torch_fidelity_on_bytes(inception, own_file, fidelity):
    x = torch.rand(2, 3, 24, 16) * 2 - 1
    other = fidelity.FeatureExtractorInceptionV3("own", ["logits_unbiased", "2048"], own_file)
    logits, features = other(to_uint8(x))
    assert features.shape == (2, 2048)
    assert logits.shape == (2, 1008)
    assert features.std(0).max() > 0
    torch.testing.assert_close(inception(x), features)
    torch.testing.assert_close(inception.features_and_logits(x)[1], logits)


def test_logits_are_the_features_times_the_weight_without_the_bias(inception):
    x = torch.rand(1, 1, 16, 16) * 2 - 1
    expected = F.linear(inception(x), inception.network.fc.weight)
    torch.testing.assert_close(inception.features_and_logits(x)[1], expected)


def test_what_lies_within_half_a_byte_is_seen_alike(inception):
    """As in files that images are saved to: bytes 127 and 128 differ, 127.6 and 128.4 do not."""
    values = torch.tensor([127.0, 127.6, 128.4]) / 127.5 - 1
    dark, light, lighter = (inception(v.expand(1, 3, 8, 8)) for v in values)
    assert torch.equal(light, lighter)
    assert not torch.equal(dark, light)


def test_the_network_is_frozen_and_stays_in_evaluation_mode(inception):
    nn.Sequential(inception).train()
    assert not any(module.training for module in inception.modules())
    assert not any(p.requires_grad for p in inception.parameters())


def test_the_file_in_pytorchs_cache_is_found_and_read(cache, own_file, inception):
    assert find_inception() is None
    (cache / FILE).symlink_to(own_file)
    assert find_inception() == cache / FILE
    assert torch.equal(load_inception().network.fc.weight, inception.network.fc.weight)


def test_the_cached_files_name_is_that_of_torch_fidelitys_address(fidelity):
    assert fidelity.URL_INCEPTION_V3.rsplit("/", 1)[1] == FILE


def test_a_download_fetches_torch_fidelitys_file(cache, own_file, fidelity, monkeypatch):
    calls = []

    def fetch(url, **options):
        calls.append((url, options["check_hash"], options["weights_only"]))
        return torch.load(own_file)

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    load_inception(download=True)
    assert calls == [(fidelity.URL_INCEPTION_V3, True, True)]


def test_without_a_file_it_is_said_where_it_belongs_and_what_else_to_do(cache, fidelity):
    options = "--inception FILE, or allow the download of 96 MB with --download"
    with pytest.raises(FileNotFoundError, match=f"there is no {cache / FILE}: .*{options}"):
        load_inception()


def test_a_path_without_a_file_is_named(tmp_path, fidelity):
    path = tmp_path / "no.pth"
    with pytest.raises(FileNotFoundError, match=f"no file of Inception-v3 weights at {path}"):
        find_inception(path)
    with pytest.raises(FileNotFoundError, match=f"no file of Inception-v3 weights at {path}"):
        load_inception(path, download=True)


@pytest.mark.parametrize("content", [{}, {"fc.weight": torch.zeros(2, 2)}, {"fc.bias": 1}])
def test_a_file_of_something_else_is_refused_in_one_line(content, tmp_path, fidelity):
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(ValueError, match=f"{path} holds no Inception-v3 of torch-fid") as caught:
        load_inception(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 300


def test_without_torch_fidelity_the_extra_is_named(own_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(ModuleNotFoundError, match=r"torch_fidelity.*'munit-pl\[evaluate\]'"):
        load_inception(own_file)


def test_a_fine_tuned_network_sees_what_torchvisions_own_input_transform_makes():
    """Of images normalized by ImageNet's means and deviations."""
    from torchvision.models import inception_v3
    from torchvision.transforms.functional import normalize

    whole = inception_v3(num_classes=5, init_weights=False, transform_input=True).eval()
    state = {name: p for name, p in whole.state_dict().items() if not name.startswith("fc.")}
    x = torch.rand(1, 3, 40, 56) * 2 - 1
    resized = F.interpolate((x + 1) / 2, (299, 299), mode="bilinear")
    prepared = normalize(resized, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = whole(prepared)
        features = TunedInception(state)(x)
    torch.testing.assert_close(whole.fc(features), expected, atol=1e-4, rtol=1e-4)
