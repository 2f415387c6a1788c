"""MUNIT: multimodal unsupervised image-to-image translation with PyTorch Lightning."""

from munit_pl.data.datamodule import DrawnDataModule, UnpairedDataModule
from munit_pl.module import MUNITModule
from munit_pl.munit import MUNIT
from munit_pl.styles import edit, random_styles, slerp, sweep
from munit_pl.translate import Translator

__all__ = [
    "MUNIT",
    "DrawnDataModule",
    "MUNITModule",
    "Translator",
    "UnpairedDataModule",
    "edit",
    "random_styles",
    "slerp",
    "sweep",
]
