"""The command line of ``munit-evaluate``."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from munit_pl import __version__
from munit_pl.commands.config.overrides import check_overrides
from munit_pl.commands.config.spelling import explain_word, setting_for
from munit_pl.commands.errors import InputError
from munit_pl.commands.options import add_precision

_PROTOCOLS = ("drawn", "munit2018", "starganv2")
_EPILOG = """Data are given as to munit-train; data=aligned takes files of both domains.

examples:
  munit-evaluate outputs/demo/first                        # on drawn shoes
  munit-evaluate last.ckpt data=folder data.root=my_data --report
  munit-evaluate train-classifier shoes/ --out classes.safetensors
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; wrong usage ends the program with status 2, a wrong setting with 1.

    Returns:
        The options. ``classifier`` says whether one is to be trained.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["train-classifier"]:
        return _classifier_parser().parse_args(arguments[1:])
    parser = _parser()
    options, unknown = parser.parse_known_intermixed_args(arguments)
    try:
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
    except InputError as error:
        sys.exit(f"munit-evaluate: {error}")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "munit-evaluate",
        "munit-evaluate CKPT [data=folder data.root=FOLDER ...] [options]\n"
        "       munit-evaluate train-classifier FOLDER --out FILE",
        description="Measure a trained model as a named protocol says.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(classifier=False)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("checkpoint", metavar="CKPT", type=Path, help="as for munit-translate")
    parser.add_argument("data", nargs="*", metavar="data=...", help="settings of the data")
    parser.add_argument(
        "--protocol",
        help=f"{', '.join(_PROTOCOLS)}; unless given, drawn for data=drawn, munit2018 for "
        "--paired and --classifier-*, else starganv2",
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
    add_precision(compute)
    compute.add_argument("--batch-size", type=int, metavar="N", help="cpu 1, else 8")
    networks = parser.add_argument_group("feature extractors")
    networks.add_argument("--features", default="auto", choices=["auto", "inception", "lite0"])
    networks.add_argument("--distance", default="auto", choices=["auto", "lpips", "lite0"])
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
    parser.set_defaults(classifier=True)
    parser.add_argument("folder", type=Path, help="holds a folder of images for each class")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    parser.add_argument("--seed", type=int, default=0, help="of which images are held out")
    return parser
