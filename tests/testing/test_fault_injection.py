from contextlib import nullcontext

import pytest
from lightning.pytorch import Trainer

from munit_pl import DrawnDataModule
from munit_pl.data.sample_order import sample_at
from munit_pl.testing.fault_injection import KINDS, MOMENTARY, FaultInjection
from munit_pl.testing.faulty_parts import FaultyDomain


def test_an_unknown_kind_is_told_all(tmp_path):
    with pytest.raises(ValueError, match=r"kind is 'nonsense'.*sigterm.*disk_full.*worker_killed"):
        FaultInjection("nonsense", step=1)
    with pytest.raises(ValueError, match="step is 0"):
        FaultInjection("sigterm", step=0)


@pytest.mark.parametrize("method", ["munit"], indirect=True)
@pytest.mark.parametrize("kind", ["exception", "out_of_memory"])
def test_it_happens_in_its_iteration_and_process_alone(method, kind):
    def steps(**place):
        trainer = Trainer(
            accelerator="cpu",
            max_steps=4,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[FaultInjection(kind, **place)],
            limit_val_batches=0,
        )
        expected = pytest.raises(RuntimeError, match="a fault was injected")
        with nullcontext() if place.get("rank") else expected:
            trainer.fit(method.make(), DrawnDataModule(size=(16, 16), length=4, test_length=2))
        return trainer.global_step

    assert steps(step=3) == 2
    assert steps(step=3, rank=1) == 4


def test_the_faulty_image_is_the_one_that_is_read_for_the_iteration():
    datamodule = DrawnDataModule(size=(16, 16), length=6, test_length=2, batch_size=2)
    datamodule.setup()
    trainer = Trainer(accelerator="cpu", logger=False)
    trainer.datamodule = datamodule
    FaultInjection("bad_image", step=3).on_fit_start(trainer, None)
    domain = datamodule.domains["train"][0]
    assert isinstance(domain, FaultyDomain)
    bad = sample_at(4, 6, "a", datamodule.seed)
    for index in range(6):
        if index == bad:
            with pytest.raises(OSError, match="a fault was injected"):
                domain.load(index, None)
        else:
            assert domain.load(index, None).shape == (3, 16, 16)


def test_faults_of_reading_take_images_without_masks():
    datamodule = DrawnDataModule(size=(16, 16), length=6, test_length=2, masks=True)
    datamodule.setup()
    trainer = Trainer(accelerator="cpu", logger=False)
    trainer.datamodule = datamodule
    with pytest.raises(ValueError, match=r"bad_image takes images without masks: set data\.masks"):
        FaultInjection("bad_image", step=3).on_fit_start(trainer, None)


def test_faults_of_workers_take_workers():
    datamodule = DrawnDataModule(size=(16, 16), length=6, test_length=2)
    datamodule.setup()
    trainer = Trainer(accelerator="cpu", logger=False)
    trainer.datamodule = datamodule
    with pytest.raises(ValueError, match=r"set data\.num_workers"):
        FaultInjection("worker_killed", step=1).on_fit_start(trainer, None)


def test_every_kind_is_described_and_every_moment_has_an_event():
    from munit_pl.testing.fault_injection import _EVENTS

    assert all(words for words in KINDS.values())
    numbers = {kind for kind in MOMENTARY if kind.startswith(("nan", "inf", "huge"))}
    assert _EVENTS.keys() == MOMENTARY.keys() - numbers
