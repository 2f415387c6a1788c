"""The Hydra configuration groups, installed as ``munit_pl.conf``."""
