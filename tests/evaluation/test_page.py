import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.evaluation.codes import encoded_styles
from munit_pl.evaluation.latent import largest_correlation
from munit_pl.evaluation.page import write_page
from munit_pl.evaluation.report import MetricValue, Report
from munit_pl.evaluation.task import EvaluationTask
from munit_pl.inference.translator import Translator
from munit_pl.layers.initialization import initialize
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.reports.curves import draw_sections

IMAGES, STYLES, DIMENSIONS = 2, 3, 2
HOSTILE = "<script>alert('x')</script> & \"quoted\" <img src=http://example.org/x.png>"


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, path):
        super().__init__()
        self.tags = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def links(self):
        return [
            value
            for _, attributes in self.tags
            for name, value in attributes.items()
            if name in ("src", "href", "srcset", "action", "data", "poster")
        ]

    def pictures(self):
        """All images by their alternative texts; those of one text as they come."""
        found = {}
        for image in self.all("img"):
            found.setdefault(image["alt"], []).append(image)
        return found

    def pixels(self, alt):
        return pixels(opened(self.pictures()[alt][0]))


def content(image):
    return base64.b64decode(image["src"].partition("base64,")[2])


def opened(image):
    return Image.open(io.BytesIO(content(image)))


def pixels(picture):
    return np.asarray(picture).astype(int)


def make_subject(channels=(3, 3), size=(16, 16), length=3):
    torch.manual_seed(0)
    gens = [
        AdaINGenerator(c, dim=4, style_dim=DIMENSIONS, mlp_dim=8, num_res_blocks=1)
        for c in channels
    ]
    for gen in gens:
        initialize(gen, "kaiming")
    domains = [DrawnShoes(domain, "test", length, size) for domain in ("a", "b")]
    test = tuple(map(Recolored, domains, channels))
    return EvaluationTask(Translator(*gens, device="cpu"), test, test)


class Recolored:
    """Drawn shoes of 1, 3 or 4 channels."""

    def __init__(self, shoes, channels):
        self.shoes = shoes
        self.channels = channels

    def __len__(self):
        return len(self.shoes)

    def load(self, index, rng):
        x = self.shoes.load(index, rng)
        return torch.cat([x, x])[: self.channels]


def make_report(**others):
    values = {
        "protocol": "drawn v7",
        "settings": {"inputs": 2},
        "deviations": ["inputs 2 instead of 64"],
        "metrics": [
            MetricValue("a2b/one", "shape kept: its IoU", 0.123456, "higher", 0.98765),
            MetricValue("b2a/two", "no truth for this one", 12.5, "lower"),
        ],
        "distributions": {},
        "networks": {"distance": "some network"},
        "checkpoint": {"checkpoint": HOSTILE},
        "data": {"data": "three shoes"},
        "seed": 5,
        "seconds": 61.0,
    }
    return Report(**(values | others))


def written(path, task, report, run_folder=None, **numbers):
    numbers = {"num_images": IMAGES, "num_styles": STYLES} | numbers
    write_page(path, report, task, run_folder, **numbers)
    return Page(path)


@pytest.fixture(scope="module")
def task():
    return make_subject()


@pytest.fixture(scope="module")
def page(task, tmp_path_factory):
    return written(tmp_path_factory.mktemp("page") / "page.html", task, make_report())


