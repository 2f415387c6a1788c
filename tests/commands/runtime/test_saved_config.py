import pytest
from omegaconf import OmegaConf

from munit_pl.commands.errors import InputError
from munit_pl.commands.runtime.lock import locked
from munit_pl.commands.train import train


def test_a_refused_run_leaves_the_record_of_the_run_before_it(config, tmp_path):
    def recorded():
        return OmegaConf.load(tmp_path / "run/.hydra/config.yaml").seed

    train(config("trainer.max_steps=1", "seed=1"))
    assert recorded() == 1
    assert OmegaConf.load(tmp_path / "run/.hydra/overrides.yaml") == []  # not from a command line
    settings = config("trainer.max_steps=2", "seed=2", "ckpt_path=last")
    with locked(tmp_path / "run"), pytest.raises(InputError, match="in use by another run"):
        train(settings)
    for fault in ("model.generator.dim=6", "model.accumulate=9"):
        with pytest.raises(InputError):
            train(config("trainer.max_steps=2", "seed=2", "ckpt_path=last", fault))
    assert recorded() == 1
    train(settings)
    assert recorded() == 2
    assert "seed: 2" in (tmp_path / "run/index.html").read_text()
