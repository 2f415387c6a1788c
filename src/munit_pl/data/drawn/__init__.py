"""Drawn shoes: a data set that needs no download, with ground truth."""
