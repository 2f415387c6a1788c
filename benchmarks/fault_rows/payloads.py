"""Hostile files, harmless here: all that their payload does is to make a folder."""

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

MARKER = "payload_ran"  # the folder that a payload makes in the folder in which it runs
_GIGABYTE = 1 << 30


class Payload:
    """Makes the marker when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (MARKER,)


def bare_pickle(path: Path) -> None:
    """Write a pickle that is nothing but the payload."""
    path.write_bytes(pickle.dumps(Payload()))


def in_callbacks(path: Path) -> None:
    """Write a checkpoint whose weights are as they should be."""
    torch.save(_checkpoint() | {"callbacks": {"x": Payload()}}, path)


def in_old_format(path: Path) -> None:
    """Write a checkpoint as torch did before 1.6."""
    torch.save(_checkpoint() | {"x": Payload()}, path, _use_new_zipfile_serialization=False)


def in_instantiator(path: Path) -> None:
    """Write what let Lightning call any function (CVE-2026-58659)."""
    module, name = "lightning.pytorch.trainer.connectors.signal_connector", "call"
    hyper = {"_instantiator": f"{module}.{name}", "popenargs": ["mkdir", MARKER]}
    torch.save(_checkpoint() | {"hyper_parameters": hyper}, path)


def as_target(path: Path) -> None:
    """Write hyper-parameters that Hydra would call a function for."""
    target = {"_target_": "os.mkdir", "_args_": [MARKER]}
    torch.save(_checkpoint() | {"hyper_parameters": {"generator": target}}, path)


def terabyte_of_one_number(path: Path) -> None:
    """Write one number that is to be shown a quarter of a billion times a thousand."""
    huge = torch.zeros(1).expand(1 << 38)
    torch.save({"state_dict": {"gen_a.x": huge}}, path)


def terabyte_of_storage(path: Path) -> None:
    """Write a storage whose declared length the file does not hold."""
    buffer = io.BytesIO()
    torch.save({"state_dict": {"gen_a.x": torch.zeros(0x1234)}}, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("data.pkl"):  # a 16-bit number becomes one of 48 bits
                data = data.replace(b"M\x34\x12", b"\x8a\x06" + (1 << 38).to_bytes(6, "little"))
            new.writestr(name, data)


def compressed_zeros(path: Path) -> None:
    """Write a gigabyte of zeros as a megabyte, which torch itself never compresses."""
    buffer = io.BytesIO()
    torch.save({"state_dict": {"gen_a.x": torch.zeros(16)}}, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if not name.endswith("data/0"):
                new.writestr(name, old.read(name), zipfile.ZIP_STORED)
                continue
            with new.open(name, "w", force_zip64=True) as entry:
                for _ in range(64):
                    entry.write(bytes(_GIGABYTE // 64))


def safetensors_of_long_header(path: Path) -> None:
    """Write a header that would be longer than any disk."""
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")


def safetensors_beyond_its_end(path: Path) -> None:
    """Write a header that tells of a terabyte of numbers."""
    end = 1 << 40
    header = {"x": {"dtype": "F32", "shape": [end // 4], "data_offsets": [0, end]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))


def _checkpoint() -> dict[str, Any]:
    return {
        "state_dict": {"gen_a.x": torch.zeros(4)},
        "optimizer_states": [],
        "lr_schedulers": [],
        "global_step": 1,
        "epoch": 0,
        "pytorch-lightning_version": "2.6.6",
        "loops": {},
    }


def zip_of(names: dict[str, bytes], path: Path) -> None:
    """Write a zip of these members, whatever they are called."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in names.items():
            archive.writestr(name, data)


def zip_bomb(path: Path) -> None:
    """Write a gigabyte of zeros as a megabyte."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("zeros.png", "w", force_zip64=True) as entry,
    ):
        for _ in range(64):
            entry.write(bytes(_GIGABYTE // 64))


def zip_of_many(path: Path) -> None:
    """Write more members than any data set has, of one byte each."""
    files, entries, count = [], [], 1_000_001
    length = 39  # of each file with its header
    for i in range(count):
        name, content = f"{i:08x}".encode(), (zlib.crc32(b"x"), 1, 1, 8)
        files.append(struct.pack("<4s5H3L2H", b"PK\3\4", *[0] * 5, *content, 0) + name + b"x")
        place = (*[0] * 5, i * length)
        entries.append(struct.pack("<4s6H3L5H2L", b"PK\1\2", *[0] * 6, *content, *place) + name)
    start, size = count * length, sum(map(len, entries))
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1)
    old_end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, size, start, 0)
    path.write_bytes(b"".join([*files, *entries, end, locator, old_end]))


def tar_of(members: list[tuple[str, bytes, str]], path: Path) -> None:
    """Write a tar of members: name, kind (as ``tarfile`` has it), where it links to or holds."""
    with tarfile.open(path, "w") as archive:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content.encode()))
            else:
                member.linkname = content
                archive.addfile(member)
