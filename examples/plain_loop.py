"""MUNIT's networks and equations in a loop of plain PyTorch, without Lightning.

python examples/plain_loop.py [STEPS]
"""

import sys

import torch

from munit_pl.losses.adversarial import adversarial_loss
from munit_pl.losses.terms import total
from munit_pl.models.base.objective import Images, Styles, discriminator_terms
from munit_pl.models.munit.model import MUNIT
from munit_pl.models.munit.objective import (
    LossWeights,
    Networks,
    decode,
    encode,
    generator_terms,
    translate,
)


def train(steps: int, side: int = 16) -> MUNIT:
    """Train on noise, ``side`` pixels wide: put your own into ``images``."""
    small = {"dim": 4, "num_layers": 2, "num_scales": 2}
    nets = MUNIT(generator={"dim": 4, "mlp_dim": 8, "num_res_blocks": 1}, discriminator=small)
    networks = Networks(nets.gen_a, nets.gen_b, nets.dis_a, nets.dis_b)
    gens, discs = networks[:2], networks[2:]
    weights, gan = LossWeights(), adversarial_loss("lsgan")
    adam = {"lr": 1e-4, "betas": (0.5, 0.999), "weight_decay": 1e-4}
    opt_dis = torch.optim.Adam([p for net in discs for p in net.parameters()], **adam)
    opt_gen = torch.optim.Adam([p for net in gens for p in net.parameters()], **adam)

    for _ in range(steps):
        images = Images(*torch.rand(2, 2, 3, side, side) * 2 - 1)  # (N, C, H, W) in [-1, 1]

        with torch.no_grad():
            styles = Styles(*torch.randn(2, 2, nets.style_dim))
            fakes = translate(networks, encode(networks, images), styles)
        opt_dis.zero_grad()
        total(discriminator_terms(discs, images, fakes, gan), weights).backward()
        opt_dis.step()

        styles = Styles(*torch.randn(2, 2, nets.style_dim))
        codes = encode(networks, images)
        decoded = decode(networks, codes, styles)
        terms = generator_terms(networks, images, codes, decoded, styles, gan)
        opt_gen.zero_grad()
        total(terms, weights).backward()
        opt_gen.step()
    return nets


if __name__ == "__main__":
    train(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
