"""``munit-evaluate``: measure a trained model as a named protocol says."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from omegaconf import DictConfig

from munit_pl.commands.building import build
from munit_pl.commands.inputs import InputError
from munit_pl.commands.loading import load_in
from munit_pl.commands.overrides import check_overrides, failing_as_input_error
from munit_pl.commands.processes import Place, find_place, join_processes, tell
from munit_pl.commands.spelling import explain_word, setting_for
from munit_pl.commands.validation import check_config
from munit_pl.data.aligned import AlignedDataModule
from munit_pl.data.datamodule import TwoDomains, UnpairedDataModule
from munit_pl.data.folder import ImageFolder
from munit_pl.data.sizes import ImageSize
from munit_pl.evaluation.drawn import Drawn
from munit_pl.evaluation.instruments import (
    DistanceName,
    FeaturesName,
    Instruments,
    load_instruments,
)
from munit_pl.evaluation.munit2018 import Munit2018
from munit_pl.evaluation.protocols import PROTOCOLS, Protocol, evaluate, find_protocol
from munit_pl.evaluation.report import Report, write_whole
from munit_pl.evaluation.starganv2 import StarGANv2
from munit_pl.evaluation.subject import DOMAINS, Subject
from munit_pl.formats.checkpoint_files import digest
from munit_pl.formats.finding import find_model, run_of
from munit_pl.inference import Precision
from munit_pl.metrics.classifier import save_classifier, train_classifier
from munit_pl.metrics.lite0 import load_lite0
from munit_pl.metrics.weights import import_extra
from munit_pl.translate import Translator

_EPILOG = """Data are given as to munit-train; data=aligned takes files of both domains.

examples:
  munit-evaluate outputs/demo/first                        # on drawn shoes
  munit-evaluate last.ckpt data=folder data.root=my_data --report
  munit-evaluate train-classifier shoes/ --out classes.safetensors
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run as the command line says; ends with one line and exit code 1 on bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["train-classifier"]:
            _train_classifier(_classifier_parser().parse_args(arguments[1:]))
        else:
            _evaluate(_parse(arguments))
    except InputError as error:
        sys.exit(f"munit-evaluate: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "munit-evaluate",
        "munit-evaluate CKPT [data=folder data.root=FOLDER ...] [options]\n"
        "       munit-evaluate train-classifier FOLDER --out FILE",
        description="Measure a trained model as a named protocol says.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", metavar="CKPT", type=Path, help="as for munit-translate")
    parser.add_argument("data", nargs="*", metavar="data=...", help="settings of the data")
    parser.add_argument(
        "--protocol",
        help=f"{', '.join(PROTOCOLS)}; unless given, drawn for data=drawn, munit2018 for --paired "
        "and --classifier-*, else starganv2",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="test images of each domain at most")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="(evaluation/PROTOCOL in the run's folder)"
    )
    parser.add_argument("--report", action="store_true", help="write a page with pictures, too")
    parser.add_argument("--paired", action="store_true", help="testA and testB correspond by place")
    parser.add_argument("--seed", type=int, default=0, help="of random styles and choices")
    parser.add_argument("--config", type=Path, metavar="YAML", help="of an original checkpoint")
    compute = parser.add_argument_group("how it is computed")
    compute.add_argument("--device", help="cpu, cuda, mps; the fastest there is unless given")
    compute.add_argument(
        "--precision",
        default="fp32",
        choices=get_args(Precision),
        help="auto: bf16 where that is faster here (%(default)s)",
    )
    compute.add_argument("--batch-size", type=int, metavar="N", help="cpu 1, else 8")
    networks = parser.add_argument_group("networks to see with")
    networks.add_argument("--features", default="auto", choices=get_args(FeaturesName))
    networks.add_argument("--distance", default="auto", choices=get_args(DistanceName))
    for option, what in _NETWORK_FILES.items():
        networks.add_argument(f"--{option}", type=Path, metavar="FILE", help=what)
    networks.add_argument("--download", action="store_true", help="fetch weights that are missing")
    return parser


_NETWORK_FILES = {
    "inception": "weights of FID's Inception-v3",
    "alexnet": "weights of torchvision's AlexNet, for LPIPS",
    "lpips-v00": "LPIPS's heads of version 0.0, as papers of 2018 used; 0.1 otherwise",
    "classifier-a": "tells the modes of domain a apart, for CIS and IS",
    "classifier-b": "tells the modes of domain b apart",
}


def _classifier_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "munit-evaluate train-classifier",
        description="Train a classifier of a domain's modes on EfficientNet-Lite0's features.",
    )
    parser.add_argument("folder", type=Path, help="holds a folder of images for each class")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    parser.add_argument("--seed", type=int, default=0, help="of which images are held out")
    return parser


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _parser()
    options, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        cure = setting_for(unknown[0], arguments, "evaluate")
        written = f"; the data are given as {cure}" if cure else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{written}")
    for setting in options.data:
        if "=" not in setting:
            parser.error(explain_word(setting))
        if not re.match(r"\+*data(\.[\w.]+)?=", setting):
            parser.error(f"{setting} is no setting of the data, such as data.root=FOLDER")
    check_overrides(options.data, "evaluate")
    return options


def _train_classifier(options: argparse.Namespace) -> None:
    with failing_as_input_error(None):
        if options.out.suffix != ".safetensors":
            raise ValueError(f"--out is {options.out}, but must end in .safetensors")
        _check_folder(options.out.parent)
        classifier, figures = train_classifier(options.folder, load_lite0(), seed=options.seed)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        save_classifier(classifier, options.out)
    print(
        f"{options.out}: {', '.join(classifier.classes)}; right on {figures.accuracy:.1%} of "
        f"{figures.test_images} images held out, trained on {figures.train_images}"
    )


