"""The Hydra configuration groups, installed as ``munit_pl.conf``."""

from fractions import Fraction

from omegaconf import OmegaConf


def share(part: str, max_steps: int) -> int:
    """Return a part of a run's iterations, "1/2" say, rounded up: ``${share:1/2,...}`` in files."""
    if type(max_steps) is not int or max_steps < 1:
        raise ValueError(
            f"it is {part} of trainer.max_steps, which is {max_steps}: give a number of iterations"
        )
    return -(-Fraction(part) * max_steps // 1)


OmegaConf.register_new_resolver("share", share, replace=True)
