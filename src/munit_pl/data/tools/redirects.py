"""Which hosts a download may be redirected to."""

from collections.abc import Collection
from http.client import HTTPMessage
from typing import IO
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request


class Redirects(HTTPRedirectHandler):
    """Follows a server to its own addresses and to those of known hosts, by HTTP or HTTPS alone.

    Args:
        hosts: The known ones.
    """

    def __init__(self, hosts: Collection[str]) -> None:
        self.hosts = hosts

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Return the request that follows.

        Raises:
            ValueError: It leads elsewhere.
        """
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        known = new.netloc == old.netloc or any(
            new.netloc == host or new.netloc.endswith(f".{host}") for host in self.hosts
        )
        if not known or new.scheme not in ("http", "https"):
            fp.close()
            raise ValueError(
                f"{req.full_url} leads to {newurl[:200]!r}, which is none of its known addresses: "
                "fetch the data elsewhere and give --from FOLDER"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)
