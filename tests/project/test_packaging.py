import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]

# Run outside the checkout, with nothing of it on the path.
COMPOSE_ALL = """
import sys, torch, munit_pl
from pathlib import Path
from hydra import compose, initialize_config_module
from munit_pl.commands.config.building import build
assert Path(munit_pl.__file__).is_relative_to(sys.argv[1]), munit_pl.__file__
experiments = Path(sys.argv[1]) / "munit_pl" / "conf" / "experiment"
with initialize_config_module("munit_pl.conf", version_base="1.3"), torch.device("meta"):
    for path in experiments.glob("*.yaml"):
        cfg = compose("train", [f"+experiment={path.stem}"])
        print(path.stem, sum(p.numel() for p in build(cfg.model).parameters()))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that is built from the sdist, as an index would serve it."""
    dist = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=200)
    (wheel,) = dist.glob("*.whl")
    return wheel


def test_the_wheel_holds_every_module_and_template(wheel):
    files = [path.relative_to(ROOT / "src") for path in ROOT.glob("src/munit_pl/**/*")]
    expected = {str(path) for path in files if path.suffix in (".py", ".jinja", ".html", ".css")}
    names = zipfile.ZipFile(wheel).namelist()
    found = {name for name in names if name.endswith((".py", ".jinja", ".html", ".css"))}
    assert found == expected | {"munit_pl/conf/__init__.py"}


def test_the_wheel_holds_every_configuration_and_no_test(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    conf = {f"munit_pl/conf/{p.relative_to(ROOT / 'conf')}" for p in ROOT.glob("conf/**/*.yaml")}
    assert len(conf) > 15
    assert {name for name in names if name.endswith(".yaml")} == conf
    assert "munit_pl/py.typed" in names
    assert {f"munit_pl/pretrained/drawn-shoes.{kind}" for kind in ("json", "safetensors")} <= set(
        names
    )
    assert {name.split("/")[0].split("-")[0] for name in names} == {"munit_pl"}


def test_the_installed_wheel_trains_and_composes_every_experiment(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    work = tmp_path / "elsewhere"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    composed = run("-c", COMPOSE_ALL, str(site))
    assert "edges2shoes 46594716" in composed
    assert len(composed.splitlines()) == len(list((ROOT / "conf/experiment").glob("*.yaml")))

    smallest = ["model.generator.dim=4", "model.discriminator.dim=4", "trainer.accelerator=cpu"]
    main = "from munit_pl.commands.train import main; main()"
    run("-c", main, *smallest, "trainer.max_steps=2", "run=x")
    assert (work / "outputs/demo/x/checkpoints/00000002.ckpt").exists()
    assert (work / "outputs/demo/x/drawn.png").exists()
    assert (work / "outputs/demo/x/index.html").exists()


@pytest.mark.slow
def test_a_script_of_another_project_uses_the_wheel_in_an_environment_of_its_own(wheel, tmp_path):
    """What the package needs is borrowed from this environment, the package itself is not."""
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True, timeout=200)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))

    def run(*arguments):
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            [python, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(site) in run("-c", "import munit_pl; print(munit_pl.__file__)")
    assert (python.parent / "munit-train").exists()
    assert "2 iterations" in run(str(ROOT / "examples" / "own_recipe.py"), "2")
