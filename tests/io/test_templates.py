import pytest
from jinja2 import UndefinedError

from munit_pl.io.templates import load_template


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/__init__.py").touch()
    (tmp_path / "pages/x.jinja").write_text(
        "{% if 1 %}\n<b>{{ text }}</b> {{ 1.5 }}\n{% endif %}\n"
    )
    (tmp_path / "pages/json.jinja").write_text("{{ text | tojson }}")
    monkeypatch.syspath_prepend(tmp_path)
    return "pages"


def test_values_are_escaped_and_the_template_is_not(package):
    assert load_template(package, "x.jinja").render(text="<i>&") == "<b>&lt;i&gt;&amp;</b> 1.5\n"
    shouted = load_template(package, "x.jinja", escape=str.upper)
    assert shouted.render(text="<i>&") == "<b><I>&</b> 1.5\n"


def test_json_is_left_alone(package):
    assert load_template(package, "json.jinja", escape=str.upper).render(text="a") == '"a"'


def test_a_value_that_is_missing_is_an_error(package):
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        load_template(package, "x.jinja").render()
