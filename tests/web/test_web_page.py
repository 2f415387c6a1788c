"""The page in a real browser, served as the command serves it."""

import json
import shutil
import socket
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.inference.translator import Translator
from munit_pl.layers.initialization import initialize
from munit_pl.models.munit.networks import AdaINGenerator

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIDE = 32


@pytest.fixture(scope="module", autouse=True)
def gradio():
    """Imported by the tests that need it, since that takes seconds of every `make test`."""
    return pytest.importorskip("gradio", reason="the extra web is not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page of a tiny model that nobody trained, served."""
    from munit_pl.web.page import THEME, Page
    from munit_pl.web.serving import keep_files_in, serve

    folder = tmp_path_factory.mktemp("web")
    gens = [AdaINGenerator(3, dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    for gen in gens:
        initialize(gen, "kaiming")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", "")  # put back afterwards
        keep_files_in(folder / "visitors")
        page = Page(Translator(*gens, device="cpu"), "tiny", ("drawing", "shoe"), SIDE, folder)
        yield serve(page.blocks, "127.0.0.1", free_port(), **THEME)
        page.blocks.close(verbose=False)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def browser():
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"this machine has no browser: {', '.join(BROWSERS)}")
    playwright.expect.set_options(timeout=60_000)  # a busy machine takes its time
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.hosts = set()
    page.on("request", lambda request: page.hosts.add(request.url.split("/")[2]))
    page.goto(address)
    page.get_by_role("tab", name="Random styles").wait_for()
    yield page
    context.close()


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def upload(page, file):
    page.locator("#picture input[type=file]").set_input_files(file)


def pictures(page, within, count):
    """Wait until so many pictures have been drawn; return their widths."""
    images = page.locator(f"{within} img")
    playwright.expect(images).to_have_count(count)
    return [
        image.evaluate("async i => { await i.decode(); return i.naturalWidth }")
        for image in images.all()
    ]


def show_tab(page, name):
    page.get_by_role("tab", name=name).click()


def test_an_upload_appears_in_random_styles_and_a_click_brings_others(page, photo):
    upload(page, photo)
    assert pictures(page, "#gallery", 8) == [48] * 8  # 40x60 brought to 32x48
    first = page.locator("#gallery img").first
    before = first.get_attribute("src")
    page.get_by_role("button", name="Other styles").click()
    playwright.expect(first).not_to_have_attribute("src", before)
    assert pictures(page, "#gallery", 8) == [48] * 8
    assert {host.split(":")[0] for host in page.hosts} == {"127.0.0.1"}  # nobody else is asked


def test_an_example_sets_the_direction_and_its_style_can_be_followed(page):
    page.locator("#picture-b .gallery-item").nth(1).click()
    assert pictures(page, "#gallery", 8) == [SIDE] * 8
    playwright.expect(page.get_by_label("shoe → drawing")).to_be_checked()
    show_tab(page, "Style of an example")
    page.locator("#example-a .gallery-item").nth(2).click()
    assert pictures(page, "#followed", 1) == [SIDE]
    show_tab(page, "Style by hand")
    numbers = page.locator("#values input[type=number]")
    playwright.expect(numbers.first).not_to_have_value("0")  # starts from the example's style
    assert pictures(page, "#made", 1) == [SIDE]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("words.png", b"hello", "This is no image that can be read here"),
        ("cut.png", None, "damaged or of an unusual kind"),
        ("huge.png", b"P5 6000 5000 255\n", "24 million are taken"),
        ("large.png", bytes(11_000_000), "maximum allowed size"),
    ],
)
def test_a_wrong_upload_gets_a_message(page, photo, tmp_path, name, content, message):
    file = tmp_path / name
    file.write_bytes(photo.read_bytes()[:2000] if content is None else content)
    upload(page, file)
    playwright.expect(page.get_by_text(message).first).to_be_visible()
    assert page.get_by_text(message).count() == 1
    assert "Traceback" not in page.content()
    playwright.expect(page.locator("#picture img")).to_have_count(0)
    upload(page, photo)  # the page is as useful as before
    assert pictures(page, "#gallery", 8) == [48] * 8


def test_a_style_is_set_by_hand_and_taken_from_the_gallery(page, photo):
    upload(page, photo)
    show_tab(page, "Style by hand")
    assert pictures(page, "#made", 1) == [48]
    made, numbers = page.locator("#made img"), page.locator("#values input[type=number]")
    playwright.expect(numbers).to_have_count(8)

    show_tab(page, "Random styles")
    zero = made.get_attribute("src")
    page.locator("#gallery button.thumbnail-item").nth(2).click()
    show_tab(page, "Style by hand")
    playwright.expect(numbers.first).not_to_have_value("0")
    playwright.expect(made).not_to_have_attribute("src", zero)

    picked = made.get_attribute("src")
    page.get_by_role("button", name="All to 0").click()
    playwright.expect(numbers.first).to_have_value("0")
    playwright.expect(made).not_to_have_attribute("src", picked)

    zero = made.get_attribute("src")
    numbers.first.fill("3.5")
    playwright.expect(made).not_to_have_attribute("src", zero)


