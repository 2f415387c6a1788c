import os
import warnings
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from number_domains import UNDECODABLE, Numbers
from PIL import Image

from munit_pl import AlignedDataModule, DrawnDataModule, UnpairedDataModule
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.images.tensors import from_uint8
from munit_pl.data.loader import PairLoader
from munit_pl.exits import ExitCode

SMALL = {"resize": None, "crop": (8, 8), "num_workers": 0}


def save(folder, count, size=(16, 8)):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.effect_noise(size, 60).convert("RGB").save(folder / f"{i:04d}.png")


def tear(path):
    path.write_bytes(path.read_bytes()[:60])


@pytest.fixture
def root(tmp_path):
    for folder, count in {"trainA": 6, "trainB": 7, "testA": 3, "testB": 3}.items():
        save(tmp_path / folder, count)
    return tmp_path


def unpaired(root, **options):
    datamodule = UnpairedDataModule(root, **SMALL | options)
    datamodule.setup("fit")
    return datamodule


def batches(datamodule, n):
    datamodule.trainer = SimpleNamespace(global_step=0, world_size=1, global_rank=0)
    loader = iter(datamodule.train_dataloader())
    return [next(loader) for _ in range(n)]


class Two(TwoDomains):
    """Two domains of numbers."""

    def __init__(self, a, b, **options):
        super().__init__((1, 2), options.pop("batch_size", 1), 0, 0, **options)
        self.numbers = (a, b)

    def make_domains(self, split):
        return self.numbers


def test_without_a_trainer_the_batches_are_the_first_that_a_trainer_gets(root):
    datamodule = unpaired(root, batch_size=2)
    for alone, (x_a, x_b) in zip(
        datamodule.train_dataloader(), batches(datamodule, 2), strict=False
    ):
        assert torch.equal(alone[0], x_a)
        assert torch.equal(alone[1], x_b)


# Bad files


def test_bad_files_that_were_listed_count_from_the_start(root):
    (root / "trainA" / "empty.png").touch()
    tear(root / "testB" / "0001.png")  # starts well: found when it is read
    datamodule = unpaired(root)
    ((domain, file),) = datamodule.skipped_files.found
    assert (domain, file) == ("a", str(root / "trainA" / "empty.png"))
    assert datamodule.skipped_files.totals == {"a": 10, "b": 10}


def test_files_are_warned_of_once_each_where_no_callback_lists_them(root):
    (root / "trainA" / "empty.png").touch()
    tear(root / "trainB" / "0001.png")
    datamodule = unpaired(root)
    with pytest.warns(UserWarning, match="an image of domain . is skipped: ") as warned:
        batches(datamodule, 7)
    told = sorted(str(warning.message) for warning in warned)
    assert len(told) == 2
    assert f"domain a is skipped: {str(root / 'trainA/empty.png')!r} is empty" in told[0]
    assert "trainB/0001.png" in told[1]
    datamodule = unpaired(root)
    datamodule.skipped_files.list_file = root / "bad_files.jsonl"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches(datamodule, 7)


def test_test_images_that_are_the_training_ones_count_once(tmp_path):
    save(tmp_path / "trainA", 3)
    save(tmp_path / "trainB", 4)
    (tmp_path / "trainA" / "empty.png").touch()
    datamodule = unpaired(tmp_path)
    assert datamodule.skipped_files.totals == {"a": 4, "b": 4}
    assert datamodule.skipped_files.count == 1


def test_too_many_bad_files_are_an_error_before_training(root):
    for name in ("x.png", "y.jpg"):
        (root / "trainA" / name).touch()
    message = r"domain a: 2 of 11 images .*data\.max_bad_fraction=0\.01 .*trainA/x\.png' is empty"
    datamodule = UnpairedDataModule(root, **SMALL)
    for _ in range(2):  # asking again does not help
        with pytest.raises(ValueError, match=message):
            datamodule.setup("fit")
    assert unpaired(root, max_bad_fraction=0.19).stop_reason is None


@pytest.mark.parametrize("paired", [True, False])
def test_torn_files_are_replaced_in_mid_run_until_there_are_too_many(tmp_path, paired):
    save(tmp_path / "train", 10)
    for i in (2, 5):
        tear(tmp_path / "train" / f"{i:04d}.png")
    datamodule = AlignedDataModule(tmp_path, paired=paired, **SMALL)
    datamodule.setup("fit")
    assert len(batches(datamodule, 1)[0]) == 2
    with pytest.raises(RuntimeError, match="2 of 10 images cannot be used"):
        batches(datamodule, 10)
    assert datamodule.stop_reason.code == ExitCode.BAD_DATA


def test_a_domain_without_images_is_named():
    with pytest.raises(ValueError, match="domain b has no train images"):
        Two(Numbers(2), Numbers(0)).setup("fit")


@pytest.mark.parametrize(
    "options", [{"max_bad_fraction": 1.1}, {"max_bad_fraction": -0.1}, {"timeout": -1}]
)
def test_impossible_limits_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is "):
        Two(Numbers(2), Numbers(2), **options)


# Loaders


def test_fewer_images_than_a_batch_still_make_an_epoch_of_one_batch():
    datamodule = Two(Numbers(2), Numbers(3), batch_size=8)
    datamodule.setup("fit")
    ((x_a, x_b),) = batches(datamodule, 1)
    assert len(datamodule.train_dataloader()) == 1
    for x, n in ((x_a, 2), (x_b, 3)):
        counts = x[:, 0].int().bincount(minlength=n)
        assert counts.sum() == 8
        assert counts.max() - counts.min() <= 1  # pass after pass


