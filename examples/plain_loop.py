"""MUNIT's networks and equations in a loop of plain PyTorch, without Lightning.

python examples/plain_loop.py [STEPS]
"""

import sys

import torch

from munit_pl.losses.adversarial import adversarial_loss
from munit_pl.losses.terms import total
from munit_pl.models.base.objective import discriminator_terms
from munit_pl.models.munit.model import MUNIT
from munit_pl.models.munit.objective import LossWeights, decode, encode, generator_terms, translate


def train(steps: int, side: int = 16) -> MUNIT:
    """Train on noise, ``side`` pixels wide: put your own images into ``x_a`` and ``x_b``."""
    small = {"dim": 4, "num_layers": 2, "num_scales": 2}
    nets = MUNIT(generator={"dim": 4, "mlp_dim": 8, "num_res_blocks": 1}, discriminator=small)
    gens, discs = (nets.gen_a, nets.gen_b), (nets.dis_a, nets.dis_b)
    weights, gan = LossWeights(), adversarial_loss("lsgan")
    adam = {"lr": 1e-4, "betas": (0.5, 0.999), "weight_decay": 1e-4}
    opt_dis = torch.optim.Adam([p for net in discs for p in net.parameters()], **adam)
    opt_gen = torch.optim.Adam([p for net in gens for p in net.parameters()], **adam)

    for _ in range(steps):
        x_a, x_b = torch.rand(2, 2, 3, side, side) * 2 - 1  # (N, C, H, W) in [-1, 1]

        with torch.no_grad():
            z_a, z_b = torch.randn(2, len(x_a), nets.style_dim)
            fake = translate(*gens, encode(*gens, x_a, x_b), z_a, z_b)
        opt_dis.zero_grad()
        total(discriminator_terms(*discs, x_a, x_b, *fake, gan), weights).backward()
        opt_dis.step()

        z_a, z_b = torch.randn(2, len(x_a), nets.style_dim)
        codes = encode(*gens, x_a, x_b)
        decoded = decode(*gens, codes, z_a, z_b)
        terms = generator_terms(*gens, *discs, x_a, x_b, codes, decoded, z_a, z_b, gan)
        opt_gen.zero_grad()
        total(terms, weights).backward()
        opt_gen.step()
    return nets


if __name__ == "__main__":
    train(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
