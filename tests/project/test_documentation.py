"""What README and docs/ tell users to type exists, and what they link to is there."""

import argparse
import ast
import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from munit_pl import MUNITModule
from munit_pl.commands.config.overrides import check_overrides
from munit_pl.commands.config.validation import check_config
from munit_pl.commands.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli", reason="Python 3.10 has no tomllib")

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Line(NamedTuple):
    """A command line of this package: which page has it, which command, its arguments."""

    page: str
    command: str
    arguments: tuple[str, ...]

    def __str__(self):
        return f"{self.page}: {self.command} {' '.join(self.arguments)}"


def fences(page: Path, *languages: str) -> list[str]:
    return [text for language, text in _FENCE.findall(page.read_text()) if language in languages]


def shell_lines(page: Path) -> Iterator[list[str]]:
    """Yield the words of each line that is typed, comments left out."""
    for text in fences(page, "", "sh", "bash"):
        for line in text.replace("\\\n", " ").splitlines():
            if re.match(r"(munit-|torchrun|srun|make |python |pip )", line):
                yield shlex.split(line, comments=True)


def command_lines() -> list[Line]:
    """Return this package's commands, those too that torchrun and srun start."""
    lines = set()
    for page in PAGES:
        typed = list(shell_lines(page))
        # In the text only munit-train is written with all it takes.
        spans = re.findall(r"`(munit-train [^`<]+)`", _FENCE.sub("", page.read_text()))
        for words in [*(words for words in typed if words[0] != "pip"), *map(shlex.split, spans)]:
            for i, word in enumerate(words):
                if word.startswith("munit-"):
                    lines.add(Line(page.name, word, tuple(words[i + 1 :])))
                    break
                if word.startswith("munit_pl.commands."):
                    command = word.replace("munit_pl.commands.", "munit-")
                    lines.add(Line(page.name, command, tuple(words[i + 1 :])))
    return sorted(lines)


LINES = command_lines()


def test_lines_of_all_kinds_are_found():
    """Else the tests below would pass by finding nothing."""
    of_readme = {line.command for line in LINES if line.page == "README.md"}
    assert of_readme >= {"munit-train", "munit-translate", "munit-evaluate", "munit-data"}
    assert len([line for line in LINES if line.page == "README.md"]) >= 15


def test_every_command_is_installed():
    assert {line.command for line in LINES} <= set(PROJECT["scripts"])


def first_job(word: str) -> str:
    """Return a setting, or of one that a sweep tries several values of the first."""
    override = OverridesParser.create().parse_override(word)
    if not override.is_sweep_override():
        return word
    interval = override.is_interval_sweep()
    value = override.value().start if interval else next(override.sweep_string_iterator())
    return f"{override.get_key_element()}={value}"


def composed(line: Line) -> DictConfig:
    """Compose what a line of munit-train asks for; `...` stands for some data.

    Sweepers and launchers are extras, composed in test_multirun.py.
    """
    overrides = ["output_dir=x"]
    for word in line.arguments:
        if "--multirun" in line.arguments and word.startswith("hydra"):
            continue
        if word == "...":
            overrides += ["data=folder", "data.root=x"]
        elif not word.startswith("-"):  # Hydra's own, such as --multirun
            overrides.append(first_job(word) if "--multirun" in line.arguments else word)
    if not any(re.match(r"\+?(data|experiment)[=/]", word) for word in overrides):
        overrides.append("+experiment=demo")
    return check_overrides(overrides)


# Those with a folder of their own are run in tests/commands/test_train.py.
TRAINING = [
    line for line in LINES if line.command == "munit-train" and "--config-dir" not in line.arguments
]


@pytest.mark.slow
def test_what_munit_train_is_told_is_valid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "paintings"):  # those that a line names from where it is typed
        (tmp_path / folder).mkdir()
    for line in TRAINING:
        check_config(composed(line))


def test_of_a_sweep_the_first_job_is_composed():
    for word, first in [
        ("seed=0,1,2", "seed=0"),
        ("model.weights.cycle=interval(0,5)", "model.weights.cycle=0.0"),
        ("data.crop=[64,64]", "data.crop=[64,64]"),
        ("seed=range(3,9)", "seed=3"),
    ]:
        assert first_job(word) == first


def test_a_line_that_names_what_does_not_exist_is_found():
    with pytest.raises(InputError, match=r"no setting model\.shared_style: did you mean"):
        composed(Line("", "munit-train", ("model.shared_style=true",)))


class Parsed(BaseException):
    """A command line was understood; nothing was done."""


def test_what_other_commands_are_told_parses(monkeypatch):
    for line in [line for line in LINES if line.command != "munit-train"]:
        for name in ("parse_args", "parse_known_intermixed_args"):
            original = getattr(argparse.ArgumentParser, name)

            def parse(self, *arguments, original=original, **options):
                match original(self, *arguments, **options):
                    case options, [_, *_] as unknown:  # the caller refuses them
                        return options, unknown
                raise Parsed

            monkeypatch.setattr(argparse.ArgumentParser, name, parse)
        main = EntryPoint(line.command, PROJECT["scripts"][line.command], "").load()
        monkeypatch.setattr(sys, "argv", [line.command, *line.arguments])
        with pytest.raises(Parsed):
            main()
        settings = [word for word in line.arguments if re.match(r"data[.=]", word)]
        if settings:
            if line.command == "munit-data" and not settings[0].startswith("data="):
                settings.insert(0, "data=huggingface")  # what ROOT is, if settings follow
            check_overrides(settings, "evaluate")


def test_targets_scripts_and_extras_that_a_page_names_exist():
    for page in PAGES:
        text = page.read_text()
        targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", text, re.MULTILINE)) <= targets
        for named in re.findall(r"(?:munit-pl|\.)\[([a-z,]+)\]'", text):
            assert set(named.split(",")) <= set(PROJECT["optional-dependencies"])
        for words in shell_lines(page):
            if words[0] == "python" and words[1].endswith(".py"):
                assert (ROOT / words[1]).is_file()


def test_python_on_a_page_imports_what_exists():
    for page in PAGES:
        for code in fences(page, "python"):
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.ImportFrom) and node.module.startswith("munit_pl"):
                    module = importlib.import_module(node.module)
                    assert [
                        name.name for name in node.names if not hasattr(module, name.name)
                    ] == []


def test_munit_modern_in_python_is_that_of_the_configuration():
    (code,) = fences(ROOT / "docs/choosing.md", "python")
    made = {}
    exec(code.replace("module = MUNITModule(", "given = dict("), made)
    MUNITModule(**made["given"])
    with initialize_config_module("munit_pl.conf", version_base="1.3"):
        munit, modern = (compose("train", [f"model={x}"]) for x in ("munit", "munit_modern"))
    assert OmegaConf.merge(munit.model, made["given"]) == modern.model
    assert [c.decay for c in made["callbacks"]] == [modern.callbacks.ema.decay]


def test_links_to_files_lead_to_files():
    for page in PAGES:
        links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", _FENCE.sub("", page.read_text()))
        files = [link for link in links if not re.match(r"[a-z]+:", link)]
        assert [link for link in files if not (page.parent / link).exists()] == []
