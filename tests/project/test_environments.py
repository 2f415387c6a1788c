"""The Dockerfile and environment.yml fit the package."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli", reason="Python 3.10 has no tomllib")

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_conda_environment_has_the_extras_of_the_readmes_line():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, by_pip = environment["dependencies"]
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert [int(n) for n in python.removeprefix("python=").split(".")] >= [
        int(n) for n in oldest.split(".")
    ]
    assert pip == "pip"
    (line,) = re.findall(
        r"^pip install '(\.\[.*\])'", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert by_pip == {"pip": [line]}


def test_the_image_gets_what_the_package_is_built_of_and_does_not_run_as_root():
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    instructions = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    copied = {name for kind, rest in instructions if kind == "COPY" for name in rest.split()[:-1]}
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    assert let_through[0] == "*"
    assert copied == {name[1:] for name in let_through if name.startswith("!")}
    needed = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "src", "conf"}
    assert copied == needed
    assert all((ROOT / name).exists() for name in copied)

    (chosen,) = [rest for kind, rest in instructions if rest.startswith("EXTRAS=")]
    assert set(chosen.removeprefix("EXTRAS=").split(",")) <= set(PROJECT["optional-dependencies"])
    (user,) = [rest for kind, rest in instructions if kind == "USER"]
    assert int(user.split(":")[0]) > 0
    kind, command = instructions[-1]
    assert kind == "CMD"
    assert json.loads(command)[0] in PROJECT["scripts"]
