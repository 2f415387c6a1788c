"""MUNIT: multimodal unsupervised image-to-image translation with PyTorch Lightning.

Names are imported where they are first used: PyTorch and Lightning take seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from munit_pl.bicyclegan.module import BicycleGANModule
    from munit_pl.cyclegan.module import CycleGANModule
    from munit_pl.data.aligned import AlignedDataModule
    from munit_pl.data.datamodule import DrawnDataModule, UnpairedDataModule
    from munit_pl.fast.module import FastMUNITModule
    from munit_pl.module import MUNITModule
    from munit_pl.munit import MUNIT
    from munit_pl.styles import edit, random_styles, slerp, sweep
    from munit_pl.translate import Translator
    from munit_pl.unit.module import UNITModule

__all__ = [
    "MUNIT",
    "AlignedDataModule",
    "BicycleGANModule",
    "CycleGANModule",
    "DrawnDataModule",
    "FastMUNITModule",
    "MUNITModule",
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
    "MUNIT": "munit",
    "AlignedDataModule": "data.aligned",
    "BicycleGANModule": "bicyclegan.module",
    "CycleGANModule": "cyclegan.module",
    "DrawnDataModule": "data.datamodule",
    "FastMUNITModule": "fast.module",
    "MUNITModule": "module",
    "Translator": "translate",
    "UNITModule": "unit.module",
    "UnpairedDataModule": "data.datamodule",
    "edit": "styles",
    "random_styles": "styles",
    "slerp": "styles",
    "sweep": "styles",
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
