"""Which optimizer a player is updated by: any of PyTorch's, named by a plain value."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from annotated_types import Len
from torch import nn
from torch.optim import Optimizer

from munit_pl.checks import Arguments, ArgumentsOf, Below1, NonNegativeFloat, PositiveFloat, checked

# Those that take steps by gradients alone, of tensors of any shape.
OptimizerName = Literal[
    "Adam",
    "AdamW",
    "NAdam",
    "RAdam",
    "Adamax",
    "Adadelta",
    "Adagrad",
    "Adafactor",
    "ASGD",
    "RMSprop",
    "Rprop",
    "SGD",
]


@checked
def make_optimizer(
    params: Iterable[nn.Parameter],
    name: OptimizerName = "Adam",
    lr: PositiveFloat = 1e-4,
    betas: Annotated[Sequence[Below1], Len(2, 2)] = (0.5, 0.999),
    weight_decay: NonNegativeFloat = 0.0,
    fused: bool | None = None,
    eps: PositiveFloat | None = None,
    **further: Any,
) -> Optimizer:
    """Return an optimizer of `torch.optim`.

    Args:
        params: What it is to update.
        name: Its class.
        lr: The learning rate.
        betas: Decay rates of the moments, of an optimizer that has two, such as Adam.
        weight_decay: As the class has it: added to the gradient by Adam, apart from it by AdamW.
        fused: Update all parameters in one kernel, or not; as the class has it unless given.
        eps: What is added to denominators; the class's own unless given.
        **further: Other arguments of the class.

    Raises:
        TypeError: If the class takes no such argument.
        ValueError: If a value is out of range.
    """
    cls: Any = getattr(torch.optim, name)
    listed = {"betas": betas, "weight_decay": weight_decay, "fused": fused}
    taken = inspect.signature(cls).parameters.keys()
    further |= {} if eps is None else {"eps": eps}
    return cls(params, lr=lr, **{k: v for k, v in listed.items() if k in taken}, **further)


def _named(arguments: Mapping[str, Any]) -> Any:
    return getattr(torch.optim, str(arguments.get("name", "Adam")), None)


OptimizerArguments = Annotated[Arguments, ArgumentsOf(make_optimizer, ("params",), _named)]
