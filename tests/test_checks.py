import re
from typing import Annotated, Literal

import numpy as np
import pytest
import torch

from munit_pl.checks import (
    Arguments,
    ArgumentsOf,
    Fraction,
    HeightWidth,
    PositiveFloat,
    PositiveInt,
    check_arguments,
    checked,
)


def layer(width: PositiveInt = 1, **further):
    pass


@checked
def made(
    dim: PositiveInt = 1,
    rate: PositiveFloat | None = None,
    share: Fraction = 0.5,
    size: HeightWidth = 8,
    norm: Literal["none", "batch"] = "none",
    tensor: torch.Tensor | None = None,
    inner: Annotated[Arguments, ArgumentsOf(layer)] = None,
):
    """A docstring."""
    return dim, size


def test_a_call_within_the_bounds_is_the_call():
    assert made.__doc__ == "A docstring."
    assert made() == (1, 8)
    assert made(3, rate=1, share=0, size=(4, 5), norm="batch", inner={"any": "thing"}) == (
        3,
        (4, 5),
    )
    assert made(size=[4, 5], tensor=torch.zeros(2), rate=None) == (1, [4, 5])
    given = np.int64(7)
    assert made(given, rate=np.float32(0.5), size=(given, given))[0] is given


def test_an_argument_out_of_bounds_is_told_in_one_line_with_what_it_must_be():
    for arguments, line in [
        ({"dim": 0}, "dim is 0, but must be at least 1"),
        ({"dim": 4.5}, "dim is 4.5, but must be a whole number"),
        ({"dim": True}, "dim is True, but must be a whole number"),
        ({"dim": "3"}, "dim is '3', but must be a whole number"),
        ({"rate": 0}, "rate is 0, but must be above 0"),
        ({"rate": float("nan")}, "rate is nan, but must be finite"),
        ({"share": 1.5}, "share is 1.5, but must be at most 1"),
        ({"size": 0}, "size is 0, but must be at least 1"),
        ({"size": (4, 0)}, "size[1] is 0, but must be at least 1"),
        ({"size": (4,)}, "size is (4,), but must be a list of 2 or more"),
        ({"size": "big"}, "size is 'big', but must be a whole number or a list"),
        ({"inner": {"width": 0}}, "inner.width is 0, but must be at least 1"),
        ({"inner": 3}, "inner is 3, but must be a dict of arguments"),
        ({"norm": "nrom"}, "norm is 'nrom', but must be one of none, batch"),
    ]:
        with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
            made(**arguments)


def test_a_call_that_python_refuses_is_refused_by_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'dmi'"):
        made(dmi=0)


def test_names_that_a_signature_has_not_are_let_be():
    check_arguments(made, {"dim": 1, "of_a_subclass": -1})
