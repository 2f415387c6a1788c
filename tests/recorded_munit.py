"""MUNIT as the original recorded it: its networks and inputs, and how far rounding carries."""

import re

from recorded import REFERENCE
from safetensors.torch import load_file

from munit_pl import MUNITModule
from munit_pl.models.base.objective import Styles
from munit_pl.models.components.nvlabs_files import rename
from munit_pl.models.components.nvlabs_networks import DISCRIMINATOR_NAMES
from munit_pl.models.munit.nvlabs import _generator_names

CASES = ["munit_batch2", "munit_cyclic_batch1"]


TERMS = {
    "gen/gan": "loss_gen_adv",
    "gen/image": "loss_gen_recon_x",
    "gen/style": "loss_gen_recon_s",
    "gen/content": "loss_gen_recon_c",
    "gen/cycle": "loss_gen_cycrecon_x",
    "dis/gan": "loss_dis",
}


class Injected(MUNITModule):
    """MUNIT with recorded styles in the place of random ones."""

    def draw_styles(self, n, stream, step):
        return Styles(*(self.inputs[f"{stream}_style_{d}.{step}"].flatten(1) for d in "ab"))


def read(case):
    folder = REFERENCE / case
    paths = folder / "gen_00000000.pt", folder / "dis_00000000.pt", folder / "config.json"
    module = Injected.from_nvlabs(*paths)
    module.inputs = load_file(folder / "inputs.safetensors")
    return module, folder


def recorded_weights(module, folder, styles):
    """Return the recorded weights after three iterations under our names."""
    weights = load_file(folder / f"weights_after_3_{styles}_styles.safetensors")
    renamed = {}
    for network in ("gen_a", "gen_b", "dis_a", "dis_b"):
        names = _generator_names(module.gen_a.arguments["num_downsample"])
        if network.startswith("dis"):
            names = DISCRIMINATOR_NAMES
        theirs = {k.removeprefix(f"{network}."): w for k, w in weights.items() if network in k}
        ours = rename(theirs, names, folder)
        renamed |= {f"{network}.{key}": weight for key, weight in ours.items()}
    return renamed


# A bias that an instance normalization cancels has no gradient but rounding, which Adam turns into
# steps of up to the learning rate. It changes no output: see test_networks.
CANCELLED = re.compile(r"gen_.\.(content_encoder|decoder\.res_blocks)\..*\.bias")


# How far the recording, which is fp32, lies from float64: the largest relative departure of a
# loss, the median one of a weight, the share of weights beyond 1e-5 and beyond 1e-4. Somewhere a
# rectifier's input or a difference's sign is so close to 0 that rounding decides it, and Adam's
# first steps, which follow the sign of a gradient however small, turn that into whole steps (1e-4)
# of a few weights. Float64 rounds alike on any processor, so these are measured, with little room.
ROUNDING = {
    "munit_batch2": (2e-6, 1e-8, 2e-5, 0),
    "munit_cyclic_batch1": (5e-5, 1e-7, 0.03, 1e-3),
}
