"""Finding weights, and what is said without them; nothing here touches the network."""

import hashlib
from urllib.error import URLError

import pytest
import torch
import torchvision

from munit_pl.io.pretrained_weights import (
    Pretrained,
    find_alexnet,
    find_weights,
    import_extra,
    load_alexnet_weights,
    load_weights,
)

TINY = Pretrained("TinyNet", "tiny-01234567.pth", "the test", "or do without")
CONVOLUTIONS = (0, 3, 6, 8, 10)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """PyTorch's folder of weights, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def alexnet():
    """AlexNet's state dictionary, one number for each tensor, with the classifier's as well."""
    names = [f"features.{n}.{kind}" for n in CONVOLUTIONS for kind in ("weight", "bias")]
    return {name: torch.tensor([i]) for i, name in enumerate([*names, "classifier.1.weight"])}


def test_pytorchs_cache_is_looked_into(cache):
    assert find_weights(TINY, None) is None
    (cache / TINY.file_name).touch()
    assert find_weights(TINY, None) == cache / TINY.file_name


def test_a_path_goes_before_the_cache(cache, tmp_path):
    torch.save({"of": torch.tensor(1)}, cache / TINY.file_name)
    torch.save({"of": torch.tensor(2)}, tmp_path / "own.pth")
    assert load_weights(TINY, None, None)["of"] == 1
    assert load_weights(TINY, tmp_path / "own.pth", None)["of"] == 2


def test_a_path_without_a_file_is_named_though_the_cache_has_one(cache, tmp_path):
    (cache / TINY.file_name).touch()
    path = tmp_path / "no.pth"
    with pytest.raises(FileNotFoundError, match=f"no file of TinyNet weights at {path}"):
        find_weights(TINY, path)
    with pytest.raises(FileNotFoundError, match=f"no file of TinyNet weights at {path}"):
        load_weights(TINY, path, "file:///nowhere")


def test_without_a_file_it_is_said_where_it_belongs_and_what_else_to_do(cache):
    expected = f"the test needs TinyNet's weights, and there is no {cache / TINY.file_name}: put"
    with pytest.raises(FileNotFoundError, match=f"{expected} the file there, or do without"):
        load_weights(TINY, None, None)


def test_a_download_is_checked_against_the_name_and_kept(cache, tmp_path):
    torch.save({"of": torch.tensor(3)}, tmp_path / "made.pth")
    content = (tmp_path / "made.pth").read_bytes()
    name = f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    served = tmp_path / name
    served.write_bytes(content)
    wanted = TINY._replace(file_name=name)
    assert load_weights(wanted, None, served.as_uri())["of"] == 3
    assert (cache / name).read_bytes() == content
    served.unlink()
    assert load_weights(wanted, None, served.as_uri())["of"] == 3


def test_a_download_of_another_content_is_refused(cache, tmp_path):
    served = tmp_path / TINY.file_name
    torch.save({"of": torch.tensor(3)}, served)
    with pytest.raises(OSError, match=f"cannot fetch .*hash.*put the file at {cache}"):
        load_weights(TINY, None, served.as_uri())
    assert not list(cache.iterdir())


def test_a_download_that_fails_says_where_to_put_the_file(cache, monkeypatch):
    def fail(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(OSError, match=f"no network.*put the file at {cache / TINY.file_name}"):
        load_weights(TINY, None, f"https://example.org/{TINY.file_name}")


def test_what_would_run_code_is_not_unpickled(tmp_path):
    path = tmp_path / "own.pth"
    torch.save({"call": print}, path)
    with pytest.raises(ValueError, match=f"{path} is no file of PyTorch weights"):
        load_weights(TINY, path, None)


def test_a_file_of_a_lone_tensor_is_refused(tmp_path):
    path = tmp_path / "own.pth"
    torch.save(torch.zeros(2), path)
    with pytest.raises(ValueError, match=f"{path} holds no TinyNet: it is a Tensor"):
        load_weights(TINY, path, None)


def test_alexnets_convolutions_are_read_from_the_cache(cache, alexnet):
    assert find_alexnet() is None
    file = cache / torchvision.models.AlexNet_Weights.DEFAULT.url.rsplit("/", 1)[1]
    torch.save(alexnet, file)
    assert find_alexnet() == file
    weights = load_alexnet_weights()
    assert list(weights) == list(alexnet)[:10]
    assert [int(tensor) for tensor in weights.values()] == list(range(10))
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_alexnet_has_convolutions_where_they_are_looked_for():
    with torch.device("meta"):
        layers = torchvision.models.alexnet().features
    found = [i for i, layer in enumerate(layers) if isinstance(layer, torch.nn.Conv2d)]
    assert found == list(CONVOLUTIONS)


def test_alexnet_is_not_downloaded_unasked(cache):
    with pytest.raises(FileNotFoundError, match=r"LPIPS needs AlexNet's .*--alexnet FILE.*244 MB"):
        load_alexnet_weights()


def test_a_download_of_alexnet_is_torchvisions(cache, alexnet, monkeypatch):
    urls = []

    def fetch(url, **options):
        urls.append((url, options["check_hash"], options["weights_only"]))
        return alexnet

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    assert len(load_alexnet_weights(download=True)) == 10
    assert urls == [(torchvision.models.AlexNet_Weights.DEFAULT.url, True, True)]


def test_an_alexnet_without_a_layer_is_refused(alexnet, tmp_path):
    del alexnet["features.8.bias"]
    torch.save(alexnet, tmp_path / "own.pth")
    with pytest.raises(ValueError, match=r"own.pth holds no AlexNet: it has no features\.8\.bias"):
        load_alexnet_weights(tmp_path / "own.pth")


def test_a_missing_package_is_named_with_what_installs_it():
    with pytest.raises(ModuleNotFoundError, match=r"no_such_package .*'munit-pl\[evaluate\]'"):
        import_extra("no_such_package")
