"""Style transfer by AdaIN statistics, without a style encoder: a baseline."""

import torch
from torch import Tensor

from munit_pl.data.domain import DomainName
from munit_pl.inference.translator import Translator
from munit_pl.layers.normalization import adain


def transfer_statistics(
    translator: Translator, x: Tensor, examples: Tensor, to: DomainName = "b"
) -> Tensor:
    """Translate images whose contents were given the examples' channel statistics.

    Style transfer by adaptive instance normalization (Huang & Belongie, 2017) in the content space
    of a trained model: each channel of a content code takes the mean and standard deviation that it
    has in the example's, and domain ``to`` decodes it, under the prior's mean style where the
    method has styles. What a style encoder adds is what it follows examples better than this.

    Args:
        translator: A model whose method has a content code.
        x: Images of the domain that is not ``to``, ``(N, C, H, W)`` in [-1, 1].
        examples: As many images of domain ``to``, one for each.
        to: The domain to translate to.

    Returns:
        Images of domain ``to``, ``(N, C', H, W)`` in [-1, 1].

    Raises:
        ValueError: If the method has no content code, or a side is no multiple of what it halves.
    """
    if not translator.reconstructs:
        raise ValueError("this model's method has no content code whose statistics could be taken")
    content = translator.encode_content(x, "b" if to == "a" else "a")
    std, mean = torch.std_mean(translator.encode_content(examples, to), (2, 3), correction=0)
    styles = torch.zeros(1, translator.style_dim(to))
    return translator.decode(adain(content, shift=mean, scale=std), styles, to)[:, 0]
