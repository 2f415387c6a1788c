"""Values in quotes, where Hydra's grammar does not take them for the text that they are."""

import os
import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException


def quoted(setting: str, sweeping: bool = False) -> str:
    """Return a setting in quotes, if its value is a text that Hydra's grammar does not take.

    Names of files hold what the grammar has for lists, sweeps and functions, and letters that it
    has not at all. What it takes stays what it is, unless a file is called so. A home directory's
    ``~`` becomes its path, as shells have it at the start of words only.

    Args:
        setting: As it was typed.
        sweeping: Whether commas part values of a sweep.
    """
    key, equals, value = setting.partition("=")
    if not equals or not re.fullmatch(r"[+~]{,2}[A-Za-z_][\w./@:-]*", key, re.ASCII):
        return setting
    if sweeping and "," in value and not os.path.exists(value) and not _is_taken(value, True):
        return f"{key}={','.join(_quoted(part, True) for part in value.split(','))}"
    return f"{key}={_quoted(value, sweeping)}"


_CALL = r"(choice|glob|interval|range|shuffle|sort|tag)\("  # what Hydra calls in a sweep


def _quoted(value: str, sweeping: bool) -> str:
    value = os.path.expanduser(value)
    if _is_taken(value, sweeping):
        return value
    return QuotedString(value, Quote.single).with_quotes()


def _is_taken(value: str, sweeping: bool) -> bool:
    """Tell whether Hydra's grammar takes a value for what it is meant to be."""
    there = os.path.lexists(value)
    try:
        override = parse(f"key={value}")
    except HydraException:
        # Hydra tells better what is wrong with a list than that it should not be text.
        return not there and re.fullmatch(rf"\[.*\]|\{{.*\}}|{_CALL}.*", value) is not None
    if override.is_sweep_override() and "/" in value and not sweeping:
        return False
    read = override.value()
    return not there or read == value or isinstance(read, bool | int | float | None)


def parse(override: str) -> Override:
    """Return what Hydra makes of an override.

    Raises:
        HydraException: If its grammar does not take it.
    """
    return OverridesParser.create().parse_override(override)
