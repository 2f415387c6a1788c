"""Folders of images as what methods are compared on."""

import pytest
import torch
from PIL import Image

from munit_pl import AlignedDataModule, UnpairedDataModule
from munit_pl.evaluation.comparison.folder_subject import FolderSubject, mean_color
from munit_pl.evaluation.comparison.measure import make_subject
from munit_pl.evaluation.comparison.rows import Extent
from munit_pl.inference.translator import Translator
from munit_pl.models.munit.networks import AdaINGenerator

EXTENT = Extent(inputs=4, styles=2, varied=2, pairs=2, compared=200, subset=100)


def write(folder, n, size=(20, 24), start=0):
    folder.mkdir(parents=True)
    for i in range(n):
        Image.new("RGB", size, (start + i, 100, 200 - i)).save(folder / f"{i:02}.png")


def unpaired(root, **options):
    return UnpairedDataModule(root, resize=16, crop=16, num_workers=0, **options)


class Echo:
    """Paints all of an image in the red of its style, and the style is the example's red."""

    reads_styles, reconstructs = True, False

    def style_dim(self, domain):
        return 1

    def encode_style(self, x, domain):
        return x[:, 0].mean((1, 2))[:, None]

    def translate(self, x, styles, to="b"):
        return styles[None, :, :, None, None].expand(len(x), -1, 3, 16, 16)


def test_sets_are_as_large_as_the_smallest_and_of_several_sizes(tmp_path):
    for name, n, size in (("trainA", 9, (20, 24)), ("trainB", 30, (40, 20)), ("testB", 12, (9, 9))):
        write(tmp_path / name, n, size)
    subject = make_subject(unpaired(tmp_path), EXTENT)
    assert subject.size == (16, 16)
    assert (len(subject.inputs), len(subject.real), len(subject.others)) == (9, 12, 30)
    assert (subject.extent.inputs, subject.extent.compared, subject.extent.subset) == (4, 9, 9)
    assert "no test images of domain a:" in " ".join(subject.wording.notes)
    assert subject.wording.title.endswith(": trainA to trainB")
    label, x, real = subject.show(2, 5)
    assert (label, x.shape, real.shape) == ("input, real images", (2, 3, 16, 16), (2, 5, 3, 16, 16))


def test_without_test_images_real_ones_and_others_are_halves(tmp_path):
    write(tmp_path / "trainA", 8)
    write(tmp_path / "trainB", 17)
    subject = make_subject(unpaired(tmp_path), EXTENT)
    reds = [
        mean_color(torch.stack([d.load(i, None) for i in range(len(d))]))[:, 0].tolist()
        for d in (subject.real, subject.others)
    ]
    assert reds[0] == pytest.approx(list(range(0, 17, 2)), abs=0.01)
    assert reds[1] == pytest.approx(list(range(1, 17, 2)), abs=0.01)


def test_too_few_images_are_refused(tmp_path):
    write(tmp_path / "trainA", 8)
    write(tmp_path / "trainB", 15)
    with pytest.raises(
        ValueError, match=r"15 training images, and no test images, but .* takes 16"
    ):
        make_subject(unpaired(tmp_path), EXTENT)
    write(tmp_path / "testA", 7, start=50)
    write(tmp_path / "testB", 8, start=50)
    with pytest.raises(ValueError, match="domain a has 7 test images, but a comparison takes 8"):
        make_subject(unpaired(tmp_path), EXTENT)


def test_colors_are_means_of_images_and_examples_those_of_other_inputs(tmp_path):
    for name, start in (("trainA", 0), ("trainB", 0), ("testA", 60), ("testB", 100)):
        write(tmp_path / name, 8, start=start)
    subject = make_subject(unpaired(tmp_path), EXTENT)
    metrics, real = subject.measure(Echo())
    # Reds of 100 to 103 are followed in all channels; green is 100, and blue 200 - i.
    reds = torch.tensor([101.0, 102, 103, 100])
    wanted = torch.stack([reds, torch.full((4,), 100.0), 300 - reds], 1)
    error = (reds[:, None] - wanted).abs().mean()
    assert metrics["guided_error"] == pytest.approx(error.item(), abs=0.01)
    assert metrics["chance_error"] > metrics["guided_error"]
    assert metrics["color_spread"] > 0
    assert real["color_spread"] == pytest.approx(1, abs=1e-4)
    assert real["color_energy"] > 1  # the red of the training images is 100 lower
    same, _ = subject.measure(
        Translator(
            *(AdaINGenerator(dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"), device="cpu"
        )
    )
    assert same.keys() == {*metrics, "transfer_error"}


def test_a_pairs_partner_stands_beside_it(tmp_path):
    write(tmp_path / "train", 16, (32, 16))
    data = AlignedDataModule(tmp_path, resize=16, crop=16, num_workers=0)
    subject = make_subject(data, EXTENT)
    assert isinstance(subject, FolderSubject)
    label, x, real = subject.show(2, 5)
    assert label == "input, its partner"
    assert torch.equal(x[:, None], real)  # both halves are of one color
    assert "which images are pairs" in " ".join(subject.wording.notes)
