"""MUNIT: multimodal unsupervised image-to-image translation with PyTorch Lightning."""

from munit_pl.data.datamodule import DrawnDataModule, UnpairedDataModule
from munit_pl.module import MUNITModule
from munit_pl.munit import MUNIT

__all__ = ["MUNIT", "DrawnDataModule", "MUNITModule", "UnpairedDataModule"]
