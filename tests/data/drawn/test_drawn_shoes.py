import time
from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from munit_pl.data.drawn.dataset import DrawnShoes, draw
from munit_pl.data.drawn.shoes import KINDS, sample_shoe
from munit_pl.metrics.drawn import silhouette_iou

SIZES = [(64, 64), (48, 96), (96, 48), (256, 256)]


def grown(mask, pixels):
    return F.max_pool2d(mask[None, None].float(), 2 * pixels + 1, 1, pixels)[0, 0].bool()


def test_a_sample_is_a_function_of_seed_domain_split_and_index():
    first, again = DrawnShoes("b", "train", 5, seed=3), DrawnShoes("b", "train", 9, seed=3)
    for index in (4, 0, 2):  # neither the order of reading nor the length takes part
        assert torch.equal(first.load(index), again.load(index, torch.Generator()))
        assert first.truth(index).shoe == again.truth(index).shoe


def test_another_seed_split_domain_or_index_shows_another_shoe():
    places = [("b", "train", 0), ("a", "train", 0), ("b", "test", 0), ("b", "train", 1)]
    sets = [DrawnShoes(domain, split, 50, seed=seed) for domain, split, seed in places]
    shoes = {shoes.truth(i).shoe for shoes in sets for i in range(50)}
    assert len(shoes) == 200


def test_a_domain_can_show_the_shoes_of_the_other():
    own, other = DrawnShoes("a", "test", 3), DrawnShoes("b", "test", 3, shoes_of="a")
    for index in range(3):
        assert own.truth(index).shoe == other.truth(index).shoe
        assert torch.equal(other.load(index), own.truth(index).x_b)


def test_size_changes_the_resolution_only():
    assert DrawnShoes("a", "test", 1).truth(0).shoe == (
        DrawnShoes("a", "test", 1, (32, 80)).truth(0).shoe
    )


def test_each_domain_loads_its_own_picture_of_the_true_shoe():
    a, b = DrawnShoes("a", "test", 3), DrawnShoes("b", "test", 3)
    assert len(a) == 3
    assert torch.equal(a.load(2), a.truth(2).x_a)
    assert torch.equal(b.load(2), b.truth(2).x_b)


def test_kinds_and_directions_occur_about_equally_often():
    shoes = [sample_shoe(torch.Generator().manual_seed(i)) for i in range(1200)]
    kinds = Counter(shoe.kind for shoe in shoes)
    assert set(kinds) == set(KINDS)
    assert all(340 < count < 460 for count in kinds.values())  # 400, within 3.7 deviations
    assert 530 < sum(shoe.faces_left for shoe in shoes) < 670


def test_colors_are_independent_of_the_shape():
    shoes = [sample_shoe(torch.Generator().manual_seed(i)) for i in range(1200)]
    numbers = [
        (*s.body, *s.sole, *(s.kind == kind for kind in KINDS), s.faces_left, s.height, s.opening)
        for s in shoes
    ]
    correlations = torch.tensor(numbers, dtype=torch.float64).T.corrcoef()
    assert correlations[:6, 6:].abs().max() < 0.13  # a standard error is 0.03


@pytest.mark.parametrize("size", SIZES)
def test_pictures_are_in_range_and_share_one_shape(size):
    truth = DrawnShoes("a", "train", 1, size).truth(0)
    for x in (truth.x_a, truth.x_b):
        assert x.shape == (3, *size)
        assert x.dtype == torch.float32
        assert x.min() >= -1
        assert x.max() == 1
    for mask in (truth.silhouette, truth.upper):
        assert mask.shape == size
        assert mask.dtype == torch.bool
    assert (truth.upper <= truth.silhouette).all()
    assert truth.upper.sum() > 0.3 * truth.silhouette.sum()


@pytest.mark.parametrize("size", SIZES)
def test_shoe_fills_the_tighter_side_and_is_centered(size):
    for index in range(6):
        mask = DrawnShoes("a", "train", 6, size).truth(index).silhouette
        extents = [mask.any(1).nonzero(), mask.any(0).nonzero()]
        shares = [(e.max() - e.min() + 1) / side for e, side in zip(extents, size, strict=True)]
        assert max(shares) == pytest.approx(0.86, abs=0.05)
        for extent, side in zip(extents, size, strict=True):
            assert (extent.max() + extent.min()).item() == pytest.approx(side - 1, abs=3)


