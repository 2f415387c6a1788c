"""How `make docs` builds the site. What it builds loads nothing from other hosts."""

import inspect
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version as version_of
from os.path import dirname, join, normpath, relpath
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

sys.path.insert(0, dirname(__file__))
from settings_page import settings_page

project = "munit_pl"
author = copyright = "the authors of munit_pl"
release = version = version_of("munit-pl")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
html_theme = "furo"
html_title = "munit_pl"
html_copy_source = False
html_math_renderer = "mathml"
templates_path = ["_templates"]
exclude_patterns = ["_templates"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # links to headings, made as code hosts make them

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Shape", "notes_style")]
default_role = "py:obj"  # what docstrings set between single backticks
python_maximum_signature_line_length = 88
suppress_warnings = ["ref.python"]  # a short name that two modules have links to either

# Files beside docs/ and the pages that show them.
PAGES = {
    "README.md": "docs/index.md",
    "CHANGELOG.md": "docs/about/changelog.md",
    "CONTRIBUTING.md": "docs/about/contributing.md",
    "benchmarks/README.md": "docs/about/benchmarks.md",
    "benchmarks/quality/README.md": "docs/about/quality.md",
    "tests/reliability/faults.md": "docs/about/faults.md",
}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")


def relink(text: str, source: str, page: str) -> str:
    """Make links that hold among the repository's files hold among the site's pages.

    Links to what the site does not show become plain words.

    Args:
        text: Markdown.
        source: The file that it is from, relative to the repository.
        page: The page that shows it, likewise.
    """

    def replaced(match: re.Match[str]) -> str:
        mark, words, target = match.groups()
        if re.match("[a-z]+:|#", target):
            return match[0]
        path, hash_, anchor = target.partition("#")
        path = normpath(join(dirname(source), path))
        path = PAGES.get(path, path)
        if not mark and not path.startswith("docs/"):
            return words
        return f"{mark}[{words}]({relpath(path, dirname(page))}{hash_}{anchor})"

    return _LINK.sub(replaced, text)


def _write_settings(app: Sphinx) -> None:
    page = Path(app.srcdir, "reference", "generated", "settings.txt")
    page.parent.mkdir(exist_ok=True)
    page.write_text(settings_page(Path(app.srcdir).parent / "conf"), encoding="utf-8")


def _relink_page(app: Sphinx, docname: str, text: list[str]) -> None:
    text[0] = relink(text[0], f"docs/{docname}.md", f"docs/{docname}.md")


def _relink_included(app: Sphinx, path: object, parent: object, text: list[str]) -> None:
    page = f"docs/{app.env.docname}.md"
    text[0] = relink(text[0], normpath(f"docs/{path}"), page)


def _skip_fields(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> Any:
    """Leave out what Python says of each field of a named tuple, which is nothing."""
    return True if str(obj.__doc__).startswith("Alias for field number") else None


def _leave_out_bounds(app: Sphinx, obj: Any, bound_method: bool) -> None:
    """Show kinds without bounds, which messages tell and which would fill the page."""
    for function in filter(inspect.isfunction, (obj, inspect.unwrap(obj))):
        with suppress(NameError, TypeError):
            function.__annotations__ = get_type_hints(function)


def _link_elsewhere(app: Sphinx, env: Any, node: Any, contnode: Any) -> Any:
    """Look for a name in all modules where the one that mentions it has none."""
    if node.get("refdomain") != "py" or node.get("refspecific"):
        return None
    node["refspecific"] = True
    target, kind = node["reftarget"], node["reftype"]
    domain = env.domains["py"]
    return domain.resolve_xref(env, node["refdoc"], app.builder, kind, target, node, contnode)


def _math(block: bool) -> Callable[[Any, nodes.Element], NoReturn]:
    """Return what writes a formula as MathML, which browsers draw without a script."""

    def visit(translator: Any, node: nodes.Element) -> NoReturn:
        mathml = tex2mathml(node.astext(), as_block=block)
        translator.body.append(f"<p>{mathml}</p>" if block else mathml)
        raise nodes.SkipNode

    return visit


def setup(app: Sphinx) -> None:
    """Register what is above."""
    app.add_html_math_renderer("mathml", (_math(False), None), (_math(True), None))
    app.connect("builder-inited", _write_settings)
    app.connect("source-read", _relink_page)
    app.connect("include-read", _relink_included)
    app.connect("autodoc-skip-member", _skip_fields)
    app.connect("autodoc-before-process-signature", _leave_out_bounds)
    app.connect("missing-reference", _link_elsewhere)
