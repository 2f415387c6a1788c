import pytest

from munit_pl.commands.config.suggestions import meant, nearest


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


def test_a_setting_is_meant_by_its_last_part_or_by_almost_all_its_letters():
    known = ["seed", "model.optimizer.lr", "model.generator.dim", "model.discriminator.dim"]
    for name, settings in {
        "lr": ["model.optimizer.lr"],
        "trainer.lr": ["model.optimizer.lr"],
        "lrr": ["model.optimizer.lr"],
        "model.optimizer.lr": ["model.optimizer.lr"],
        "dim": ["model.generator.dim", "model.discriminator.dim"],
        "sede": ["seed"],
        "model.lrr": [],
        "epochs": [],
    }.items():
        assert meant(name, known) == settings, name
