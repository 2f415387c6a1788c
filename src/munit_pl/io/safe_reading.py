"""Files of PyTorch from untrusted sources: nothing in them is run.

``torch.load(weights_only=True)`` runs no code of a file's. A file that was made to harm can still
make it take all memory, or crash: exports as safetensors have no such file.
"""

import re
import struct
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch

MAX_PICKLE = 4 << 20  # bytes; that of a published model and its optimizers has about 0.1 MiB

_END = struct.Struct("<4s4xHHIIH")  # of an archive: signature, counts, table's size and place
_END_64 = struct.Struct("<4s20xQQQQ")
_LOCATOR_64 = struct.Struct("<4s4xQ4x")


class RefusedError(ValueError):
    """A file is made otherwise than any checkpoint."""


def read_checkpoint(path: Path, mmap: bool = True) -> Any:
    """Read tensors and plain values that `torch.save` wrote, in its format of today or of old.

    Args:
        path: The file. No code in it is run.
        mmap: Leave tensors in the file until they are used. It may then not be written to
            meanwhile. The old format is always read whole.

    Returns:
        What was saved, on the CPU. Shapes are those that the file declares; whether they fit is for
        the caller to compare.

    Raises:
        ValueError: If it is anything else, or damaged; one line says what.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}")
    try:
        zipped = is_archive(path)
        if zipped:
            _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and zipped)
    except RefusedError as refused:
        raise ValueError(f"{path} is no checkpoint: {refused}") from None
    except Exception as error:  # broken bytes can fail in any way
        reason = "it is damaged, or something else" if path.stat().st_size else "it is empty"
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            reason = f"it holds more than tensors and plain values: {named[1][:80]!r}"
        raise ValueError(f"{path} is no checkpoint: {reason}") from error


def is_archive(path: Path) -> bool:
    """Tell PyTorch's format of today, a zip archive, from all others."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _check_archive(path: Path) -> None:
    """Refuse what would grow in memory, and what two readers of archives could read differently."""
    with ZipFile(path) as archive:
        entries, total = archive.infolist(), path.stat().st_size
        names = {entry.filename.lower() for entry in entries}  # torch finds names in any case
        if archive.start_dir != _place_of_table(path) or len(names) < len(entries):
            raise RefusedError("its table of contents is ambiguous")
        if any(e.compress_type != ZIP_STORED or e.compress_size != e.file_size for e in entries):
            raise RefusedError("it is compressed, which no checkpoint is")
        if sum(entry.file_size for entry in entries) > total:
            raise RefusedError("it declares more bytes than it has")
        top = entries[0].filename.split("/")[0]  # as torch does
        if archive.getinfo(f"{top}/data.pkl").file_size > MAX_PICKLE:
            raise RefusedError("what it says of its tensors is longer than that of any model")


def _place_of_table(path: Path) -> int | None:
    """Return where an archive's last bytes say that its table of contents lies.

    Nothing if that does not end right before them: torch goes to the place that is said, Python to
    what lies before the end, and there may be two tables.
    """
    with path.open("rb") as file:
        end = file.seek(-_END.size, 2)
        signature, _, _, size, place, comment = _END.unpack(file.read())
        if signature != b"PK\x05\x06" or comment:
            return None
        file.seek(end - _LOCATOR_64.size)
        signature, record = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
        if signature == b"PK\x06\x07":  # as torch writes it, of small files too
            end = file.seek(record)
            signature, _, _, size, place = _END_64.unpack(file.read(_END_64.size))
            if signature != b"PK\x06\x06":
                return None
    return place if place + size == end else None