def test_an_animation_is_shown_and_can_be_saved(page, photo, tmp_path):
    show_tab(page, "Animation")
    page.get_by_role("button", name="Animate").click()
    playwright.expect(page.get_by_text("Drop a picture first")).to_be_visible()
    upload(page, photo)
    show_tab(page, "Animation")
    page.get_by_label("gif").check()
    page.get_by_role("button", name="Animate").click()
    assert pictures(page, "#animation", 1) == [48]
    with page.expect_download() as saving:
        page.locator("#download").click()
    saving.value.save_as(tmp_path / "saved.gif")
    with Image.open(tmp_path / "saved.gif") as animation:
        assert (animation.format, animation.size) == ("GIF", (48, 32))
        assert animation.n_frames > 12


def test_no_file_of_the_machine_is_handed_out(address, photo):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{address}gradio_api/file={photo}")


def test_only_what_was_uploaded_is_read(address, photo):
    """By a visitor who speaks to the server without the page."""
    with urllib.request.urlopen(f"{address}config") as described:
        config = json.load(described)
    (picture,) = (c["id"] for c in config["components"] if c["props"].get("elem_id") == "picture")
    taking = next(d["id"] for d in config["dependencies"] if [picture, "upload"] in d["targets"])
    meta = {"meta": {"_type": "gradio.FileData"}}
    for number, (path, marks, answer) in enumerate(
        (
            ("http://example.org/shoe.png", meta, "addresses are not fetched"),
            ("/etc/hostname", meta, "null"),  # refused by gradio, without a word
            (str(photo), {}, "has not been sent"),  # which gradio does not look at
            ("/dev/ptmx", {}, "has not been sent"),  # which would never end
        )
    ):
        session = f"stranger{number}"
        file = {"path": path, **marks}
        body = {"data": [file, "b"], "fn_index": taking, "session_hash": session}
        request = urllib.request.Request(
            f"{address}gradio_api/queue/join",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).close()
        with urllib.request.urlopen(
            f"{address}gradio_api/queue/data?session_hash={session}"
        ) as events:
            said = [json.loads(line[5:]) for line in events if line.startswith(b"data:")]
        (end,) = (event for event in said if event["msg"] == "process_completed")
        told = [event["log"] for event in said if event["msg"] == "log"]
        told = json.dumps(told or end["output"]["error"])
        assert answer in told, (path, said)
        assert end["success"] is not bool(marks), path


def test_another_site_does_not_reach_the_page_through_a_visitors_browser(address):
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(f"{address}config", headers=headers))


def test_nothing_is_reported(address, gradio):
    assert not gradio.analytics.analytics_enabled()
    with urllib.request.urlopen(f"{address}config") as described:
        assert json.load(described)["analytics_enabled"] is False


def test_an_address_that_cannot_be_listened_on_is_told_in_a_line(address, gradio):
    from munit_pl.web.serving import serve

    port = int(address.rstrip("/").rpartition(":")[2])
    with pytest.raises(OSError, match=rf"^cannot listen on port {port} of 127\.0\.0\.1: \w"):
        serve(gradio.Blocks(), "127.0.0.1", port)
    with pytest.raises(OSError, match=r"^cannot listen on 192\.0\.2\.1: \w"):  # kept for books
        serve(gradio.Blocks(), "192.0.2.1", None)


@pytest.mark.parametrize(
    ("method", "tabs"),
    [
        ("cyclegan", ["Random styles"]),
        ("noisy_cyclegan", ["Random styles", "Style by hand", "Animation"]),
    ],
    indirect=["method"],
)
def test_what_a_method_has_no_use_for_is_left_out(method, tabs, tmp_path, monkeypatch):
    from munit_pl.web.page import Page
    from munit_pl.web.serving import keep_files_in

    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    keep_files_in(tmp_path / "visitors")
    module = method.make()
    translator = Translator(module.gen_a, module.gen_b, device="cpu")
    page = Page(translator, "tiny", ("drawing", "shoe"), SIDE, tmp_path)
    shown = page.blocks.config["components"]
    assert [c["props"]["label"] for c in shown if c["type"] == "tabitem"] == tabs
    pictures, styles = page.handlers.fill(torch.zeros(1, 3, 16, 16), "b", 4, 0)
    assert len(pictures) == len(styles) == (4 if len(tabs) > 1 else 1)
