import socket

import pytest

from munit_pl.commands.runtime.wandb_connection import run_id, why_offline


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in (
        "WANDB_API_KEY",
        "WANDB_MODE",
        "WANDB_RUN_ID",
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
        yield listening


def test_without_a_key_nothing_is_sent(server):
    assert why_offline() == "there is no key for W&B"


def test_a_key_and_a_server_that_answers_will_do(server, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert why_offline() is None
    monkeypatch.delenv("WANDB_API_KEY")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password x")
    (tmp_path / "netrc").chmod(0o600)
    assert why_offline() is None


def test_a_server_that_does_not_answer_is_told(server, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x")
    server.close()
    assert "127.0.0.1 cannot be reached" in why_offline()


def test_behind_a_proxy_w_and_b_finds_its_own_way(server, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    server.close()
    assert why_offline() is None


@pytest.mark.parametrize("mode", ["offline", "dryrun", "disabled"])
def test_a_mode_of_the_users_is_left_to_wandb(monkeypatch, mode):
    monkeypatch.setenv("WANDB_MODE", mode)
    assert why_offline() is None


def test_a_folder_keeps_its_id_and_each_has_another(tmp_path):
    first = run_id(tmp_path / "one")
    assert len(first) == 8
    assert run_id(tmp_path / "one") == first
    assert run_id(tmp_path / "two") != first


def test_the_id_that_an_agent_gives_is_taken_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "agent-1")
    assert run_id(tmp_path) == "agent-1"
    monkeypatch.delenv("WANDB_RUN_ID")
    assert run_id(tmp_path) == "agent-1"


@pytest.mark.parametrize("damaged", [b"", b"two\nlines", b"\xff\xfe", b"a/b", b"x" * 65])
def test_an_id_that_is_none_is_replaced(tmp_path, damaged):
    (tmp_path / "wandb_id.txt").write_bytes(damaged)
    found = run_id(tmp_path)
    assert len(found) == 8
    assert run_id(tmp_path) == found
