"""Requests that are let through: to this page by its own name, from itself, of bounded size.

A web site that somebody visits can have their browser ask a page on their own machine. The browser
then names that site in the header Origin, or, if the site's name was made to lead here, in Host.
"""

import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Guard:
    """ASGI middleware that refuses what no visitor of the page sends.

    Args:
        app: The ASGI application behind it.
        names: Host names that the page is opened by, besides "localhost" and addresses of numbers.
        most: Bytes of a request's body.
    """

    def __init__(self, app: App, names: Iterable[str], most: int) -> None:
        self.app = app
        self.names = {"localhost", *(name.lower() for name in names)}
        self.most = most

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or say with a status of HTTP why not."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not self._is_own(headers):
            await _refuse(403, "This page is not opened by that name, or from another page.", send)
        elif int(headers.get(b"content-length", "0")) > self.most:
            await _refuse(413, f"At most {self.most} bytes are taken.", send)
        else:
            await self.app(scope, self._bounded(receive), send)

    def _is_own(self, headers: dict[bytes, str]) -> bool:
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        name = urlsplit(f"//{host}").hostname or ""
        return self._is_name(name) and origin in (None, f"http://{host}", f"https://{host}")

    def _is_name(self, name: str) -> bool:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True  # no site's name leads here by numbers

    def _bounded(self, receive: Receive) -> Receive:
        """Break a body off that is longer than it said, or did not say how long it is."""
        left = self.most

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            return message if left >= 0 else {"type": "http.disconnect"}

        return bounded


async def _refuse(status: int, reason: str, send: Send) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
