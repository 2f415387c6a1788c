import pytest
import torch

from munit_pl.recipes.diffaugment import (
    AUGMENTATIONS,
    NUM_RANDOM,
    Augmented,
    DiffAugment,
    augment,
    color,
    cutout,
    translation,
)

HALF = torch.full((2,), 0.5)


def images(size=16, n=2, channels=3):
    return torch.rand(n, channels, size, size) * 2 - 1


def test_colors_in_the_middle_of_their_ranges_are_left_as_they_are():
    x = images()
    torch.testing.assert_close(color(x, HALF, HALF, HALF), x)


@pytest.mark.parametrize(("u", "added"), [(0.0, -0.5), (0.75, 0.25)])
def test_brightness_is_added(u, added):
    x = images()
    torch.testing.assert_close(color(x, torch.full((2,), u), HALF, HALF), x + added)


@pytest.mark.parametrize(("u", "factor"), [(0.0, 0.0), (0.75, 1.5)])
def test_saturation_multiplies_what_a_pixel_differs_from_its_mean_by(u, factor):
    x = images()
    gray = x.sum(1, keepdim=True) / 3
    expected = gray + factor * (x - gray)
    torch.testing.assert_close(color(x, HALF, torch.full((2,), u), HALF), expected)


@pytest.mark.parametrize(("u", "factor"), [(0.0, 0.5), (0.75, 1.25)])
def test_contrast_multiplies_what_an_image_differs_from_its_mean_by(u, factor):
    x = images()
    mean = torch.stack([image.mean() for image in x]).view(2, 1, 1, 1)
    expected = mean + factor * (x - mean)
    torch.testing.assert_close(color(x, HALF, HALF, torch.full((2,), u)), expected)


def test_a_shift_is_by_whole_pixels_and_brings_in_zeros():
    """Of 16 pixels an eighth is 2: u = 0 is up by two, u just below 1 down by two."""
    x = images() + 2
    moved = translation(x, torch.tensor([0.0, 0.99]), torch.tensor([0.5, 0.0]))
    assert torch.equal(moved[0, :, :-2], x[0, :, 2:])
    assert not moved[0, :, -2:].any()
    assert torch.equal(moved[1, :, 2:, :-2], x[1, :, :-2, 2:])
    assert not moved[1, :, :2].any()
    assert not moved[1, :, :, -2:].any()


def test_every_shift_is_as_likely_as_any_other():
    x = torch.zeros(1000, 1, 16, 1)
    x[:, :, 8] = 1
    u = (torch.arange(1000) + 0.5) / 1000
    places = translation(x, u, u)[:, 0, :, 0].argmax(1)
    assert torch.bincount(places)[6:].tolist() == [200] * 5


def test_a_hole_is_half_the_sides_long_around_its_center_and_cut_off_by_the_border():
    x = torch.ones(3, 3, 8, 12)
    holes = cutout(x, torch.tensor([0.5, 0.0, 0.99]), torch.tensor([0.5, 0.99, 0.0]))
    expected = torch.ones(3, 3, 8, 12)
    expected[0, :, 2:6, 3:9] = 0  # around (4, 6)
    expected[1, :, :2, 9:] = 0  # around (0, 12), the right border
    expected[2, :, 6:, :3] = 0  # around (8, 0)
    assert torch.equal(holes, expected)


def test_holes_of_odd_sides_have_a_place_for_each_pixel_and_of_even_ones_one_more():
    """Half of 9 or of 10 pixels is 5, rounded half up, half of 12 is 6."""
    for side, hole, places in ((9, 5, 9), (10, 5, 10), (12, 6, 13)):
        u = (torch.arange(places) + 0.5) / places
        cut = 1 - cutout(torch.ones(places, 1, side, 1), u, u)[:, 0, :, 0]
        expected = torch.zeros(places, side)
        for center in range(places):
            first = center - hole // 2
            expected[center, max(first, 0) : first + hole] = 1
        assert torch.equal(cut, expected), side


