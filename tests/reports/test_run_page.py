import json
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from munit_pl.reports.run_page import write_run_page

HOSTILE = "<script>alert('x')</script>&<img src=http://example.org/x.png>"


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, folder):
        super().__init__()
        self.tags = []
        self.text = ""
        self.source = (folder / "index.html").read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def addresses(self):
        names = ("src", "href", "srcset", "action", "data", "poster")
        return [value for _, found in self.tags for name, value in found.items() if name in names]

    def images(self):
        return [found["src"] for tag, found in self.tags if tag == "img"]


@pytest.fixture
def folder(tmp_path):
    """A run's folder with two grids, a log, settings and what the drawn report leaves."""
    run = tmp_path / "demo" / "first"
    for name in ("grids", "csv/version_0", ".hydra"):
        (run / name).mkdir(parents=True)
    for step in (100, 20000000000):
        for direction in ("a2b", "b2a"):
            Image.new("RGB", (4, 4)).save(run / "grids" / f"{step:08d}_{direction}.png")
    (run / "csv/version_0/metrics.csv").write_text(
        "epoch,eval/a2b/kid,gen/image_a,gen/image_b,gen/total,step\n0,,1,2,7,0\n0,4,3,5,6,1\n"
    )
    (run / ".hydra/overrides.yaml").write_text(json.dumps(["seed=3", f"name={HOSTILE}"]))
    (run / ".hydra/config.yaml").write_text(f"seed: 3\nname: {HOSTILE}\n")
    (run / "drawn.json").write_text(json.dumps({"a2b/silhouette_iou": 0.95}))
    Image.new("RGB", (4, 4)).save(run / "drawn.png")
    return run


@pytest.fixture
def page(folder):
    write_run_page(folder, f"training {HOSTILE}", {"method": "MUNITModule", "x": HOSTILE})
    return Page(folder)


def test_the_newest_grid_comes_first_and_large_then_all_of_them(page):
    newest = [f"grids/20000000000_{d}.png" for d in ("a2b", "b2a")]
    older = [f"grids/00000100_{d}.png" for d in ("a2b", "b2a")]
    assert page.images() == [*newest, *newest, *older, "drawn.png"]
    assert '"00000100", "20000000000"' in page.source


def test_every_address_is_a_file_of_the_run(page, folder):
    addresses = page.addresses()
    assert addresses
    for address in addresses:
        assert address == "data:," or (folder / address).is_file(), address


def test_nothing_of_a_run_becomes_markup(page):
    assert "<script>alert" not in page.source
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count(HOSTILE) == 4  # state, fact, override, settings


def test_metrics_curves_and_settings_are_told(page):
    assert "demo/first" in page.text
    assert "MUNITModule" in page.text
    for metric in ("6gen/total", "4eval/a2b/kid", "a2b/silhouette_iou0.95", "a 3", "b 5"):
        assert metric in page.text, metric
    assert re.search(r"seed: 3\nname", page.text)
    assert [tag for tag, _ in page.tags].count("svg") == 3


def test_a_folder_with_nothing_in_it_makes_a_page_that_says_so(tmp_path):
    write_run_page(tmp_path, "training", {})
    page = Page(tmp_path)
    assert "There is none yet." in page.text
    assert "the run logs no CSV" in page.text
    assert page.images() == []


def test_other_files_beside_the_grids_are_passed_over(folder):
    for name in ("x_a2b.png", "00000100_a2b.png.1", "100_c2d.png", ".00000100_a2b.png"):
        (folder / "grids" / name).write_bytes(b"")
    write_run_page(folder, "", {})
    assert len(Page(folder).images()) == 7


@pytest.mark.parametrize(
    ("file", "text"),
    [("drawn.json", "{"), ("csv/version_0/metrics.csv", ""), (".hydra/overrides.yaml", "{}")],
)
def test_a_damaged_file_costs_its_part_only(folder, file, text):
    (folder / file).write_text(text)
    write_run_page(folder, "done", {})
    assert "done" in Page(folder).text
