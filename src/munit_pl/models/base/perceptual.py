"""What MUNIT's and UNIT's LightningModules share: the perceptual term and its network."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from munit_pl.losses.perceptual import Vgg16, load_vgg16, perceptual_loss
from munit_pl.models.base.module import AdversarialModule


class PerceptualModule(AdversarialModule):
    """An `AdversarialModule` whose weights have "perceptual", off at 0.

    Its hyper-parameters have ``perceptual``, arguments of `load_vgg16`, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._vgg: Vgg16 | None = None

    def setup(self, stage: str) -> None:
        """Read the perceptual loss's network, so that a missing file is known before training."""
        if stage == "fit" and self._weight and self._vgg is None:
            self._vgg = load_vgg16(**self.hparams["perceptual"])

    def perceptual(self, x: Tensor) -> Callable[[Tensor, Tensor], Tensor] | None:
        """Return the perceptual loss where ``x`` is, or None if its network was not read."""
        if self._vgg is None:
            return None
        self._vgg = self._vgg.to(x.device)  # it is no part of the module, so nobody moves it
        return partial(perceptual_loss, vgg=self._vgg)

    def check_perceptual(self) -> None:
        """Raise a `ValueError` if the perceptual loss is asked for and cannot read the images."""
        if self._weight and (self.gen_a.in_channels, self.gen_b.in_channels) != (3, 3):
            raise ValueError("the perceptual loss reads images of 3 channels in both domains")

    def term_name(self, term: str) -> str:
        """Return the term's name in the logs; the perceptual one's says whose weights it uses."""
        return f"{term}_{self._vgg.source}" if term == "perceptual" and self._vgg else term

    @property
    def _weight(self) -> float:
        weight: float = getattr(self.weights, "perceptual")  # noqa: B009 (a tuple to mypy)
        return weight
