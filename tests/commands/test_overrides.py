import pytest

from munit_pl.commands.inputs import InputError
from munit_pl.commands.overrides import check_overrides, nearest, slips


def test_slips_are_the_letters_left_out_added_mistaken_or_swapped():
    for name, other, count in [
        ("dim", "dim", 0),
        ("dmi", "dim", 1),  # swapped
        ("di", "dim", 1),
        ("diim", "dim", 1),
        ("dam", "dim", 1),
        ("channelsa_", "channels_a", 1),
        ("channelsa_", "channels_b", 2),
        ("", "seed", 4),
        ("lrr", "lr", 1),
        ("kitten", "sitting", 3),  # Levenshtein's textbook pair
    ]:
        assert slips(name, other) == slips(other, name) == count


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("sede", ": did you mean model.seed?"),
        ("zzzz", "; there are seed, dim"),
    ],
)
def test_the_nearest_name_is_told_or_all_where_none_is_near(name, end):
    assert nearest(name, ["seed", "dim"], "munit-train", prefix="model.") == end


def test_of_many_names_that_are_not_near_the_help_tells():
    names = [f"name{i}" for i in range(30)]
    assert nearest("zzzzz", names, "munit-train") == " (see munit-train --help)"


def test_what_is_composed_is_without_hydras_own_part():
    assert set(check_overrides([], "evaluate")) == {"seed", "model", "data"}


def test_a_misspelt_setting_is_told_with_the_one_that_was_meant():
    with pytest.raises(InputError, match=r"no setting data\.szie: did you mean data\.size\?"):
        check_overrides(["data.szie=3"])
