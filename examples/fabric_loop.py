"""The same under Lightning Fabric, which brings devices and precision.

python examples/fabric_loop.py [STEPS]
"""

import sys

import torch
from lightning.fabric import Fabric

from munit_pl.losses.adversarial import adversarial_loss
from munit_pl.losses.terms import total
from munit_pl.models.base.objective import Images, Styles, Translations, discriminator_terms
from munit_pl.models.munit.model import MUNIT
from munit_pl.models.munit.objective import LossWeights, Networks, decode, encode, generator_terms


class Objective(torch.nn.Module):
    """Both players' losses in one `forward`, which is where Fabric sets the precision."""

    def __init__(self, nets: MUNIT) -> None:
        super().__init__()
        self.nets, self.weights, self.gan = nets, LossWeights(), adversarial_loss("lsgan")

    def forward(self, player, x_a, x_b):
        nets, images = self.nets, Images(x_a, x_b)
        networks = Networks(nets.gen_a, nets.gen_b, nets.dis_a, nets.dis_b)
        styles = Styles(*torch.randn(2, len(x_a), nets.style_dim, device=x_a.device))
        with torch.set_grad_enabled(player == "gen"):
            codes = encode(networks, images)
            decoded = decode(networks, codes, styles)
        if player == "dis":
            fakes = Translations(decoded.x_ab, decoded.x_ba)
            terms = discriminator_terms(networks[2:], images, fakes, self.gan)
        else:
            terms = generator_terms(networks, images, codes, decoded, styles, self.gan)
        return total(terms, self.weights)


def train(steps: int, **options) -> MUNIT:
    """Train on noise; ``options`` are Fabric's: accelerator, precision."""
    fabric = Fabric(devices=1, **options)
    small = {"dim": 4, "num_layers": 2, "num_scales": 2}
    nets = MUNIT(generator={"dim": 4, "mlp_dim": 8, "num_res_blocks": 1}, discriminator=small)
    pairs = {"dis": (nets.dis_a, nets.dis_b), "gen": (nets.gen_a, nets.gen_b)}
    optimizers = {
        player: torch.optim.Adam([p for net in pair for p in net.parameters()], 1e-4, (0.5, 0.999))
        for player, pair in pairs.items()
    }
    objective, *wrapped = fabric.setup(Objective(nets), *optimizers.values())
    for _ in range(steps):
        x_a, x_b = torch.rand(2, 2, 3, 16, 16, device=fabric.device) * 2 - 1
        for player, optimizer in zip(optimizers, wrapped, strict=True):
            optimizer.zero_grad()
            fabric.backward(objective(player, x_a, x_b))
            optimizer.step()
    return nets


if __name__ == "__main__":
    train(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
