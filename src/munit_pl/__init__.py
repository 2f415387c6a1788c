"""MUNIT: multimodal unsupervised image-to-image translation with PyTorch Lightning."""

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
