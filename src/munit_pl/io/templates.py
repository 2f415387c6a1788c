"""Pages made of Jinja templates, in which no text can become markup."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup


def load_template(package: str, name: str, escape: Callable[[str], str] | None = None) -> Template:
    """Read a template that lies in a package.

    Args:
        package: The package, ``munit_pl.reports`` for one.
        name: The file's name.
        escape: Makes plain text of any text in a language other than HTML, which is the default.
            Each value passes through it, but for what ``tojson`` made.
    """

    def escaped(value: Any) -> Any:
        return value if escape is None or isinstance(value, Markup) else Markup(escape(str(value)))

    environment = Environment(
        autoescape=True,
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(files(package).joinpath(name).read_text(encoding="utf-8"))
