"""The package's own iteration: a `MUNITModule`'s training step without the trainer's loop."""

import logging
import warnings
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from benchmarks.iteration.arm import Arm, Case
from benchmarks.plain import Draws, Terms
from munit_pl import FastMUNITModule, MUNITModule

PRECISIONS = {"bf16": "bf16-mixed"}


class Measuring:
    """What is mixed into a module so that its styles can be given and its terms read."""

    given: Draws | None = None
    seen: Terms

    def draw(self, x_a: Tensor, x_b: Tensor, *where: int | str) -> Draws:
        return self.given or super().draw(x_a, x_b, *where)  # type: ignore[misc]

    def iterate(self, batch: tuple[Tensor, Tensor]) -> Any:
        terms, parts = super().iterate(batch)  # type: ignore[misc]
        self.seen = {
            f"{player}/{term}_{domain}": value
            for player, of_parts in terms.items()
            for term, pair in of_parts[0].items()
            for domain, value in zip("ab", pair.detach(), strict=True)
        }
        return terms, parts


class Measured(Measuring, MUNITModule):
    """The package's module, measured."""


class MeasuredFast(Measuring, FastMUNITModule):
    """The package's fast preset, measured."""


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
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "munit_fast goes on without .* CUDA device")
            self.module.on_train_start()

    def iterate(self, x_a: Tensor, x_b: Tensor, draws: Draws | None = None) -> Terms:
        self.module.given = draws
        with self.trainer.precision_plugin.train_step_context():
            self.module.training_step((x_a, x_b), 0)
        for schedule in self.schedules:
            schedule.step()
        return self.module.seen

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

    def _make(self, arm: Arm, case: Case) -> Measured | MeasuredFast:
        arguments = case.arguments() | {"weights": case.weights, "shared_styles": arm.one_draw}
        if arm.system == "ours":
            return Measured(**arguments)
        return MeasuredFast(**arguments, bf16=arm.precision == "bf16")
