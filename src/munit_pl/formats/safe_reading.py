"""Files of PyTorch from anywhere: nothing in them is run, and nothing is bigger than the file.

``torch.load(weights_only=True)`` runs no code of a file's, but it allocates what the file declares:
a kilobyte can ask for a terabyte. So its pickles are rehearsed first.
"""

from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch

from munit_pl.formats.rehearsal import RefusedError, Rehearsal

MAX_PICKLE = 4 << 20  # bytes; that of a published model and its optimisers has about 0.1 MiB


def read_checkpoint(path: Path, mmap: bool = True) -> Any:
    """Read tensors and plain values that `torch.save` wrote, in its format of today or of old.

    Args:
        path: The file, which may come from a stranger.
        mmap: Leave tensors in the file until they are used. It may then not be written to
            meanwhile. The old format is always read whole.

    Returns:
        What was saved, on the CPU. Shapes are those that the file declares, and no tensor has more
        bytes than the file; whether they fit is for the caller to compare.

    Raises:
        ValueError: If it is anything else, or damaged; one line says what.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}")
    try:
        zipped = is_archive(path)
        (_check_archive if zipped else _check_old_format)(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and zipped)
    except RefusedError as refused:
        raise ValueError(f"{path} is no checkpoint: {refused}") from None
    except Exception as error:  # broken bytes can fail in any way
        reason = "it is damaged, or something else" if path.stat().st_size else "it is empty"
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
        if archive.comment or len(names) < len(entries):
            raise RefusedError("its table of contents is ambiguous")
        if any(e.compress_type != ZIP_STORED or e.compress_size != e.file_size for e in entries):
            raise RefusedError("it is compressed, which no checkpoint is")
        if sum(entry.file_size for entry in entries) > total:
            raise RefusedError("it declares more bytes than it has")
        top = entries[0].filename.split("/")[0]  # as torch does
        start = f"{top}/data/"
        sizes = {
            entry.filename.removeprefix(start): entry.file_size
            for entry in entries
            if entry.filename.startswith(start)
        }
        if archive.getinfo(f"{top}/data.pkl").file_size > MAX_PICKLE:
            raise RefusedError("what it says of its tensors is longer than that of any model")
        Rehearsal(sizes, total).run(BytesIO(archive.read(f"{top}/data.pkl")))


def _check_old_format(path: Path) -> None:
    """Check the format before PyTorch 1.6: five pickles, then the storages' bytes."""
    rehearsal = Rehearsal(None, path.stat().st_size)
    with path.open("rb") as file:
        start = BytesIO(file.read(MAX_PICKLE))
    for _ in range(5):
        rehearsal.run(start)
