from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from runs import load

from munit_pl.commands.config.validation import check_config
from munit_pl.commands.runtime import training_precision
from munit_pl.commands.runtime.training_precision import explain_slow_precision, keep_precision
from munit_pl.commands.train import train
from munit_pl.inference import precision_choice as machine

AUTO = "trainer.precision=auto"


@pytest.fixture
def machine_of(monkeypatch):
    """Let bf16 take so many times as long as fp32."""

    def set_ratio(ratio):
        for module in (machine, training_precision):
            monkeypatch.setattr(module, "time_bf16_ratio", lambda training: ratio)

    return set_ratio


def precisions(cfg, folder):
    """Return what the configuration, its file and the newest checkpoint say was trained in."""
    file = OmegaConf.load(folder / ".hydra/config.yaml")
    noted = load(folder / "checkpoints/last.ckpt")["munit_pl"]
    return cfg.trainer.precision, file.trainer.precision, noted["precision"]


def test_a_run_keeps_what_its_first_machine_chose(config, tmp_path, machine_of, capsys):
    for first, then, name in ((8.3, 0.6, "32-true"), (0.6, 8.3, "bf16-mixed")):
        folder = tmp_path / name
        for ratio, steps, more in ((first, 1, []), (then, 2, ["ckpt_path=last"])):
            machine_of(ratio)
            cfg = config(AUTO, f"trainer.max_steps={steps}", *more, folder=name)
            trainer = train(cfg)
            assert trainer.global_step == steps
            assert precisions(cfg, folder) == (name,) * 3
        told = capsys.readouterr()
        said = " ".join(told.out.split()).replace("0.60", "0.6")
        assert f"precision {name} (bf16 convolutions take {first:.3g}" in said
        assert f"precision {name} (as before)" in said
        # Only where it goes on in bf16 on a processor that has none.
        assert ("trainer.precision is bf16-mixed, though" in told.err) is (name == "bf16-mixed")
    text = (folder / ".hydra/config.yaml").read_text()
    assert "${output_dir}" in text  # interpolations stay


def test_a_checkpoint_that_says_nothing_usable_leaves_the_choice_to_the_machine(tmp_path):
    noted = [{}, {"munit_pl": None}, {"munit_pl": {}}, {"munit_pl": {"precision": "8-true\n"}}]
    for i, checkpoint in enumerate(noted):
        torch.save(checkpoint, tmp_path / f"{i}.ckpt")
        cfg = OmegaConf.create({"trainer": {"precision": "auto"}, "output_dir": str(tmp_path)})
        keep_precision(cfg, tmp_path / f"{i}.ckpt")
        assert cfg.trainer.precision == "auto"


def test_slow_bf16_is_told_of_where_it_was_asked_for_by_name(machine_of, capsys):
    def told(ratio, name="bf16-mixed", device="cpu"):
        machine_of(ratio)
        strategy = SimpleNamespace(root_device=torch.device(device))
        explain_slow_precision(SimpleNamespace(strategy=strategy, precision=name))
        return capsys.readouterr().err

    assert told(8.26) == (
        "trainer.precision is bf16-mixed, though bf16 convolutions take 8.3 times as long as fp32 "
        "ones on this processor: 32-true is faster\n"
    )
    for quiet in ((0.6,), (1.1,), (8.26, "32-true"), (8.26, "bf16-mixed", "cuda")):
        assert not told(*quiet)


def test_auto_is_a_precision(config):
    check_config(config(AUTO))
