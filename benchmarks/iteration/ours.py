"""The package's own iteration: a `MUNITModule`'s training step without the trainer's loop."""

import logging
import warnings
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from benchmarks.iteration.arm import Arm, Case
from benchmarks.plain import Draws, Terms
from munit_pl import MUNITModule
from munit_pl.callbacks.compiled_networks import CompiledNetworks
from munit_pl.models.base.micro_batch import Batch

PRECISIONS = {"bf16": "bf16-mixed"}


class Measured(MUNITModule):
    """The package's module, whose random numbers can be given."""

    given: Draws | None = None

    def draw_all(self, batch: Batch, *where: int | str) -> Draws:
        return self.given or super().draw_all(batch, *where)


class OursRunner:
    """A module in the hands of a trainer that is never asked to fit."""

    def __init__(self, arm: Arm, case: Case) -> None:
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        self.module = self._make(arm, case)
        if case.device != "meta":
            self.module.load_state_dict(case.state())
        self.module.to(case.device, arm.dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.trainer = Trainer(
                accelerator="cuda" if case.device.startswith("cuda") else "cpu",
                devices=1,
                precision=PRECISIONS.get(arm.precision, "32-true"),  # type: ignore[arg-type]
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        self.module.trainer = self.trainer
        self.trainer.strategy.connect(self.module)
        optimizers, schedules = self.module.configure_optimizers()  # type: ignore[misc]
        self.trainer.strategy.optimizers = optimizers
        self.optimizers = optimizers
        self.schedules = schedules
        self.parameters = dict(self.module.named_parameters())
        self.module.on_train_start()
        if arm.system == "compiled":
            CompiledNetworks().on_train_start(self.trainer, self.module)
        self.seen: Terms = {}
        self._run = self.module.iterate
        self.module.iterate = self._keep  # type: ignore[method-assign]

    def iterate(self, x_a: Tensor, x_b: Tensor, draws: Draws | None = None) -> Terms:
        self.module.given = draws
        with self.trainer.precision_plugin.train_step_context():
            self.module.training_step((x_a, x_b), 0)
        for schedule in self.schedules:
            schedule.step()
        return self.seen

    def _keep(self, batch: Batch) -> Any:
        terms, parts = self._run(batch)
        self.seen = {
            f"{player}/{term}_{domain}": value
            for player, of_parts in terms.items()
            for term, pair in of_parts[0].items()
            for domain, value in zip("ab", pair.detach(), strict=True)
        }
        return terms, parts

    def outputs(self, x_a: Tensor, x_b: Tensor, draws: Draws) -> dict[str, Tensor]:
        m = self.module
        with torch.no_grad(), self.trainer.precision_plugin.forward_context():
            (c_a, s_a), (c_b, s_b) = m.encode(x_a, "a"), m.encode(x_b, "b")
            x_aa, x_bb = m.decode(c_a, s_a, "a"), m.decode(c_b, s_b, "b")
            x_ab, x_ba = m.decode(c_a, draws["gen_b"], "b"), m.decode(c_b, draws["gen_a"], "a")
            made = {"c_a": c_a, "s_a": s_a, "c_b": c_b, "s_b": s_b, "x_aa": x_aa, "x_bb": x_bb}
            made |= {"x_ab": x_ab, "x_ba": x_ba}
            for domain, dis, x in (("a", m.dis_a, x_a), ("b", m.dis_b, x_b)):
                made |= {f"dis_{domain}.{i}": scale for i, scale in enumerate(dis(x))}
        return made

    def _make(self, arm: Arm, case: Case) -> Measured:
        arguments = case.arguments() | {"weights": case.weights, "shared_styles": arm.one_draw}
        return Measured(**arguments)
