"""Trained generators put to use: images, videos, ONNX graphs."""
