"""What methods are compared on: images of two domains, and what is known of them."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor

from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.domain import Domain
from munit_pl.evaluation.comparison.rows import Extent
from munit_pl.inference.translator import Translator

Metrics = dict[str, float]


class Wording(NamedTuple):
    """How a table speaks of its images.

    Attributes:
        title: The table's title.
        real: What its last row is called.
        trained: What batches consist of.
        input: What is translated.
        notes: How colors and shapes were measured, and what the images are, in lines.
        published: Whether the paper's results stand beside.
    """

    title: str
    real: str
    trained: str
    input: str
    notes: tuple[str, ...]
    published: bool = False


class Subject(ABC):
    """What methods are compared on, which translate from domain a to b.

    Attributes:
        datamodule: The test images, as the method takes them: in pairs or not.
        extent: How much is measured.
        inputs: The images that are translated.
        real: Real images of domain b.
        others: Further ones, which show how far real images are from real images.
        wording: How a table speaks of them.
    """

    datamodule: TwoDomains
    extent: Extent
    inputs: Domain
    real: Domain
    others: Domain
    wording: Wording

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.datamodule.size

    @abstractmethod
    def measure(self, translator: Translator) -> tuple[Metrics, Metrics]:
        """Return metrics that take no feature extractor, and those of real images among them."""

    @abstractmethod
    def show(self, n: int, beside: int) -> tuple[str, Tensor, Tensor]:
        """Return inputs to look at, and real images beside them.

        Args:
            n: So many inputs.
            beside: At most so many images beside each.

        Returns:
            What both are, ``(n, C, H, W)``, and ``(n, K, C', H, W)``, in [-1, 1].
        """
