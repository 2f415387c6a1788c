"""MUNIT: multimodal unsupervised image-to-image translation with PyTorch Lightning."""
