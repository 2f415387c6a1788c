"""A web server for tests: it knows ranges, and breaks off, changes or refuses when told to."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Site:
    """What is served, and how; a test may change it while it is."""

    files: dict[str, bytes]
    etag: str = '"1"'
    kind: str = "application/zip"
    stops_after: int | None = None  # bytes of a body
    ranges: bool = True
    starts: int | None = None  # where a range starts, whatever is asked for
    leads_to: dict[str, str] = field(default_factory=dict)  # redirects, by path
    tells_length: bool = True
    length: str | None = None  # told instead of the body's
    url: str = ""
    asked: list[str | None] = field(default_factory=list)  # the ranges


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Site]:
    site = Site(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            site.asked.append(self.headers["Range"])
            if self.path in site.leads_to:
                self.send_response(302)
                self.send_header("Location", site.leads_to[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            whole = site.files.get(self.path.partition("?")[0])
            if whole is None:
                self.send_error(404)
                return
            match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            start = int(match[1]) if match and site.ranges else 0
            if start > len(whole):
                self.send_error(416)
                return
            if match and site.starts is not None:
                start = site.starts
            self.send_response(206 if match and site.ranges else 200)
            if match and site.ranges:
                self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
            if site.tells_length:
                self.send_header("Content-Length", site.length or str(len(whole) - start))
            self.send_header("Content-Type", site.kind)
            self.send_header("ETag", site.etag)
            self.end_headers()
            self.wfile.write(whole[start:][: site.stops_after])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
