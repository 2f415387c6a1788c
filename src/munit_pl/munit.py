"""MUNIT's four networks as one plain module: what a trained model is used through."""

from collections.abc import Mapping
from typing import Any

from munit_pl.discriminator import MultiScaleDiscriminator
from munit_pl.networks import AdaINGenerator
from munit_pl.pair import DomainPair


class MUNIT(DomainPair):
    """Two auto-encoders and two discriminators, one of each for domain a and for domain b.

    Args:
        input_channels_a: Channels of domain a's images.
        input_channels_b: Channels of domain b's images.
        generator: Arguments of `AdaINGenerator` but for ``in_channels``.
        discriminator: Arguments of `MultiScaleDiscriminator` but for ``in_channels``.
        initialisation: ``generator`` and ``discriminator``, each a name that `initialise` knows
            ("kaiming" and "normal" unless given), and its ``skip_spectral``.

    Attributes:
        gen_a: Domain a's auto-encoder.
        gen_b: Domain b's auto-encoder.
        dis_a: Domain a's discriminator.
        dis_b: Domain b's discriminator.

    Raises:
        TypeError: If a mapping has a key that is no argument of its class.
        ValueError: If an argument is out of range.
    """

    gen_a: AdaINGenerator
    gen_b: AdaINGenerator
    dis_a: MultiScaleDiscriminator
    dis_b: MultiScaleDiscriminator

    def __init__(
        self,
        input_channels_a: int = 3,
        input_channels_b: int = 3,
        generator: Mapping[str, Any] | None = None,
        discriminator: Mapping[str, Any] | None = None,
        initialisation: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.gen_a = AdaINGenerator(input_channels_a, **generator or {})
        self.gen_b = AdaINGenerator(input_channels_b, **generator or {})
        self.dis_a = MultiScaleDiscriminator(input_channels_a, **discriminator or {})
        self.dis_b = MultiScaleDiscriminator(input_channels_b, **discriminator or {})
        self.initialise(**initialisation or {})
