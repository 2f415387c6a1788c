from types import SimpleNamespace

import pytest
import torch
from fake_cuda.device import cuda_device
from training import make_trainer

from munit_pl import DrawnDataModule, MUNITModule
from munit_pl.commands.runtime import out_of_memory
from munit_pl.commands.runtime.out_of_memory import ADVICE, explain_out_of_memory
from munit_pl.commands.runtime.peak_memory import predict_peak
from munit_pl.commands.train import RunFailed, train

ERROR = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nand more")
GIB = 2**30


def predict(module, height, width, batch, precision, device, **settings):
    """16 GiB at 512x512 with batches of four; a quarter if recomputed, half in half precision."""
    need = height * width * batch // 2**16 * GIB
    need //= 4 if settings.get("checkpoint_activations") else 1
    need //= settings.get("accumulate", 1)
    return need // 2 if precision == "bf16-mixed" else need


@pytest.fixture
def explain(tiny, monkeypatch):
    def run(there, predict=predict, **options):
        monkeypatch.setattr(out_of_memory, "predict_peak", predict)
        monkeypatch.setattr(out_of_memory, "device_memory", lambda _: there and int(there * GIB))
        datamodule = DrawnDataModule(size=(512, 512), batch_size=4)
        return explain_out_of_memory(
            ERROR, MUNITModule(**tiny, **options), datamodule, make_trainer()
        )

    return run


STEPS = [
    "model.checkpoint_activations=true",
    "model.accumulate=4",
    "trainer.precision=bf16-mixed",
    "data.size=[256,256]",
]


@pytest.mark.parametrize(
    ("there", "settings", "would"),
    [  # a tenth of the memory is left free
        (6, STEPS[:1], "4 GiB"),
        (1.2, STEPS[:2], "1 GiB"),
        (0.6, STEPS[:3], "0.5 GiB"),
        (0.2, STEPS, "0.125 GiB"),
    ],
)
def test_it_names_the_mildest_settings_that_fit(explain, there, settings, would):
    said = explain(there)
    assert said.startswith("the GPU's memory is full: an iteration at 512x512 with batches of 4 ")
    assert f"takes 16 GiB by prediction, and the device has {there} GiB; " in said
    assert f"with {' '.join(settings)} it would take {would}. CUDA out of memory" in said
    assert "\n" not in said


def test_what_is_on_already_is_not_advised(explain):
    assert "; with model.accumulate=4 it would" in explain(6, checkpoint_activations=True)
    with_both = explain(10, checkpoint_activations=True, accumulate=4)
    assert "; with trainer.precision=bf16-mixed it would take 8 GiB" in with_both


def test_it_says_if_nothing_fits(explain):
    assert f"; even with {' '.join(STEPS)} it would take 0.125 GiB. " in explain(0.1)


def test_it_says_if_an_iteration_should_have_fitted(explain):
    assert "takes 16 GiB by prediction, and the device has 20 GiB, so that other" in explain(20)


def test_a_prediction_that_cannot_be_made_costs_the_prediction_alone(explain):
    def fail(*_, **__):
        raise RuntimeError("no such kernel")

    said = explain(6, predict=fail)
    assert (
        said == f"the GPU's memory is full: {ADVICE}. CUDA out of memory. Tried to allocate 2 GiB"
    )


def test_it_predicts_for_the_device_that_was_trained_on(tiny, monkeypatch):
    monkeypatch.setattr(out_of_memory, "device_memory", lambda _: GIB // 128)
    device = SimpleNamespace(root_device=torch.device("cuda", 0))
    trainer = SimpleNamespace(strategy=device, precision="bf16-mixed")
    datamodule = DrawnDataModule(size=(64, 64), batch_size=2)
    with cuda_device():
        said = explain_out_of_memory(ERROR, MUNITModule(**tiny), datamodule, trainer)
    assert "and the device has 0.00781 GiB; with model.checkpoint_activations=true it" in said


def test_a_run_ends_with_what_it_would_have_taken(config, tiny):
    fault = ["callbacks=[default,fault_injection]", "callbacks.fault.kind=out_of_memory"]
    with pytest.raises(RunFailed) as caught:
        train(config(*fault, "callbacks.fault.step=1"))
    need = predict_peak(MUNITModule(**tiny), 16, 16, 1)
    told = f"an iteration at 16x16 with batches of 1 takes {need / GIB:.3g} GiB by prediction"
    assert f"the GPU's memory is full: {told}; {ADVICE}. a fault was injected" == str(caught.value)
