import pytest
import torch
from PIL import Image

from munit_pl import DrawnDataModule, UnpairedDataModule
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.sample_order import sample_at
from munit_pl.metrics.drawn import silhouette_iou


class Run:
    """What a data module asks of its trainer."""

    def __init__(self, global_step=0, world_size=1, global_rank=0):
        self.global_step = global_step
        self.world_size = world_size
        self.global_rank = global_rank


def batches(datamodule, n=3, **run):
    datamodule.trainer = Run(**run)
    datamodule.setup("fit")
    loader = iter(datamodule.train_dataloader())
    return [next(loader) for _ in range(n)]


def make_folders(root, counts, size=(40, 30), **save):
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True)
        for i in range(count):
            image = Image.effect_noise(size, 60 + 7 * i).convert("RGB")
            image.save(root / folder / f"{i}.png")
    return root


FOLDERS = {"trainA": 5, "trainB": 7, "testA": 2, "testB": 5}


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_for_any_number_of_workers(tmp_path, workers):
    make_folders(tmp_path, FOLDERS)
    read = [
        batches(UnpairedDataModule(tmp_path, resize=24, crop=(20, 16), batch_size=2, num_workers=n))
        for n in (0, workers)
    ]
    for here, there in zip(*read, strict=True):
        for x, y in zip(here, there, strict=True):
            assert x.shape == (2, 3, 20, 16)
            assert torch.equal(x, y)


def test_two_processes_read_together_what_one_reads():
    one = batches(DrawnDataModule(batch_size=4))
    two = [batches(DrawnDataModule(batch_size=2), world_size=2, global_rank=r) for r in (0, 1)]
    for whole, first, second in zip(one, *two, strict=True):
        for domain in (0, 1):
            assert torch.equal(whole[domain], torch.cat([first[domain], second[domain]]))


def test_a_resumed_run_reads_on_in_mid_epoch():
    passes = [batches(DrawnDataModule(length=6, batch_size=2), global_step=s) for s in (0, 3)]
    whole = passes[0] + passes[1]
    for step in (1, 4):  # in the first pass and in the second
        (batch,) = batches(DrawnDataModule(length=6, batch_size=2), n=1, global_step=step)
        for domain in (0, 1):
            assert torch.equal(batch[domain], whole[step][domain])


def test_test_images_are_all_read_in_order_and_always_alike(tmp_path):
    datamodule = UnpairedDataModule(
        make_folders(tmp_path, FOLDERS), resize=24, crop=(20, 20), batch_size=2, num_workers=0
    )
    datamodule.setup("fit")
    first, second = (list(datamodule.val_dataloader()) for _ in range(2))
    assert [len(x_b) for _, x_b in first] == [2, 2, 1]
    for here, there in zip(first, second, strict=True):
        assert torch.equal(here[1], there[1])


def test_without_test_folders_the_training_images_are_used(tmp_path):
    datamodule = UnpairedDataModule(
        make_folders(tmp_path, {"trainA": 2, "trainB": 3}), resize=24, crop=(24, 24)
    )
    datamodule.setup("fit")
    assert [len(d) for d in datamodule.domains["test"]] == [2, 3]


def test_any_two_folders_will_do(tmp_path):
    make_folders(tmp_path, {"edges/old": 2, "photos": 4})
    datamodule = UnpairedDataModule(
        tmp_path, train_a="edges", train_b="photos", resize=24, crop=(24, 24)
    )
    datamodule.setup("fit")
    assert [len(d) for d in datamodule.domains["train"]] == [2, 4]


def test_a_list_names_the_files_of_its_folder(tmp_path):
    make_folders(tmp_path, FOLDERS)
    (tmp_path / "some.txt").write_text("./1.png\n3.png\n")
    datamodule = UnpairedDataModule(
        tmp_path, lists={"train_b": "some.txt", "test_b": None}, resize=24, crop=(24, 24)
    )
    datamodule.setup("fit")
    a, b = datamodule.domains["train"]
    assert len(a) == FOLDERS["trainA"]
    assert [file.relative_to(tmp_path).as_posix() for file in b.files] == [
        "trainB/1.png",
        "trainB/3.png",
    ]
    assert len(datamodule.domains["test"][1]) == FOLDERS["testB"]


def test_a_list_of_test_images_without_their_folder_is_not_passed_over(tmp_path):
    make_folders(tmp_path, {"trainA": 3, "trainB": 4})
    (tmp_path / "some.txt").write_text("1.png\n")
    datamodule = UnpairedDataModule(tmp_path, lists={"test_a": "some.txt"})
    with pytest.raises(FileNotFoundError, match=r"testA"):
        datamodule.setup("fit")


def test_a_list_of_no_folder_is_refused(tmp_path):
    with pytest.raises(TypeError, match="trainA"):
        UnpairedDataModule(tmp_path, lists={"trainA": "x.txt"})


def test_a_missing_list_is_named(tmp_path):
    make_folders(tmp_path, FOLDERS)
    datamodule = UnpairedDataModule(tmp_path, lists={"train_a": "none.txt"})
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        datamodule.setup("fit")


