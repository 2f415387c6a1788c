"""BicycleGAN against the numbers recorded from its authors' program: see reference/README.md.

They are of one direction, from a to b; the other one shares nothing with it.
"""

import json

import pytest
import torch
from recorded import REFERENCE, train_three_iterations
from recorded_authors import own_names, read

from munit_pl import BicycleGANModule

CASE = "bicyclegan_halves"
NETWORKS = {
    "gen_b.decoder": "G",
    "gen_b.style_encoder": "E",
    "dis_b.encoded": "D",
    "dis_b.random": "D2",
}
TERMS = {  # theirs come weighted
    "gen/gan_b": ("G_GAN", 1),
    "gen/gan_random_b": ("G_GAN2", 1),
    "gen/image_b": ("G_L1", 10),
    "gen/latent_b": ("z_L1", 0.5),
    "gen/kl_b": ("kl", 0.01),
    "dis/gan_b": ("D", 1),
    "dis/gan_random_b": ("D2", 1),
}


class Injected(BicycleGANModule):
    """BicycleGAN with the recorded styles and noise in domain b, and domain a's like it."""

    def draw(self, images, step):
        eps, z = self.inputs[f"eps.{step}"], self.inputs[f"z_random.{step}"]
        return {"eps_a": eps, "eps_b": eps, "z_a": z, "z_b": z}


def module_of(**options):
    initial, inputs = read(CASE, "initial", "inputs")
    sizes = {
        "generator": {
            "dim": 2,
            "num_downsample": 6,
            "encoder_dim": 4,
            "encoder_downsample": 3,
            "dropout": 0,
        },
        "discriminator": {"dim": 4, "num_layers": 2},
    }
    module = Injected(**sizes, **options).double()
    for ours, theirs in NETWORKS.items():
        network = module.get_submodule(ours)
        network.load_state_dict(own_names(initial, network, theirs))
    for i in range(3):
        for ours, theirs in (("x_a", "real_A"), ("x_b", "real_B")):
            image = inputs[f"{theirs}.{i}"].double() / 127.5 - 1
            inputs[f"{ours}.{i}"] = image.float().double()  # the program's are fp32
    module.inputs = inputs
    return module


@torch.no_grad()
def test_forward_passes_are_the_recorded_ones():
    module, (expected,) = module_of(), read(CASE, "forward")
    (x_a, _), (x_b, other) = (module.inputs[f"x_{d}.0"].split(1) for d in "ab")
    mu, logvar = module.gen_b.style_encoder.distribution(x_b)
    z_encoded = mu + module.inputs["eps.0"] * (logvar / 2).exp()
    fake_encoded = module.decode(x_a, z_encoded)
    fake_random = module.decode(x_a, module.inputs["z_random.0"])
    computed = {
        "mu": mu,
        "logvar": logvar,
        "z_encoded": z_encoded,
        "fake_B_encoded": fake_encoded,
        "fake_B_random": fake_random,
        "mu2": module.gen_b.style_encoder(fake_random),
    }
    for name, dis, x in (
        ("D_real_B", module.dis_b.encoded, x_b),
        ("D_fake_B_encoded", module.dis_b.encoded, fake_encoded),
        ("D2_real_B", module.dis_b.random, other),
        ("D2_fake_B_random", module.dis_b.random, fake_random),
    ):
        computed |= {f"{name}.{s}": logits for s, logits in enumerate(dis(x))}
    assert computed.keys() == expected.keys()
    for name, value in computed.items():  # they are stored in fp32
        torch.testing.assert_close(value, expected[name], atol=2e-6, rtol=1e-6)


def test_three_iterations_are_the_recorded_ones():
    module = module_of()
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
