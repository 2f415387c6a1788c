"""``munit-evaluate``: measure a trained model as a named protocol says."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from munit_pl.commands.config.overrides import failing_as_input_error
from munit_pl.commands.errors import InputError
from munit_pl.commands.options.evaluate import parse
from munit_pl.commands.runtime.evaluation_data import (
    compare_with_training,
    describe_data,
    read_data,
    share_skipped,
)
from munit_pl.commands.runtime.process_group import gpu_of, join_processes
from munit_pl.commands.runtime.processes import Place, find_place, tell
from munit_pl.commands.runtime.translator_loading import load_translator
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.replacement import with_replacement
from munit_pl.data.skipped_files import DataError
from munit_pl.evaluation.evaluate import evaluate
from munit_pl.evaluation.feature_extractors import FeatureExtractors, load_feature_extractors
from munit_pl.evaluation.protocols.base import EvaluationProtocol
from munit_pl.evaluation.protocols.registry import find_protocol
from munit_pl.evaluation.report import Report
from munit_pl.evaluation.task import DOMAINS, EvaluationTask
from munit_pl.hub.model_lookup import find_model, run_of
from munit_pl.inference.translator import Translator
from munit_pl.io.files import digest, write_whole
from munit_pl.io.pretrained_weights import import_extra
from munit_pl.metrics.classifier import save_classifier
from munit_pl.metrics.classifier_training import train_classifier
from munit_pl.metrics.efficientnet_lite0 import load_lite0

_NOT_ALWAYS_WRITTEN = ("distributions.png", "report.html")  # beside metrics.*, which always are


def main(argv: Sequence[str] | None = None) -> None:
    """Run as the command line says; ends with one line and exit code 1 on bad input."""
    run(parse(argv))


def run(options: argparse.Namespace) -> None:
    """Do what was asked for, `parse` having read it."""
    try:
        if options.classifier:
            _train_classifier(options)
        else:
            _evaluate(options)
    except (InputError, DataError) as error:
        sys.exit(f"munit-evaluate: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _train_classifier(options: argparse.Namespace) -> None:
    with failing_as_input_error(None):
        if options.out.suffix != ".safetensors":
            raise ValueError(f"--out is {options.out}, but must end in .safetensors")
        _check_folder(options.out.parent)
        classifier, held_out = train_classifier(options.folder, load_lite0(), seed=options.seed)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        save_classifier(classifier, options.out)
    print(
        f"{options.out}: {', '.join(classifier.classes)}; right on {held_out.accuracy:.1%} of "
        f"{held_out.test_images} images held out, trained on {held_out.train_images}"
    )


def _evaluate(options: argparse.Namespace) -> None:
    """Measure, and write once all is measured."""
    with failing_as_input_error(None):
        protocol = _find_protocol(options)
        options.checkpoint = find_model(options.checkpoint, tell)
        notice = compare_with_training(options.data, options.checkpoint)
        out = options.out or _folder_beside(options.checkpoint) / "evaluation" / protocol.name
        _check_folder(out)
        for module in ("matplotlib", "jinja2") if options.report else ("matplotlib",):
            import_extra(module)
        place = find_place()
        device = options.device or gpu_of(place)
        with join_processes(place, device):
            load = partial(
                Translator.load,
                options.checkpoint,
                options.config,
                device=device,
                batch_size=options.batch_size,
            )
            translator = load_translator(options.precision, load, place)
            for domain in DOMAINS:
                translator.check_target(domain)
            datamodule = read_data(options.data, translator)
            task = _make_task(options, translator, datamodule, place)
            protocol.check(task)
            extractors = _load_extractors(options, task) if protocol.needs_extractors else None
            file = {
                "checkpoint": options.checkpoint.name,
                "sha256": digest(options.checkpoint),
                "computed": f"{translator.precision} on {translator.device}",
            }
            if notice:
                tell(notice)
            with _explaining_pairs(options.paired):
                report = evaluate(protocol, task, extractors, file, {})
            share_skipped(datamodule.skipped_files, place)
            report = replace(report, data=describe_data(datamodule, task))
        if place.rank == 0:
            _write(report, out, options, task)


def _find_protocol(options: argparse.Namespace) -> EvaluationProtocol:
    drawn = not any(setting.startswith("data=") for setting in options.data)
    drawn |= "data=drawn" in options.data
    only_there = options.paired or options.classifier_a or options.classifier_b
    usual = "drawn" if drawn else "munit2018" if only_there else "starganv2"
    return find_protocol(options.protocol or usual, options.limit)


def _folder_beside(checkpoint: Path) -> Path:
    """Return the folder of the checkpoint's run; the working directory if it is of none."""
    run, here = run_of(checkpoint), Path.cwd()
    if run is None:
        return Path()
    return run.relative_to(here) if run.is_relative_to(here) else run


def _check_folder(folder: Path) -> None:
    """Make sure that files can be written to a folder, made or not, before hours of work."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ValueError(
            f"nothing can be written to {folder}: {there} is no folder to write to: give another "
            "--out"
        )


def _make_task(
    options: argparse.Namespace, translator: Translator, datamodule: TwoDomains, place: Place
) -> EvaluationTask:
    """Bring model and data together, and try one image of each domain.

    Another image stands in for one that cannot be read, except in pairs.
    """
    test = datamodule.domains["test"]
    if not options.paired:
        test = with_replacement(test, datamodule.skipped_files)
    task = EvaluationTask(
        translator,
        with_replacement(datamodule.domains["train"], datamodule.skipped_files),
        test,
        options.seed,
        place.rank,
        place.world_size,
        options.paired,
        progress=True,
    )
    with _explaining_pairs(options.paired):
        for domain in DOMAINS:
            translator.check(task.test_images(domain).load(0, None)[None], domain)
    return task


@contextmanager
def _explaining_pairs(paired: bool) -> Iterator[None]:
    """Say what to do about an image that cannot be read where no other can stand in for it."""
    try:
        yield
    except OSError as error:
        if not paired:
            raise
        raise OSError(
            f"{error}: repair it, or remove it and its partner (`munit-data check` lists all such)"
        ) from error


def _load_extractors(options: argparse.Namespace, task: EvaluationTask) -> FeatureExtractors:
    return load_feature_extractors(
        options.features,
        options.distance,
        options.inception,
        options.alexnet,
        options.lpips_v00,
        options.classifier_a,
        options.classifier_b,
        options.download,
        task.device,
    )


def _write(report: Report, out: Path, options: argparse.Namespace, task: EvaluationTask) -> None:
    """Write all files of a report and print the table."""
    from munit_pl.evaluation.page import write_page  # these want the extra, as was checked
    from munit_pl.evaluation.plots import plot_distributions, plot_metrics

    for name in _NOT_ALWAYS_WRITTEN:  # an earlier evaluation's would contradict the new numbers
        (out / name).unlink(missing_ok=True)
    report.write(out)
    plots = {"metrics.png": plot_metrics(report.metrics)}
    if report.distributions:
        plots["distributions.png"] = plot_distributions(report.distributions)
    for name, png in plots.items():
        write_whole(out / name, png)
    print(report.markdown())
    print(f"written to {out}")
    if options.report:
        write_page(out / "report.html", report, task, run_of(options.checkpoint))
        print(f"look at {out / 'report.html'}")


if __name__ == "__main__":
    main()
