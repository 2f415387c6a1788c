import re
from pathlib import Path

import pytest
import yaml

from munit_pl.data.tools.catalogue import CATALOGUE

ROOT = Path(__file__).parents[3]
EXPERIMENTS = [(one, name) for one in CATALOGUE.values() for name in one.experiments]


def test_a_set_has_an_address_or_says_what_to_fetch():
    for one in CATALOGUE.values():
        assert bool(one.url) != bool(one.by_hand)
        assert one.page.startswith("https://")
        assert (one.sha256 is None) == (one.recorded_by == "")
        assert one.sha256 is None or re.fullmatch("[0-9a-f]{64}", one.sha256)
        assert len(one.what.split(", ")) >= 2


def test_no_two_sets_share_a_checksum():
    sums = [one.sha256 for one in CATALOGUE.values() if one.sha256]
    assert len(set(sums)) == len(sums) == 7


def test_an_experiment_looks_where_the_download_puts_its_data_and_says_how_to_get_it():
    for one, name in EXPERIMENTS:
        experiment = yaml.safe_load((ROOT / "conf" / "experiment" / f"{name}.yaml").read_text())
        folder = name if one.classes else one.name
        assert experiment["data"]["root"] == f"${{oc.env:MUNIT_DATA,datasets}}/{folder}"
        assert experiment["name"] == name
        command = f"munit-data download {one.name}"
        if one.classes:
            a, b = name.removeprefix(f"{one.name}_").split("2")
            assert {a, b} <= set(one.classes)
            command += f" --domains {a} {b}"
        assert f"`{command}`" in experiment["data_hint"]


def test_the_page_on_data_names_every_set():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "data.md").read_text(), re.MULTILINE)
    assert rows == list(CATALOGUE)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (35_135_868, "35 MB"),
        (8 * 10**9, "8 GB"),
        (1_476_754_427, "1.5 GB"),
    ],
)
def test_sizes_are_told_in_words(size, shown):
    assert CATALOGUE["maps"]._replace(size=size).shown_size == shown
    assert CATALOGUE["cityscapes"].shown_size == "by hand"
