"""Whether W&B can be logged to, found out before it waits for itself."""

import netrc
import os
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies

_SECONDS = 5.0


def why_offline() -> str | None:
    """Return why runs cannot be sent to W&B now; None if they can.

    Asked of W&B, this may take minutes, and it would not go offline afterwards.
    """
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
