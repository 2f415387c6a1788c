"""W&B: whether its server can be reached, and the id of a folder's run."""

import netrc
import os
import re
import secrets
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from munit_pl.io.files import write_whole

_SECONDS = 5.0
_ID = re.compile(r"[\w-]{1,64}")


def run_id(folder: Path) -> str:
    """Return the id of a folder's run at W&B, which it keeps when it goes on.

    It is that of `wandb agent` or whoever else sets ``WANDB_RUN_ID``, or what an earlier part of
    the run left in ``wandb_id.txt``, or a new one.

    Raises:
        OSError: If it cannot be noted down.
    """
    file = folder / "wandb_id.txt"
    found = os.environ.get("WANDB_RUN_ID") or (
        file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""
    )
    known = found if _ID.fullmatch(found) else secrets.token_hex(4)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(file, known + "\n")
    return known


def why_offline() -> str | None:
    """Return why runs cannot be sent to W&B now; None if they can.

    Asked of W&B, this may take minutes, and it would not go offline afterwards. Where
    ``WANDB_MODE`` says that nothing is to be sent there is nothing to find out.
    """
    if os.environ.get("WANDB_MODE") in ("offline", "dryrun", "disabled"):
        return None
    server = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    host = server.hostname or ""
    if not _has_key(host):
        return "there is no key for W&B"
    if server.scheme in getproxies():  # the way leads elsewhere
        return None
    port = server.port or (80 if server.scheme == "http" else 443)
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        return f"{host} cannot be reached ({error})"
    return None


def _has_key(host: str) -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
