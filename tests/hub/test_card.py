import hashlib
import json

import pytest
import yaml

from munit_pl.hub.card import DRAWN, Facts, facts_beside, model_card
from munit_pl.hub.pretrained import PRETRAINED

NETWORKS = {"gen_a": {"kind": "AdaINGenerator", "arguments": {"dim": 4}}}


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "run/checkpoints/last.ckpt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    return path


def report(sha256):
    metrics = {"a2b/fid": {"value": 31.5, "label": "FID"}, "a2b/none": {"value": None}}
    checkpoint = {"checkpoint": "last.ckpt", "sha256": sha256}
    return json.dumps({"protocol": "munit2018 v1", "checkpoint": checkpoint, "metrics": metrics})


def test_nothing_beside_a_checkpoint_is_nothing_known(checkpoint):
    assert facts_beside(checkpoint) == Facts()
    card = model_card(NETWORKS, Facts(), whole=False)
    assert "Trained on: not told." in card
    assert "None are known." in card
    assert "ask whoever trained it" in card
    assert "license:" not in card
    assert "from_pretrained" not in card


def test_a_run_on_drawn_shoes_tells_data_and_metrics(checkpoint):
    (checkpoint.parents[1] / "drawn.json").write_text('{"a2b/silhouette_iou": 0.9613}')
    facts = facts_beside(checkpoint)
    assert facts.data == DRAWN
    assert facts.license is None
    card = model_card(NETWORKS, facts, whole=False)
    assert "| a2b/silhouette_iou | 0.9613 |" in card
    assert "drawn.json" in card


@pytest.mark.parametrize(
    "where", ["metrics.json", "../metrics.json", "../evaluation/x/metrics.json"]
)
def test_a_report_on_this_very_file_is_quoted(checkpoint, where):
    path = checkpoint.parent / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report(hashlib.sha256(b"weights").hexdigest()))
    facts = facts_beside(checkpoint)
    assert facts.metrics == {"a2b/fid": 31.5}
    assert "protocol munit2018 v1" in facts.measured
    assert facts.data is None


def test_a_report_on_another_file_is_not(checkpoint):
    (checkpoint.parent / "metrics.json").write_text(report("0" * 64))
    assert facts_beside(checkpoint) == Facts()


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, '{"metrics": "x"}', " " * (2 << 20)])
def test_a_broken_report_keeps_nobody_from_exporting(checkpoint, text):
    for path in (checkpoint.parent / "metrics.json", checkpoint.parents[1] / "drawn.json"):
        path.write_text(text)
    assert facts_beside(checkpoint) == Facts()


def test_metrics_of_another_shape_are_left_out(checkpoint):
    said = json.loads(report(hashlib.sha256(b"weights").hexdigest()))
    for metrics in (3, [], {"a": 3}, {"a": {"value": "high"}}):
        text = json.dumps({**said, "metrics": metrics})
        (checkpoint.parent / "metrics.json").write_text(text)
        assert not facts_beside(checkpoint).metrics


def test_the_package_says_what_it_knows_of_its_own_model():
    facts = facts_beside(PRETRAINED["drawn-shoes"])
    card = model_card({}, facts, whole=False)
    for said in ("of 1467 iterations", "| silhouette IoU | 0.962 |", 'license: "apache-2.0"'):
        assert said in card
    assert "not told" not in card


def test_nothing_of_a_report_means_anything_to_markdown_or_html(checkpoint):
    hostile = "x |\n\n## License\n\n<script>`[a](b)*\x1b[2J"
    said = json.loads(report(hashlib.sha256(b"weights").hexdigest()))
    said |= {"protocol": hostile, "metrics": {hostile: {"value": 1.5}}}
    (checkpoint.parent / "metrics.json").write_text(json.dumps(said))
    facts = facts_beside(checkpoint)._replace(data=hostile, license=hostile)
    networks = {"gen_a": {"kind": hostile, "arguments": {hostile: hostile}}}
    card = model_card(networks, facts, whole=False)
    shown = r"x \| \#\# License \<script\>\`\[a\](b)\* \[2J"
    assert card.count(shown) == 7
    body = card.split("---\n", 2)[2].replace(shown, "")
    assert body.count("\n## License\n") == 1
    assert "<" not in body
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == hostile
