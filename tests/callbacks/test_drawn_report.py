import json

import pytest
from PIL import Image

from munit_pl import DrawnDataModule, MUNITModule, Translator
from munit_pl.callbacks.drawn_report import DrawnReport
from munit_pl.evaluation.evaluate import evaluate
from munit_pl.evaluation.protocols.registry import find_protocol
from munit_pl.evaluation.task import EvaluationTask


class Run:
    global_rank, world_size, is_global_zero, callbacks = 0, 1, True, ()

    def __init__(self, datamodule):
        self.datamodule = datamodule


def test_the_report_saves_logs_and_draws_what_the_protocol_measures(tiny, tmp_path, caplog):
    datamodule, module = DrawnDataModule(test_length=5, length=9), MUNITModule(**tiny)
    datamodule.setup()
    with caplog.at_level("INFO", "munit_pl"):
        DrawnReport(tmp_path, seed=3).on_train_end(Run(datamodule), module)
    metrics = json.loads((tmp_path / "drawn.json").read_text())
    told = caplog.text
    assert "On 5 test drawings, 8 random styles each" in told
    assert f"IoU {metrics['a2b/silhouette_iou']:.3f}" in told
    assert Image.open(tmp_path / "drawn.png").width > 9 * 64

    translator = Translator(module.gen_a, module.gen_b, device="cpu")
    task = EvaluationTask(translator, *datamodule.domains.values(), seed=3)
    report = evaluate(find_protocol("drawn", limit=5), task, None, {}, {})
    assert {metric.key: metric.value for metric in report.metrics} == metrics


def test_other_data_is_refused(tiny, tmp_path):
    with pytest.raises(TypeError, match="data=drawn"):
        DrawnReport(tmp_path).on_train_end(Run(None), MUNITModule(**tiny))
    with pytest.raises(TypeError, match="data=drawn"):  # and before training already
        DrawnReport(tmp_path).on_fit_start(Run(None), MUNITModule(**tiny))
