"""MUNIT: multimodal unsupervised image-to-image translation with PyTorch Lightning.

Names are imported where they are first used: PyTorch and Lightning take seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from munit_pl.data.datamodules.aligned import AlignedDataModule
    from munit_pl.data.datamodules.drawn import DrawnDataModule
    from munit_pl.data.datamodules.huggingface import HuggingFaceDataModule
    from munit_pl.data.datamodules.unpaired import UnpairedDataModule
    from munit_pl.inference.styles import edit, random_styles, slerp, sweep
    from munit_pl.inference.translator import Translator
    from munit_pl.models.bicyclegan.module import BicycleGANModule
    from munit_pl.models.cyclegan.module import CycleGANModule
    from munit_pl.models.munit.model import MUNIT
    from munit_pl.models.munit.module import MUNITModule
    from munit_pl.models.unit.module import UNITModule
    from munit_pl.recipes.base import Recipe

__all__ = [
    "MUNIT",
    "AlignedDataModule",
    "BicycleGANModule",
    "CycleGANModule",
    "DrawnDataModule",
    "HuggingFaceDataModule",
    "MUNITModule",
    "Recipe",
    "Translator",
    "UNITModule",
    "UnpairedDataModule",
    "edit",
    "random_styles",
    "slerp",
    "sweep",
]

__version__: str

_MODULES = {
    "MUNIT": "models.munit.model",
    "AlignedDataModule": "data.datamodules.aligned",
    "BicycleGANModule": "models.bicyclegan.module",
    "CycleGANModule": "models.cyclegan.module",
    "DrawnDataModule": "data.datamodules.drawn",
    "HuggingFaceDataModule": "data.datamodules.huggingface",
    "MUNITModule": "models.munit.module",
    "Recipe": "recipes.base",
    "Translator": "inference.translator",
    "UNITModule": "models.unit.module",
    "UnpairedDataModule": "data.datamodules.unpaired",
    "edit": "inference.styles",
    "random_styles": "inference.styles",
    "slerp": "inference.styles",
    "sweep": "inference.styles",
}


if not TYPE_CHECKING:  # it would take any name

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            value: object = version("munit-pl")
        elif name in _MODULES:
            value = getattr(import_module(f"munit_pl.{_MODULES[name]}"), name)
        else:
            raise AttributeError(f"module 'munit_pl' has no attribute {name!r}")
        globals()[name] = value  # not asked for again
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
