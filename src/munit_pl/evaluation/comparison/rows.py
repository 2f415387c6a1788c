"""What is compared, what the paper measured of it, and how much is measured here."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

STEPS = 1000  # iterations that the rows' schedules are given for
SEED = 0  # of test images and random styles, which are the same for all runs


class Row(NamedTuple):
    """A row of Table 1 of Huang et al., 2018, "edges to shoes".

    Attributes:
        label: What it is called.
        preferred: How often people preferred it to MUNIT, in percent; 50 is as often as not.
        lpips: Diversity: mean LPIPS distance of translations of the same image.
        dropped: The term of MUNIT's that it leaves out.
        paired: Whether it is trained on pairs.
        checked: Which of the two numbers of the paper were found quoted elsewhere, or follow from
            what they mean. The others are as they were remembered.
    """

    label: str
    preferred: float | None
    lpips: float
    dropped: str | None = None
    paired: bool = False
    checked: tuple[Literal["preferred", "lpips"], ...] = ()


# In the paper's order. Keys are the experiments in conf/experiment/table1.
ROWS = {
    "unit": Row("UNIT", 37.4, 0.011),
    "cyclegan": Row("CycleGAN", 36.0, 0.010),
    "cyclegan_noise": Row("CycleGAN with noise", 29.5, 0.016),
    "no_image": Row("MUNIT without image reconstruction", 6.0, 0.213, "image"),
    "no_content": Row("MUNIT without content reconstruction", 20.7, 0.172, "content"),
    "no_style": Row("MUNIT without style reconstruction", 28.6, 0.070, "style"),
    # 50 by definition; 0.109 is quoted in issue 72 of the authors' repository.
    "munit": Row("MUNIT", 50.0, 0.109, checked=("preferred", "lpips")),
    "bicyclegan": Row("BicycleGAN (trained on pairs)", 56.7, 0.104, paired=True),
}
REAL = Row("real images", None, 0.293)


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Args:
        inputs: Images whose translations' colors are measured, for examples and for losses.
        styles: Random styles of each of them.
        varied: Images whose translations are compared with each other.
        pairs: Pairs of translations of each of these, neighbors in a list.
        compared: Translations and real images, as two sets.
        subset: Images of each set in one estimate of the kernel distance.
    """

    inputs: int = 64
    styles: int = 8
    varied: int = 32
    pairs: int = 19
    compared: int = 256
    subset: int = 100
