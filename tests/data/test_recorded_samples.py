"""Samples as they were recorded: no run may read others after a change of the code."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from munit_pl import AlignedDataModule, UnpairedDataModule

FOLDERS = {"trainA": 7, "trainB": 5, "testA": 2, "testB": 3, "train": 6}
BAD = ("trainA/3.png", "trainB/1.png", "trainA_masks/5.png", "train/4.png")
RECORDED = {  # by what is asked for and the iteration that the run goes on from
    "unpaired": (UnpairedDataModule, {"seed": 3, "channels_b": 1}, 0, "ec7117dd6954eddf"),
    "resumed": (UnpairedDataModule, {}, 11, "41267ea771299e90"),
    "masks": (UnpairedDataModule, {"masks": True}, 0, "c059d89d76ad32ca"),
    "pairs": (AlignedDataModule, {}, 2, "f008ebde4c531a9c"),
    "halves": (AlignedDataModule, {"paired": False, "reverse": True}, 0, "7cae5bfb0fb8ecf5"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Noise, of which some files are cut short and one is of one color."""
    root = tmp_path_factory.mktemp("recorded")
    rng = np.random.default_rng(0)
    for folder, count in FOLDERS.items():
        for i in range(count):
            for name, channels in ((folder, 3), (f"{folder}_masks", 1)):
                pixels = rng.integers(0, 256, (20, 24 + 2 * i, channels), dtype=np.uint8)
                (root / name).mkdir(exist_ok=True)
                Image.fromarray(pixels.squeeze()).save(root / name / f"{i}.png")
    for name in BAD:
        (root / name).write_bytes((root / name).read_bytes()[:80])
    Image.new("RGB", (28, 20), (9, 9, 9)).save(root / "trainA" / "2.png")
    return root


@pytest.mark.parametrize("name", RECORDED)
def test_samples_are_those_that_were_recorded(root, name):
    kind, options, iteration, recorded = RECORDED[name]
    small = {"resize": None, "crop": (10, 8), "batch_size": 2, "num_workers": 0}
    datamodule = kind(root, max_bad_fraction=1, **small, **options)
    trainer = SimpleNamespace(
        global_step=iteration, world_size=1, global_rank=0, precision_plugin=None
    )
    datamodule.trainer = trainer
    datamodule.setup("fit")
    loader = datamodule.train_dataloader()
    digest = hashlib.sha256()
    while trainer.global_step < iteration + 25:
        for batch in loader:
            for x in datamodule.on_after_batch_transfer(batch, 0):
                digest.update(repr((tuple(x.shape), x.dtype)).encode())
                digest.update(x.contiguous().numpy().tobytes())
            trainer.global_step += 1
    assert datamodule.skipped_files.found
    assert digest.hexdigest()[:16] == recorded
