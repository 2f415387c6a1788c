"""Feed broken files to the readers until the time is up, and keep those that are not refused well.

A file is refused well if the reader raises ``OSError`` or ``ValueError`` in one line, within five
seconds and a gigabyte. Whatever else happens is a find: it is kept in a folder, beside a text that
tells what happened. With atheris installed the search is guided by what parts of the readers a file
reaches; without it, files are changed at random.

    python tests/reliability/fuzz.py --target images --minutes 30
    python tests/reliability/fuzz.py --target checkpoints --minutes 30
    python tests/reliability/fuzz.py --target images --replay fuzz/images/finds/FILE
"""

import argparse
import faulthandler
import hashlib
import importlib.util
import io
import json
import pickle
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

SECONDS, MEGABYTES = 5, 1024
IMPORTED = 700  # megabytes that PyTorch takes by itself
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
COMPRESSIONS = {  # and the modes that they take: with others, libtiff may end the process
    **dict.fromkeys(("tiff_lzw", "tiff_adobe_deflate", "packbits"), MODES),
    "jpeg": ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"),
    "group4": ("1",),
}
GUIDED = importlib.util.find_spec("atheris") is not None


def image_seeds() -> Iterator[bytes]:
    """Make one small image of each format and mode, and some with what formats have besides."""
    from PIL import Image

    for mode in MODES:
        picture = Image.new(mode, (12, 9))
        options = [(kind, {}) for kind in FORMATS]
        options += [
            ("TIFF", {"compression": name}) for name, modes in COMPRESSIONS.items() if mode in modes
        ]
        options += [(kind, {"save_all": True, "append_images": [picture]}) for kind in FORMATS]
        exif = Image.Exif()
        exif[0x0112] = 6
        options += [(kind, {"exif": exif}) for kind in ("PNG", "JPEG", "WEBP", "TIFF")]
        for kind, more in options:
            file = io.BytesIO()
            try:
                picture.save(file, kind, **more)
            except Exception:  # not every format holds every mode
                continue
            yield file.getvalue()


def checkpoint_seeds() -> Iterator[bytes]:
    """Make a tiny model in each format; and pickles and headers alone, to pass checksums."""
    import torch
    from safetensors.torch import save

    from munit_pl.models.munit.networks import AdaINGenerator

    gen = AdaINGenerator(dim=1, style_dim=1, mlp_dim=1, num_downsample=0, num_res_blocks=1)
    said = {"kind": "AdaINGenerator", "arguments": gen.arguments}
    tensors = {f"gen_{d}.{k}": t.clone() for d in "ab" for k, t in gen.state_dict().items()}
    described = {"gen_a": said, "gen_b": said}
    whole = {"state_dict": tensors, "generators": described, "global_step": 3}
    original = {d: {"enc_content.model.0.conv.weight": torch.zeros(1, 3, 7, 7)} for d in "ab"}
    for content in (whole, original, {"x": torch.zeros(3), "y": [1, 2.0, None, "z", (True,)]}):
        for zipped in (True, False):
            file = io.BytesIO()
            torch.save(content, file, _use_new_zipfile_serialization=zipped)
            yield b"R" + file.getvalue()
            if zipped:
                with zipfile.ZipFile(file) as archive:
                    name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
                    yield b"Z" + archive.read(name)
            else:
                yield b"L" + file.getvalue()[_legacy_head() :]
    exported = save(tensors, {"munit_pl": json.dumps(described)})
    yield b"R" + exported
    yield b"S" + exported[8 : 8 + struct.unpack("<Q", exported[:8])[0]]


def _legacy_parts() -> list[object]:
    info = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    return [0x1950A86A20F9469CFC6C, 1001, info]


def _legacy_head() -> int:
    import torch

    file = io.BytesIO()
    torch.save(None, file, _use_new_zipfile_serialization=False)
    file.seek(0)
    for _ in range(3):
        pickle.load(file)
    return file.tell()


def wrap(content: bytes) -> bytes:
    """Put a checkpoint's input into the container that its first byte asks for."""
    kind, body = content[:1], content[1:]
    if kind == b"Z":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("m/data.pkl", body)
            archive.writestr("m/version", "3\n")
            for i in range(80):
                archive.writestr(f"m/data/{i}", bytes(600))
        return file.getvalue()
    if kind == b"L":
        return b"".join(pickle.dumps(part, 2) for part in _legacy_parts()) + body
    if kind == b"S":
        return struct.pack("<Q", len(body)) + body + bytes(4000)
    return body


def image_readers(path: Path) -> Iterator[Callable[[], object]]:
    """Give all that reads an image."""
    import torch

    from munit_pl.data.image_folder import ImageFolder
    from munit_pl.data.images.reading import read_image, read_size
    from munit_pl.data.images.tensors import to_tensor

    for channels in (1, 3, 4):
        yield lambda channels=channels: to_tensor(read_image(path, channels))
    yield lambda: read_size(path)
    for rng in (None, torch.Generator()):
        yield lambda rng=rng: ImageFolder([path], 3, 16, (16, 16)).load(0, rng)


def checkpoint_readers(path: Path) -> Iterator[Callable[[], object]]:
    """Give all that reads a model."""
    from munit_pl.inference.generator_loading import read_generators
    from munit_pl.io.safe_reading import read_checkpoint

    yield lambda: read_checkpoint(path)
    yield lambda: read_checkpoint(path, mmap=False)
    yield lambda: read_generators(path)


TARGETS = {
    "images": (image_seeds, image_readers, lambda content: content),
    "checkpoints": (checkpoint_seeds, checkpoint_readers, wrap),
}


