"""That a model knows the size of its images, through all files that it is kept in."""

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from methods import METHODS
from PIL import Image
from training import LEAST, fit, fit_least

from munit_pl import AlignedDataModule, DrawnDataModule, MUNITModule, Translator, UnpairedDataModule
from munit_pl.data.images.opening import MAX_PIXELS
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.data.sizes import ImageSize
from munit_pl.export.programs import export_graphs
from munit_pl.inference.generator_loading import read_generators
from munit_pl.models.base.description import export_generators, recall_images

SIZE = ImageSize(286, (256, 192))


def test_data_modules_say_how_they_bring_images_to_size():
    own = {"resize": 286, "crop": (256, 192)}
    for module, size in (
        (UnpairedDataModule("x", **own), SIZE),
        (AlignedDataModule("x", **own), SIZE),
        (UnpairedDataModule("x", resize=None, crop=(9, 8)), ImageSize(None, (9, 8))),
        (DrawnDataModule((64, 96)), ImageSize(64, (64, 96))),
    ):
        assert module.image_size == size


def test_a_checkpoint_has_the_size_as_plain_values_and_a_resumed_run_that_of_its_data(tmp_path):
    path = tmp_path / "run" / "checkpoints" / "00000002.ckpt"
    path.parent.mkdir(parents=True)
    loop = fit_least(2)
    loop.save_checkpoint(path)
    described = torch.load(path, weights_only=True)["generators"]
    for name in ("gen_a", "gen_b"):
        assert described[name]["image_size"] == {"resize": 16, "crop": [16, 16]}
    assert Translator.load(tmp_path / "run", device="cpu").image_size == (16, (16, 16))
    assert MUNITModule.load_from_checkpoint(tmp_path / "run").gen_b.image_size == (16, (16, 16))
    module = MUNITModule(**LEAST)
    data = DrawnDataModule((16, 20), length=8, test_length=4, batch_size=1, num_workers=0)
    loop = Trainer(max_steps=3, accelerator="cpu", logger=False, enable_checkpointing=False)
    loop.fit(module, data, ckpt_path=path, weights_only=True)
    assert module.gen_a.image_size == (16, (16, 20))


def test_images_of_few_bits_are_translated_in_the_range_of_training(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (16, 16))
    values[0, 0] = 4095
    for folder, shift in (("trainA", 0), ("trainB", 2)):
        (tmp_path / folder).mkdir()
        Image.fromarray((values >> shift).astype(np.uint16)).save(tmp_path / folder / "0.png")
    data = UnpairedDataModule(
        tmp_path, resize=None, crop=16, num_workers=0, max_value_b=2000, allow_same_domain=True
    )
    module = MUNITModule(**LEAST)
    loop = Trainer(max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False)
    loop.fit(module, data)
    loop.save_checkpoint(tmp_path / "x.ckpt")
    translator = Translator.load(tmp_path / "x.ckpt", device="cpu")
    for number, (domain, white) in enumerate((("a", 4095), ("b", 2000))):
        assert translator.max_value(domain) == white
        path = tmp_path / f"train{domain.upper()}" / "0.png"
        trained = data.domains["train"][number].load(0, None)
        with Image.open(path) as image:
            for given in (path, image):
                assert torch.equal(translator.read(given, domain)[0], trained)


def test_other_data_and_older_checkpoints_say_nothing(tmp_path):
    module = METHODS["munit"].make()
    fit(module).save_checkpoint(tmp_path / "x.ckpt")
    translator = Translator.load(tmp_path / "x.ckpt", device="cpu")
    assert (translator.image_size, translator.resize) == (None, None)


def test_exports_carry_the_size_along(tmp_path):
    module = METHODS["munit"].make()
    module.gen_a.image_size = module.gen_b.image_size = SIZE
    module.gen_b.max_value = 4095
    export_generators(tmp_path / "m.safetensors", module.gen_a, module.gen_b)
    module.save_pretrained(tmp_path / "folder")
    for path in ("m.safetensors", "folder"):
        gens = read_generators(tmp_path / path)
        assert [(gen.image_size, gen.max_value) for gen in gens] == [(SIZE, 65535), (SIZE, 4095)]
    assert MUNITModule.from_pretrained(tmp_path / "folder").gen_a.image_size == SIZE
    card = (tmp_path / "folder" / "README.md").read_text()
    size = "images of a shortest side of 286 pixels, cropped to 256x192"
    assert f"{size}; white is 4095 in 16-bit gray files for gen_b." in card


def test_so_do_graphs(tmp_path):
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    gens = METHODS["cyclegan"].make()
    gens.gen_a.image_size = gens.gen_b.image_size = SIZE
    gens.gen_a.max_value = 1023
    export_graphs(tmp_path, gens.gen_a, gens.gen_b, "onnx")
    translator = Translator.load(tmp_path)
    assert translator.image_size == SIZE
    assert [translator.max_value(domain) for domain in "ab"] == [1023, 65535]


def test_the_packages_model_was_trained_on_64_pixels():
    assert Translator.pretrained(device="cpu").image_size == ImageSize(64, (64, 64))


def test_an_image_is_read_at_the_size_of_training(tmp_path):
    to_pil_image(torch.zeros(3, 128, 192)).save(tmp_path / "x.png")
    translator = Translator.pretrained(device="cpu")
    for options, size in (
        ({}, (64, 96)),
        ({"resize": 32}, (32, 48)),
        ({"resize": (20, 24)}, (20, 24)),
        ({"resize": None}, (128, 192)),
    ):
        assert translator.read(tmp_path / "x.png", "a", **options).shape == (1, 3, *size)
    with pytest.raises(ValueError, match="more than 64 million pixels"):
        translator.read(tmp_path / "x.png", "a", resize=int(MAX_PIXELS**0.5))


def test_a_strangers_size_is_looked_at():
    assert ImageSize.from_plain(None) is None
    for said in (
        64,
        {},
        {"resize": 0, "crop": [64, 64]},
        {"resize": 10**9, "crop": [64, 64]},
        {"resize": 64, "crop": [64]},
        {"resize": 64, "crop": "64"},
        {"resize": "64", "crop": [64, 64]},
    ):
        with pytest.raises(ValueError, match="its images' size is "):
            ImageSize.from_plain(said)


def test_a_strangers_white_is_looked_at():
    gen = METHODS["munit"].make().gen_a
    for said in (0, 65536, "4095", 1e9, None):
        with pytest.raises(ValueError, match="its images' white is "):
            recall_images({"gen_a": gen}, {"gen_a": {"max_value": said}})


def test_a_checkpoint_of_another_method_is_told_with_both(tmp_path):
    fit(METHODS["munit"].make(), steps=1).save_checkpoint(tmp_path / "x.ckpt")
    for other in ("unit", "cyclegan"):
        cls = METHODS[other].module
        with pytest.raises(ValueError, match=f"a checkpoint of MUNIT, .* as {cls.__name__}: .*"):
            cls.load_from_checkpoint(tmp_path / "x.ckpt")
