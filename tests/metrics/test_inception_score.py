from math import log

import pytest
import torch
from torch import nn
from torchmetrics.image.inception import InceptionScore

from munit_pl.metrics.inception_score import ConditionalInceptionScore, mean_divergence


def scores(*batches, num_classes=4):
    """The scores of logits ``(N, K, num_classes)``: pictures whose pixels are their logits."""
    metric = ConditionalInceptionScore(nn.Flatten(), num_classes)
    for logits in batches:
        metric.update(logits[..., None, None])
    return metric.compute()


def certain(*classes):
    """Logits so far apart that all other classes have probability 0."""
    return 1e4 * torch.eye(4)[torch.tensor(classes)]


def test_every_input_in_every_class_gives_the_logarithm_of_the_classes():
    s = scores(certain([0, 1, 2, 3], [3, 1, 0, 2]))
    assert s.cis.item() == s.inception.item() == pytest.approx(log(4))
    assert s.cis_exp.item() == s.inception_exp.item() == pytest.approx(4)


def test_one_class_for_everything_gives_nothing():
    s = scores(certain([2, 2, 2], [2, 2, 2]))
    assert tuple(x.item() for x in s) == (0, 1, 0, 1)


def test_scores_are_not_negative():
    """Where all outputs are alike, entropies cancel but for their rounding."""
    for logits in torch.randn(100, 1, 1, 4):
        assert min(scores(logits.expand(1, 7, 4))) >= 0


def test_classes_that_follow_the_input_alone_are_seen_by_is_and_not_by_cis():
    s = scores(certain([0, 0], [1, 1], [2, 2], [3, 3]))
    assert s.cis.item() == 0
    assert s.inception.item() == pytest.approx(log(4))


def test_each_output_counts_the_same():
    """Two outputs of two classes, ln 2 each, and four of one class, 0 each."""
    s = scores(certain([0, 1]), certain([2, 2, 2, 2]))
    assert s.cis.item() == pytest.approx(2 / 6 * log(2))


def test_saturated_and_equal_logits_give_numbers():
    s = scores(torch.tensor([[[-1e30, 1e30, 0, 0], [5e4, 5e4, 5e4, 5e4]]]))
    # p is (0, 1, 0, 0) and all quarters, their mean (1, 5, 1, 1) / 8.
    expected = (log(8 / 5) + sum(log(2 / m) / 4 for m in (1, 5, 1, 1))) / 2
    assert s.cis.item() == pytest.approx(expected)


def divergence(p, m):
    return sum(a * log(a / b) for a, b in zip(p.tolist(), m.tolist(), strict=True))


def test_scores_are_the_mean_divergence_over_loops():
    logits = 3 * torch.randn(5, 7, 4, dtype=torch.float64)
    p = logits.softmax(-1)
    s = scores(logits)
    cis = [divergence(q, one.mean(0)) for one in p for q in one]
    inception = [divergence(q, p.mean((0, 1))) for one in p for q in one]
    assert s.cis.item() == pytest.approx(sum(cis) / 35)
    assert s.inception.item() == pytest.approx(sum(inception) / 35)
    assert s.cis_exp.log().item() == pytest.approx(s.cis.item())


@pytest.mark.filterwarnings("ignore::UserWarning")  # of its memory, and its one split
def test_inception_score_is_torchmetrics_over_one_split():
    logits = 3 * torch.randn(6, 5, 4, dtype=torch.float64)
    theirs = InceptionScore(nn.Flatten(), splits=1)
    theirs.update(logits.flatten(0, 1)[..., None, None])
    assert scores(logits).inception_exp.item() == pytest.approx(theirs.compute()[0].item())


def test_mean_divergence_is_taken_per_set():
    p = torch.eye(3, dtype=torch.float64)
    together = mean_divergence(torch.stack([p, p[:1].expand(3, 3)]))
    assert together.tolist() == pytest.approx([log(3), 0])


def test_scores_keep_their_names_and_float64():
    s = scores(torch.randn(2, 2, 4))
    assert s._fields == ("cis", "cis_exp", "inception", "inception_exp")
    assert {x.dtype for x in s} == {torch.float64}


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"outputs must be \(N, K, C, H, W\)"):
        ConditionalInceptionScore(nn.Flatten(), 4).update(torch.zeros(2, 4, 1, 1))
    with pytest.raises(
        ValueError, match=r"made \(2, 4\) of 2 images, but must make logits \(2, 5\)"
    ):
        scores(torch.zeros(1, 2, 4), num_classes=5)
    with pytest.raises(ValueError, match="num_classes is 0, but must be at least 1"):
        ConditionalInceptionScore(nn.Flatten(), 0)
