"""Runs of a sweep, looked at before the first one begins."""

from collections.abc import Iterator, Sequence

from hydra.core.override_parser.types import Glob, Override

from munit_pl.commands.config.listing import names_in_group, names_of_groups
from munit_pl.commands.config.overrides import check_spelled
from munit_pl.commands.config.quoting import parse
from munit_pl.commands.config.spelling import Spelled
from munit_pl.commands.errors import InputError, all_of


def check_runs(overrides: Sequence[str]) -> None:
    """Refuse a sweep in which a value is wrong, which its run would tell of hours later.

    Of all combinations it composes as few as have each value between them. What a sweeper chooses
    from an interval is not looked at, and nothing that Hydra knows of a run once it runs.

    Args:
        overrides: As Hydra takes them.

    Raises:
        InputError: A line for each fault, or for the first list that is empty.
    """
    from munit_pl.commands.config.validation import faults_of_config  # which takes PyTorch

    faults: list[str] = []
    for run in _runs(overrides):
        cfg = check_spelled(Spelled(run, []))
        cfg.output_dir = ""  # Hydra knows it once it runs
        faults += faults_of_config(cfg)
    if faults:
        raise InputError(all_of([*dict.fromkeys(faults)]))


def _runs(overrides: Sequence[str]) -> Iterator[list[str]]:
    """Yield overrides of as many runs as the longest list has values; shorter ones repeat."""
    read = [parse(override) for override in overrides]
    later = [one.is_interval_sweep() or "${hydra:" in str(one.input_line) for one in read]
    lists = [_each(one) for one, unknown in zip(read, later, strict=True) if not unknown]
    for i in range(max(map(len, lists), default=0)):
        yield [values[i % len(values)] for values in lists]


def _each(override: Override) -> list[str]:
    """Return an override once for each of its values."""
    if not override.is_discrete_sweep():
        return [str(override.input_line)]
    value, group = override.value(), override.key_or_group
    if isinstance(value, Glob):
        names = value.filter(names_in_group(group) if group in names_of_groups() else [])
    else:
        names = [*override.sweep_string_iterator()]
    if not names:
        raise InputError(f"{override.input_line} stands for no value: a sweep of it has no runs")
    return [f"{override.get_key_element()}={name}" for name in names]
