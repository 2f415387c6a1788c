import itertools
import os
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import hostile_files as hostile
import pytest
import torch
from torch import nn

from munit_pl.io.safe_reading import read_checkpoint

OLD_FORMAT = {"_use_new_zipfile_serialization": False}


def plain():
    """All that checkpoints hold."""
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    base = torch.arange(12.0)
    return {
        "state_dict": module.state_dict(),
        "parameter": nn.Parameter(torch.ones(2)),
        "views": [base[2:5], base.view(3, 4).T, base[:0], torch.zeros(0, 7)],
        "types": [torch.ones(2).to(t) for t in (torch.bfloat16, torch.int64, torch.bool)],
        "complex": torch.ones(2, dtype=torch.complex64),
        "plain": (1, -2.5, None, True, "x", b"y", 2**70, [], {}, {3: ()}),
        "more": [OrderedDict(a=1), Counter({2: 1}), {1, 2}, torch.Size([2]), torch.float16],
    }


def flat(value):
    if isinstance(value, dict):
        return [x for key, item in value.items() for x in [key, *flat(item)]]
    if isinstance(value, list | tuple):
        return [x for item in value for x in flat(item)]
    return [(value.dtype, value.tolist()) if isinstance(value, torch.Tensor) else value]


@pytest.mark.parametrize("options", [{}, OLD_FORMAT])
@pytest.mark.parametrize("mmap", [True, False])
def test_what_was_saved_is_read(tmp_path, options, mmap):
    saved = plain()
    torch.save(saved, tmp_path / "x.pt", **options)
    read = read_checkpoint(tmp_path / "x.pt", mmap)
    assert flat(read) == flat(saved)
    assert read["state_dict"]._metadata == saved["state_dict"]._metadata
    assert isinstance(read["parameter"], nn.Parameter)


def test_types_younger_than_storages_are_read(tmp_path):
    saved = torch.arange(3).to(torch.uint16)
    torch.save(saved, tmp_path / "x.pt")
    assert torch.equal(read_checkpoint(tmp_path / "x.pt").int(), saved.int())


class Call:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def rewritten(path, change, compression=zipfile.ZIP_STORED):
    """Write an archive anew, its pickle changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(content) if name.endswith("data.pkl") else content)


def test_what_is_neither_tensor_nor_plain_is_named_and_not_called(tmp_path):
    trace = tmp_path / "trace"
    calls = {"posix.mkdir": Call(os.mkdir, str(trace)), "torch.hub.load": Call(torch.hub.load, "x")}
    for (named, call), options in itertools.product(calls.items(), [{}, OLD_FORMAT]):
        torch.save({"x": call}, tmp_path / "x.pt", **options)
        message = f"x.pt is no checkpoint: it holds more than tensors and plain values: '{named}'"
        with pytest.raises(ValueError, match=message) as error:
            read_checkpoint(tmp_path / "x.pt")
        assert len(str(error.value).splitlines()) == 1
        assert not trace.exists()


def test_a_compressed_file_is_not_inflated(tmp_path):
    torch.save({"x": torch.zeros(1 << 20)}, tmp_path / "x.pt")
    rewritten(tmp_path / "x.pt", lambda body: body, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x.pt").stat().st_size < 20_000
    with pytest.raises(ValueError, match="it is compressed, which no checkpoint is"):
        read_checkpoint(tmp_path / "x.pt")


def test_an_archive_that_two_readers_may_read_differently_is_refused(tmp_path):
    path = tmp_path / "x.pt"

    def comment(archive):
        archive.comment = b"x"

    def double(archive):
        archive.writestr("x/DATA.pkl", b"")

    for change in (comment, double):
        torch.save({"x": torch.zeros(3)}, path)
        with zipfile.ZipFile(path, "a") as archive:
            change(archive)
        with pytest.raises(ValueError, match="its table of contents is ambiguous"):
            read_checkpoint(path)


def test_of_two_tables_of_contents_none_is_taken(tmp_path):
    """Python reads the table before the end record, torch the one that the record names."""
    path = tmp_path / "x.pt"
    hostile.write_zip(path, hostile.pickled({"x": hostile.tensor(16, (16,), (1,))}))
    content = path.read_bytes()
    end = content.rindex(b"PK\5\6")
    size, place = struct.unpack("<II", content[end + 12 : end + 20])
    assert len(read_checkpoint(path)["x"]) == 16
    path.write_bytes(content[:end] + content[place : place + size] + content[end:])
    assert torch.load(path, weights_only=True).keys() == {"x"}
    with pytest.raises(ValueError, match="its table of contents is ambiguous"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"PK\x03\x04" + bytes(99)])
def test_anything_else_is_told_in_one_line(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    expected = "it is empty" if not content else "it is damaged, or something else"
    with pytest.raises(ValueError, match=rf"x\.pt is no checkpoint: {expected}$"):
        read_checkpoint(tmp_path / "x.pt")
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ValueError, match="there is no checkpoint"):
            read_checkpoint(path)


def test_pickles_of_other_protocols_are_refused(tmp_path):
    (tmp_path / "x.pt").write_bytes(pickle.dumps(bytearray(9), 5) + struct.pack("<Q", 0))
    with pytest.raises(ValueError, match="is no checkpoint"):
        read_checkpoint(Path(tmp_path / "x.pt"))
