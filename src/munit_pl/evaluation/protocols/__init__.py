"""Evaluation protocols, a file each: which metrics are computed on which images."""
