"""Loading a translator in a precision that all processes share."""

from collections.abc import Callable

from torch import distributed

from munit_pl.commands.runtime.processes import Place, tell
from munit_pl.inference.execution import Precision
from munit_pl.inference.precision_choice import SLOW_RATIO, describe_ratio, time_bf16_ratio
from munit_pl.inference.translator import Translator


def load_translator(
    precision: Precision, load: Callable[..., Translator], place: Place
) -> Translator:
    """Load a model, and say in which precision where that is not simply the one asked for.

    What the first process is faster in, all compute in.

    Args:
        precision: What is asked for.
        load: Loads the model, given ``precision``.
        place: Which process this is; if it is not alone and ``precision`` is "auto", all have
            joined.
    """
    translator = load(precision=precision)
    if precision == "auto" and place.world_size > 1:
        agreed = [translator.precision]
        distributed.broadcast_object_list(agreed)
        if agreed[0] != translator.precision:
            translator = load(precision=agreed[0])
    if translator.precision_reason:
        tell(f"precision: {translator.precision} ({translator.precision_reason})")
    elif precision == "bf16" and translator.device.type == "cpu":
        ratio = time_bf16_ratio(training=False)
        if ratio > SLOW_RATIO:
            tell(f"--precision is bf16, though {describe_ratio(ratio)}: fp32 is faster")
    return translator
