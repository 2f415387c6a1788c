"""Where a benchmark runs: versions, and whether the machine is idle enough."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

MOST_LOAD = 0.3  # of each core


def load() -> float:
    """Return the last minute's load for each core."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def describe(device: str) -> dict[str, Any]:
    """Return what a time depends on beside the code, and which code that is."""
    on_cuda = device.startswith("cuda")
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": version("lightning"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda if on_cuda else None,
        "cudnn": torch.backends.cudnn.version() if on_cuda else None,
        "gpu": torch.cuda.get_device_name(device) if on_cuda else None,
        "commit": _commit(),
        "arguments": sys.argv[1:],
        "load before": load(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str:
    """Return the commit that is checked out, with a + if files differ from it."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except OSError:
        return ""
