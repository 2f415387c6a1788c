"""What a command is run through to meet a machine with less than this one."""

import shutil
import subprocess
from pathlib import Path


class NotTried(Exception):
    """This machine does not allow the fault."""


def with_small_disk(folder: Path, size: str) -> list[str]:
    """Return what a command is run through so that a folder is a disk of few bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = f"mount -t tmpfs -o size={size} tmpfs '{folder}'"
    return _tried("unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh")


def without_network() -> list[str]:
    """Return what a command is run through so that it reaches nothing but its own machine."""
    return _tried("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def _tried(*prefix: str) -> list[str]:
    if shutil.which(prefix[0]) is None:
        raise NotTried(f"there is no {prefix[0]}")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        raise NotTried(f"{prefix[0]} is not allowed")
    return list(prefix)
