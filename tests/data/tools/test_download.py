import hashlib
import random
import shutil
import socket
from collections import namedtuple

import pytest
from serving import serving

from munit_pl.data.tools.download import download

BODY = random.Random(0).randbytes(700_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def site():
    with serving({"/x.zip": BODY}) as site:
        yield site


def fetch(site, tmp_path, sha256=SHA256, unpacked=0.0):
    return download(f"{site.url}/x.zip", tmp_path / "x.zip", sha256, unpacked)


def break_off(site, tmp_path, after, there):
    """Let the server end its answer after some bytes."""
    site.stops_after = after
    with pytest.raises(OSError, match=f"broke off after {there} of 700000 bytes: the same command"):
        fetch(site, tmp_path)
    site.stops_after = None
    assert (tmp_path / "x.zip.part").read_bytes() == BODY[:there]


def names(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def test_a_file_comes_whole_and_nothing_else_is_left(site, tmp_path):
    assert fetch(site, tmp_path) == SHA256
    assert (tmp_path / "x.zip").read_bytes() == BODY
    assert names(tmp_path) == ["x.zip"]


def test_an_interrupted_download_fetches_only_what_is_missing(site, tmp_path):
    break_off(site, tmp_path, after=300_000, there=300_000)
    break_off(site, tmp_path, after=100_001, there=400_001)
    fetch(site, tmp_path)
    assert (tmp_path / "x.zip").read_bytes() == BODY
    assert site.asked == [None, "bytes=300000-", "bytes=400001-"]
    assert names(tmp_path) == ["x.zip"]


def test_a_server_without_ranges_sends_all_of_it_again(site, tmp_path):
    break_off(site, tmp_path, after=300_000, there=300_000)
    site.ranges = False
    fetch(site, tmp_path)
    assert (tmp_path / "x.zip").read_bytes() == BODY


def test_a_part_that_is_complete_is_not_asked_for_again(site, tmp_path):
    break_off(site, tmp_path, after=300_000, there=300_000)
    (tmp_path / "x.zip.part").write_bytes(BODY)  # as a kill before the last renaming leaves it
    fetch(site, tmp_path)
    assert site.asked == [None]
    assert names(tmp_path) == ["x.zip"]


@pytest.mark.parametrize("change", [{"etag": '"2"'}, {"files": {"/x.zip": BODY + b"more"}}])
def test_a_file_that_changed_is_not_mixed_with_the_old_one(site, tmp_path, change):
    break_off(site, tmp_path, after=300_000, there=300_000)
    for name, value in change.items():
        setattr(site, name, value)
    with pytest.raises(ValueError, match=r"was changed since .*x\.zip\.part' was begun: remove"):
        fetch(site, tmp_path)
    assert (tmp_path / "x.zip.part").read_bytes() == BODY[:300_000]


def test_a_file_that_became_shorter_than_its_part_has_changed(site, tmp_path):
    break_off(site, tmp_path, after=300_000, there=300_000)
    site.files = {"/x.zip": BODY[:200_000]}
    with pytest.raises(ValueError, match="was changed since"):
        fetch(site, tmp_path)


def test_a_part_of_which_nothing_is_known_is_fetched_again(site, tmp_path):
    (tmp_path / "x.zip.part").write_bytes(b"of another time")
    (tmp_path / "x.zip.part.json").write_text('{"url": ')
    fetch(site, tmp_path)
    assert site.asked == [None]
    assert (tmp_path / "x.zip").read_bytes() == BODY


def test_a_file_of_unknown_length_comes_too(site, tmp_path):
    site.tells_length = False
    assert fetch(site, tmp_path) == SHA256


def test_without_a_published_checksum_the_files_own_is_returned(site, tmp_path):
    assert fetch(site, tmp_path, sha256=None) == SHA256


def test_a_checksum_that_differs_is_no_success_and_the_next_try_starts_anew(site, tmp_path):
    with pytest.raises(ValueError, match=f"differs: SHA-256 {SHA256}, where {'0' * 64} is publ"):
        fetch(site, tmp_path, sha256="0" * 64)
    assert names(tmp_path) == ["x.zip.differs"]
    fetch(site, tmp_path)
    assert names(tmp_path) == ["x.zip", "x.zip.differs"]
    assert site.asked == [None, None]


def test_what_is_there_is_checked_and_not_fetched(site, tmp_path):
    (tmp_path / "x.zip").write_bytes(BODY)
    assert fetch(site, tmp_path) == SHA256
    (tmp_path / "x.zip").write_bytes(b"else")
    with pytest.raises(ValueError, match=r"x\.zip' has another checksum than published: remove it"):
        fetch(site, tmp_path)
    assert site.asked == []


def test_nothing_is_fetched_without_room_for_the_file_and_what_is_in_it(
    site, tmp_path, monkeypatch
):
    needed = 700_000 + 2 * 700_000 + 2**30
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, needed - 1))
    with pytest.raises(OSError, match=r"no room in .* take 1\.1 GB, and 1\.1 GB are free: free"):
        fetch(site, tmp_path, unpacked=2)
    assert names(tmp_path) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, needed))
    assert fetch(site, tmp_path, unpacked=2) == SHA256


