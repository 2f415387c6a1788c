"""What ``benchmarks/recipes.py`` would train and print."""

import pytest
from composing import composed

from benchmarks import recipes
from munit_pl.commands.config.validation import check_config


@pytest.fixture(scope="module")
def config():
    return lambda *overrides: composed("train", *overrides)


@pytest.mark.slow
def test_every_row_is_a_run_that_can_be_trained_and_differs_from_all_others(config):
    configs = {row: config(*recipes.settings(row, 100, 0, 40)) for row in recipes.recipes(40)}
    for cfg in configs.values():
        check_config(cfg)
        assert (cfg.data.length, cfg.data.batch_size) == (100, recipes.BATCH)
    assert len({str(cfg.model) for cfg in configs.values()}) == len(configs)


def test_unlimited_images_are_as_many_as_the_iterations_take():
    assert "data.length=80" in recipes.settings("none", recipes.images("unlimited"), 0, 40)


def test_the_table_has_means_and_deviations_over_seeds():
    metrics = [dict.fromkeys(recipes.COLUMNS, value) for value in (1.0, 3.0)]
    first, rule, row = recipes.table({"hinge": metrics}).splitlines()
    assert first.startswith("| recipe | silhouette IoU ↑ |")
    assert rule == "| --- | --- | --- | --- | --- | --- | --- |"
    assert row.startswith("| hinge | 2.000 ± 1.414 | 2.00 ± 1.41 | 2.00 ± 1.41 | 2.0 ± 1.4 |")


def test_a_run_that_has_its_metrics_is_not_made_again_nor_taken_for_another(tmp_path):
    (tmp_path / "metrics.json").write_text('{"settings": ["seed=0"], "metrics": {"x": 1.0}}')
    assert recipes.run(tmp_path, ["seed=0"]) == {"x": 1.0}
    with pytest.raises(SystemExit, match="holds a run with other settings"):
        recipes.run(tmp_path, ["seed=1"])
