import pytest
import torch

from munit_pl.models.cyclegan.image_pool import ImagePool


def numbered(*numbers):
    """Return images whose only pixel is their number."""
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1)


def numbers(images):
    return [int(image) for image in images]


def full(size):
    """Return a pool that holds images 0 to size - 1, in this order."""
    pool = ImagePool(size)
    pool.exchange(numbered(*range(size)), torch.zeros(size))
    return pool


def test_until_it_is_full_every_image_goes_in_and_through():
    pool = ImagePool(3)
    assert numbers(pool.exchange(numbered(5, 6), torch.zeros(2))) == [5, 6]
    assert numbers(pool.exchange(numbered(7), torch.zeros(1))) == [7]
    assert numbers(pool.images) == [5, 6, 7]


def test_a_chance_of_one_half_or_more_lets_the_image_pass_and_stores_nothing():
    pool = full(4)
    assert numbers(pool.exchange(numbered(9, 8), torch.tensor([0.5, 0.999]))) == [9, 8]
    assert numbers(pool.images) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("chance", "place"), [(0.0, 0), (0.124, 0), (0.125, 1), (0.26, 2), (0.4999, 3)]
)
def test_a_chance_below_one_half_swaps_with_the_stored_image_it_points_at(chance, place):
    pool = full(4)
    assert numbers(pool.exchange(numbered(9), torch.tensor([chance]))) == [place]
    assert numbers(pool.images) == [9 if i == place else i for i in range(4)]


def test_images_of_a_batch_pass_one_after_the_other():
    pool = full(1)
    assert numbers(pool.exchange(numbered(7, 8, 9), torch.tensor([0.1, 0.9, 0.1]))) == [0, 8, 7]
    assert numbers(pool.images) == [9]


def test_a_batch_gives_what_its_images_give_apart():
    whole, apart, chances = full(5), full(5), torch.rand(40)
    images = numbered(*range(100, 140))
    expected = [
        apart.exchange(image[None], chance[None])[0]
        for image, chance in zip(images, chances, strict=True)
    ]
    assert torch.equal(whole.exchange(images, chances), torch.stack(expected))
    assert numbers(whole.images) == numbers(apart.images)


def test_half_of_the_images_are_swapped_with_places_that_are_equally_likely():
    size, n = 5, 4000
    pool = full(size)
    swaps = 0
    places = [0] * size
    for number, chance in enumerate(torch.rand(n), start=size):
        before = numbers(pool.images)
        (answer,) = numbers(pool.exchange(numbered(number), chance[None]))
        if answer != number:
            swaps += 1
            places[before.index(answer)] += 1
            assert numbers(pool.images).count(number) == 1
    assert abs(swaps - n / 2) < 5 * (n / 4) ** 0.5  # five standard errors
    for count in places:
        assert abs(count - n / 10) < 5 * (n * 0.1 * 0.9) ** 0.5


def test_only_what_was_put_in_comes_out_and_each_image_at_most_once():
    pool, seen = ImagePool(3), []
    for number in range(200):
        seen += numbers(pool.exchange(numbered(number), torch.rand(1)))
    later = seen[3:]  # the first three were returned and stored, so they come twice at most
    assert set(seen) <= set(range(200))
    assert len(later) == len(set(later))


def test_images_of_another_shape_are_forgotten():
    pool = full(3)
    larger = torch.zeros(1, 1, 2, 2)
    assert torch.equal(pool.exchange(larger, torch.zeros(1)), larger)
    assert [image.shape for image in pool.images] == [(1, 2, 2)]


def test_size_0_is_no_pool():
    pool, images = ImagePool(0), numbered(1, 2)
    assert pool.exchange(images, torch.zeros(2)) is images
    assert pool.images == []


def test_stored_images_keep_no_batch_in_memory_and_do_not_change_with_it():
    pool, images = ImagePool(2), numbered(1, 2)
    pool.exchange(images, torch.zeros(2))
    images.zero_()
    assert numbers(pool.images) == [1, 2]
    assert all(image.untyped_storage().nbytes() == 4 for image in pool.images)


def test_answers_have_the_type_of_the_images():
    pool = full(2)
    answer = pool.exchange(numbered(9).to(torch.bfloat16), torch.tensor([0.1]))
    assert answer.dtype == torch.bfloat16
