"""CycleGAN against the numbers recorded from its authors' program: see reference/README.md."""

import json

import pytest
import torch
from recorded import REFERENCE, train_three_iterations
from recorded_authors import own_names, read

from munit_pl import CycleGANModule

CASE = "cyclegan_published"
NETWORKS = {"gen_b.decoder": "G_A", "gen_a.decoder": "G_B", "dis_b": "D_A", "dis_a": "D_B"}
TERMS = {  # theirs come weighted
    "gen/gan_a": ("G_B", 1),
    "gen/gan_b": ("G_A", 1),
    "gen/cycle_a": ("cycle_A", 10),
    "gen/cycle_b": ("cycle_B", 10),
    "gen/identity_a": ("idt_B", 5),
    "gen/identity_b": ("idt_A", 5),
    "gen/total": ("G", 1),
    "dis/gan_a": ("D_B", 1),
    "dis/gan_b": ("D_A", 1),
}


class Injected(CycleGANModule):
    """CycleGAN whose pools do with each image what they were recorded to do."""

    def draw(self, images, step):
        places = {d: self.inputs[f"pool_{d.upper()}.{step}"] for d in "ab"}
        size = self.hparams["pool_size"]
        chances = {
            f"chance_{d}": torch.where(place < 0, 0.75, (place + 0.5) / (2 * size))
            for d, place in places.items()
        }
        none = images.x_a.new_empty(len(images.x_a), 0)
        return {"z_a": none, "z_b": none, **chances}


def module_of(**options):
    initial, inputs = read(CASE, "initial", "inputs")
    sizes = {"generator": {"dim": 4}, "discriminator": {"dim": 4}}
    module = Injected(**sizes, pool_size=2, **options).double()
    for ours, theirs in NETWORKS.items():
        network = module.get_submodule(ours)
        network.load_state_dict(own_names(initial, network, theirs))
    module.inputs = {
        k.replace("real_A", "x_a").replace("real_B", "x_b"): v for k, v in inputs.items()
    }
    return module


@torch.no_grad()
def test_forward_passes_are_the_recorded_ones():
    module, (expected,) = module_of(), read(CASE, "forward")
    x_a, x_b, none = module.inputs["x_a.0"], module.inputs["x_b.0"], torch.empty(2, 0)
    fake_b, fake_a = module.translate(x_a, none), module.translate(x_b, none, to="a")
    computed = {
        "fake_A": fake_a,
        "fake_B": fake_b,
        "rec_A": module.translate(fake_b, none, to="a"),
        "rec_B": module.translate(fake_a, none),
        "idt_A": module.translate(x_b, none),
        "idt_B": module.translate(x_a, none, to="a"),
        "D_A_real_B": module.dis_b(x_b)[0],
        "D_A_fake_B": module.dis_b(fake_b)[0],
        "D_B_real_A": module.dis_a(x_a)[0],
        "D_B_fake_A": module.dis_a(fake_a)[0],
    }
    assert computed.keys() == expected.keys()
    for name, value in computed.items():  # they are stored in fp32
        torch.testing.assert_close(value, expected[name], atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_three_iterations_are_the_recorded_ones(accumulate):
    module = module_of(accumulate=accumulate)
    computed = train_three_iterations(module)
    recorded = json.loads((REFERENCE / CASE / "losses.json").read_text())["float64"]
    for ours, theirs in zip(computed, recorded, strict=True):
        for term, (name, weight) in TERMS.items():  # logs hold them in fp32
            assert weight * ours[term] == pytest.approx(theirs[name], rel=2e-7), term
    (after,) = read(CASE, "after_3")
    for ours, theirs in NETWORKS.items():
        network = module.get_submodule(ours)
        for name, weight in own_names(after, network, theirs).items():
            torch.testing.assert_close(network.state_dict()[name], weight, atol=1e-8, rtol=0)