def test_nothing_is_asked_of_the_network(page):
    assert all(link.startswith(("data:", "#")) for link in page.links())
    assert "url(" not in page.source
    assert "@import" not in page.source
    (policy,) = [m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy["content"].startswith("default-src 'none'; img-src data:;")


def test_every_link_within_the_page_leads_somewhere(page):
    anchors = [link[1:] for link in page.links() if link.startswith("#")]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert anchors == ids
    assert len(set(ids)) == len(ids)


def test_protocol_deviations_metrics_and_notes_are_written(page):
    first_image = page.source.index("<img")
    assert page.source.index("Protocol drawn v7, with deviations") < first_image
    assert page.source.index("inputs 2 instead of 64") < first_image
    words = ("shape kept: its IoU", "0.1235", "0.9877", "no truth for this one", "12.5")
    assert all(word in page.text for word in words)
    assert all(note in page.text for note in make_report().notes())


def test_odd_text_is_shown_as_it_is_and_runs_nothing(page):
    assert HOSTILE in page.text
    assert len(page.all("script")) == 1


def test_as_many_pictures_as_promised_are_there(page):
    random = 2 * IMAGES * (1 + STYLES)
    examples = 2 * (IMAGES + IMAGES * (1 + IMAGES))
    interpolations = 2 * (2 * 2 * (1 + 8) + 2)
    sweeps = 1 + 7 * DIMENSIONS
    maps_histograms_and_overview = 2 + 2 + 1
    total = random + examples + interpolations + sweeps + maps_histograms_and_overview
    assert len(page.all("img")) == total
    assert all(image["alt"] for image in page.all("img"))


def test_both_directions_are_shown_and_images_stay_in_their_order(page, task):
    for domain in ("a", "b"):
        for i in range(IMAGES):
            shown = page.pixels(f"input {i + 1} of domain {domain}")
            image = task.test_images(domain).load(i, None)
            assert (shown == pixels(to_pil_image(image))).all()


def test_columns_follow_the_examples_at_their_heads(page, task):
    drawings, shoes = task.test
    for i in range(IMAGES):
        for k in range(IMAGES):
            style = task.translator.encode_style(shoes.load(k, None)[None], "b")
            expected = task.translator.translate(drawings.load(i, None)[None], style, "b")[0, 0]
            shown = page.pixels(f"input {i + 1} of domain a in the style of example {k + 1}")
            assert np.abs(shown - pixels(to_pil_image(expected))).max() <= 1


@pytest.mark.parametrize("source", ["a", "b"])
def test_interpolations_start_and_end_at_the_styles_of_the_grids(page, source):
    x, between = f"input 2 of domain {source} in", "between two random styles"
    pairs = {
        f"{x} frame 1 of 8 {between}": f"{x} style 1",
        f"{x} frame 8 of 8 {between}": f"{x} style 2",
        f"{x} frame 1 of 8 between two examples": f"{x} the style of example 1",
        f"{x} frame 8 of 8 between two examples": f"{x} the style of example 2",
    }
    for end, whole in pairs.items():
        assert np.abs(page.pixels(end) - page.pixels(whole)).max() <= 1
    assert (page.pixels(f"{x} style 1") != page.pixels(f"{x} style 2")).any()


def test_every_dimension_is_swept_from_minus_to_plus_three(page):
    alts = [alt for alt in page.pictures() if "with dimension" in alt]
    assert alts == [
        f"input 1 of domain a in style 1 with dimension {i} at {value}"
        for i in range(DIMENSIONS)
        for value in range(-3, 4)
    ]


def test_beside_each_dimension_stands_how_much_it_changes_the_image(page):
    """From the pixels on the page, which are rounded, so the number is near."""
    for i in range(DIMENSIONS):
        alt = f"input 1 of domain a in style 1 with dimension {i} at"
        row = [page.pixels(f"{alt} {value}") for value in range(-3, 4)]
        change = np.mean([np.abs(one - other).mean() for one, other in combinations(row, 2)])
        (said,) = re.findall(rf"dimension {i}: ([\d.]+)", page.text)
        assert float(said) == pytest.approx(change, abs=0.6)


def make_drawn(size):
    domains = tuple(DrawnShoes(domain, "test", 6, size) for domain in ("a", "b"))
    return replace(make_subject(), train=domains, test=domains)


def test_codes_are_looked_into_in_both_domains_and_directions(page, tmp_path):
    titles = [f"Encoded styles of domain {domain} against N(0, I)" for domain in "ab"]
    titles += ["There and back: a → b → a", "There and back: b → a → b"]
    assert [page.text.count(title) for title in titles] == [1, 1, 1, 1]
    assert [f"What the codes of domain {d} tell" in page.text for d in "ab"] == [False, False]
    numbers = {"num_images": 1, "num_styles": 1}
    drawn = written(tmp_path / "page.html", make_drawn((16, 16)), make_report(), **numbers)
    titles = [f"What the codes of domain {domain} tell" for domain in "ab"] + titles
    places = [drawn.text.index(title) for title in titles]
    assert places == sorted(places)
    assert all(title in drawn.pictures() for title in titles[:4])


def test_of_whitened_styles_it_is_told_that_they_are_alike_in_any_case(page, tmp_path):
    task = make_subject()
    for gen in task.translator.generators:
        gen.arguments = gen.arguments | {"whiten_styles": True}
    whitened = written(tmp_path / "x.html", task, make_report(), num_images=1, num_styles=1)
    assert whitened.text.count("They are whitened") == 2
    assert "They are whitened" not in page.text


def test_numbers_of_codes_are_those_that_are_measured(page, task):
    expected = largest_correlation(encoded_styles(task, "b"))
    part = page.text.partition("Encoded styles of domain b")[2]
    (said,) = re.findall(
        r"largest correlation of two dimensions\s*([\d.]+)", part.partition("There")[0]
    )
    assert said.startswith(f"{expected:.2f}")


def test_contents_that_would_be_padded_tell_nothing(tmp_path):
    """The networks halve a side twice, and 18 is no multiple of 4."""
    numbers = {"num_images": 1, "num_styles": 1}
    page = written(tmp_path / "page.html", make_drawn((16, 18)), make_report(), **numbers)
    assert "What the codes" not in page.text
    assert "Encoded styles" in page.text


@pytest.mark.filterwarnings("ignore:var_mean")  # of the map, which shows the one
def test_there_are_no_statistics_of_one_image(tmp_path):
    numbers = {"num_images": 1, "num_styles": 1}
    page = written(tmp_path / "page.html", make_subject(length=1), make_report(), **numbers)
    assert "Encoded styles" not in page.text
    assert "There and back" in page.text


def test_small_images_are_enlarged_by_whole_numbers(page):
    image = page.pictures()["input 1 of domain a"][0]
    assert opened(image).size == (16, 16)
    assert (image["width"], image["height"]) == ("128", "128")


def test_curves_and_distributions_are_shown_where_there_are_any(tmp_path, task, page):
    assert "<polyline" not in page.source
    for version, start in ((2, 0), (10, 5)):
        log = tmp_path / "csv" / f"version_{version}" / "metrics.csv"
        log.parent.mkdir(parents=True)
        log.write_text("step,gen/total\n" + "".join(f"{start + i},{i}\n" for i in range(9)))
    made = make_report(distributions={"diversity": [0.1, 0.4]}, deviations=[])
    numbers = {"num_images": 1, "num_styles": 1}
    full = written(tmp_path / "page.html", task, made, tmp_path, **numbers)
    curves = draw_sections({"gen/total": {i: float(i if i < 5 else i - 5) for i in range(14)}})
    assert curves in full.source
    style = files("munit_pl.reports").joinpath("page.css").read_text(encoding="utf-8")
    assert style in full.source  # nothing in it is escaped
    assert "histograms of single inputs' values" in full.pictures()
    assert 'href="#curves"' in full.source
    assert 'role="note"' not in full.source


def test_no_more_is_shown_than_asked_for_or_than_there_is(tmp_path, task):
    page = written(tmp_path / "page.html", task, make_report(), num_images=9, num_styles=1)
    assert "input 3 of domain a" in page.pictures()
    assert "input 4 of domain a" not in page.pictures()
    assert "input 1 of domain a in style 1" in page.pictures()
    assert "input 1 of domain a in style 2" not in page.pictures()


def test_large_gray_and_transparent_images_are_shown(tmp_path):
    task = make_subject((1, 4), (24, 288))
    numbers = {"num_images": 1, "num_styles": 1}
    page = written(tmp_path / "page.html", task, make_report(), **numbers)
    for alt in ("input 1 of domain b", "input 1 of domain a in style 1"):
        image = page.pictures()[alt][0]
        assert image["src"].startswith("data:image/webp;base64,")
        assert opened(image).mode == "RGBA"
        assert opened(image).size == (256, 21)
        assert (image["width"], image["height"]) == ("128", "10")
    gray = page.pixels("input 1 of domain a")
    assert np.ptp(gray, axis=2).max() <= 4  # lossy


def test_numbers_below_one_are_refused(tmp_path, task):
    with pytest.raises(ValueError, match="num_styles is 0, but must be at least 1"):
        written(tmp_path / "page.html", task, make_report(), num_styles=0)
    assert not list(tmp_path.iterdir())
