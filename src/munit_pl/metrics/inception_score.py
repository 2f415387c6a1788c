"""Inception Score (IS) and Conditional Inception Score (CIS).

Salimans et al., 2016, and section 5.2 of Huang et al., 2018. Both are means of the divergence
``KL(p(y|x) || p(y))`` of an output's classes from a marginal: that of all outputs, or that of the
outputs for the same input, which is wide only if the styles change the class.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from munit_pl.checks import PositiveInt, checked
from munit_pl.layers.autocast import to_float32
from munit_pl.metrics.network_metric import NetworkMetric


class InceptionScores(NamedTuple):
    """Scores, each as a float64 scalar.

    Attributes:
        cis: Conditional Inception Score, the mean divergence from the marginal of the same input's
            outputs, in nats; at most the logarithm of the number of classes. Huang et al. print it.
        cis_exp: Its exponential, from 1 to the number of classes.
        inception: Inception Score as Huang et al. print it, the mean divergence from the marginal
            of all outputs, in nats; never below ``cis``.
        inception_exp: Its exponential, as Salimans et al. print it; over one split, not ten.
    """

    cis: Tensor
    cis_exp: Tensor
    inception: Tensor
    inception_exp: Tensor


def entropy(p: Tensor) -> Tensor:
    """Return the entropies, in nats, of distributions over the last dimension; 0 log 0 is 0."""
    return torch.special.entr(p).sum(-1)


def mean_divergence(p: Tensor) -> Tensor:
    """Return the mean divergence of distributions from their own mean.

    ``mean_i KL(p_i || m) = H(m) - mean_i H(p_i)`` with ``m = mean_i p_i``, which is why sums
    suffice and no output needs to be kept.

    Args:
        p: ``M`` distributions over ``C`` classes, ``(..., M, C)``; float64, as entropies cancel.

    Returns:
        Nats, ``(...)``.
    """
    return entropy(p.mean(-2)) - entropy(p).mean(-1)


class ConditionalInceptionScore(NetworkMetric[nn.Module]):
    """Inception Score and Conditional Inception Score of multimodal translations.

    Args:
        classifier: Takes images ``(M, C, H, W)`` in [-1, 1] to logits ``(M, num_classes)``.
        num_classes: The classifier's classes.
    """

    divergence_sum: Tensor
    entropy_sum: Tensor
    probability_sum: Tensor
    count: Tensor

    @checked
    def __init__(self, classifier: nn.Module, num_classes: PositiveInt) -> None:
        super().__init__(classifier)
        self.num_classes = num_classes
        nought = torch.zeros((), dtype=torch.float64)
        self.add_state("divergence_sum", nought, dist_reduce_fx="sum")
        self.add_state("entropy_sum", nought, dist_reduce_fx="sum")
        self.add_state("probability_sum", nought.repeat(num_classes), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, outputs: Tensor) -> None:
        """Add translations of ``N`` images under ``K`` styles, ``(N, K, C, H, W)`` in [-1, 1].

        All outputs of an image must be in the same call; they are classified ``K`` at a time.

        Raises:
            ValueError: If the shape is another, or the classifier has other classes.
        """
        if outputs.ndim != 5:
            raise ValueError(f"outputs must be (N, K, C, H, W), but are {tuple(outputs.shape)}")
        for one in outputs:
            p = self._classify(one)
            self.divergence_sum = self.divergence_sum + len(p) * mean_divergence(p)
            self.entropy_sum = self.entropy_sum + entropy(p).sum()
            self.probability_sum = self.probability_sum + p.sum(0)
            self.count = self.count + len(p)

    def compute(self) -> InceptionScores:
        """Return the scores over all outputs so far."""
        marginal = self.probability_sum / self.count
        # Rounding leaves the scores of a collapsed model on either side of 0.
        cis = (self.divergence_sum / self.count).clamp(min=0)
        inception = (entropy(marginal) - self.entropy_sum / self.count).clamp(min=0)
        return InceptionScores(cis, cis.exp(), inception, inception.exp())

    def _classify(self, x: Tensor) -> Tensor:
        logits = self.network(to_float32(x))
        if logits.shape != (len(x), self.num_classes):
            raise ValueError(
                f"the classifier made {tuple(logits.shape)} of {len(x)} images, but must make "
                f"logits ({len(x)}, {self.num_classes})"
            )
        return logits.double().softmax(1)
