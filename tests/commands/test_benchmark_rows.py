import pytest
from composing import composed
from omegaconf import OmegaConf

from munit_pl.commands.benchmark import scale_to_budget
from munit_pl.evaluation.comparison.rows import ROWS, STEPS


@pytest.fixture(scope="module")
def config():
    return lambda row, *overrides: composed("train", f"+experiment=table1/{row}", *overrides)


def flat(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def settings(cfg):
    """Return all settings but the row's names."""
    values = dict(flat(OmegaConf.to_container(cfg, resolve=True)))
    return {key: value for key, value in values.items() if key not in ("row", "name", "run")}


def test_rows_differ_in_model_and_pairs_alone(config):
    for row in ROWS:
        ours, munit = settings(config(row)), settings(config("munit"))
        differing = {key for key in ours | munit if ours.get(key) != munit.get(key)}
        elsewhere = {key for key in differing if not key.startswith("model.")}
        assert elsewhere == ({"data.paired"} if row == "bicyclegan" else set())


@pytest.mark.parametrize("term", ["image", "content", "style"])
def test_an_ablation_is_munit_without_one_term(config, term):
    ours, munit = settings(config(f"no_{term}")), settings(config("munit"))
    differing = {key for key in ours if ours[key] != munit[key]}
    assert differing == {f"model.weights.{term}"}
    assert ours[f"model.weights.{term}"] == 0
    assert ROWS[f"no_{term}"].dropped == term


def test_noise_is_all_that_cyclegan_with_noise_adds(config):
    ours, cyclegan = settings(config("cyclegan_noise")), settings(config("cyclegan"))
    differing = {key for key in ours if ours[key] != cyclegan[key]}
    assert differing == {"model.noise_dim"}
    assert ours["model.noise_dim"] == settings(config("munit"))["model.generator.style_dim"]


def test_a_schedule_ends_with_the_run(config):
    for row in ROWS:
        cfg = config(row)
        assert cfg.trainer.max_steps == STEPS
        schedule = cfg.model.scheduler
        if "step_size" not in schedule:
            assert schedule.constant + schedule.decay == STEPS
        else:
            assert STEPS / 2 < schedule.step_size < STEPS


@pytest.mark.parametrize("row", ["unit", "cyclegan"])
def test_a_tenth_of_the_budget_has_schedules_a_tenth_as_long(config, row):
    whole, tenth = config(row), config(row, f"trainer.max_steps={STEPS // 10}")
    scale_to_budget(tenth)
    for key, value in whole.model.scheduler.items():
        expected = value // 10 if isinstance(value, int) else value
        assert tenth.model.scheduler[key] == expected
    assert tenth.callbacks.checkpoints.every_n_steps == STEPS // 20
