import os
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from munit_pl.formats.safe_reading import read_checkpoint

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
    for options in [{}, OLD_FORMAT]:
        for function, args, named in [
            (os.system, ("true",), "posix.system"),
            (bytearray, (10**13,), "bytearray"),
            (torch.Tensor, (10**6, 10**6), "torch.Tensor"),
            (torch._utils._rebuild_meta_tensor_no_storage, (), "_rebuild_meta"),
        ]:
            torch.save({"x": Call(function, *args)}, tmp_path / "x.pt", **options)
            message = (
                f"x.pt is no checkpoint: it holds more than tensors and plain values: .*{named}"
            )
            with pytest.raises(ValueError, match=message) as error:
                read_checkpoint(tmp_path / "x.pt")
            assert len(str(error.value).splitlines()) == 1


def test_a_storage_class_cannot_be_called_to_allocate(tmp_path):
    torch.save({"x": torch.ones(2)}, tmp_path / "x.pt")
    body = b"\x80\x02ctorch\nFloatStorage\n\x8a\x06" + (10**13).to_bytes(6, "little") + b"\x85R."
    rewritten(tmp_path / "x.pt", lambda _: body)
    with pytest.raises(ValueError, match="no checkpoint needs the pickle's instruction REDUCE"):
        read_checkpoint(tmp_path / "x.pt")


def test_a_tensor_cannot_be_larger_than_its_bytes(tmp_path):
    """What `torch.load` makes of such a file has up to 4 TB."""
    for mmap in [True, False]:
        for what in ["expanded", "longer", "beyond", "negative"]:
            path = tmp_path / "x.pt"
            x = torch.ones(4)
            if what == "expanded":
                torch.save({"x": x[:1].expand(10**12)}, path)
                assert torch.load(path, weights_only=True)["x"].nbytes == 4 * 10**12
            else:
                torch.save({"x": x}, path)
                # BININT1 4, the storage's length or the tensor's
                longer, tensor = b"K\x04tq\x07Q", b"K\x00K\x04\x85"
                wide = b"\x8a\x06" + (10**12).to_bytes(6, "little")
                new = {
                    "longer": lambda s: s.replace(longer, wide + longer[2:]),
                    "beyond": lambda s: s.replace(tensor, b"K\x00" + wide + b"\x85"),
                    "negative": lambda s: s.replace(tensor, b"J\xff\xff\xff\xffK\x04\x85"),
                }[what]
                before = path.read_bytes()
                rewritten(path, new)
                assert path.read_bytes() != before
            with pytest.raises(ValueError, match=r"x\.pt is no checkpoint: a tensor"):
                read_checkpoint(path, mmap)


def test_the_old_format_cannot_declare_more_than_it_has(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"x": torch.ones(4)}, path, **OLD_FORMAT)
    content = path.read_bytes()
    wide = b"\x8a\x06" + (10**12).to_bytes(6, "little")
    position = content.index(b"cpuq")
    start = content.index(b"K\x04", position)
    path.write_bytes(content[:start] + wide + content[start + 2 :])
    with pytest.raises(ValueError, match="longer than what the file holds"):
        read_checkpoint(path)


def test_a_compressed_file_is_not_inflated(tmp_path):
    torch.save({"x": torch.zeros(1 << 20)}, tmp_path / "x.pt")
    rewritten(tmp_path / "x.pt", lambda body: body, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x.pt").stat().st_size < 20_000
    with pytest.raises(ValueError, match="it is compressed, which no checkpoint is"):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize("what", ["comment", "double"])
def test_an_archive_that_two_readers_may_read_differently_is_refused(tmp_path, what):
    torch.save({"x": torch.zeros(3)}, tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt", "a") as archive:
        if what == "comment":
            archive.comment = b"x"
        else:
            archive.writestr("x/DATA.pkl", b"")
    with pytest.raises(ValueError, match="its table of contents is ambiguous"):
        read_checkpoint(tmp_path / "x.pt")


def test_keys_that_take_for_ever_to_hash_are_refused(tmp_path):
    doubled = b"".join(b"q%ch%c\x86" % (i, i) for i in range(100))  # a pair of itself, ...
    body = b"\x80\x02})" + doubled + b"Ns."
    torch.save({"x": torch.zeros(3)}, tmp_path / "x.pt")
    rewritten(tmp_path / "x.pt", lambda _: body)
    with pytest.raises(ValueError, match="a key of it is neither a text nor a number"):
        read_checkpoint(tmp_path / "x.pt")


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
