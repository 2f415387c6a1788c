"""Up- and download of model folders to and from Hugging Face's hub, only where asked for."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from munit_pl.hub.folder import CARD, CONFIG, WEIGHTS

_FILES = [WEIGHTS, CONFIG, CARD]


def require_hub() -> ModuleType:
    """Import huggingface_hub.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise ImportError("the hub needs huggingface_hub: pip install 'munit-pl[hub]'") from None
    return huggingface_hub


def download(repo_id: str, revision: str | None = None) -> Path:
    """Fetch a model's files, those that are not in huggingface_hub's cache.

    Args:
        repo_id: The repository, "user/name".
        revision: A branch, tag or commit.

    Returns:
        The folder that they are in.

    Raises:
        ConnectionError: If the hub does not answer or does not have them.
        ImportError: If huggingface_hub is not installed.
    """
    hub = require_hub()
    with _in_one_line(f"{repo_id} could not be fetched"):
        return Path(hub.snapshot_download(repo_id, revision=revision, allow_patterns=_FILES))


def upload(folder: Path, repo_id: str, private: bool = False) -> str:
    """Put a model's files into a repository, which is made if it is not there.

    Args:
        folder: What `munit_pl.hub.folder.write_folder` wrote.
        repo_id: The repository, "user/name".
        private: Whether a new one can be seen by its owner alone.

    Returns:
        The commit's address.

    Raises:
        ConnectionError: If the hub does not answer, or refuses.
        ImportError: If huggingface_hub is not installed.
    """
    api = require_hub().HfApi(library_name="munit_pl")
    with _in_one_line(f"{repo_id} could not be uploaded"):
        api.create_repo(repo_id, private=private, exist_ok=True)
        done = api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=_FILES)
        return str(done.commit_url)


@contextlib.contextmanager
def _in_one_line(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of the hub's own kinds and of those of what it connects with
        detail = " ".join(str(error).split())[:300] or type(error).__name__
        raise ConnectionError(f"{what}: {detail}") from error
