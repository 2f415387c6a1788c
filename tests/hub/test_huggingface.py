import shutil
import sys
from pathlib import Path

import pytest
import torch

from munit_pl import MUNIT
from munit_pl.hub.model_lookup import find_model

hub = pytest.importorskip("huggingface_hub", reason="the extra hub has it")


@pytest.fixture
def networks(tiny):
    return MUNIT(**tiny)


@pytest.fixture
def repositories(tmp_path, monkeypatch):
    """A hub in a folder, behind the two calls that are made of huggingface_hub's."""

    class Api:
        def __init__(self, **options):
            assert options == {"library_name": "munit_pl"}

        def create_repo(self, repo_id, *, private, exist_ok):
            (tmp_path / repo_id).mkdir(parents=True, exist_ok=exist_ok)
            (tmp_path / repo_id / "private").write_text(str(private))

        def upload_folder(self, *, repo_id, folder_path, allow_patterns):
            for path in Path(folder_path).iterdir():
                if path.name in allow_patterns:
                    shutil.copy(path, tmp_path / repo_id)
            return type("Commit", (), {"commit_url": f"hub/{repo_id}/commit/1"})

    def snapshot(repo_id, *, revision, allow_patterns):
        assert revision in (None, "v1")
        return str(tmp_path / repo_id)

    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    return tmp_path


def test_what_is_uploaded_is_what_comes_back(networks, repositories):
    assert networks.push_to_hub("me/shoes", private=True) == "hub/me/shoes/commit/1"
    files = {path.name for path in (repositories / "me/shoes").iterdir()}
    assert files == {"model.safetensors", "config.json", "README.md", "private"}
    assert (repositories / "me/shoes/private").read_text() == "True"
    assert find_model("hf://me/shoes@v1") == repositories / "me/shoes/model.safetensors"
    assert find_model(Path("hf://me/shoes")) == repositories / "me/shoes/model.safetensors"
    again = MUNIT.from_pretrained("me/shoes", revision="v1").state_dict()
    assert all(torch.equal(again[name], w) for name, w in networks.state_dict().items())


@pytest.mark.parametrize("offline", [True, False])
def test_a_hub_that_does_not_answer_is_told_in_one_line(networks, monkeypatch, tmp_path, offline):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for call in (
        lambda: MUNIT.from_pretrained("nobody/nothing"),
        lambda: networks.push_to_hub("nobody/nothing"),
    ):
        with pytest.raises(ConnectionError, match="nobody/nothing could not be ") as told:
            call()
        assert "\n" not in str(told.value)


def test_without_the_extra_it_is_named(networks, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (MUNIT.from_pretrained, networks.push_to_hub):
        with pytest.raises(ImportError, match=r"pip install 'munit-pl\[hub\]'"):
            call("user/name")
