"""MUNIT: multimodal unsupervised image-to-image translation with PyTorch Lightning."""

from munit_pl.data.datamodule import DrawnDataModule, UnpairedDataModule
from munit_pl.module import MUNITModule

__all__ = ["DrawnDataModule", "MUNITModule", "UnpairedDataModule"]
