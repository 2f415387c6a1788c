"""Download of a large file: resumed, verified by SHA-256, refused if the disk has no room."""

import hashlib
import json
import re
import shutil
from collections.abc import Collection, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

from tqdm import tqdm

from munit_pl.data.tools.redirects import Redirects
from munit_pl.io.regular_files import open_regular

_SPARED = 2**30  # bytes of the disk that are left free, as unpacking does
_CHUNK = 2**18
_TIMEOUT = 60  # seconds without an answer


class _Identity(NamedTuple):
    """What a server says of a file; a file of which it says something else is another."""

    url: str
    size: int | None
    etag: str | None
    modified: str | None


def download(
    url: str,
    path: Path,
    sha256: str | None = None,
    unpacked: float = 0,
    show: bool = False,
    hosts: Collection[str] = (),
) -> str:
    """Fetch a file, or what is missing of it, and return its SHA-256.

    What has come lies in ``path`` with ".part" at its end, beside a note of what the server said
    of the file, until all of it is there and right. A file that is at ``path`` already is checked
    and not fetched.

    Args:
        url: Its address.
        path: Where it goes.
        sha256: What its checksum must be, in hexadecimal digits; None where that is not known.
        unpacked: How much room its content will take beside it, as a multiple of its own size.
        show: Whether a bar shows the progress, on a terminal.
        hosts: To which others, and to whose subdomains, the server may send on.

    Raises:
        OSError: The server cannot be reached, has no such file or breaks off, or there is no room;
            if anything has come, the same call goes on with it.
        ValueError: It is not the file that was meant: a page, one with another checksum, another
            than that of which a part is there, or one of another host.
    """
    part, note = _with_ending(path, ".part"), _with_ending(path, ".part.json")
    if path.exists():
        size = path.stat().st_size
        _check_room(path, size, size, unpacked)
        digest = _digest(path, show)
        if sha256 and digest != sha256:
            raise ValueError(f"{str(path)!r} has another checksum than published: remove it")
        return digest
    _fetch(url, part, note, unpacked, show, hosts)
    digest = _digest(part, show)
    if sha256 and digest != sha256:
        kept = part.replace(_with_ending(path, ".differs"))
        note.unlink()
        raise ValueError(
            f"the checksum of what {url} leads to differs: SHA-256 {digest}, where {sha256} is "
            f"published; it is damaged, or was changed. It lies at {str(kept)!r}: try again, or "
            "unpack it if you trust it, and give --from FOLDER"
        )
    part.replace(path)
    note.unlink()
    return digest


