"""The command line of ``munit-train``: answered, or made into what Hydra reads."""

import argparse
import re
import sys
from collections.abc import Sequence

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from munit_pl import __version__
from munit_pl.commands.config.overrides import check_spelled
from munit_pl.commands.config.quoting import quoted
from munit_pl.commands.config.resolving import resolve
from munit_pl.commands.config.spelling import setting_for, spelled
from munit_pl.commands.config.sweep_runs import check_runs
from munit_pl.commands.config.trainer_arguments import refused_by_machine
from munit_pl.commands.errors import InputError, all_of
from munit_pl.commands.runtime.processes import find_place
from munit_pl.exits import ExitCode

configured = hydra.main(
    version_base="1.3", config_path="pkg://munit_pl.conf", config_name="train"
)  # decorates what takes a configuration


def parse() -> None:
    """Make of ``sys.argv`` what Hydra reads.

    Questions (``--help``, ``--version``, ``--cfg job``) are answered, and mistakes are told; both
    end the program.
    """
    if "--version" in sys.argv[1:]:  # Hydra would tell its own
        print("munit-train", __version__)
        sys.exit()
    asked = get_args_parser().parse_known_args()[0]
    help_asked = asked.help or asked.hydra_help
    try:
        if not help_asked:
            sys.argv[1:] = read_command_line(sys.argv[1:])
    except InputError as error:
        print(f"munit-train: {error}", file=sys.stderr)
        sys.exit(ExitCode.BAD_INPUT)
    if help_asked or asked.cfg or asked.info:
        _answer()
        sys.exit()


@configured
def _answer(_: DictConfig) -> None:
    """Let Hydra print what was asked for; it calls nothing then."""


def read_command_line(words: Sequence[str]) -> list[str]:
    """Return settings and flags as Hydra takes them, with the demo if no data are chosen.

    Args:
        words: As they were typed, settings and flags in any order.

    Raises:
        InputError: If a setting is misspelt, or asks for what this machine has not.
    """
    asked, unknown = get_args_parser().parse_known_intermixed_args(words)
    if unknown:
        cure = setting_for(unknown[0], words, "train")
        end = f": write {cure}" if cure else " (see munit-train --help)"
        raise InputError(f"there is no option {unknown[0].partition('=')[0]}{end}")
    flags = [word for word in words if word not in asked.overrides]
    return [*_settings(asked), *flags]  # in this order: the value of --info may be left out


def _settings(asked: argparse.Namespace) -> list[str]:
    overrides: list[str] = asked.overrides
    if asked.config_path or asked.config_name or asked.config_dir or asked.experimental_rerun:
        return [quoted(override, asked.multirun) for override in overrides]  # of others' files
    chosen = {re.split("[=@]", override.lstrip("+~"))[0] for override in overrides}
    if not chosen & {"experiment", "data"}:
        overrides = [*overrides, "+experiment=demo"]
    is_named = bool(chosen & {"run", "output_dir"})
    if not is_named and find_place().world_size > 1:
        raise InputError(
            "several processes were started from outside (torchrun, SLURM), and all must know "
            "the run's folder: add run=NAME"
        )
    if "ckpt_path=auto" in overrides and not is_named:
        raise InputError("ckpt_path=auto goes on with the run of a name: add run=NAME")
    looked_at = spelled(overrides, sweeping=asked.multirun)
    if asked.multirun and looked_at.faults:
        raise InputError(all_of(looked_at.faults))
    overrides = looked_at.taken
    if asked.multirun:
        check_runs(overrides)
    else:
        cfg = check_spelled(looked_at)
        for fault in refused_by_machine(resolve(cfg).tree["trainer"]) if not asked.cfg else ():
            raise InputError(fault)
    return overrides
