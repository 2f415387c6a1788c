"""``munit-data check``: what images a run would read, and what it would make of them."""

import argparse
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, NoReturn

from munit_pl.commands.config.own_folders import domain_folders
from munit_pl.commands.datasets.check_report import conclusion, details, table
from munit_pl.commands.errors import InputError
from munit_pl.commands.options.data import ALIGNED, FOLDERS
from munit_pl.commands.terminal import short_path
from munit_pl.data.huggingface.opening import holds_shards, is_saved
from munit_pl.data.huggingface.rows import Rows
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.tools.assessment import advise, as_values, assess
from munit_pl.data.tools.check_journal import CheckJournal
from munit_pl.data.tools.inspection import ImageSettings, Inspection, inspect_images, match_pairs
from munit_pl.io.files import write_whole

_OF_SETS = "data=huggingface"
_OF_FOLDERS = ("root", *FOLDERS, *ALIGNED)  # settings


class _Images(NamedTuple):
    """The images that a run would read.

    Attributes:
        root: Where they are.
        parts: Split, domain and folder or rows of each part.
        absent: A line for each part that may be absent and is.
        use: How a run would use them.
        settings: The settings of `munit-train` that name them.
        paired: Whether parts of equal splits are pairs, row by row.
        max_bad_fraction: Share of a domain's images that may be unusable, in [0, 1].
        max_values: What is white in each domain's 16-bit gray files; absent where it is found out.
    """

    root: Path
    parts: Sequence[tuple[str, str, Path | Rows]]
    absent: Sequence[str]
    use: ImageSettings
    settings: Sequence[str]
    paired: bool = False
    max_bad_fraction: float = 0.01
    max_values: Mapping[str, int] = {}


def run(options: argparse.Namespace) -> int:
    """Do as the options say and return the exit status: 1 if something would stop a run.

    Raises:
        InputError: An option is out of range, or what it names is not there.
    """
    _check(options)
    images = _find_rows(options) if _names_a_set(options) else _find_folders(options)
    with CheckJournal(images.root) as journal:
        inspections = _inspect(images, options.workers, journal)
    assessment = assess(inspections, images.max_bad_fraction)
    assessment.notes.extend([*images.absent, *advise(inspections, images.use)])
    print(table(inspections, images.use))
    for found in inspections:
        print(details(found), end="")
    print(conclusion(assessment))
    suggestion = [] if assessment.stops else _suggest(inspections, images.settings)
    if suggestion:
        print("\nTRY THIS", *suggestion, sep="\n  ")
    if options.json:
        values = {**as_values(inspections, assessment), "suggestion": suggestion}
        try:
            write_whole(options.json, json.dumps(values, indent=1) + "\n")
        except OSError as error:
            raise InputError(f"cannot write {str(options.json)!r}: {error.strerror}") from error
        print(f"all of it: {options.json}")
    return 1 if assessment.stops else 0


def _check(options: argparse.Namespace) -> None:
    """Check the options before time is spent."""
    try:
        ImageFolder([], resize=options.resize, crop=tuple(options.crop))
    except ValueError as error:
        raise InputError(str(error)) from error
    if options.workers < 0:
        raise InputError(f"--workers is {options.workers}, but must not be negative")
    if options.root and not options.root.exists():
        raise InputError(f"there is no folder {str(options.root)!r}")
    if options.json and not options.json.absolute().parent.is_dir():
        raise InputError(f"there is no folder {str(options.json.absolute().parent)!r} for --json")


def _inspect(images: _Images, workers: int, journal: CheckJournal) -> list[Inspection]:
    """Return what is found of each part."""
    inspections: list[Inspection] = []
    for split, domain, source in images.parts:
        trained = next((found for found in inspections if found.domain == domain), None)
        white = trained.max_value if trained else images.max_values.get(domain)
        inspections.append(
            inspect_images(split, domain, source, images.use, workers, True, white, journal)
        )
    if images.paired:
        for a, b in zip(inspections[::2], inspections[1::2], strict=True):
            match_pairs(a, b, images.use)
    return inspections


def _suggest(inspections: Sequence[Inspection], settings: Sequence[str]) -> list[str]:
    from munit_pl.commands.datasets.suggesting import suggest  # Hydra and Lightning: seconds

    return suggest(inspections, settings)


