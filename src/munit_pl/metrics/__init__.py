"""Metrics of translations, as functions and as torchmetrics classes."""