def test_a_disk_that_is_full_after_all_is_told(site, tmp_path):
    (tmp_path / "x.zip.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"^cannot write .*x\.zip\.part': No space left on device$"):
        fetch(site, tmp_path)


def test_what_came_before_needs_no_room_again(site, tmp_path, monkeypatch):
    break_off(site, tmp_path, after=300_000, there=300_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 400_000 + 2**30))
    assert fetch(site, tmp_path) == SHA256
    free = 2 * 700_000 + 2**30  # for what is in it alone
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    assert fetch(site, tmp_path, unpacked=2) == SHA256


def test_a_file_that_is_not_there_is_told_with_its_address(site, tmp_path):
    site.files = {}
    with pytest.raises(OSError, match=rf"answers 404 \(Not Found\) to {site.url}/x\.zip: try"):
        fetch(site, tmp_path)
    assert names(tmp_path) == []


def test_a_web_page_is_no_archive(site, tmp_path):
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(ValueError, match="leads to a web page, not to an archive"):
        fetch(site, tmp_path)
    assert names(tmp_path) == []


def test_a_server_that_cannot_be_reached_is_named(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match=r"cannot reach 127\.0\.0\.1 \(.*refused\): look whether"):
        download(f"http://127.0.0.1:{port}/x.zip", tmp_path / "x.zip")


def test_an_answer_that_stops_in_the_middle_keeps_what_came(site, tmp_path, monkeypatch):
    def read(self, size):
        if self.tell_calls:
            raise ConnectionResetError(104, "Connection reset by peer")
        self.tell_calls = 1
        return BODY[:size]

    monkeypatch.setattr("http.client.HTTPResponse.tell_calls", 0, raising=False)
    monkeypatch.setattr("http.client.HTTPResponse.read", read)
    with pytest.raises(OSError, match=r"broke off \(.*reset by peer\): the same command goes on"):
        fetch(site, tmp_path)
    monkeypatch.undo()
    assert fetch(site, tmp_path) == SHA256
    assert site.asked == [None, f"bytes={2**18}-"]


def test_a_range_that_starts_elsewhere_is_not_appended(site, tmp_path):
    break_off(site, tmp_path, after=300_000, there=300_000)
    site.starts = 0
    with pytest.raises(ValueError, match=r"sends another part of .* than was asked for: remove"):
        fetch(site, tmp_path)
    assert (tmp_path / "x.zip.part").read_bytes() == BODY[:300_000]


def test_a_server_may_lead_to_itself_and_to_known_hosts_by_http_alone(site, tmp_path):
    site.leads_to = {"/to": "/x.zip"}
    assert download(f"{site.url}/to", tmp_path / "own.zip") == SHA256
    with serving({"/x.zip": BODY}) as other:
        host = other.url.removeprefix("http://")
        for address in (f"{other.url}/x.zip", f"http://{host}.evil.org/x"):
            site.leads_to["/to"] = address
            with pytest.raises(ValueError, match=r"/to leads to .*, which is none of its known"):
                download(f"{site.url}/to", tmp_path / "x.zip", hosts=["evil.com"])
        site.leads_to["/to"] = "file:///etc/passwd"
        with pytest.raises(OSError, match=r"answers 302 .* is not allowed"):
            download(f"{site.url}/to", tmp_path / "x.zip", hosts=[host])
        assert other.asked == []
        site.leads_to["/to"] = f"{other.url}/x.zip"
        assert download(f"{site.url}/to", tmp_path / "x.zip", hosts=[host]) == SHA256


def test_what_comes_without_a_length_ends_where_the_disk_is_full(site, tmp_path, monkeypatch):
    site.tells_length = False
    free = 2**30 + 3 * 2**18  # room for the first chunk and its content, twice as large
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    with pytest.raises(OSError, match="no room in "):
        fetch(site, tmp_path, unpacked=2)
    assert (tmp_path / "x.zip.part").read_bytes() == BODY[: 2**18]


def test_lengths_that_are_no_numbers_are_not_believed(tmp_path):
    for length in ("abc", "-5", "9" * 5000):
        with serving({"/x.zip": BODY}) as site:
            site.length = length
            assert fetch(site, tmp_path) == SHA256
        (tmp_path / "x.zip").unlink()
