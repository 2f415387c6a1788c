"""``munit-translate``: images and videos in, their translations out."""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch

from munit_pl.commands.errors import InputError
from munit_pl.commands.options.translate import KEEP, parse
from munit_pl.commands.runtime.process_group import gpu_of, join_processes
from munit_pl.commands.runtime.processes import Place, find_place, tell
from munit_pl.commands.runtime.translator_loading import load_translator
from munit_pl.commands.translating.batches import BatchTranslator, Plan, Tally
from munit_pl.commands.translating.inputs import Images, Video
from munit_pl.commands.translating.outputs import Outputs
from munit_pl.commands.translating.page import check_page, write_page
from munit_pl.commands.translating.sheets import Sheets
from munit_pl.commands.translating.sources import Source, find_examples, find_sources
from munit_pl.commands.translating.styles import StylesOf, choose_styles
from munit_pl.data.domain import DomainName
from munit_pl.data.images.reading import MODES
from munit_pl.data.sizes import Size
from munit_pl.hub.model_lookup import find_model
from munit_pl.inference.execution import Precision
from munit_pl.inference.translator import Translator
from munit_pl.inference.video import require_av
from munit_pl.io.files import digest


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says, ``sys.argv`` unless given."""
    return run(parse(arguments))


def run(options: argparse.Namespace) -> int:
    """Translate.

    Args:
        options: What `parse` returned.

    Returns:
        The exit status: 1 if an input could not be translated, 130 if the user stopped it.
    """
    try:
        return translate(options, find_place())
    except KeyboardInterrupt:
        return 130
    except torch.OutOfMemoryError:
        message = "the device has too little memory: lower --batch-size, or give --tile 512"
    except (InputError, OSError) as error:
        message = " ".join(str(error).split())
    sys.exit(f"munit-translate: {message}")


def translate(options: argparse.Namespace, place: Place) -> int:
    """Translate this process's share of the inputs.

    Args:
        options: What `parse` returned.
        place: Which share of the inputs is this process's; the others' are theirs.

    Returns:
        1 if an input could not be translated, else 0.

    Raises:
        InputError: If something is asked for that cannot be; nothing has been translated then.
        OSError: If an output cannot be written.
    """
    out = Path(options.out)
    sources = find_sources(options.inputs, out)[place.rank :: place.world_size]
    examples = find_examples(options.like) if options.like else []
    _check_av(options, sources)
    translator = _load(options, place)
    options.resize = _choose_size(options.resize, translator)
    styles, header = choose_styles(options, translator, examples)
    alone = place.world_size == 1
    manifest = "manifest.jsonl" if alone else f"manifest.{place.rank}.jsonl"
    page = out / ("index.html" if alone else f"index_r{place.rank}.html")
    if options.page:
        check_page(page)
    outputs = Outputs(out, manifest, options.overwrite)
    plan = _plan(options, styles, translator.precision)
    batches = BatchTranslator(translator, plan, outputs)
    sheets = Sheets(out, "sheet_" if alone else f"sheet_r{place.rank}_", header)
    images = Images([source for source in sources if not source.is_video], batches, sheets)
    videos = [Video(source, batches) for source in sources if source.is_video]
    tally = Tally(images.total + sum(video.total for video in videos), hidden=place.rank > 0)
    start = time.perf_counter()
    try:
        images.make(tally)
        for video in videos:
            video.make(tally)
    finally:
        tally.bar.close()
        outputs.close()
    if options.page:
        write_page(page, plan, images.sources, translator, header)
    print(
        _summary(tally, time.perf_counter() - start, out, place),
        sheets.summary(len(images.sources)),
        sep="",
    )
    if tally.failed:
        failed = f"{len(tally.failed)} of {len(sources)} inputs could not be translated"
        print(f"munit-translate: {failed}", file=sys.stderr)
    return 1 if tally.failed else 0


def _check_av(options: argparse.Namespace, sources: Sequence[Source]) -> None:
    if options.animate == "mp4" or any(source.is_video for source in sources):
        try:
            require_av()
        except ImportError as error:
            raise InputError(str(error)) from None


def _load(options: argparse.Namespace, place: Place) -> Translator:
    any_gpu = options.device in (None, "cuda")
    device = (gpu_of(place) if any_gpu else None) or options.device
    try:
        options.checkpoint = find_model(options.checkpoint, tell)
        load = partial(
            Translator.load,
            options.checkpoint,
            options.config,
            device=device,
            batch_size=options.batch_size,
            tile=options.tile,
            compile=options.compile,
        )
        # Processes have nothing else to agree on.
        with join_processes(place, None) if options.precision == "auto" else nullcontext():
            translator = load_translator(options.precision, load, place)
        translator.check_target(options.to)
    except (ImportError, ValueError) as error:
        raise InputError(str(error)) from error
    channels = translator.channels(options.to)
    for n in {translator.channels("a"), translator.channels("b")} - MODES.keys():
        raise InputError(f"this model's images have {n} channels, which no image file holds")
    if channels == 4 and options.format == "jpg":
        raise InputError(
            f"images of domain {options.to} have an alpha channel, which jpg does not hold: "
            "choose --format png or webp"
        )
    return translator


def _choose_size(asked: Size | str | None, translator: Translator) -> Size | None:
    """Return what inputs are resized to, and say how that stands to the training."""
    trained = translator.resize
    if asked is None:
        if trained is not None:
            tell(
                f"images are resized to a shortest side of {trained} pixels, as in training, and "
                f"so are the outputs (--resize {KEEP} keeps the inputs' sizes)"
            )
        return trained
    size = None if isinstance(asked, str) else asked
    if translator.image_size and (min(size) if isinstance(size, tuple) else size) != trained:
        shown = "x".join(map(str, size)) if isinstance(size, tuple) else asked
        tell(f"--resize {shown}: this model was trained on {translator.image_size}")
    return size


def _plan(options: argparse.Namespace, styles: StylesOf, precision: Precision) -> Plan:
    other: DomainName = "b" if options.to == "a" else "a"
    saving = {
        "png": {"compress_level": 1},  # in a third of the time of 6, a fifth larger
        "jpg": {"quality": options.quality, "subsampling": 0},  # colors as sharp as the rest
        "webp": {"quality": options.quality},
    }[options.format]
    return Plan(
        source=options.to if options.reconstruct else other,
        to=options.to,
        styles=styles,
        resize=options.resize,
        suffix=f".{options.format}",
        saving=saving,
        batch_size=options.batch_size or 8,
        animation=options.animate,
        fps=options.fps,
        settings={
            "checkpoint": digest(options.checkpoint),
            "config": digest(options.config) if options.config else None,
            "resize": options.resize,
            "precision": precision,
            "quality": saving.get("quality"),
        },
        seed=options.seed,
    )


def _summary(tally: Tally, seconds: float, out: Path, place: Place) -> str:
    whose = "" if place.world_size == 1 else f"rank {place.rank} of {place.world_size}: "
    there = f" ({tally.present} were there already)" if tally.present else ""
    speed = f", {tally.written / seconds:.1f} images/s" if tally.written else ""
    return f"{whose}{tally.written} images written to {out}{there}{speed}"


if __name__ == "__main__":
    sys.exit(main())
