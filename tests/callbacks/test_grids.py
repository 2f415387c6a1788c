import pytest
import torch
from PIL import Image
from training import fit_least

from munit_pl import DrawnDataModule, MUNITModule
from munit_pl.callbacks.grids import ImageGrid
from munit_pl.reports.grid import draw_grid


class Run:
    def __init__(self, datamodule, global_step=10):
        self.datamodule = datamodule
        self.global_step = global_step
        self.is_global_zero = True
        self.loggers = self.callbacks = []
        self.precision_plugin = self

    def forward_context(self):
        return torch.no_grad()


def rows(grid, module, step=0):
    x_a, x_b = torch.rand(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        return dict(grid.rows(module, x_a, x_b, "a", "b", step)), x_a, x_b


def test_rows_are_what_their_labels_say(tiny, tmp_path):
    module = MUNITModule(**tiny)
    shown, x_a, x_b = rows(ImageGrid(tmp_path, num_styles=2), module)
    assert list(shown) == [
        "input",
        "reconstruction",
        "style 1",
        "style 2",
        "new styles",
        "example",
        "its style",
    ]
    assert torch.equal(shown["input"], x_a)
    assert torch.equal(shown["example"], x_b)
    with torch.no_grad():
        assert torch.equal(shown["reconstruction"], module.gen_a(x_a))
        guided = module.translate(x_a, module.encode(x_b, "b")[1])
    assert torch.equal(shown["its style"], guided)


STYLES = ["style 1", "style 2", "new styles"]


@pytest.mark.parametrize(
    ("method", "labels"),
    [
        ("unit", ["input", "reconstruction", "translation"]),
        ("cyclegan", ["input", "translation"]),
        ("noisy_cyclegan", ["input", *STYLES]),
        ("bicyclegan", ["input", *STYLES, "example", "its style"]),
    ],
    indirect=["method"],
    ids=str,
)
def test_a_method_has_the_rows_that_it_can_show(method, labels, tmp_path):
    module = method.make()
    shown, x_a, x_b = rows(ImageGrid(tmp_path, num_styles=2), module)
    assert list(shown) == labels
    with torch.no_grad():
        style = module.encode(x_b, "b")[1]  # of length 0 where there is no example's
        if "translation" in labels:
            assert torch.equal(shown["translation"], module.translate(x_a, style))
        if "its style" in labels:
            assert torch.equal(shown["its style"], module.translate(x_a, style))


def test_fixed_styles_stay_and_new_styles_change_with_the_iterations(tiny, tmp_path):
    module, grid = MUNITModule(**tiny), ImageGrid(tmp_path)
    (first, *_), (later, *_) = rows(grid, module, 100), rows(grid, module, 200)
    assert torch.equal(first["style 1"], later["style 1"])
    assert not torch.equal(first["style 1"], first["style 2"])
    assert not torch.equal(first["new styles"], later["new styles"])


def test_colors_are_true_to_the_pixel():
    """No stretch: mid-gray stays mid-gray, and so do darker and lighter images beside it."""
    values = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    images = values[:, None, None, None].expand(5, 3, 20, 20)
    grid = draw_grid([("", images)])
    left = grid.width - 5 * 22
    pixels = [grid.getpixel((left + 22 * i + 10, 10)) for i in range(5)]
    assert pixels == [(v, v, v) for v in (0, 64, 128, 191, 255)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_grids_show_images_of_any_channels(channels):
    grid = draw_grid([("x", torch.ones(2, channels, 16, 16))])
    assert grid.mode == "RGB"
    assert grid.getpixel((grid.width - 8, 8)) == (255, 255, 255)


def test_a_domain_with_fewer_images_than_columns_is_shown_whole(tiny, tmp_path):
    datamodule = DrawnDataModule(size=(16, 16), test_length=3)
    datamodule.setup("fit")
    grid = ImageGrid(tmp_path, every_n_steps=10, num_images=8)
    grid.on_train_batch_end(Run(datamodule), MUNITModule(**tiny))
    picture = Image.open(tmp_path / "00000010_a2b.png")
    assert picture.height == 8 * 18
    assert picture.width < 8 * 18 + 100


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_grids_take_the_networks_precision(tmp_path, precision):
    fit_least(1, ImageGrid(tmp_path, every_n_steps=1), precision=precision)
    assert Image.open(tmp_path / "00000001_a2b.png").width > 16


def test_no_grid_between_its_iterations(tiny, tmp_path):
    grid = ImageGrid(tmp_path / "grids", every_n_steps=3)
    grid.on_train_batch_end(Run(None), MUNITModule(**tiny))
    assert not (tmp_path / "grids").exists()


def test_a_run_on_other_data_is_told_what_grids_need(tiny, tmp_path):
    with pytest.raises(TypeError, match="this package's data modules"):
        ImageGrid(tmp_path, every_n_steps=1).on_train_batch_end(Run(None), MUNITModule(**tiny))
    with pytest.raises(TypeError, match="this package's data modules"):  # before training already
        ImageGrid(tmp_path).on_fit_start(Run(None), MUNITModule(**tiny))


def test_impossible_settings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        ImageGrid(tmp_path, num_images=0)


def test_a_full_disk_costs_a_grid_and_not_the_run(tiny, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no space left on device")

    datamodule = DrawnDataModule(size=(16, 16), length=2, test_length=2)
    datamodule.setup()
    monkeypatch.setattr(Image.Image, "save", fail)
    grid = ImageGrid(tmp_path, every_n_steps=10)
    with pytest.warns(UserWarning, match="a grid could not be written: no space"):
        grid.on_train_batch_end(Run(datamodule), MUNITModule(**tiny))
