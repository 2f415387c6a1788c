import json
import re
from dataclasses import replace
from importlib.metadata import version
from math import inf, nan

import pytest

from munit_pl.evaluation.report import MetricValue, Report

METRICS = [
    MetricValue("a2b/diversity", "diversity, pixels", 0.123456, "higher", 0.25),
    MetricValue("a2b/chance", "by chance", 71.0, ""),
    MetricValue("b2a/fd", "FD (lite0)", 3.5, "lower"),
]


@pytest.fixture
def report():
    return Report(
        protocol="munit2018 v1",
        settings={"inputs": 4, "pairs": 19, "subset": None},
        deviations=["inputs 4 instead of 100"],
        metrics=METRICS,
        distributions={"a2b: diversity": [0.1, 0.15]},
        networks={"features": "lite0", "distance": "pixels"},
        checkpoint={"checkpoint": "last.ckpt", "sha256": "ab12"},
        data={"data": "shoes, 64x64"},
        seed=7,
        seconds=1.5,
    )


def strictly(path):
    """Read JSON as the standard has it, in which there is no NaN."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.mark.parametrize(
    ("missing", "message"),
    [({"protocol": ""}, "the name of its protocol"), ({"metrics": []}, "munit2018 v1 measured no")],
)
def test_a_report_without_protocol_or_metrics_cannot_be_made(report, missing, message):
    with pytest.raises(ValueError, match=message):
        replace(report, **missing)


def test_metrics_json_holds_all_that_the_report_does(report, tmp_path):
    report.write(tmp_path / "new" / "folder")
    read = strictly(tmp_path / "new" / "folder" / "metrics.json")
    packages = ("munit-pl", "torch", "torchmetrics")
    assert read.pop("versions") == {package: version(package) for package in packages}
    assert read.pop("device").keys() == {"threads"}
    assert read == {
        "protocol": "munit2018 v1",
        "settings": {"inputs": 4, "pairs": 19, "subset": None},
        "deviations": ["inputs 4 instead of 100"],
        "metrics": {metric.key: metric._asdict() for metric in METRICS},
        "distributions": {"a2b: diversity": [0.1, 0.15]},
        "networks": {"features": "lite0", "distance": "pixels"},
        "checkpoint": {"checkpoint": "last.ckpt", "sha256": "ab12"},
        "data": {"data": "shoes, 64x64"},
        "seed": 7,
        "seconds": 1.5,
    }


def test_what_is_no_finite_number_is_null_in_json(report, tmp_path):
    metrics = [MetricValue("a2b/x", "x", nan, "higher", -inf), *METRICS]
    replace(report, metrics=metrics, distributions={"x": [1.0, inf, nan]}).write(tmp_path)
    read = strictly(tmp_path / "metrics.json")
    assert (read["metrics"]["a2b/x"]["value"], read["metrics"]["a2b/x"]["real"]) == (None, None)
    assert read["metrics"]["a2b/diversity"]["value"] == 0.123456
    assert read["distributions"]["x"] == [1.0, None, None]


def test_the_table_has_each_metric_beside_that_of_real_images(report, tmp_path):
    report.write(tmp_path)
    lines = (tmp_path / "metrics.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# Protocol munit2018 v1, with deviations"
    assert lines[4:7] == [
        "| a2b | diversity, pixels | 0.1235 | 0.25 | ↑ |",
        "| a2b | by chance | 71 |  |  |",
        "| b2a | FD (lite0) | 3.5 |  | ↓ |",
    ]


def test_the_table_stands_above_how_it_came_about(report):
    told = report.markdown()
    assert "- protocol munit2018 v1: inputs 4, pairs 19, subset all; seed 7\n" in told
    assert "- deviation: inputs 4 instead of 100\n" in told
    for line in ("features: lite0", "distance: pixels", "sha256: ab12", "data: shoes, 64x64"):
        assert f"- {line}\n" in told


def test_a_report_to_the_letter_says_so(report):
    told = replace(report, deviations=[]).markdown()
    assert told.startswith("# Protocol munit2018 v1\n")
    assert "deviation" not in told


def test_an_older_report_is_replaced_whole(report, tmp_path):
    report.write(tmp_path)
    replace(report, protocol="drawn v1", metrics=METRICS[:1]).write(tmp_path)
    assert strictly(tmp_path / "metrics.json")["protocol"] == "drawn v1"
    assert len(re.findall(r"^\| [ab]2[ab]", (tmp_path / "metrics.md").read_text(), re.M)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "metrics.md"}
