import functools
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from munit_pl.commands import demo
from munit_pl.data.sizes import ImageSize
from munit_pl.inference.translator import Translator
from munit_pl.models.base.description import export_generators
from munit_pl.models.munit.networks import AdaINGenerator


@pytest.fixture
def _extra(monkeypatch):
    """As if the extra was installed; nothing of it is imported."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: name if name == "gradio" else found(name)
    )


def refusal(*arguments):
    """The line with which the command ends."""
    with pytest.raises(SystemExit) as end:
        demo.main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, str)  # printed to stderr, with exit status 1
    assert "\n" not in end.value.code
    return end.value.code


def test_without_the_extra_one_line_names_it(monkeypatch, exported):
    monkeypatch.setitem(sys.modules, "gradio", None)  # importing it fails from here on
    line = "munit-demo: the page needs gradio: pip install 'munit-pl[web]'"
    assert refusal(exported) == line


@pytest.mark.usefixtures("_extra")
def test_without_a_checkpoint_the_model_of_the_package_is_taken(monkeypatch):
    asked = []

    def pretrained(name, device, precision):
        asked.append((name, device, precision))
        raise ValueError("there is none")

    monkeypatch.setattr(Translator, "pretrained", pretrained)
    assert refusal("--device", "cpu") == "munit-demo: there is none"
    assert asked == [("drawn-shoes", "cpu", "fp32")]


@pytest.mark.usefixtures("_extra")
def test_an_extra_that_the_model_takes_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install" in refusal("hf://me/shoes")


@pytest.mark.usefixtures("_extra")
def test_a_model_that_cannot_be_used_is_refused_in_one_line(tmp_path, exported):
    assert refusal(tmp_path / "gone.ckpt") == (
        f"munit-demo: there is no checkpoint {tmp_path / 'gone.ckpt'}"
    )
    assert "there is no device 'tpu9'" in refusal(exported, "--device", "tpu9")
    gens = [AdaINGenerator(2, dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    export_generators(tmp_path / "two.safetensors", *gens)
    assert "have 2 channels, which no image file holds" in refusal(tmp_path / "two.safetensors")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "15"], "15 is no whole number from 16 to 1024"),
        (["--size", "64x64"], "64x64 is no whole number"),
        (["--port", "0"], "0 is no port from 1 to 65535"),
        (["--port", "http"], "http is no port"),
    ],
)
def test_an_option_out_of_range_is_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        demo.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_this_machine_until_it_is_interrupted(number, exported, tmp_path):
    pytest.importorskip("gradio", reason="the extra web is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "munit_pl.commands.demo", str(exported), "--port", str(port)]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    options = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # A shell has commands in its background ignore SIGINT, and their children inherit that.
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    first = subprocess.Popen(command, text=True, preexec_fn=heard, **options)
    try:
        line = first.stdout.readline()
        assert line == f"munit-demo: open http://127.0.0.1:{port}/ (Ctrl-C ends it)\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.status == 200
        second = subprocess.run(command, text=True, check=False, timeout=120, **options)
        assert second.returncode == 1
        assert second.stderr.startswith(f"munit-demo: cannot listen on port {port} of 127.0.0.1: ")
        assert second.stderr.count("\n") == 1
    finally:
        first.send_signal(number)
        told, complaints = first.communicate(timeout=60)
    assert (first.returncode, told, complaints) == (0, "", "")
    assert not list(tmp_path.glob("munit-demo-*"))  # nor is anything left behind


def test_pictures_have_the_size_of_training_unless_another_is_asked_for(capsys):
    gens = [AdaINGenerator(3, dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    for trained, asked, size, told in (
        (None, None, 256, ""),
        (None, 64, 64, ""),
        (ImageSize(64, (64, 64)), None, 64, ""),
        (ImageSize(64, (64, 64)), 128, 128, "but this model was trained on images of a shortest "),
        (ImageSize(8, (8, 8)), None, 16, "shortest side of 16 pixels, but this model was trained"),
        (ImageSize(None, (64, 64)), None, 256, "trained on images of any size, cropped to 64x64"),
    ):
        gens[0].image_size = trained
        assert demo._choose_size(asked, Translator(*gens, device="cpu")) == size
        err = capsys.readouterr().err
        assert told in err
        assert err.count("\n") == bool(told)


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.5", False),
        ("machine.example", False),
    ],
)
def test_who_listens_to_a_network_is_warned(host, is_local):
    assert demo._is_local(host) is is_local
