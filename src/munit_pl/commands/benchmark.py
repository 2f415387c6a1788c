"""``munit-benchmark``: train and measure what the paper compared, and put it into a table."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from munit_pl.commands.config.building import build
from munit_pl.commands.config.overrides import check_overrides, failing_as_input_error
from munit_pl.commands.config.quoting import quoted
from munit_pl.commands.errors import InputError
from munit_pl.commands.options.benchmark import parse
from munit_pl.commands.options.train import configured
from munit_pl.commands.runtime.processes import tell
from munit_pl.commands.train import RunFailed, train
from munit_pl.evaluation.comparison.measure import make_subject, measure, measure_losses
from munit_pl.evaluation.comparison.results import (
    conclude,
    last_checkpoint,
    metrics_file,
    write_metrics,
)
from munit_pl.evaluation.comparison.rows import ROWS, STEPS
from munit_pl.evaluation.comparison.subject import Subject
from munit_pl.evaluation.feature_extractors import FeatureExtractors, load_feature_extractors
from munit_pl.inference.precision_choice import choose_precision
from munit_pl.inference.translator import Translator
from munit_pl.io.checkpoint_files import newest_valid
from munit_pl.io.files import write_whole
from munit_pl.io.safe_reading import read_checkpoint
from munit_pl.models.base.module import AdversarialModule

_ASKED = "asked.json"  # in --out: what all runs there have in common
_PAIRS = "data=aligned, or data=huggingface data.paired=true"
_PRECISION = "trainer.precision="


def main(argv: Sequence[str] | None = None) -> None:
    """Run as the command line says; ends with one line and exit code 1 on bad input."""
    run(parse(argv))


def run(options: argparse.Namespace) -> None:
    """Do what was asked for, `parse` having read it."""
    try:
        _leave_out_pairs(options)
        _settle_precision(options)
        subject = _check(options)
        extractors = _load_extractors()
        _sweep(options, extractors)
        print(conclude(options.out, extractors, subject))
        print(f"written to {options.out}/table1.md, the picture beside it")
    except InputError as error:
        sys.exit(f"munit-benchmark: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _leave_out_pairs(options: argparse.Namespace) -> None:
    """Leave out what is trained on pairs where the data has none."""
    for row in [row for row in options.rows if ROWS[row].paired]:
        # As it was asked for: the row itself reads whatever it is given in pairs.
        data = [word for word in options.settings if word.lstrip("+~").startswith("data")]
        with failing_as_input_error(None):
            has_pairs = build(check_overrides(data).data).has_pairs
        if not has_pairs:
            options.rows.remove(row)
            tell(f"{row} is left out: it trains on pairs: {_PAIRS}")
    if not options.rows:
        raise InputError(f"no row is left: choose others (--rows), or give pairs: {_PAIRS}")


def _settle_precision(options: argparse.Namespace) -> None:
    """Ask for one precision where the machine is to choose it: rows in two are no comparison.

    It is that of the runs which the folder holds, or else what this machine is faster in.
    """
    trainer = options.configs[options.rows[0]].trainer
    if trainer.precision != "auto":
        return
    names = [name for name in _settings_there(options.out) if name.startswith(_PRECISION)]
    if not names:
        device = torch.accelerator.current_accelerator(check_available=True)
        if device is None or trainer.accelerator == "cpu":
            device = torch.device("cpu")
        choice = choose_precision(device, training=True)
        names = [f"{_PRECISION}{'bf16-mixed' if choice.bf16 else '32-true'}"]
        tell(f"{names[0]} ({choice.reason})")
    others = [setting for setting in options.settings if not setting.startswith(_PRECISION)]
    options.settings = [*others, names[-1]]


def _settings_there(folder: Path) -> list[str]:
    """Return the settings of the runs that a folder holds."""
    file = folder / _ASKED
    with failing_as_input_error(None):
        return json.loads(file.read_text())["settings"] if file.exists() else []


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    """Return what all runs in one folder must have in common."""
    return {
        "steps": options.steps,
        "settings": options.settings,
        "extent": asdict(options.extent),
    }


def _check(options: argparse.Namespace) -> Subject:
    """Refuse what cannot be trained or measured, and a folder with other runs, before training."""
    with failing_as_input_error(None):
        subject = make_subject(build(options.configs[options.rows[0]].data), options.extent)
    options.extent = subject.extent
    for row in options.rows:
        # That its images can pass its networks: without memory, in no time.
        with failing_as_input_error(None), torch.device("meta"):
            build(options.configs[row].model).check_size(*subject.size)
    asked, file = _asked(options), options.out / _ASKED
    with failing_as_input_error(None):
        if not file.exists():
            options.out.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps(asked, indent=1) + "\n")
        there = json.loads(file.read_text())
    for key, value in asked.items():
        if there.get(key) != value:
            raise InputError(
                f"{options.out} holds runs with {key} {there.get(key)}, and {value} is asked for: "
                "ask for the same, or name another folder (--out)"
            )
    return subject


def _sweep(options: argparse.Namespace, extractors: FeatureExtractors) -> None:
    """Let Hydra go through all rows of the first seed, then of the next."""

    def run(cfg: DictConfig) -> None:
        try:
            _run(cfg, options, extractors)
        except (InputError, RunFailed) as error:
            sys.exit(f"munit-benchmark: {error}")  # Hydra would add a traceback

    command = [
        "--multirun",
        f"seed={','.join(map(str, options.seeds))}",
        f"+experiment={','.join(f'table1/{row}' for row in options.rows)}",
        f"trainer.max_steps={options.steps}",
        quoted(f"hydra.sweep.dir={options.out.resolve()}"),
        "hydra.sweep.subdir=${row}/${seed}",
        *options.settings,
    ]
    _with_arguments(command, configured(run))


def _with_arguments(arguments: list[str], command: Callable[[], Any]) -> None:
    """Call what reads its arguments from the command line."""
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        command()
    finally:
        sys.argv = before


def _load_extractors() -> FeatureExtractors:
    with failing_as_input_error(None):
        return load_feature_extractors("lite0", "lite0")


def _run(cfg: DictConfig, options: argparse.Namespace, extractors: FeatureExtractors) -> None:
    """Train and measure one row under one seed, or what of that is still to be done."""
    folder = Path(cfg.output_dir)
    if metrics_file(folder).exists():
        return
    scale_to_budget(cfg)
    if "paired" in cfg.data:
        cfg.data.paired = ROWS[cfg.row].paired
    seconds = _train(cfg, folder)
    last = last_checkpoint(folder)
    module: AdversarialModule = build(cfg.model)
    module.load_state_dict(read_checkpoint(last)["state_dict"])
    subject = make_subject(build(cfg.data), options.extent)
    metrics, real = measure(Translator.load(last), subject, extractors)
    found = {
        "row": cfg.row,
        "seed": cfg.seed,
        "asked": _asked(options),
        "data": {"size": list(subject.size), "batch_size": cfg.data.batch_size},
        "metrics": metrics,
        "real": real,
        "losses": measure_losses(module, subject),
        "seconds": seconds,
    }
    write_metrics(folder, found)


def scale_to_budget(cfg: DictConfig) -> None:
    """Stretch a row's schedule, given for `STEPS` iterations, to those that are asked for."""
    share = cfg.trainer.max_steps / STEPS
    for key, value in cfg.model.scheduler.items():
        if isinstance(value, int) and value > 0:  # none stays none
            cfg.model.scheduler[key] = max(1, round(value * share))
    cfg.callbacks.checkpoints.every_n_steps = max(
        1, round(cfg.callbacks.checkpoints.every_n_steps * share)
    )


def _train(cfg: DictConfig, folder: Path) -> float | None:
    """Train, or go on; return the seconds that all iterations take, None if none was left.

    Of a run that was interrupted, the iterations that this process did stand for the others.
    """
    newest, _ = newest_valid(folder / "checkpoints")
    done = 0
    if newest is not None:
        done = read_checkpoint(newest)["global_step"]
        cfg.ckpt_path = str(newest)
    if done >= cfg.trainer.max_steps:
        return None
    start = time.perf_counter()
    train(cfg)
    return (time.perf_counter() - start) * cfg.trainer.max_steps / (cfg.trainer.max_steps - done)


if __name__ == "__main__":
    main()
