"""What a machine is, without a word on whose it is: reports are shown to others."""

import os
import platform
import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("munit-pl", "torch", "torchvision", "lightning", "torchmetrics", "triton")


def describe_machine(folder: Path) -> dict[str, Any]:
    """Return versions, processor, devices and free space, by name.

    Args:
        folder: Where the free space matters.
    """
    gib = 2**30
    shared = Path("/dev/shm")
    return {
        "packages": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "free disk, GiB": round(shutil.disk_usage(folder).free / gib, 1),
        "free shared memory, GiB": (
            round(shutil.disk_usage(shared).free / gib, 1) if shared.is_dir() else None
        ),
        "CUDA of PyTorch": torch.version.cuda,
        "cuDNN": _cudnn(),
        "devices": [_device(i) for i in range(torch.cuda.device_count())],
    }


def without_paths(text: str) -> str:
    """Return a message in which only the last part of each path is left."""
    at_home = text.replace(str(Path.home()), "/home")  # whose own name may hold a blank
    return re.sub(r"(?:[A-Za-z]:)?[/\\](?:[^\s'\"/\\]+[/\\])+", "", at_home)


def _cudnn() -> Any:
    if not torch.cuda.is_available():
        return None
    return torch.backends.cudnn.version()  # type: ignore[no-untyped-call]


def _device(index: int) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(index)
    return {
        "name": properties.name,
        "memory, GiB": round(properties.total_memory / 2**30, 1),
        "compute capability": f"{properties.major}.{properties.minor}",
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