def test_the_largest_shift_is_an_eighth_rounded_half_up():
    for side, most in ((11, 1), (12, 2), (16, 2), (19, 2), (20, 3)):
        x = torch.arange(1.0, side + 1).expand(1, 1, 1, side)
        up = translation(x, torch.zeros(1), torch.zeros(1))[0, 0, 0]
        assert up.tolist() == [*range(most + 1, side + 1), *[0] * most], side


def test_augmentations_have_numbers_of_their_own():
    x, drawn = images(), torch.rand(2, NUM_RANDOM)
    torch.testing.assert_close(
        augment(x, AUGMENTATIONS, drawn),
        augment(augment(augment(x, ["color"], drawn), ["translation"], drawn), ["cutout"], drawn),
    )


def test_the_gradient_of_what_was_moved_or_cut_goes_where_it_came_from():
    x = images(8, 1, 2).double().requires_grad_()
    drawn = torch.rand(1, NUM_RANDOM, dtype=torch.float64)
    drawn[:, 3:] = 0.7  # a pixel down, a pixel right; a hole that is cut off
    assert torch.autograd.gradcheck(lambda x: augment(x, AUGMENTATIONS, drawn), x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_types_are_kept_and_autocast_rounds_nothing(dtype):
    x, drawn = images().to(dtype), torch.rand(2, NUM_RANDOM)
    with torch.autocast("cpu", torch.bfloat16):
        seen = augment(x, AUGMENTATIONS, drawn)
    assert seen.dtype == dtype
    assert torch.equal(seen, augment(x.float(), AUGMENTATIONS, drawn).to(dtype))


def test_each_augmentation_is_made_of_those_images_that_it_is_to_be_made_of():
    x, drawn = images(n=3), torch.rand(3, NUM_RANDOM)
    made = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    seen = augment(x, AUGMENTATIONS, drawn, made)
    expected = [
        augment(x[:1], ["color", "cutout"], drawn[:1]),
        x[1:2],
        augment(x[2:], AUGMENTATIONS, drawn[2:]),
    ]
    assert torch.equal(seen, torch.cat(expected))
    assert torch.equal(augment(x, ["cutout"], drawn, made)[1:2], x[1:2])


def test_an_image_of_which_no_augmentation_is_made_keeps_its_gradient():
    x = images().requires_grad_()
    augment(x, AUGMENTATIONS, torch.rand(2, NUM_RANDOM), torch.zeros(2, 3).bool()).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


class Shows:
    """A discriminator whose logits are what it sees."""

    def __call__(self, x):
        return [x]

    def score_batches(self, *batches):
        return [[x] for x in batches]


def test_real_images_translations_and_the_generators_are_augmented_each_by_its_own_numbers():
    x, drawn = images(), torch.rand(2, 3, NUM_RANDOM)
    score_batches = Augmented(Shows(), AUGMENTATIONS, drawn)
    (real,), (fake,) = score_batches.score_batches(x, x)
    (generated,) = score_batches(x)
    for i, seen in enumerate((real, fake, generated)):
        assert torch.equal(seen, augment(x, AUGMENTATIONS, drawn[:, i]))


def test_whether_they_are_made_is_decided_for_each_use():
    x, drawn, made = images(), torch.rand(2, 3, NUM_RANDOM), torch.rand(2, 3, 3) < 0.5
    score_batches = Augmented(Shows(), AUGMENTATIONS, drawn, made)
    (real,), (fake,) = score_batches.score_batches(x, x)
    (generated,) = score_batches(x)
    for i, seen in enumerate((real, fake, generated)):
        assert torch.equal(seen, augment(x, AUGMENTATIONS, drawn[:, i], made[:, i]))


def test_names_are_checked_and_put_into_order():
    assert DiffAugment(["cutout", "color"]).augmentations == ("color", "cutout")
    with pytest.raises(ValueError, match="but must be one of color, translation, cutout"):
        DiffAugment(["colour"])
