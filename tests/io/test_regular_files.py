import os

import pytest

from munit_pl.data.images.reading import read_image, read_size
from munit_pl.data.listing import scan_list
from munit_pl.data.tools.archives import extract
from munit_pl.hub.card import Facts, facts_beside
from munit_pl.io.checkpoint_files import verify
from munit_pl.io.files import digest
from munit_pl.io.regular_files import open_regular


def test_bytes_are_those_of_the_file_and_of_what_a_link_leads_to(tmp_path):
    (tmp_path / "x").write_bytes(b"bytes")
    (tmp_path / "link").symlink_to("x")
    for name in ("x", "link"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"bytes"
    for path, error in ((tmp_path, IsADirectoryError), (tmp_path / "none", FileNotFoundError)):
        with pytest.raises(error):
            open_regular(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.timeout(20)  # each would wait for ever
def test_pipes_and_devices_are_not_read(tmp_path):
    (tmp_path / "zeros").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "zeros", tmp_path / "pipe"):
        for read in (
            open_regular,
            digest,
            read_size,
            lambda path: read_image(path, 3),
            lambda path: scan_list(path, tmp_path),
            lambda path: extract(path, tmp_path / "out"),
        ):
            with pytest.raises(OSError, match=f"'{path}' is a pipe or a device, not a file"):
                read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.timeout(20)
def test_pipes_beside_a_checkpoint_are_not_read(tmp_path):
    checkpoint = tmp_path / "checkpoints/last.ckpt"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"weights")
    for pipe in ("drawn.json", "metrics.json"):
        os.mkfifo(tmp_path / pipe)
    assert facts_beside(checkpoint) == Facts()
    os.mkfifo(tmp_path / "checkpoints/last.ckpt.sha256")
    with pytest.raises((OSError, ValueError)):
        verify(checkpoint)
