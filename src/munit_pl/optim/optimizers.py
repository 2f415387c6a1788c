"""Which optimizer a player is updated by."""

from typing import Annotated

from torch.optim import Adam

from munit_pl.checks import Arguments, ArgumentsOf

OptimizerArguments = Annotated[Arguments, ArgumentsOf(Adam, without=("params",))]