class Checker:
    """Runs all readers on one input after another.

    Args:
        target: Which readers.
        finds: Where finds go.
    """

    def __init__(self, target: str, finds: Path) -> None:
        _, self.readers, self.wrap = TARGETS[target]
        self.finds = finds
        self.known = set[str]()
        self.place = Path(tempfile.mkdtemp(), "input")

    def __call__(self, content: bytes) -> None:
        """Try one input; a find is kept, unless another had the same cause."""
        self.place.write_bytes(self.wrap(content))
        for read in self.readers(self.place):
            start, before = time.process_time(), _peak()
            cause = _cause(read)
            if time.process_time() - start > SECONDS:
                cause = "slow"
            elif _peak() - max(before, IMPORTED) > MEGABYTES:
                cause = "large"
            if cause is not None and cause not in self.known:
                self.known.add(cause)
                keep(self.finds, content, cause)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cause(read: Callable[[], object]) -> str | None:
    """Return why an outcome is a find, None if it is not."""
    try:
        read()
    except (OSError, ValueError) as error:
        return "long message" if "\n" in str(error) or len(str(error)) > 2000 else None
    except Exception:
        return traceback.format_exc()
    return None


def keep(finds: Path, content: bytes, cause: str) -> None:
    """Keep an input with its cause beside it."""
    path = finds / hashlib.sha256(content).hexdigest()[:16]
    path.write_bytes(content)
    path.with_suffix(".txt").write_text(cause)
    print(f"found {path}: {cause.strip().splitlines()[-1]}", flush=True)


def mutated(seeds: list[bytes], rng: random.Random) -> bytes:
    """Change an input at a few places."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at, n = rng.randrange(len(content) + 1), rng.choice((1, 1, 2, 4, 16))
        match rng.randrange(5):
            case 0:
                content[at : at + n] = rng.randbytes(n)
            case 1:
                del content[at : at + n]
            case 2:
                content[at:at] = content[at : at + n]
            case 3:
                other = rng.choice(seeds)
                start = rng.randrange(len(other))
                content[at : at + n] = other[start : start + n]
            case 4:
                value = rng.choice((0, 1, 0x7F, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 20))
                content[at : at + 4] = struct.pack(rng.choice("<>") + "I", value)
    return bytes(content)


def search(target: str, folder: Path, seconds: float) -> None:
    """Try inputs in this process until the time is up."""
    warnings.simplefilter("ignore")
    faulthandler.enable()
    if GUIDED:
        _watch_readers()
    seeds = list(TARGETS[target][0]())
    check = Checker(target, folder / "finds")
    if GUIDED:
        _search_guided(check, seeds, folder, seconds)
        return
    rng, end, tried = random.Random(time.time_ns()), time.time() + seconds, 0
    while time.time() < end:
        content = mutated(seeds, rng)
        (folder / "current").write_bytes(content)
        check(content)
        tried += 1
    print(f"{tried} inputs tried")


def _watch_readers() -> None:
    """Import the readers so that atheris sees which of their branches an input takes."""
    import atheris

    with atheris.instrument_imports(include=["PIL", "munit_pl.data", "munit_pl.io"]):
        from PIL import Image

        import munit_pl.data.image_folder
        import munit_pl.inference.generator_loading

        Image.init()
    assert munit_pl


def _search_guided(check: Checker, seeds: list[bytes], folder: Path, seconds: float) -> None:
    import atheris

    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for seed in seeds:
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = {
        "max_total_time": round(seconds),
        "artifact_prefix": f"{folder / 'finds'}/",
        "timeout": 4 * SECONDS,  # of the wall's clock, on a machine that does other things too
        "rss_limit_mb": 2 * IMPORTED + MEGABYTES,
        "max_len": 1 << 16,
        "len_control": 0,  # long inputs from the start
        "print_final_stats": 1,
    }
    flags = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], check)
    atheris.Fuzz()


def supervise(target: str, folder: Path, minutes: float) -> int:
    """Search in processes of their own, since some finds end the process; return how many."""
    finds = folder / "finds"
    finds.mkdir(parents=True, exist_ok=True)
    current = folder / "current"
    current.unlink(missing_ok=True)  # of an earlier search
    end = time.time() + 60 * minutes
    while (left := end - time.time()) > 1:
        command = [sys.executable, __file__, "--target", target, "--out", str(folder)]
        child = subprocess.run([*command, "--search", str(left)], check=False)
        if child.returncode == 1:  # libFuzzer's own are larger
            sys.exit("the search itself failed: see above")
        if child.returncode < 0 and not GUIDED:  # atheris keeps such inputs itself
            if not current.exists():
                sys.exit(f"no input was tried: the search ended by signal {-child.returncode}")
            keep(finds, current.read_bytes(), f"ended by signal {-child.returncode}")
    found = [path for path in finds.iterdir() if path.suffix != ".txt"]
    print(f"{len(found)} finds in {finds}")
    return len(found)


def main() -> int:
    """Search, or try one find again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", choices=list(TARGETS), required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--out", type=Path, help="default: fuzz/TARGET")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try this input alone")
    parser.add_argument("--search", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.out or Path("fuzz", options.target)
    if options.replay:
        check = Checker(options.target, Path(tempfile.mkdtemp()))
        check(options.replay.read_bytes())
        return len(check.known)
    if options.search:
        search(options.target, folder, options.search)
        return 0
    return 1 if supervise(options.target, folder, options.minutes) else 0


if __name__ == "__main__":
    sys.exit(main())