def _find_folders(options: argparse.Namespace) -> _Images:
    names = ALIGNED if options.aligned else FOLDERS
    _check_named(options)
    settings = ["data=aligned", "data.paired=false"] if options.aligned else ["data=folder"]
    settings.append(f"data.root={short_path(options.root)}")
    parts, absent = [], []
    for name, default in names.items():
        split, _, domain = name.partition("_")
        folder = options.root / getattr(options, name)
        if split == "test" and not folder.exists():
            absent.append(f"there is no {str(folder)!r}: the test is on training images")
        else:
            parts.append((split, domain, folder))
        if (given := getattr(options, name)) != default:
            settings.append(f"data.{name}={given}")
    use = ImageSettings(options.resize, tuple(options.crop), options.aligned)
    return _Images(options.root, parts, absent, use, settings)


def _check_named(options: argparse.Namespace) -> None:
    """Refuse a folder whose domains have other names than it was asked for, and say which."""
    folders = [options.root / options.train_a, options.root / options.train_b]
    if options.aligned or any(folder.exists() for folder in folders):
        return
    if found := domain_folders(options.root):
        raise InputError(
            f"there is no folder {str(folders[0])!r}: name each domain's folder, as "
            f"{_command(options.root, found)}"
        )


def _command(root: object, folders: Mapping[str, str]) -> str:
    """Return the command line that checks folders."""
    named = [(f"--{name.replace('_', '-')}", folder) for name, folder in folders.items()]
    return shlex.join(["munit-data", "check", str(root), *chain.from_iterable(named)])


def _refuse_settings(options: argparse.Namespace) -> NoReturn:
    """Say which command line names the same folders as settings do."""
    given = dict(word.removeprefix("data.").split("=", 1) for word in options.settings)
    named = {name: given[name] for name in (*FOLDERS, *ALIGNED) if name in given}
    aligned = " --aligned" if given.get("data") == "aligned" else ""
    raise InputError(
        f"{options.settings[0]}: folders of images are checked as "
        f"{_command(options.root or given.get('root', 'ROOT'), named)}{aligned}, without settings"
    )


def _names_a_set(options: argparse.Namespace) -> bool:
    """Tell whether a data set is to be checked, and not folders of images."""
    if not options.root or not options.root.is_dir() or is_saved(options.root):
        return True
    names = ALIGNED if options.aligned else FOLDERS
    if not any((options.root / getattr(options, name)).exists() for name in names):
        return bool(options.settings) or holds_shards(options.root)
    if options.settings:
        _refuse_settings(options)
    return False


def _find_rows(options: argparse.Namespace) -> _Images:
    """Find the images of a data set, as ``munit-train data=huggingface`` finds them."""
    from munit_pl.commands.config.building import build  # Hydra and Lightning: seconds
    from munit_pl.commands.config.overrides import check_overrides, failing_as_input_error
    from munit_pl.data.huggingface.finding import rows_of

    for name, default in {"aligned": False, **FOLDERS, **ALIGNED}.items():
        if getattr(options, name) != default:
            raise InputError(
                f"--{name.replace('_', '-')} is for folders: of a data set name what is meant by "
                "settings, such as data.domain_a.train=SPLIT"
            )
    given = [word for word in options.settings if word != _OF_SETS]
    if any(re.match(rf"data(\.({'|'.join(_OF_FOLDERS)}))?=", word) for word in given):
        _refuse_settings(options)
    named = [_OF_SETS, *([f"data.path={short_path(options.root)}"] if options.root else []), *given]
    height, width = options.crop
    sizes = [f"data.resize={options.resize or 'null'}", f"data.crop=[{height},{width}]"]
    cfg = check_overrides([*named[:1], *sizes, *named[1:]])
    with failing_as_input_error(None):
        datamodule = build(cfg.data)
        parts, absent = [], []
        for split in ("train", "test"):
            for domain, found in zip("ab", datamodule.found, strict=True):
                if split == "test" and found.test is None:
                    absent.append(
                        f"domain {domain} has no test split: the test is on training images"
                    )
                    continue
                rows = rows_of(datamodule.opened, found, split, datamodule.label_column)
                parts.append((split, domain, rows[: datamodule.max_images]))
    use = ImageSettings(datamodule.resize, datamodule.size)
    ours = ("data.resize=", "data.crop=", "data.paired=")  # of the suggestion, which is MUNIT
    settings = [word for word in named if not word.startswith(ours)]
    return _Images(
        Path(datamodule.path),
        parts,
        absent,
        use,
        settings,
        datamodule.paired,
        datamodule.max_bad_fraction,
        {name: value for name, value in datamodule.max_values.items() if value != "auto"},
    )
