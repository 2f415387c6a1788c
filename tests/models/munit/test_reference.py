"""The recorded numbers of the original: see reference/README.md."""

import json

import pytest
import torch
import torch.nn.functional as F
from recorded import score_apart, train_three_iterations
from recorded_munit import CANCELLED, CASES, ROUNDING, TERMS, read, recorded_weights
from safetensors.torch import load_file

from munit_pl.layers import blocks as layers
from munit_pl.layers import normalization as normalization
from munit_pl.models.base.objective import Decodings
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.models.munit import module as module_file
from munit_pl.models.munit.objective import translate


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_forward_passes_are_the_recorded_ones(case):
    module, folder = read(case)
    expected = load_file(folder / "forward.safetensors")
    x_a, x_b = module.inputs["x_a.0"], module.inputs["x_b.0"]
    z_a, z_b = module.draw_styles(len(x_a), "gen", 0)
    (c_a, s_a), (c_b, s_b) = module.encode(x_a, "a"), module.encode(x_b, "b")
    computed = {
        "content_a": c_a,
        "content_b": c_b,
        "style_a": s_a[..., None, None],
        "style_b": s_b[..., None, None],
        "recon_a": module.gen_a(x_a),
        "recon_b": module.gen_b(x_b),
        "translated_ab": module.translate(x_a, z_b),
        "translated_ba": module.translate(x_b, z_a, to="a"),
    }
    for d, x in (("a", x_a), ("b", x_b)):
        logits = getattr(module, f"dis_{d}")(x)
        computed |= {f"dis_{d}_logits.{i}": scale for i, scale in enumerate(logits)}
    assert computed.keys() == expected.keys()
    for name, value in computed.items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=0)


def check_losses(computed, recorded, tolerance):
    for ours, theirs in zip(computed, recorded, strict=True):
        for term, name in TERMS.items():
            for d in "ab":
                loss = ours.get(f"{term}_{d}", 0.0)  # a term of weight 0 is not computed
                assert loss == pytest.approx(theirs[f"{name}_{d}"], rel=tolerance), (term, d)
        assert ours["gen/total"] == pytest.approx(theirs["loss_gen_total"], rel=tolerance)
        assert ours["dis/total"] == pytest.approx(theirs["loss_dis_total"], rel=tolerance)


def decode_apart(networks, codes, styles):
    """Decode as the original does, one image batch after the other; see test_objective."""
    gen_a, gen_b, *_ = networks
    translations = translate(networks, codes, styles)
    x_aa, x_bb = gen_a.decode(codes.c_a, codes.s_a), gen_b.decode(codes.c_b, codes.s_b)
    return Decodings(x_aa, x_bb, *translations)


def compute_straight(monkeypatch):
    """Decode and judge apart, and compute all layers as they are written down."""
    monkeypatch.setattr(module_file, "decode", decode_apart)
    monkeypatch.setattr(MultiScaleDiscriminator, "score_batches", score_apart)
    monkeypatch.setattr(layers, "convolve", lambda conv, x, bias: conv(x))
    monkeypatch.setattr(layers, "upsample_conv", upsample_and_convolve)
    monkeypatch.setattr(normalization, "layer_norm", straight_layer_norm)


def upsample_and_convolve(x, weight, bias, padding_mode):
    doubled = F.interpolate(x, scale_factor=2.0, mode="nearest")
    return F.conv2d(F.pad(doubled, (2, 2, 2, 2), padding_mode), weight, bias)


def straight_layer_norm(x, gamma, beta):
    std, mean = torch.std_mean(x, dim=(1, 2, 3), keepdim=True)
    normal = (x - mean) / (std + 1e-5)
    return torch.addcmul(beta[:, None, None], normal, gamma[:, None, None])


def departures(module, folder, styles):
    """Return how far each weight that anything hangs on lies from the recorded one."""
    actual, expected = module.state_dict(), recorded_weights(module, folder, styles)
    assert actual.keys() == expected.keys()
    difference = {name: (w - expected[name]).abs() for name, w in actual.items()}
    assert max(d.max() for d in difference.values()) < 5e-4
    return torch.cat([d.flatten() for n, d in difference.items() if not CANCELLED.match(n)])


def in_float64(case, styles, **options):
    module, folder = read(case)
    module.double()
    module.inputs = {name: value.double() for name, value in module.inputs.items()}
    module.hparams["shared_styles"] = styles == "shared"
    module.hparams.update(options)
    return module, folder, train_three_iterations(module)


@pytest.mark.parametrize("styles", ["separate", "shared"])
@pytest.mark.parametrize("case", CASES)
def test_three_iterations_in_float64_are_the_recorded_ones(case, styles):
    module, folder, computed = in_float64(case, styles)
    loss, median, beyond_1e5, beyond_1e4 = ROUNDING[case]
    check_losses(computed, json.loads((folder / f"losses_{styles}_styles.json").read_text()), loss)
    live = departures(module, folder, styles)
    assert live.median() < median
    assert (live > 1e-5).double().mean() <= beyond_1e5
    assert (live > 1e-4).double().mean() <= beyond_1e4


def test_parts_of_a_batch_and_cheaper_forms_come_to_the_same_without_rounding(monkeypatch):
    """In float64, where no sign hangs on rounding, every weight agrees after three iterations."""
    for case, styles in zip(CASES, ("separate", "shared"), strict=True):
        whole, _, _ = in_float64(case, styles)
        parts, _, _ = in_float64(case, styles, accumulate=2)
        compute_straight(monkeypatch)
        straight, _, _ = in_float64(case, styles)
        monkeypatch.undo()
        for other in (parts, straight):
            for name, weight in whole.state_dict().items():
                if not CANCELLED.match(name):
                    torch.testing.assert_close(other.state_dict()[name], weight, rtol=0, atol=1e-9)


# PyTorch has two sets of convolutions, which round differently.
@pytest.mark.parametrize(
    ("case", "styles", "onednn"),
    [(CASES[0], "separate", True), (CASES[1], "shared", True), (CASES[1], "separate", False)],
)
def test_three_iterations_in_fp32_are_the_recorded_ones_but_for_rounding(case, styles, onednn):
    """Rounding moves whole steps of one weight in a thousand: see `ROUNDING`."""
    module, folder = read(case)
    module.hparams["optimizer"]["fused"] = onednn
    module.hparams["shared_styles"] = styles == "shared"
    with torch.backends.mkldnn.flags(enabled=onednn):
        computed = train_three_iterations(module)
    recorded = json.loads((folder / f"losses_{styles}_styles.json").read_text())
    check_losses(computed, recorded, 2e-4)
    assert (departures(module, folder, styles) > 1e-4).double().mean() < 3e-3


def test_learning_rates_are_the_recorded_ones():
    module, folder = read("munit_batch2")
    computed = [losses["gen/lr"] for losses in train_three_iterations(module)]
    recorded = json.loads((folder / "losses_separate_styles.json").read_text())
    # Recorded is the rate after the iteration, logged the rate that it used.
    assert computed[1:] == pytest.approx([iteration["lr"] for iteration in recorded[:-1]])
    assert computed[0] == pytest.approx(1e-4)
