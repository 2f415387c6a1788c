"""Layers, without a network."""
