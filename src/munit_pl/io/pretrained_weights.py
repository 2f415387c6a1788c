"""Where pretrained networks come from: an optional package, a file, or a download that is allowed.

Files are looked for where PyTorch keeps them, so that one fetched by another program serves here
too. Only tensors are unpickled from them.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from munit_pl.io.safe_reading import read_checkpoint


class Pretrained(NamedTuple):
    """A file of weights that others have published.

    Attributes:
        name: Whose weights it holds, as messages say it: "VGG-16".
        file_name: What it is called in PyTorch's cache.
        needed_for: What does not run without it: "the perceptual loss".
        choices: What a user can do beside putting the file into the cache.
    """

    name: str
    file_name: str
    needed_for: str
    choices: str


_ALEXNET = Pretrained(
    "AlexNet",
    "alexnet-owt-7be5be79.pth",
    "LPIPS",
    "give its path with --alexnet FILE, or allow the download of 244 MB with --download",
)
_ALEXNET_LAYERS = (0, 3, 6, 8, 10)


def import_extra(module: str) -> ModuleType:
    """Import a module of the extra ``evaluate``.

    Raises:
        ModuleNotFoundError: If it is not installed; the message says how to.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{module} is not installed ({error}): pip install 'munit-pl[evaluate]'",
            name=error.name,
        ) from error


def cached_file(file_name: str) -> Path:
    """Return where PyTorch keeps a file of this name, whether it is there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / file_name


def find_weights(wanted: Pretrained, path: Path | None) -> Path | None:
    """Find a file of weights.

    Args:
        wanted: Which weights.
        path: The user's own file; without it, PyTorch's cache is looked into.

    Returns:
        The file, or ``None`` if the cache does not hold it.

    Raises:
        FileNotFoundError: If ``path`` is given, and no file.
    """
    if path is None:
        file = cached_file(wanted.file_name)
        return file if file.is_file() else None
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of {wanted.name} weights at {path}")
    return path


def load_weights(wanted: Pretrained, path: Path | None, url: str | None) -> Mapping[str, Any]:
    """Read a file of weights, or fetch it.

    Args:
        wanted: Which weights.
        path: The user's own file; without it, the one in PyTorch's cache.
        url: Where to fetch a file that the cache lacks; ``None`` forbids that. The eight digits at
            the end of the file's name are compared with its SHA-256 on arrival.

    Returns:
        The tensors by name, on the CPU; the caller checks that they are all there.

    Raises:
        FileNotFoundError: If there is no file, and no download allowed.
        OSError: If the download fails, or brings another file.
        ValueError: If the file is not PyTorch's, or not a dictionary.
    """
    if (file := find_weights(wanted, path)) is not None:
        return read_weights(file, wanted.name)
    missing = cached_file(wanted.file_name)
    if url is None:
        raise FileNotFoundError(
            f"{wanted.needed_for} needs {wanted.name}'s weights, and there is no {missing}: put "
            f"the file there, {wanted.choices}"
        )
    try:
        return torch.hub.load_state_dict_from_url(
            url, map_location="cpu", check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:  # no network, or another file than expected
        raise OSError(f"cannot fetch {url}: {error}; put the file at {missing}") from error


def read_weights(file: Path, name: str) -> Mapping[str, Any]:
    """Read what ``torch.save`` wrote, tensors and plain values alone.

    Args:
        file: The file.
        name: What it should hold, for the message.

    Raises:
        ValueError: If the file is not PyTorch's, or not a dictionary.
    """
    try:
        state = read_checkpoint(file, mmap=False)
    except ValueError as error:
        detail = str(error).removeprefix(f"{file} is no checkpoint: ")
        raise ValueError(
            f"{file} is no file of PyTorch weights ({detail}; another program's, such as Lua's "
            ".t7, must be converted first)"
        ) from None
    if not isinstance(state, Mapping):
        raise ValueError(f"{file} holds no {name}: it is a {type(state).__name__}")
    return state


def find_alexnet(path: Path | None = None) -> Path | None:
    """Find the file of weights: ``path``, or the one in PyTorch's cache, or else ``None``.

    Raises:
        FileNotFoundError: If ``path`` is given, and no file.
    """
    return find_weights(_ALEXNET, path)


def load_alexnet_weights(path: Path | None = None, download: bool = False) -> dict[str, Tensor]:
    """Read the convolutions of torchvision's AlexNet, which LPIPS stands on.

    Args:
        path: The user's own file; without it, the one in PyTorch's cache.
        download: Fetch torchvision's file into the cache if it is not there.

    Returns:
        Weights and biases under torchvision's names, ``features.0.weight`` to
        ``features.10.bias``, on the CPU.

    Raises:
        FileNotFoundError: If there is no file, and no download allowed.
        OSError: If the download fails.
        ValueError: If the file holds something else.
    """
    state = load_weights(_ALEXNET, path, _alexnet_url() if download else None)
    weights = {}
    for name in (f"features.{n}.{kind}" for n in _ALEXNET_LAYERS for kind in ("weight", "bias")):
        if not isinstance(tensor := state.get(name), Tensor):
            raise ValueError(f"{path or _ALEXNET.file_name} holds no AlexNet: it has no {name}")
        weights[name] = tensor.float()
    return weights


def _alexnet_url() -> str:
    from torchvision.models import AlexNet_Weights  # slow to import, and needed for this alone

    return str(AlexNet_Weights.DEFAULT.url)
