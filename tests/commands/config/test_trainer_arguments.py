import pytest
import torch

from munit_pl.commands.config.trainer_arguments import refused_by_machine, refused_by_trainer


def told(**trainer):
    return list(refused_by_trainer({"trainer": trainer}))


def test_what_the_module_does_itself_is_told_with_its_name_there():
    for name, value, instead in (
        ("accumulate_grad_batches", 4, "model.accumulate=4"),
        ("gradient_clip_val", 1.0, "model.clip_norm=1.0"),
        ("enable_progress_bar", False, "~callbacks.bar"),
        ("enable_checkpointing", False, "~callbacks.checkpoints"),
        ("logger", False, "logger=csv, or another of that group"),
    ):
        assert told(**{name: value}) == [f"trainer.{name} is not supported: write {instead}"]


def test_what_changes_nothing_may_be_said():
    assert not told(accumulate_grad_batches=1, gradient_clip_val=None, enable_progress_bar=True)
    assert not told(devices=1, num_nodes=1, strategy="auto")
    assert not told(devices=4, num_nodes=2, strategy="ddp_find_unused_parameters_true")
    assert not told(devices=2, strategy={"_target_": "munit_pl.callbacks.flat_ddp.FlatDDPStrategy"})


@pytest.mark.parametrize("devices", [2, "2", [0, 1], "0,1"])
def test_several_devices_take_a_strategy(devices):
    (line,) = told(devices=devices)
    assert line.endswith("add trainer=ddp")
    (line,) = told(devices=devices, accelerator="cpu")
    assert line.endswith("add trainer=ddp trainer.accelerator=cpu")


def test_several_machines_and_plain_ddp_take_a_strategy_too():
    assert told(num_nodes=2)[0].endswith("add trainer=ddp")
    assert told(strategy="ddp")[0].startswith("trainer.strategy is ddp, but")


def test_a_gpu_is_missed_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    (line,) = refused_by_machine({"accelerator": "gpu"})
    assert line.startswith("trainer.accelerator is gpu, but no GPU is found here")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not list(refused_by_machine({"accelerator": "gpu"}))


def test_all_devices_may_be_several(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for devices in (-1, "auto"):
        assert len(list(refused_by_machine({"devices": devices}))) == 1
        assert not list(refused_by_machine({"devices": devices, "accelerator": "cpu"}))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert not list(refused_by_machine({"devices": "auto"}))
