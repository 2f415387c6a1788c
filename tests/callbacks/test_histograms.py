import pytest
import torch
from training import make_trainer

from munit_pl import DrawnDataModule
from munit_pl.callbacks import histograms
from munit_pl.callbacks.histograms import Histograms, gradients

GRADIENTS = {f"histogram/gradient_{name}" for name in ("gen_a", "gen_b", "dis_a", "dis_b")}


@pytest.fixture
def logged(monkeypatch):
    """Train a method for three iterations; return what was logged, by iteration."""
    found = {}
    monkeypatch.setattr(
        histograms, "log_histograms", lambda t, values: found.update({t.global_step: values})
    )

    def run(method, **options):
        data = DrawnDataModule(size=(16, 16), length=4, test_length=3, paired=method.module.paired)
        loop = make_trainer(max_steps=3, callbacks=[Histograms(**options)])
        loop.fit(module := method.make(), data)
        return found, module, data

    return run


@pytest.mark.parametrize("method", ["munit"], indirect=True)
def test_styles_are_those_of_test_images_and_gradients_of_all_four_networks(logged, method):
    found, module, data = logged(method, every_n_steps=3, num_images=2)
    assert list(found) == [3]
    values = found[3]
    assert set(values) == GRADIENTS | {"histogram/style_a", "histogram/style_b"}
    with torch.no_grad():
        expected = module.encode(data.first_images("test", "b", 2), "b")[1]
    torch.testing.assert_close(values["histogram/style_b"], expected)


@pytest.mark.parametrize("method", ["cyclegan"], indirect=True)
def test_a_method_without_styles_has_gradients_only(logged, method):
    found, _, _ = logged(method, every_n_steps=1)
    assert list(found) == [1, 2, 3]
    assert set(found[1]) == GRADIENTS


@pytest.mark.parametrize("method", ["cyclegan"], indirect=True)
def test_none_are_logged_unless_asked_for(logged, method):
    assert logged(method)[0] == {}


def test_gradients_are_powers_of_ten_without_zeros():
    networks = {name: torch.nn.Linear(1, 3, bias=False) for name in ("gen_a", "gen_b", "dis_a")}
    module = torch.nn.ModuleDict(networks | {"dis_b": torch.nn.Linear(1, 1)})
    module["gen_a"].weight.grad = torch.tensor([[-100.0], [0.0], [0.1]])
    ((name, values),) = gradients(module)
    assert name == "histogram/gradient_gen_a"
    torch.testing.assert_close(values, torch.tensor([2.0, -1.0]))


@pytest.mark.parametrize("wrong", [{"every_n_steps": 0}, {"num_images": 0}])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        Histograms(**wrong)