def test_facing_left_is_the_mirror_image():
    shoe = sample_shoe(torch.Generator().manual_seed(0))
    left, right = (
        draw(type(shoe)(**{**vars(shoe), "faces_left": side}), (64, 64)) for side in (True, False)
    )
    assert silhouette_iou(left.x_b.flip(-1)[None], right.silhouette[None]) > 0.95


@pytest.mark.parametrize("size", SIZES)
def test_ink_lies_inside_the_silhouette_and_along_its_whole_edge(size):
    shoes = DrawnShoes("a", "train", 12, size)
    for truth in map(shoes.truth, range(12)):
        ink = truth.x_a[0] < 0
        assert not (ink & ~grown(truth.silhouette, 1)).any()
        edge = truth.silhouette & grown(~truth.silhouette, 1)
        assert (edge & ~grown(truth.x_a[0] < 0.5, 1)).sum() == 0


def test_drawing_tells_nothing_of_the_colors():
    shoe = sample_shoe(torch.Generator().manual_seed(0))
    other = type(shoe)(**{**vars(shoe), "body": (0.9, 0.1, 0.1), "sole": (0.1, 0.1, 0.4)})
    one, two = draw(shoe, (64, 64)), draw(other, (64, 64))
    assert torch.equal(one.x_a, two.x_a)
    assert torch.equal(one.silhouette, two.silhouette)
    assert not torch.equal(one.x_b, two.x_b)


@pytest.mark.parametrize("size", SIZES)
def test_every_part_stands_out_from_the_white_ground(size):
    shoes = DrawnShoes("b", "train", 40, size)
    for truth in map(shoes.truth, range(0, 40, 1 if size == (64, 64) else 5)):
        inside = ~grown(~truth.silhouette, 1)
        assert truth.x_b.amin(0)[inside].max() <= 2 * 0.5 * 1.05 - 1 + 1e-6
        outside = ~grown(truth.silhouette, 1)
        assert (truth.x_b[:, outside] == 1).all()


def test_upper_carries_the_body_color_shaded():
    truth = DrawnShoes("b", "train", 1).truth(0)
    body = torch.tensor(truth.shoe.body)[:, None]
    light = (truth.x_b[:, truth.upper] + 1) / 2 / body
    torch.testing.assert_close(light, light[:1].expand(3, -1), atol=1e-3, rtol=0)
    assert light.max() <= 1.05 + 1e-3
    assert light.min() >= 0.6 * 0.75 - 1e-3  # a seam in the darkest corner


def test_stem_of_a_heel_is_two_pixels_wide_at_64():
    shoes = DrawnShoes("a", "train", 60)
    heels = [t for t in map(shoes.truth, range(60)) if t.shoe.kind == "heel"]
    for truth in heels:
        side = truth.silhouette[:, 32:] if truth.shoe.faces_left else truth.silhouette[:, :32]
        rows = side.any(1).nonzero()
        assert side[rows.max() - 5 : rows.max()].sum(1).min() >= 2


@pytest.mark.parametrize("size", [(16, 16), (16, 200)])
def test_smallest_sizes_still_show_a_shoe(size):
    for index in range(10):
        truth = DrawnShoes("a", "train", 10, size).truth(index)
        assert truth.upper.any()
        assert truth.x_a.min() < -0.5


def test_a_sample_of_64_takes_at_most_5_ms():
    shoes = DrawnShoes("b", "train", 60)
    times = []
    for index in range(60):
        start = time.process_time()
        shoes.load(index)
        times.append(time.process_time() - start)
    assert sorted(times)[30] <= 5e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"domain": "c"}, "domain is 'c', but must be"),
        ({"split": "val"}, "split is 'val', but must be"),
        ({"shoes_of": "c"}, "shoes_of is 'c', but must be"),
        ({"length": 0}, "length is 0, but must be at least 1"),
        ({"size": (64, 15)}, "size is 64x15, but both sides must be at least 16"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DrawnShoes(**{"domain": "a", "split": "train", "length": 1, **arguments})


@pytest.mark.parametrize("index", [-1, 3])
def test_no_sample_lies_beyond_the_length(index):
    with pytest.raises(IndexError, match=r"index must lie in \[0, 3\)"):
        DrawnShoes("a", "train", 3).load(index)