def _with_ending(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _fetch(
    url: str, part: Path, note: Path, unpacked: float, show: bool, hosts: Collection[str]
) -> None:
    """Bring all of a file into ``part``."""
    known = _read_note(note, url) if part.exists() else None
    have = part.stat().st_size if known else 0
    if known and have == known.size:
        return
    with _open(url, have, part, hosts) as answer:
        now = _identity(url, answer, have)
        if known:
            _check_same(known, now, part)
        if answer.status != 206:
            have = 0  # the server sends all of it, whatever is asked for
        _check_room(part, now.size, have, unpacked)
        note.write_text(json.dumps(now._asdict()) + "\n", encoding="utf-8")
        _receive(answer, now, part, have, unpacked, show)
    if now.size is not None and (have := part.stat().st_size) != now.size:
        raise _broke_off(url, f"after {have} of {now.size} bytes")


def _receive(
    answer: HTTPResponse, now: _Identity, part: Path, have: int, unpacked: float, show: bool
) -> None:
    """Write what comes behind what is there, for as long as there is room."""
    bar = tqdm(
        desc=part.stem,
        total=now.size,
        initial=have,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None if show else True,
    )
    try:
        with bar, part.open("ab" if have else "wb") as file:
            for chunk in _chunks(answer, now.url):
                have += len(chunk)
                # Others write, too, and a server that tells no size may send without end.
                _check_room(part, have, have - len(chunk), unpacked)
                file.write(chunk)
                bar.update(len(chunk))
    except OSError as error:
        if error.errno is None:  # of the server, and told already
            raise
        raise OSError(f"cannot write {str(part)!r}: {error.strerror}") from error


def _read_note(note: Path, url: str) -> _Identity | None:
    """Return what the server said when the part was begun; None if that helps nobody."""
    try:
        known = _Identity(**json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return known if known.url == url and known.size is not None else None


def _open(url: str, have: int, part: Path, hosts: Collection[str]) -> HTTPResponse:
    headers = {"User-Agent": "munit-pl", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        opener = build_opener(Redirects(hosts))
        answer: HTTPResponse = opener.open(Request(url, headers=headers), timeout=_TIMEOUT)
    except HTTPError as error:
        error.close()
        reason = " ".join(str(error.reason).split())
        if error.code == 416:  # the file is shorter than what is there of it
            raise _changed(url, part) from error
        raise OSError(
            f"the server answers {error.code} ({reason}) to {url}: try later, or fetch the "
            "data elsewhere and give --from FOLDER"
        ) from error
    except (OSError, HTTPException) as error:
        cause = " ".join(str(getattr(error, "reason", error)).split())
        raise OSError(
            f"cannot reach {urlsplit(url).hostname} ({cause}): look whether the network is there, "
            "and run the same command again"
        ) from error
    if answer.headers.get_content_type() == "text/html":
        answer.close()
        raise ValueError(f"{url} leads to a web page, not to an archive: look at it in a browser")
    return answer


def _identity(url: str, answer: HTTPResponse, have: int) -> _Identity:
    """Read what a server says of a file.

    Raises:
        ValueError: If it sends another part than was asked for.
    """
    headers = answer.headers
    size = re.fullmatch(r"(\d{1,20})", headers["Content-Length"] or "")
    if answer.status == 206:
        size = re.fullmatch(rf"bytes {have}-\d+/(\d{{1,20}})", headers["Content-Range"] or "")
        if size is None or not have:
            raise ValueError(
                f"the server sends another part of {url} than was asked for: remove what ends in "
                ".part to start again, or fetch the data elsewhere and give --from FOLDER"
            )
    return _Identity(url, int(size[1]) if size else None, headers["ETag"], headers["Last-Modified"])


def _check_same(known: _Identity, now: _Identity, part: Path) -> None:
    pairs = zip(known, now, strict=True)
    if any(before != after for before, after in pairs if before is not None and after is not None):
        raise _changed(now.url, part)


def _changed(url: str, part: Path) -> ValueError:
    return ValueError(
        f"the file at {url} was changed since {str(part)!r} was begun: remove that to start again"
    )


def _check_room(path: Path, size: int | None, have: int, unpacked: float) -> None:
    """Make sure that the disk has room for the rest of a file and for what is in it."""
    size = size or 0
    needed = size - have + int(unpacked * size) + _SPARED
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(
            f"no room in {str(path.parent)!r}: download and unpacked images take "
            f"{needed / 10**9:.1f} GB, and {free / 10**9:.1f} GB are free: free some, or give "
            "--out on another disk"
        )


def _chunks(answer: HTTPResponse, url: str) -> Iterator[bytes]:
    try:
        while chunk := answer.read(_CHUNK):
            yield chunk
    except (OSError, HTTPException) as error:
        raise _broke_off(url, f"({' '.join(str(error).split())})") from error


def _broke_off(url: str, how: str) -> OSError:
    return OSError(f"the download of {url} broke off {how}: the same command goes on with it")


def _digest(path: Path, show: bool) -> str:
    """Return a file's SHA-256."""
    digest, hidden = hashlib.sha256(), None if show else True
    size = path.stat().st_size
    with (
        open_regular(path) as file,
        tqdm(None, "check", size, unit="B", unit_scale=True, leave=False, disable=hidden) as bar,
    ):
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()
