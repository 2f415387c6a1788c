"""A user's own clone of the original code, at work on the same weights and images.

Its license keeps it out of this repository, and out of this file, which knows what is documented in
public: ``trainer.py`` has a class ``MUNIT_Trainer(config)`` with ``dis_update(x_a, x_b, config)``
and ``gen_update(x_a, x_b, config)``, networks ``gen_a gen_b dis_a dis_b``, losses as attributes
whose names begin with ``loss_``, and its checkpoints' names of weights.
"""

import importlib
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.optim import Optimizer

from benchmarks.iteration.arm import Arm, Case, Unavailable
from benchmarks.plain import Draws, Terms
from munit_pl.models.components.nvlabs_files import rename
from munit_pl.models.components.nvlabs_networks import DISCRIMINATOR_NAMES
from munit_pl.models.munit.nvlabs import _generator_names

LOSSES = {
    "gen/gan": "loss_gen_adv",
    "gen/image": "loss_gen_recon_x",
    "gen/style": "loss_gen_recon_s",
    "gen/content": "loss_gen_recon_c",
    "gen/cycle": "loss_gen_cycrecon_x",
    "dis/gan": "loss_dis",
}


class ReferenceRunner:
    """The original's trainer.

    Raises:
        Unavailable: If it cannot be imported or made, as on a PyTorch of today it cannot unless its
            owner has mended it.
    """

    def __init__(self, path: str, arm: Arm, case: Case) -> None:
        self.config = config(case)
        sys.path.insert(0, str(Path(path).resolve()))
        try:
            trainer = importlib.import_module("trainer").MUNIT_Trainer(self.config)
            self.trainer = trainer.to(case.device)
            self._load(case)
        except Exception as error:  # whatever old code raises on new libraries
            reason = " ".join(str(error).split())[:200]
            raise Unavailable(f"reference: {type(error).__name__}: {reason}") from None
        finally:
            sys.path.pop(0)
        optimizers = vars(self.trainer).values()
        self.optimizers = [value for value in optimizers if isinstance(value, Optimizer)]

    def iterate(self, x_a: Tensor, x_b: Tensor, draws: Draws | None = None) -> Terms:
        with patch("torch.randn", _Given(draws)) if draws else nullcontext():
            self.trainer.dis_update(x_a, x_b, self.config)
            self.trainer.gen_update(x_a, x_b, self.config)
        found = {
            f"{term}_{domain}": getattr(self.trainer, f"{name}_{domain}", None)
            for term, name in LOSSES.items()
            for domain in "ab"
        }
        return {term: loss.detach() for term, loss in found.items() if isinstance(loss, Tensor)}

    def outputs(self, x_a: Tensor, x_b: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Return the codes, reconstructions and translations."""
        made: dict[str, Tensor] = {}
        t = self.trainer
        with torch.no_grad():
            (c_a, s_a), (c_b, s_b) = t.gen_a.encode(x_a), t.gen_b.encode(x_b)
            made |= {"c_a": c_a, "s_a": s_a.flatten(1), "c_b": c_b, "s_b": s_b.flatten(1)}
            made |= {"x_aa": t.gen_a.decode(c_a, s_a), "x_bb": t.gen_b.decode(c_b, s_b)}
            made["x_ab"] = t.gen_b.decode(c_a, draws["gen_b"][..., None, None])
            made["x_ba"] = t.gen_a.decode(c_b, draws["gen_a"][..., None, None])
            for domain, x in (("a", x_a), ("b", x_b)):
                logits = getattr(t, f"dis_{domain}")(x)
                made |= {f"dis_{domain}.{i}": scale for i, scale in enumerate(logits)}
        return made

    def _load(self, case: Case) -> None:
        """Give the trainer the weights that all arms have, and note them under their names."""
        state, path = case.state(), Path("the reference")
        self.parameters: dict[str, Any] = {}
        for network in ("gen_a", "gen_b", "dis_a", "dis_b"):
            theirs = dict(getattr(self.trainer, network).named_parameters())
            names = DISCRIMINATOR_NAMES if network.startswith("dis") else _generator_names(2)
            for name, parameter in rename(theirs, names, path).items():
                with torch.no_grad():
                    parameter.copy_(state[f"{network}.{name}"])
                self.parameters[f"{network}.{name}"] = parameter


class _Given:
    """Stands for `torch.randn` during an iteration, which draws a and b twice: for D, then G."""

    def __init__(self, draws: Draws) -> None:
        names = ("dis_a", "dis_b", "gen_a", "gen_b")
        self._queue = [draws[name][..., None, None] for name in names]

    def __call__(self, *_: Any, **__: Any) -> Tensor:
        return self._queue.pop(0)


def config(case: Case) -> dict[str, Any]:
    """Return the case in the original's own keys."""
    gen = {"dim": case.dim, "mlp_dim": 256, "style_dim": 8, "activ": "relu", "n_downsample": 2}
    dis = {"dim": case.dim, "norm": "none", "activ": "lrelu", "n_layer": 4, "gan_type": "lsgan"}
    return {
        "batch_size": case.batch,
        "weight_decay": 1e-4,
        "beta1": 0.5,
        "beta2": 0.999,
        "init": "kaiming",
        "lr": 1e-4,
        "lr_policy": "step",
        "step_size": 100_000,
        "gamma": 0.5,
        "gan_w": 1,
        "recon_x_w": 10,
        "recon_s_w": 1,
        "recon_c_w": 1,
        "recon_x_cyc_w": 10 if case.cycle else 0,
        "vgg_w": 0,
        "gen": gen | {"n_res": 4, "pad_type": "reflect"},
        "dis": dis | {"num_scales": 3, "pad_type": "reflect"},
        "input_dim_a": 3,
        "input_dim_b": 3,
        "display_size": 1,
    }
