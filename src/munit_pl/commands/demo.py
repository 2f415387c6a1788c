"""``munit-demo``: a web page on which a model can be tried."""

import argparse
import importlib.util
import ipaddress
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from munit_pl.commands.errors import InputError
from munit_pl.commands.options.demo import SIZES, parse
from munit_pl.commands.runtime.processes import Place, tell
from munit_pl.commands.runtime.translator_loading import load_translator
from munit_pl.data.images.reading import MODES
from munit_pl.hub.model_lookup import find_model
from munit_pl.inference.translator import Translator

_USUAL_SIZE = 256  # where nothing tells that of training
_BUILT_IN = "drawn-shoes"
_BUILT_IN_NAMES = ("line drawing", "shoe")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says, ``sys.argv`` unless given."""
    return run(parse(arguments))


def run(options: argparse.Namespace) -> int:
    """Serve the page until it is stopped; bad input ends it with one line and exit status 1."""
    try:
        serve_demo(options)
    except KeyboardInterrupt:
        return 0  # there is no other way to end it
    except (InputError, OSError) as error:
        sys.exit(f"munit-demo: {' '.join(str(error).split())}")
    return 0


def serve_demo(options: argparse.Namespace) -> None:
    """Serve the page that the options describe, for ever.

    Raises:
        InputError: If the extra is missing, or the model cannot be used.
        OSError: If there is no such file, or the port is taken.
    """
    _check_extra()
    translator = _load(options)
    # Imported where it is used: gradio takes seconds, and belongs to an extra.
    from munit_pl.web.page import THEME, Page
    from munit_pl.web.serving import keep_files_in, serve

    built_in = options.checkpoint is None
    with tempfile.TemporaryDirectory(prefix="munit-demo-") as folder:
        keep_files_in(Path(folder, "visitors"))
        page = Page(
            translator,
            title=_BUILT_IN if built_in else Path(options.checkpoint).name,
            names=_BUILT_IN_NAMES if built_in else ("domain a", "domain b"),
            size=_choose_size(options.size, translator),
            folder=Path(folder),
        )
        address = serve(page.blocks, options.host, options.port, **THEME)
        try:
            print(f"munit-demo: open {address} (Ctrl-C ends it)", flush=True)
            if not _is_local(options.host):
                print(
                    "munit-demo: whoever reaches this machine can use the page: there is no "
                    "password and no encryption",
                    file=sys.stderr,
                )
            # As on Ctrl-C: what visitors sent is removed in either case.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            threading.Event().wait()
        finally:
            page.blocks.close(verbose=False)


def _check_extra() -> None:
    if importlib.util.find_spec("gradio") is None:
        raise InputError("the page needs gradio: pip install 'munit-pl[web]'")


def _load(options: argparse.Namespace) -> Translator:
    try:
        translator = _read(options)
    except (ImportError, ValueError) as error:
        raise InputError(str(error)) from error
    for n in {translator.channels("a"), translator.channels("b")} - MODES.keys():
        raise InputError(f"this model's images have {n} channels, which no image file holds")
    return translator


def _read(options: argparse.Namespace) -> Translator:
    load = partial(Translator.pretrained, _BUILT_IN)
    if options.checkpoint is not None:
        path = find_model(options.checkpoint, tell)
        load = partial(Translator.load, path, options.config)
    return load_translator(options.precision, partial(load, device=options.device), Place())


def _choose_size(asked: int | None, translator: Translator) -> int:
    """Return the shortest side of pictures, and say so if it is another than in training."""
    usual = translator.resize or _USUAL_SIZE
    size = asked or min(max(usual, SIZES[0]), SIZES[-1])
    if translator.image_size and size != translator.resize:
        tell(
            f"pictures are brought to a shortest side of {size} pixels, but this model was trained "
            f"on {translator.image_size}"
        )
    return size


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
