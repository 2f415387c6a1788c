"""Files that were made to harm whoever reads them, and the plain ones that they pretend to be."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save

from munit_pl.models.munit.networks import AdaINGenerator

SIZES = {"dim": 2, "style_dim": 2, "mlp_dim": 2, "num_downsample": 1, "num_res_blocks": 1}


class Payload:
    """Unpickled, it makes a folder: the trace of code that ran."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


class Calling:
    """Unpickled, it calls what PyTorch itself lets a file of weights call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Storage:
    """Pickled, it is a storage of so many float32, whatever the file holds of it."""

    def __init__(self, count, old=False, key="0"):
        view = (None,) if old else ()
        self.id = ("storage", torch.FloatStorage, key, "cpu", count, *view)


class _Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None


def tensor(count, shape, stride, old=False, key="0"):
    """Return what unpickles as a tensor over a storage that declares ``count`` numbers.

    Args:
        count: Numbers.
        shape: The tensor's.
        stride: The tensor's.
        old: Whether it is for the format before PyTorch 1.6.
        key: The storage's name.
    """
    storage = Storage(count, old, key)
    return Calling(torch._utils._rebuild_tensor_v2, storage, 0, shape, stride, False, OrderedDict())


def pickled(content):
    """Return the bytes of a pickle in which `Storage` stands for storages."""
    file = io.BytesIO()
    _Pickler(file, 2).dump(content)
    return file.getvalue()


def write_zip(path, data_pkl, entries=(("data/0", bytes(64)),), compression=zipfile.ZIP_STORED):
    """Write PyTorch's zip format by hand."""
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        archive.writestr("model/data.pkl", data_pkl)
        archive.writestr("model/version", "3\n")
        archive.writestr("model/byteorder", "little")
        for name, content in entries:
            archive.writestr(f"model/{name}", content)


def legacy(content, storages=(("0", 16),)):
    """Return PyTorch's format before 1.6, whose storages may be others than the pickle declares."""
    magic = 0x1950A86A20F9469CFC6C
    info = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = b"".join(pickle.dumps(part, 2) for part in (magic, 1001, info))
    keys = pickle.dumps([key for key, _ in storages], 2)
    data = b"".join(struct.pack("<q", n) + bytes(4 * n) for _, n in storages)
    return head + pickled(content) + keys + data


def generators():
    """Return two of the smallest generators."""
    return [AdaINGenerator(**SIZES) for _ in "ab"]


def describe(gen_a, gen_b, **arguments):
    """Return what a file says of two generators, with some of domain a's arguments replaced."""
    said = {
        name: {"kind": type(gen).__name__, "arguments": dict(gen.arguments)}
        for name, gen in (("gen_a", gen_a), ("gen_b", gen_b))
    }
    said["gen_a"]["arguments"] |= arguments
    return said


def checkpoint(**arguments):
    """Return a checkpoint's content; ``arguments`` replace those that it tells of domain a's."""
    gens = generators()
    state = {
        f"gen_{domain}.{key}": tensor
        for domain, gen in zip("ab", gens, strict=True)
        for key, tensor in gen.state_dict().items()
    }
    return {
        "pytorch-lightning_version": "2.6.6",
        "epoch": 0,
        "global_step": 3,
        "state_dict": state,
        "generators": describe(*gens, **arguments),
        "optimizer_states": [{"state": {}, "param_groups": []}],
        "hyper_parameters": {"seed": 0},
    }


def safetensors(header, data=b""):
    """Return a safetensors file with any header, text or not."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def exported(content, metadata):
    """Return a safetensors file of tensors with an exported model's metadata, any text."""
    return save(content["state_dict"], {"munit_pl": metadata})
