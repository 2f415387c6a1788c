"""The images that ``munit-evaluate`` measures a model on."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import distributed
from yaml import YAMLError

from munit_pl.commands.config.building import build
from munit_pl.commands.config.overrides import check_overrides
from munit_pl.commands.config.validation import check_config
from munit_pl.commands.runtime.processes import Place, tell
from munit_pl.data.datamodules.aligned import AlignedDataModule
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.datamodules.drawn import DrawnDataModule
from munit_pl.data.datamodules.huggingface import HuggingFaceDataModule
from munit_pl.data.datamodules.unpaired import UnpairedDataModule
from munit_pl.data.sizes import ImageSize, height_and_width
from munit_pl.data.skipped_files import SkippedFiles
from munit_pl.evaluation.task import DOMAINS, EvaluationTask
from munit_pl.hub.model_lookup import run_of
from munit_pl.inference.translator import Translator
from munit_pl.io.safe_reading import read_checkpoint

_GROUPS = {
    "UnpairedDataModule": "folder",
    "AlignedDataModule": "aligned",
    "HuggingFaceDataModule": "huggingface",
    "DrawnDataModule": "drawn",
}  # of settings, by the name that a checkpoint has for the data module
_PLACES = {"folder": "root", "aligned": "root", "huggingface": "path"}


def compare_with_training(given: Sequence[str], checkpoint: Path) -> str | None:
    """Return a line if a model was trained on data of another kind, as far as its file knows.

    Args:
        given: The settings that were typed.
        checkpoint: The model's file.

    Raises:
        ValueError: If such a model would be measured on drawn shoes without being asked to.
    """
    named = [setting.partition("=")[2] for setting in given if setting.startswith("data=")]
    trained = _trained_on(checkpoint)
    if trained is None:
        hint = "measured on drawn shoes: data=folder data.root=FOLDER measures on images of yours"
        return None if named else hint
    if trained.split()[0] == f"data={named[-1] if named else 'drawn'}":
        return None
    if not named:
        raise ValueError(
            f"this model was trained on {trained}, but without data= it is measured on drawn "
            f"shoes: give {trained}, or data=drawn if drawn shoes are meant"
        )
    return f"trained on {trained}, measured on data={named[-1]}"


def _trained_on(checkpoint: Path) -> str | None:
    """Return the settings that name a checkpoint's training data; None if it does not know them."""
    content = read_checkpoint(checkpoint) if checkpoint.suffix == ".ckpt" else None
    known = content if isinstance(content, dict) else {}
    group = next((group for name, group in _GROUPS.items() if name in known), None)
    if group not in _PLACES:
        return group and f"data={group}"
    key, run = _PLACES[group], run_of(checkpoint)
    place = None
    if run is not None:  # whose settings help, but may be gone, or be written by hand
        with suppress(OSError, YAMLError, OmegaConfBaseException):
            config = OmegaConf.load(run / ".hydra" / "config.yaml")
            place = OmegaConf.select(config, f"data.{key}")
    example = "FOLDER" if key == "root" else "USER/SET"
    return f"data={group} {shlex.quote(f'data.{key}={place or example}')}"


def check_channels(translator: Translator, datamodule: TwoDomains) -> None:
    """Refuse images of other channels than the model's.

    Raises:
        ValueError: If there are any; the message says what to give.
    """
    for domain in DOMAINS:
        channels, there = translator.channels(domain), datamodule.channels[domain]
        if channels != there:
            cure = f"leave out data.channels_{domain}"
            if isinstance(datamodule, DrawnDataModule):
                cure = "measure it on images of its own (data=folder data.root=FOLDER)"
            raise ValueError(
                f"this model's images of domain {domain} have {channels} channels, but these have "
                f"{there}: {cure}"
            )


def read_data(given: Sequence[str], translator: Translator) -> TwoDomains:
    """Find the images that settings name, of the size that the model was trained on.

    Args:
        given: The settings that were typed.
        translator: The model.

    Raises:
        InputError: If a setting is wrong.
        OSError: If a folder is missing.
        ValueError: If there are no images that can be used.
    """
    channels = [
        f"model.input_channels_{domain}={translator.channels(domain)}" for domain in DOMAINS
    ]
    settings = [*given, *channels]
    cfg = check_overrides(settings, "evaluate")
    if translator.image_size:
        _take_size(cfg.data, given, translator.image_size)
        _take_white(cfg.data, given, translator)
    check_config(cfg, "evaluate")
    datamodule: TwoDomains = build(cfg.data)
    check_channels(translator, datamodule)
    datamodule.setup()
    return datamodule


def _take_size(data: DictConfig, settings: Sequence[str], trained: ImageSize) -> None:
    """Take over the size of training where ``settings`` ask for no other, and say what it is."""
    given = _names(settings)
    crop = list(trained.crop)
    sizes = {"resize": trained.resize, "crop": crop, "size": crop}  # the last where images are made
    others = []
    for key, value in sizes.items():
        if key in data and f"data.{key}" not in given:
            data[key] = value
        elif key in data and _sides(data[key]) != _sides(value):
            others.append(f"data.{key}={data[key]}")
    if others:
        tell(f"{' '.join(others)}: this model was trained on {trained}")
    else:
        tell(f"evaluated as trained, on {trained}")


def _sides(size: int | Sequence[int] | None) -> Sequence[int] | None:
    """Return a size as it compares: of a square one side may be given."""
    return None if size is None else height_and_width(size)


def _take_white(data: DictConfig, settings: Sequence[str], translator: Translator) -> None:
    """Take over what was white in 16-bit files in training, where ``settings`` do not say it."""
    for domain in DOMAINS:
        key = f"max_value_{domain}"
        if key in data and f"data.{key}" not in _names(settings):
            data[key] = translator.max_value(domain)


def _names(settings: Sequence[str]) -> set[str]:
    return {setting.lstrip("+").split("=")[0] for setting in settings}


def share_skipped(skipped: SkippedFiles, place: Place) -> None:
    """Note which files any process skipped, and say so."""
    if place.world_size > 1:
        everyone: list[Any] = [None] * place.world_size
        distributed.all_gather_object(everyone, [*skipped.found.values()])
        skipped.add(file for files in everyone for file in files)
    if skipped.found:
        tell(f"images are skipped: {skipped}; `munit-data check` lists all such")


def describe_data(datamodule: TwoDomains, task: EvaluationTask) -> dict[str, str]:
    """Say in words what images there are, and how many were skipped."""
    sizes = "x".join(map(str, datamodule.size))
    counts = {
        split: " and ".join(str(len(domain)) for domain in domains)
        for split, domains in datamodule.domains.items()
    }
    name = "drawn shoes"
    if isinstance(datamodule, UnpairedDataModule | AlignedDataModule):
        name = datamodule.root.resolve().name
    elif isinstance(datamodule, HuggingFaceDataModule):
        name = datamodule.path
    text = f"{name}, {sizes}; training images {counts['train']}, "
    untested = [domain for domain in DOMAINS if not task.has_test_images(domain)]
    if len(untested) == len(DOMAINS):
        text += "no test images: all metrics are of the training images"
    else:
        text += f"test images {counts['test']}"
        text += f"; the test images of {untested[0]} are its training images" if untested else ""
    for domain in DOMAINS:
        bad = [file for file in datamodule.skipped_files.found.values() if file.domain == domain]
        text += f"; {len(bad)} bad files of {domain} skipped" if bad else ""
    return {"data": text}
