"""MUNIT: multimodal unsupervised image-to-image translation with PyTorch Lightning."""
from munit_pl.module import MUNITModule

__all__ = ["MUNITModule"]