@pytest.mark.parametrize("workers", [0, 2])
def test_only_workers_are_waited_for_and_watched(workers):
    datamodule = DrawnDataModule((16, 16), num_workers=workers)
    datamodule.setup("fit")
    loader = datamodule.val_dataloader()
    assert isinstance(loader, PairLoader)
    assert loader.timeout == (300 if workers else 0)
    assert len(datamodule.monitors) == bool(workers)


# Bytes


@pytest.mark.parametrize("precision", ["32-true", "bf16-true", "bf16-mixed"])
def test_bytes_become_floats_of_the_trainers_precision(root, precision):
    """What a batch of floats would be: Lightning converts those before this."""
    datamodule = unpaired(root, batch_size=2)
    ((x_a, x_b),) = batches(datamodule, 1)
    assert (x_a.dtype, x_b.dtype) == (torch.uint8, torch.uint8)
    plugin = Trainer(accelerator="cpu", precision=precision, logger=False).precision_plugin
    datamodule.trainer.precision_plugin = plugin
    floats = datamodule.on_after_batch_transfer((x_a, x_b), 0)
    expected = plugin.convert_input((from_uint8(x_a), from_uint8(x_b)))
    for x, y in zip(floats, expected, strict=True):
        assert x.dtype == (torch.bfloat16 if precision == "bf16-true" else torch.float32)
        assert torch.equal(x, y)


@pytest.mark.parametrize("kind", ["unpaired", "drawn"])
def test_a_module_gets_floats_whatever_the_loader_hands_over(root, tmp_path, kind):
    seen = []

    class Looking(LightningModule):
        def training_step(self, batch, _):
            seen.append([x.dtype for x in batch])

        def validation_step(self, batch, _):
            seen.append([x.dtype for x in batch])
            assert all(-1 <= x.min() < 0 < x.max() <= 1 for x in batch)

        def configure_optimizers(self):
            return None

    data = unpaired(root) if kind == "unpaired" else DrawnDataModule((16, 16), length=2)
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        max_steps=2,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Looking(), data)
    assert len(seen) >= 4
    assert all(dtypes == [torch.float32] * 2 for dtypes in seen)


def test_loaders_hand_over_what_the_domains_load(root):
    datamodule = unpaired(root)
    read = list(datamodule.val_dataloader())
    for number, domain in enumerate(datamodule.domains["test"]):
        for i, batch in enumerate(read):
            assert torch.equal(from_uint8(batch[number][0]), domain.load(i, None))


# Pictures beside the stream


def test_first_images_pass_over_what_cannot_be_used(root):
    tear(root / "testA" / "0000.png")
    datamodule = unpaired(root)
    images = datamodule.first_images("test", "a", 2)
    domain = datamodule.domains["test"][0]
    assert torch.equal(images, torch.stack([domain.load(i, None) for i in (1, 2)]))
    assert len(datamodule.first_images("test", "a", 8)) == 2
    assert list(datamodule.skipped_files.found) == [("a", str(root / "testA" / "0000.png"))]


def test_first_images_of_a_domain_without_any_are_an_error():
    datamodule = Two(Numbers(3, {-1: UNDECODABLE}), Numbers(3))
    datamodule.setup("fit")
    with pytest.raises(OSError, match="domain a: none of the first test images can be used"):
        datamodule.first_images("test", "a", 2)


# The same images


def test_the_same_folder_for_both_domains_is_refused_unless_it_is_wanted(root):
    (root / "linked").symlink_to("trainA")
    with pytest.raises(ValueError, match="the train images of domains a and b are the same files"):
        unpaired(root, train_b="linked")
    assert unpaired(root, train_b="trainA", allow_same_domain=True)


def test_hard_links_to_the_training_images_are_no_test_images(root):
    (root / "held_out").mkdir()
    for file in (root / "trainB").iterdir():
        os.link(file, root / "held_out" / file.name)
    message = "the training and test images of domain b are the same files"
    with pytest.raises(ValueError, match=message):
        unpaired(root, test_b="held_out", allow_same_domain=True)


def test_training_images_named_for_the_test_too_are_meant(root):
    assert len(unpaired(root, test_a="trainA").domains["test"][0]) == 6


def test_some_shared_images_are_warned_of(root):
    os.link(root / "trainA" / "0000.png", root / "testA" / "x.png")
    with pytest.warns(UserWarning, match="training and test images of domain a share files: 1 of"):
        unpaired(root)


# Resuming


def resumed_warnings(before, after):
    for datamodule in (before, after):
        datamodule.trainer = datamodule.trainer or SimpleNamespace(world_size=1)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        after.load_state_dict(before.state_dict())
    return [str(warning.message) for warning in seen]


def test_a_resumed_run_on_the_same_images_is_not_warned(root, tmp_path_factory):
    before = unpaired(root)
    moved = root.rename(tmp_path_factory.mktemp("moved") / "there")
    assert resumed_warnings(before, unpaired(moved)) == []


def test_a_resumed_run_is_warned_once_of_each_thing_that_changes_the_order(root):
    before = unpaired(root)
    (root / "trainA" / "0003.png").unlink()
    (root / "testB" / "0002.png").rename(root / "testB" / "0.png")
    after = unpaired(root, batch_size=2)
    after.trainer = SimpleNamespace(world_size=3)
    count, names, at_once = resumed_warnings(before, after)
    assert count.startswith("the train images of domain a have changed since: 6 then, 5 now")
    assert names.startswith("the test images of domain b are others than before")
    assert at_once.startswith("an iteration read 1 images of each domain in all processes before, ")
    assert "reads 6 now" in at_once


def test_drawn_data_has_a_state_too():
    states = []
    for length in (4, 5):
        datamodule = DrawnDataModule((16, 16), length=length)
        datamodule.setup("fit")
        states.append(datamodule)
    assert resumed_warnings(states[0], states[0]) == []
    assert len(resumed_warnings(*states)) == 2
