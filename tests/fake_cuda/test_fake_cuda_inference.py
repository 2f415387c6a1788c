import pytest
import torch
from fake_cuda.device import fake_cuda
from fake_cuda.operations import Operations
from methods import METHODS

from munit_pl.inference.tensor_translator import TensorTranslator
from munit_pl.metrics.drawn import drawn_a2b, drawn_b2a
from munit_pl.metrics.efficientnet_lite0 import Lite0
from munit_pl.metrics.energy_distance import energy_distance
from munit_pl.metrics.fid_kid_is import kernel_distance
from munit_pl.metrics.inception_v3 import Inception
from munit_pl.metrics.lpips import lpips_alexnet
from munit_pl.metrics.precision_recall import density_coverage, precision_recall


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {"precision": "bf16"}) for name in METHODS] + [("munit", {"tile": 16})],
)
def test_a_translator_moves_its_networks_and_images_to_a_device_and_back(name, options):
    with fake_cuda():
        module = METHODS[name].make()
        with Operations() as seen:
            translator = TensorTranslator(module.gen_a, module.gen_b, device="cuda", **options)
            assert all(p.is_cuda for gen in translator.generators for p in gen.parameters())
            n = 1 if "tile" in options else 3
            x, styles = torch.zeros(n, 3, 33, 32), torch.zeros(2, translator.style_dim("b"))
            results = [translator.translate(x, styles)]
            if translator.reads_styles:
                results.append(translator.encode_style(x, "a"))
            if translator.reconstructs:
                results.append(translator.reconstruct(x, "a"))
        assert results[0].shape == (n, 2, 3, 33, 32)
        assert all(result.device.type == "cpu" for result in results)
    assert not seen.reads
    assert {mixed.what for mixed in seen.mixed} <= {"index"}  # contents, for each of the styles


def inception(monkeypatch):
    """FID's network without weights."""
    package = "torch_fidelity.feature_extractor_inceptionv3"
    fidelity = pytest.importorskip(package, reason="needs the extra evaluate")
    monkeypatch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: {})
    monkeypatch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
    features = ["2048", "logits_unbiased"]
    return Inception(fidelity.FeatureExtractorInceptionV3("random", features))


def lite0(monkeypatch):
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra evaluate")
    return Lite0(package.EfficientNet.from_name("efficientnet-lite0"))


@pytest.mark.parametrize("make", [inception, lite0])
def test_feature_networks_take_images_of_a_device(make, monkeypatch):
    with fake_cuda():
        network = make(monkeypatch).to("cuda")
        with Operations() as seen:
            features, logits = network.features_and_logits(torch.zeros(2, 3, 64, 48, device="cuda"))
        assert features.shape[0] == 2
        assert {features.device.type, logits.device.type} == {"cuda"}
    assert not seen.mixed
    assert not seen.waits


def lpips(x, y):
    weights, widths, sides = {}, (64, 192, 384, 256, 256), (11, 5, 3, 3, 3)
    for i, before, width, side in zip((0, 3, 6, 8, 10), (3, *widths), widths, sides, strict=False):
        weights[f"features.{i}.weight"] = torch.zeros(width, before, side, side)
        weights[f"features.{i}.bias"] = torch.zeros(width)
    heads = [torch.zeros(width) for width in widths]
    return lpips_alexnet(weights, heads, "0.1").to("cuda")(x, y)


def test_metrics_of_images_on_a_device_stay_there_until_they_are_numbers():
    with fake_cuda():
        x = torch.zeros(4, 3, 64, 64, device="cuda")
        inside = torch.zeros(4, 64, 64, device="cuda", dtype=torch.bool)
        points = torch.zeros(4, 8, device="cuda")
        metrics = {
            "LPIPS": lambda: lpips(x, x),
            "drawn a2b": lambda: drawn_a2b(x[:, None], x, x, x, inside, inside, x, inside),
            "drawn b2a": lambda: drawn_b2a(x, x),
            "energy": lambda: energy_distance(points, points),
            "precision": lambda: precision_recall(points, points),
            "density": lambda: density_coverage(points, points, k=2),
            "KID": lambda: kernel_distance(points, points, subset=2, seed=0),
        }
        seen = {}
        for name, compute in metrics.items():
            with Operations() as seen[name]:
                compute()
    assert not any(each.mixed for each in seen.values())
    reads = {name: len(each.reads) for name, each in seen.items() if each.reads}
    assert reads == {"drawn a2b": 6, "drawn b2a": 2}  # each metric
