"""A run's messages, on the terminal and in ``train.log``."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import TextIO

from tqdm import tqdm

from munit_pl.commands.runtime.processes import TOLD, is_first

_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
_OURS = {"munit_pl", "lightning"}  # whose warnings are about the run, and not about a line of code


@contextmanager
def logged(folder: Path, explained: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Show what is logged and warned of, and keep it in the ``train.log`` of a run's folder.

    On the terminal messages stand alone, above a bar if there is one: warnings and errors on
    stderr, all else on stdout. The file is the first process's; a run that goes on adds to it. It
    also gets the error that ends the run, which is shown elsewhere.

    Args:
        folder: The run's.
        explained: Errors whose message says all; of others there is the traceback.
    """
    root, package = logging.getLogger(), logging.getLogger("munit_pl")
    # Lightning's have handlers of their own.
    lightning = [logging.getLogger(f"lightning{part}") for part in ("", ".pytorch", ".fabric")]
    former = [(x, x.handlers, x.level, x.propagate) for x in (root, package, *lightning)]
    for logger, *_ in former:
        logger.handlers, logger.propagate = [], True
    package.setLevel(logging.INFO)
    root.addHandler(_Terminal())
    file = _File(folder / "train.log", errors="backslashreplace") if is_first() else None
    if file is not None:
        root.addHandler(file)
        TOLD.addHandler(file)
    shown, warnings.showwarning = warnings.showwarning, _log_warning
    try:
        yield
    except Exception as error:
        if file is not None:
            file.add_error(error, isinstance(error, explained))
        raise
    finally:
        warnings.showwarning = shown
        for logger, handlers, level, propagate in former:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        if file is not None:
            TOLD.removeHandler(file)
            with suppress(OSError):  # what did not fit on the disk is written once more
                file.close()


class _Terminal(logging.Handler):
    """Shows messages; a terminal that is gone does not end a run."""

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        with suppress(OSError, ValueError):
            tqdm.write(self.format(record), file=stream)
            stream.flush()


class _File(logging.FileHandler):
    """Keeps messages; a full disk, which checkpoints are told of, does not end a run."""

    def __init__(self, path: Path, errors: str) -> None:
        super().__init__(path, encoding="utf-8", errors=errors)
        self.setFormatter(_FORMAT)

    def handleError(self, record: logging.LogRecord) -> None:
        """Let it be."""

    def add_error(self, error: Exception, explained: bool) -> None:
        """Keep the error that ends the run."""
        text = " ".join(str(error).split()) if explained else "the run broke off"
        trace = None if explained else (type(error), error, error.__traceback__)
        self.handle(logging.LogRecord("", logging.ERROR, "", 0, text, None, trace))


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    text = " ".join(str(message).split())
    if not _OURS & set(PurePath(filename).parts):
        text += f" ({category.__name__}, {filename}:{lineno})"
    logging.getLogger("munit_pl").warning("%s", text)
