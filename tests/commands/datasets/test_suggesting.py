from pathlib import Path

import pytest
from PIL import Image

from munit_pl.commands.datasets.suggesting import suggest_settings, try_out
from munit_pl.data.tools.decoded_image import DecodedImage
from munit_pl.data.tools.inspection import Inspection


def inspection(domain, side, count, colored=(True,), split="train"):
    image = DecodedImage((side, 2 * side), "JPEG RGB", False, False, False, 255, "digest", colored)
    return Inspection(split, domain, Path(), decoded={Path(f"{i}"): image for i in range(count)})


def settings(a, b, device="cpu"):
    return dict(s.split("=", 1) for s in suggest_settings([a, b], ["data=folder"], device))


def test_size_channels_and_recipe_follow_from_the_images():
    found = settings(inspection("a", 300, 2000), inspection("b", 300, 50))
    assert found["data.resize"] == "64"
    assert found["data.crop"] == "64"
    assert "+recipe" not in found
    assert "model.input_channels_a" not in found
    found = settings(inspection("a", 300, 2000), inspection("b", 300, 49, (False,)), "cuda")
    assert found["data.resize"] == "128"
    assert found["+recipe"] == "diffaugment"
    assert "model.input_channels_a" not in found
    assert found["model.input_channels_b"] == "1"
    found = settings(inspection("a", 20, 10), inspection("b", 110, 90), "cuda")
    assert found["data.resize"] == "96"  # a multiple of 16, not above the median
    found = settings(inspection("a", 20, 100), inspection("b", 30, 90))
    assert found["data.resize"] == "64"


def test_of_files_that_hold_both_domains_each_half_counts():
    found = [inspection("", 300, 9, (False, True)), inspection("", 300, 9, (False, False))]
    assert "model.input_channels_a=1" in suggest_settings(found, [], "cpu")
    assert "model.input_channels_b=1" not in suggest_settings(found, [], "cpu")


@pytest.mark.slow
def test_a_run_on_the_images_is_timed(tmp_path):
    for folder in ("trainA", "trainB"):
        (tmp_path / "my photos" / folder).mkdir(parents=True)
        for i in range(2):
            Image.linear_gradient("L").rotate(90 * i).save(
                tmp_path / "my photos" / folder / f"{i}.png"
            )
    data = ["data=folder", f"data.root={tmp_path / 'my photos'}", "data.allow_same_domain=true"]
    found = [inspection("a", 256, 2, (False,)), inspection("b", 256, 2)]
    trial = try_out(suggest_settings(found, data, "cpu"), "cpu")
    assert trial.steps == 2000
    assert 0 < trial.seconds < 60
    assert 2**20 < trial.peak < 2**30
