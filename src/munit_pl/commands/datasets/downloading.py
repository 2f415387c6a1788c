"""``munit-data list`` and ``munit-data download``: public data sets by name."""

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from munit_pl.commands.config.suggestions import nearest
from munit_pl.commands.errors import InputError
from munit_pl.data.tools.archives import extract
from munit_pl.data.tools.catalogue import CATALOGUE, DataSet
from munit_pl.data.tools.download import download
from munit_pl.data.tools.layouts import Arranged, arrange, plan

_NAMED = 3  # files that could not be used
_UNPACKED = 1.1  # bytes of the images per byte of their archive
# Measured on 34 images of edges2handbags: half of the halves as PNG take what their JPEGs took.
_CUT = 1.1


def run_list(_: argparse.Namespace) -> int:
    """Print a table of the data sets."""
    rows = [("NAME", "DOMAINS", "SIZE", "LICENSE")]
    rows += [(one.name, one.what, one.shown_size, one.license) for one in CATALOGUE.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, what, size, license in rows:
        cells = (name.ljust(widths[0]), what.ljust(widths[1]), size.rjust(widths[2]), license)
        print("  ".join(cells))
    print("\nmunit-data download NAME fetches one; by hand: it says what you must fetch.")
    return 0


def run_download(options: argparse.Namespace) -> int:
    """Do as the options say and return the exit status: 1 if there is no data set now.

    Raises:
        InputError: There is no such data set, or an option is not right.
    """
    chosen = _chosen(options)
    folder = chosen.name + ("_{}2{}".format(*options.domains) if options.domains else "")
    out = options.out or Path(os.environ.get("MUNIT_DATA", "datasets")) / folder
    _check_target(out)
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        if options.source:
            done = _arrange(chosen, options, options.source, out)
        else:
            with _unpacked(chosen, out) as unpacked:
                done = _arrange(chosen, options, unpacked, out)
    except (OSError, ValueError) as error:
        print(f"munit-data: {error}", file=sys.stderr)
        return 1
    print(_summary(chosen, folder, out, given=bool(options.out), done=done))
    return 0


def _chosen(options: argparse.Namespace) -> DataSet:
    chosen = CATALOGUE.get(options.name)
    if chosen is None:
        other = nearest(options.name, list(CATALOGUE), "munit-data")
        raise InputError(f"there is no data set {options.name!r}{other}")
    if options.workers < 0:
        raise InputError(f"--workers is {options.workers}, but must not be negative")
    _check_domains(chosen, options.domains)
    if options.source and not options.source.is_dir():
        raise InputError(f"there is no folder {str(options.source)!r}")
    if not options.source and not chosen.url:
        raise InputError(
            f"{chosen.name} is fetched by hand: {chosen.by_hand}; then munit-data download "
            f"{chosen.name} --from FOLDER"
        )
    return chosen


def _check_domains(chosen: DataSet, domains: list[str] | None) -> None:
    if domains and not chosen.classes:
        raise InputError(f"{chosen.name} has two domains only ({chosen.what}): leave out --domains")
    if not chosen.classes:
        return
    if not domains or len(set(domains)) < 2 or not set(domains) <= set(chosen.classes):
        example = " ".join(chosen.classes[:2])
        raise InputError(
            f"{chosen.name} has {', '.join(chosen.classes)}: name two, as in --domains {example}"
        )


def _check_target(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"{str(out)!r} is there already: remove it, or name another folder by --out"
        )
    if out.absolute().parent.exists() and not out.absolute().parent.is_dir():
        raise InputError(f"{str(out.absolute().parent)!r} is no folder")


@contextmanager
def _unpacked(chosen: DataSet, out: Path) -> Iterator[Path]:
    """Fetch and unpack a set's archive; yield where its content is, for as long as it is needed."""
    archive = out.parent / Path(urlsplit(chosen.url).path).name
    known = f"SHA-256 recorded by {chosen.recorded_by}" if chosen.sha256 else "not published"
    print(f"{chosen.name} ({chosen.what}), {chosen.shown_size}, from {chosen.page}")
    print(f"license: {chosen.license}; checksum: {known}", flush=True)
    room = _UNPACKED + _CUT * (chosen.layout == "pairs")
    digest = download(chosen.url, archive, chosen.sha256, room, show=True, hosts=chosen.hosts)
    if not chosen.sha256:
        print(f"SHA-256 of what came: {digest}")
    with TemporaryDirectory(
        prefix=f"{out.name}.unpacked-", dir=out.parent, ignore_cleanup_errors=True
    ) as folder:
        try:
            extract(archive, Path(folder), show=True)
            yield Path(folder)
        except ValueError as error:
            raise ValueError(
                f"{error} (from {str(archive)!r}: remove that to fetch it again)"
            ) from error
    print(f"the archive is kept, remove it if you need it no more: {archive}")


def _arrange(chosen: DataSet, options: argparse.Namespace, source: Path, out: Path) -> Arranged:
    try:
        planned = plan(source, chosen.layout, options.domains or ())
    except ValueError as error:
        raise ValueError(f"this is not {chosen.name} as published: {error}") from error
    halves, move = chosen.layout == "pairs", not options.source
    return arrange(planned, out, halves, move, options.workers, show=True)


def _summary(chosen: DataSet, folder: str, out: Path, given: bool, done: Arranged) -> str:
    lines = [f"left out: {str(path)!r} {fault}" for path, fault in list(done.bad.items())[:_NAMED]]
    if len(done.bad) > _NAMED:
        lines.append(f"left out: {len(done.bad) - _NAMED} more files")
    counts = ", ".join(f"{name} {count}" for name, count in done.counts.items())
    lines.append(f"images in {str(out)!r}: {counts}")
    experiment = next((name for name in chosen.experiments if name.startswith(folder)), None)
    train = [f"+experiment={experiment}" if experiment else "data=folder"]
    if given or not experiment:
        train.append(f"data.root={out}")
    check = shlex.join(["munit-data", "check", str(out)])
    lines.append(f"next: {check}; {shlex.join(['munit-train', *train])}")
    return "\n".join(lines)