def _evaluate(options: argparse.Namespace) -> None:
    """Measure, and write once all is measured."""
    with failing_as_input_error(None):
        protocol = _find_protocol(options)
        options.checkpoint = find_model(options.checkpoint, tell)
        out = options.out or _folder_beside(options.checkpoint) / "evaluation" / protocol.name
        _check_folder(out)
        for module in ("matplotlib", "jinja2") if options.report else ("matplotlib",):
            import_extra(module)
        place = find_place()
        device = options.device or place.device
        with join_processes(place, device):
            load = partial(
                Translator.load,
                options.checkpoint,
                options.config,
                device=device,
                batch_size=options.batch_size,
            )
            translator = load_in(options.precision, load, place)
            datamodule = _read_data(options, translator)
            subject = _find_subject(options, translator, datamodule, place)
            protocol.check(subject)
            instruments = None if isinstance(protocol, Drawn) else _load_networks(options, subject)
            file = {
                "checkpoint": options.checkpoint.name,
                "sha256": digest(options.checkpoint),
                "computed": f"{translator.precision} on {translator.device}",
            }
            report = evaluate(protocol, subject, instruments, file, _describe(datamodule))
        if place.rank == 0:
            _write(report, out, options, subject)


def _find_protocol(options: argparse.Namespace) -> Protocol:
    drawn = not any(setting.startswith("data=") for setting in options.data)
    drawn |= "data=drawn" in options.data
    only_there = options.paired or options.classifier_a or options.classifier_b
    usual = Drawn if drawn else Munit2018 if only_there else StarGANv2
    return find_protocol(options.protocol or usual.name, options.limit)


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


def _find_subject(
    options: argparse.Namespace, translator: Translator, datamodule: TwoDomains, place: Place
) -> Subject:
    """Bring model and data together, and try one image of each domain."""
    subject = Subject(
        translator,
        datamodule.domains["train"],
        datamodule.domains["test"],
        options.seed,
        place.rank,
        place.world_size,
        options.paired,
        progress=True,
    )
    for domain in DOMAINS:
        translator.check(subject.test_images(domain).load(0, None)[None], domain)
    return subject


def _read_data(options: argparse.Namespace, translator: Translator) -> TwoDomains:
    """Find the images that the settings name."""
    channels = [
        f"model.input_channels_{domain}={translator.channels(domain)}" for domain in DOMAINS
    ]
    settings = [*options.data, *channels]
    cfg = check_overrides(settings, "evaluate")
    if translator.image_size:
        _take_size(cfg.data, options.data, translator.image_size)
    check_config(cfg, "evaluate")
    datamodule: TwoDomains = build(cfg.data)
    datamodule.setup()
    return datamodule


def _take_size(data: DictConfig, settings: Sequence[str], trained: ImageSize) -> None:
    """Take over the size of training where ``settings`` ask for no other, and say what it is."""
    given = {setting.lstrip("+").split("=")[0] for setting in settings}
    crop = list(trained.crop)
    sizes = {"resize": trained.resize, "crop": crop, "size": crop}  # the last where images are made
    others = []
    for key, value in sizes.items():
        if key in data and f"data.{key}" not in given:
            data[key] = value
        elif key in data and data[key] != value:
            others.append(f"data.{key}={data[key]}")
    if others:
        tell(f"{' '.join(others)}: this model was trained on {trained}")
    else:
        tell(f"evaluated as trained, on {trained}")


def _load_networks(options: argparse.Namespace, subject: Subject) -> Instruments:
    return load_instruments(
        options.features,
        options.distance,
        options.inception,
        options.alexnet,
        options.lpips_v00,
        options.classifier_a,
        options.classifier_b,
        options.download,
        subject.device,
    )


def _describe(datamodule: TwoDomains) -> dict[str, str]:
    """Say in words what images there are."""
    sizes = "x".join(map(str, datamodule.size))
    counts = {
        split: " and ".join(str(len(domain)) for domain in domains)
        for split, domains in datamodule.domains.items()
    }
    name = "drawn shoes"
    if isinstance(datamodule, UnpairedDataModule | AlignedDataModule):
        name = datamodule.root.resolve().name
    text = f"{name}, {sizes}; training images {counts['train']}, test images {counts['test']}"
    for domain, train, test in zip(DOMAINS, *datamodule.domains.values(), strict=True):
        if isinstance(train, ImageFolder) and isinstance(test, ImageFolder):
            text += f"; those of {domain} are the same" if train.files == test.files else ""
            if bad := {**train.bad, **test.bad}:
                text += f"; {len(bad)} bad files of {domain} passed over"
    return {"data": text}


def _write(report: Report, out: Path, options: argparse.Namespace, subject: Subject) -> None:
    """Write all files of a report and print the table."""
    from munit_pl.evaluation.page import write_page  # these want the extra, as was checked
    from munit_pl.evaluation.plots import plot_distributions, plot_figures

    report.write(out)
    plots = {"figures.png": plot_figures(report.figures)}
    if report.distributions:
        plots["distributions.png"] = plot_distributions(report.distributions)
    for name, png in plots.items():
        write_whole(out / name, png)
    print(report.markdown())
    print(f"written to {out}")
    if options.report:
        write_page(out / "report.html", report, subject, run_of(options.checkpoint))
        print(f"look at {out / 'report.html'}")


if __name__ == "__main__":
    main()