def test_channels_are_those_of_each_domain(tmp_path):
    datamodule = UnpairedDataModule(
        make_folders(tmp_path, FOLDERS),
        resize=24,
        crop=(24, 24),
        channels_a=1,
        channels_b=4,
        num_workers=0,
    )
    ((x_a, x_b),) = batches(datamodule, n=1)
    assert (x_a.shape[1], x_b.shape[1]) == (1, 4)


def test_max_images_limits_each_domain(tmp_path):
    datamodule = UnpairedDataModule(
        make_folders(tmp_path, FOLDERS), resize=24, crop=(24, 24), max_images=3
    )
    datamodule.setup("fit")
    assert [len(d) for d in datamodule.domains["train"]] == [3, 3]


def test_a_missing_folder_is_named(tmp_path):
    make_folders(tmp_path, {"trainA": 1})
    with pytest.raises(FileNotFoundError, match="trainB"):
        UnpairedDataModule(tmp_path).setup("fit")


def test_an_empty_domain_is_named(tmp_path):
    make_folders(tmp_path, {"trainA": 1, "trainB": 0})
    with pytest.raises(ValueError, match="trainB"):
        UnpairedDataModule(tmp_path).setup("fit")


def test_images_too_small_for_the_crop_are_named_before_training(tmp_path):
    make_folders(tmp_path, FOLDERS)
    with pytest.raises(ValueError, match=r"trainA/0\.png' is 30x40"):
        UnpairedDataModule(tmp_path, resize=None, crop=(32, 32)).setup("fit")


def test_a_crop_larger_than_the_resize_is_refused(tmp_path):
    make_folders(tmp_path, FOLDERS)
    with pytest.raises(ValueError, match="crop 30x30 does not fit"):
        UnpairedDataModule(tmp_path, resize=20, crop=(30, 30)).setup("fit")


@pytest.mark.parametrize("option", ["batch_size", "num_workers"])
def test_impossible_loaders_are_refused(option):
    with pytest.raises(ValueError, match=option):
        DrawnDataModule(**{option: -1})


def test_drawn_pairs_show_the_same_shoe_at_the_places_of_domain_a():
    datamodule = DrawnDataModule(length=6, batch_size=2, seed=3, paired=True)
    drawn = batches(datamodule)
    shoes = datamodule.domains["train"][0]
    for step, (x_a, x_b) in enumerate(drawn):
        truths = [shoes.truth(sample_at(2 * step + i, 6, "a", 3)) for i in range(2)]
        assert torch.equal(x_a, torch.stack([truth.x_a for truth in truths]))
        assert torch.equal(x_b, torch.stack([truth.x_b for truth in truths]))
        silhouettes = torch.stack([truth.silhouette for truth in truths])
        assert silhouette_iou(x_b, silhouettes).min() > 0.95


def test_drawn_validation_pairs_show_the_test_shoes_of_domain_a():
    datamodule = DrawnDataModule(test_length=5, batch_size=3, paired=True)
    datamodule.setup("fit")
    x_a, x_b = (torch.cat(xs) for xs in zip(*datamodule.val_dataloader(), strict=True))
    truths = [datamodule.domains["test"][0].truth(i) for i in range(5)]
    assert torch.equal(x_a, torch.stack([truth.x_a for truth in truths]))
    assert torch.equal(x_b, torch.stack([truth.x_b for truth in truths]))


def test_drawn_batches_without_pairs_show_each_domains_own_shoes():
    ((x_a, x_b),) = batches(DrawnDataModule(length=4, batch_size=4, seed=3), n=1)
    for name, x in (("a", x_a), ("b", x_b)):
        own = DrawnShoes(name, "train", 4, seed=3)
        assert torch.equal(x, torch.stack([own.load(sample_at(i, 4, name, 3)) for i in range(4)]))


def test_drawn_pairs_resume_and_share_processes_as_others_do():
    (whole,) = batches(DrawnDataModule(batch_size=4, paired=True), n=1, global_step=3)
    parts = [
        batches(
            DrawnDataModule(batch_size=2, paired=True),
            1,
            global_step=3,
            world_size=2,
            global_rank=r,
        )[0]
        for r in (0, 1)
    ]
    for domain in (0, 1):
        assert torch.equal(whole[domain], torch.cat([part[domain] for part in parts]))


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_evaluation_uses_is_the_same_with_pairs_and_without(split):
    modules = [DrawnDataModule(length=3, test_length=3, paired=p) for p in (True, False)]
    for module, paired in zip(modules, (True, False), strict=True):
        module.setup("fit")
        assert module.paired == paired
    for ours, theirs in zip(*(module.domains[split] for module in modules), strict=True):
        assert [ours.truth(i).shoe for i in range(3)] == [theirs.truth(i).shoe for i in range(3)]
        assert all(torch.equal(ours.load(i), theirs.load(i)) for i in range(3))


def test_drawn_splits_and_domains_show_different_shoes():
    datamodule = DrawnDataModule(length=4, test_length=4)
    datamodule.setup("fit")
    shoes = [
        domain.truth(i).shoe
        for split in ("train", "test")
        for domain in datamodule.domains[split]
        for i in range(4)
    ]
    assert len(set(shoes)) == 16
    assert isinstance(datamodule, TwoDomains)
