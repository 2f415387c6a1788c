"""The documentation site: it builds without a warning and loads nothing from other hosts."""

import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

pytest.importorskip("sphinx", reason="the site needs the extra docs")
pytest.importorskip("myst_parser", reason="the site needs the extra docs")
pytest.importorskip("furo", reason="the site needs the extra docs")

ROOT = Path(__file__).parents[2]


class Loaded(HTMLParser):
    """Gathers what a browser fetches for a page by itself; links that are clicked are not."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            fetched = name in ("src", "srcset", "poster", "data") or (tag, name) == ("link", "href")
            if fetched and value:
                self.urls.append(value)


def test_a_script_from_elsewhere_would_be_noticed(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<a href="https://x.org"></a><script src="https://x.org/y.js"></script>')
    assert Loaded(page).urls == ["https://x.org/y.js"]


@pytest.mark.parametrize(
    ("text", "source", "page", "linked"),
    [
        ("[t](../benchmarks/README.md#a)", "docs/x.md", "docs/x.md", "[t](about/benchmarks.md#a)"),
        ("[t](../conf/model)", "docs/x.md", "docs/x.md", "t"),
        ("[`t`](x.md)", "docs/y.md", "docs/y.md", "[`t`](x.md)"),
        ("[t](docs/x.md)", "CHANGELOG.md", "docs/about/c.md", "[t](../x.md)"),
        ("![t](images/m.png)", "benchmarks/README.md", "docs/about/b.md",
         "![t](../../benchmarks/images/m.png)"),
        ("[t](https://x.org/y)", "docs/x.md", "docs/x.md", "[t](https://x.org/y)"),
    ],
)  # fmt: skip
def test_links_lead_to_the_sites_pages_or_become_words(text, source, page, linked):
    relink = runpy.run_path(str(ROOT / "docs" / "conf.py"))["relink"]
    assert relink(text, source, page) == linked


@pytest.mark.process
@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_other_hosts(tmp_path):
    site = tmp_path / "site"
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", tmp_path / "trees"]
    done = subprocess.run(
        [*build, ROOT / "docs", site], capture_output=True, text=True, timeout=230, check=False
    )
    assert done.returncode == 0, done.stderr
    pages = list(site.rglob("*.html"))
    names = {page.relative_to(site).as_posix() for page in pages}
    sources = ROOT.glob("docs/**/*.md")
    assert names >= {s.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for s in sources}
    assert "reference/generated/munit_pl.models.munit.objective.html" in names
    away = re.compile(r"(https?:)?//")
    assert [url for page in pages for url in Loaded(page).urls if away.match(url)] == []
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import )['\"]?(?:https?:)?//[^)]*", styles) == []
    start = (site / "index.html").read_text()
    assert start.index("demo.png") < start.index('id="install"')
    assert (site / "reference" / "equations.html").read_text().count("<math") > 20


def test_every_setting_of_every_file_has_a_row():
    sys.path.insert(0, str(ROOT / "docs"))
    from settings_page import _GROUPS, settings_page

    page = settings_page(ROOT / "conf")
    for group in _GROUPS:
        for file in (ROOT / "conf" / group).glob("*.yaml"):
            settings = yaml.safe_load(file.read_text()) or {}
            for name in leaves({k: v for k, v in settings.items() if k != "defaults"}, group):
                assert f"| `{name}` |" in page, (file, name)


def leaves(settings, prefix):
    for key, value in settings.items():
        if str(key).startswith("_"):
            continue
        if isinstance(value, dict) and not any(str(k).startswith("_") for k in value):
            yield from leaves(value, f"{prefix}.{key}")
        elif not isinstance(value, dict | list):
            yield f"{prefix}.{key}"
