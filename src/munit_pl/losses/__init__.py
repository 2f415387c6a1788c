"""Losses, as functions of tensors and of networks that measure."""
