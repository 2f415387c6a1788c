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
    text = _TEXTS.fullmatch(key) is not None
    several = sweeping and "," in value and not os.path.exists(value)
    names = text and re.fullmatch(r"[\w.,-]+", value, re.ASCII)  # of which some may read as numbers
    if several and (names or not _is_taken(value, True, text)):
        return f"{key}={','.join(_quoted(part, True, text) for part in value.split(','))}"
    return f"{key}={_quoted(value, sweeping, text)}"


# What is a name or a path, even if it reads as a number: run=2026_11_29, data.root=1.50.
_TEXTS = re.compile(
    r"name|run|output_dir|ckpt_path|init_from|data\.(root|path|(lists\.)?(train|test)(_[ab])?)"
)
_CALL = r"(choice|glob|interval|range|shuffle|sort|tag)\("  # what Hydra calls in a sweep


def _quoted(value: str, sweeping: bool, text: bool) -> str:
    value = os.path.expanduser(value)
    if _is_taken(value, sweeping, text):
        return value
    return QuotedString(value, Quote.single).with_quotes()


def _is_taken(value: str, sweeping: bool, text: bool) -> bool:
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
    if text and (isinstance(read, bool | int | float) or (there and read is None)):
        return False
    return not there or read == value or isinstance(read, bool | int | float | None)


def parse(override: str) -> Override:
    """Return what Hydra makes of an override.

    Raises:
        HydraException: If its grammar does not take it.
    """
    return OverridesParser.create().parse_override(override)
