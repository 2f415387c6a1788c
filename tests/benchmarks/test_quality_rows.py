"""What ``benchmarks/quality`` would train."""

from pathlib import Path

import pytest
from composing import composed

from benchmarks.quality import training
from benchmarks.quality.rows import for_steps, rows
from munit_pl.commands.config.validation import check_config


@pytest.mark.slow
def test_every_row_is_a_run_that_can_be_trained_and_differs_from_all_others():
    configs = {
        name: composed("train", *training.settings(Path("set"), row, 0, 40, []))
        for name, row in rows().items()
    }
    for cfg in configs.values():
        check_config(cfg)
        assert cfg.trainer.max_steps == 40
        assert cfg.data.root == str(Path("set").resolve())
    kinds = {str((cfg.model, cfg.callbacks, cfg.data.batch_size)) for cfg in configs.values()}
    assert len(kinds) == len(configs)


def test_a_rows_schedule_is_scaled_to_its_iterations():
    assert for_steps(["a={steps}", "b={steps/20}", "c=5"], 90) == ["a=90", "b=4", "c=5"]
    assert for_steps(["b={steps/20}"], 3) == ["b=1"]
