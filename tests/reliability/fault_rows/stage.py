"""A fresh folder in which a row prepares its fault and runs commands as a user does."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fault_rows.drawing import draw_domains

SECONDS = 120  # that a command may take; what takes longer hangs
GRACE = 20.0  # seconds in which a command's other processes must be gone after it
RUN = Path("outputs/munit/x")  # of `train`, below the stage's folder
CHECKPOINTS = RUN / "checkpoints"
DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
# The smallest networks that do all that large ones do.
NETWORKS = [
    "model.generator.dim=4",
    "model.generator.mlp_dim=8",
    "model.generator.num_res_blocks=1",
    "model.discriminator.dim=4",
    "model.discriminator.num_layers=2",
    "model.discriminator.num_scales=2",
]
TINY = [
    "data=folder",
    "data.root=images",
    "data.resize=16",
    "data.crop=[16,16]",
    "data.num_workers=0",
    *NETWORKS,
    "trainer.accelerator=cpu",
    "trainer.max_steps=4",
    "trainer.log_every_n_steps=1",
    "callbacks.checkpoints.every_n_steps=2",
    "~callbacks.bar",
    "run=x",
]


class Surprise(Exception):
    """Something else was seen than expected."""


class Outcome(NamedTuple):
    """How a command ended.

    Attributes:
        status: Its exit status; 128 plus the signal's number if one ended it, as shells have it.
        said: All it wrote, to stdout first.
        errors: What it wrote to stderr.
    """

    status: int
    said: str
    errors: str


class Command:
    """A running command, and all processes that it starts; a session of their own."""

    def __init__(self, arguments: Sequence[str], stage: "Stage", environment: dict[str, str]):
        number = len(stage.commands)
        self._folder = stage.folder
        self._deadline = time.monotonic() + SECONDS
        self._said = [stage.home / f"{number}.{stream}.txt" for stream in ("out", "err")]
        with self._said[0].open("wb") as out, self._said[1].open("wb") as err:
            self._process = subprocess.Popen(
                arguments,
                cwd=stage.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def wait(self) -> Outcome:
        """Wait for the end of the command and of what it started.

        Raises:
            Surprise: If its time is over before, or processes stay behind.
        """
        try:
            status = self._process.wait(max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Surprise(f"hangs; last words: {_last_line(self._texts()[1])}") from None
        gone_by = time.monotonic() + GRACE
        while left := list(self._living()):
            if time.monotonic() > gone_by:
                raise Surprise(f"ended with {status}, but left {len(left)} processes behind")
            time.sleep(0.1)
        out, err = self._texts()
        return Outcome(status if status >= 0 else 128 - status, out + err, err)

    def wait_for(self, file: Path) -> None:
        """Wait until a file of the stage is there.

        Raises:
            Surprise: If the command ends before, or its time is over.
        """
        while not (self._folder / file).exists():
            if self._process.poll() is not None:
                last = _last_line(self._texts()[1])
                raise Surprise(f"ended with {self._process.returncode} too early: {last}")
            if time.monotonic() > self._deadline:
                raise Surprise(f"makes no {file.name} within {SECONDS} s")
            time.sleep(0.02)

    def send(self, number: signal.Signals, rank: int = 0) -> None:
        """Send a signal to one process of a run."""
        os.kill(self._process.pid if rank == 0 else self._find(rank), number)

    def send_to_all(self, number: signal.Signals) -> None:
        """Send a signal to all processes, workers too, as terminals and schedulers do."""
        for pid in self._living():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """Kill whatever still runs."""
        self.send_to_all(signal.SIGKILL)
        self._process.wait()

    def texts(self) -> str:
        """Return what was said so far."""
        return "".join(self._texts())

    def _texts(self) -> tuple[str, str]:
        out, err = (file.read_text(errors="replace").replace("\r", "\n") for file in self._said)
        return out, err

    def _find(self, rank: int) -> int:
        """Return the process that Lightning started for a rank."""
        for pid in self._living():
            environment = _of(pid, "environ").split("\0")
            if _parent(pid) == self._process.pid and f"LOCAL_RANK={rank}" in environment:
                return pid
        raise Surprise(f"there is no process of rank {rank}")

    def _living(self) -> Iterator[int]:
        for entry in Path("/proc").glob("[0-9]*"):
            fields = _fields(int(entry.name))
            if fields and fields[0] not in "ZX" and int(fields[3]) == self._process.pid:
                yield int(entry.name)


class Stage:
    """A fresh folder, and what runs in it.

    Args:
        folder: An empty folder; commands run in it.
    """

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.folder = folder / "work"
        self.home.mkdir()
        self.folder.mkdir()
        (self.home / "tmp").mkdir()
        self.commands: list[Command] = []

    def draw(self, train: int = 40) -> Path:
        """Draw both domains' images and return their root."""
        root = self.folder / "images"
        draw_domains(root, train)
        return root

    def start(
        self, command: str, *arguments: str, prefix: Sequence[str] = (), **variables: str
    ) -> Command:
        """Start an installed command, if need be through others."""
        program = Path(sys.executable).parent / command
        if not program.exists():
            raise Surprise(f"there is no command {command}")
        line = [*prefix, str(program), *arguments]
        self.commands.append(Command(line, self, self._environment() | variables))
        return self.commands[-1]

    def start_train(self, *settings: str, prefix: Sequence[str] = ()) -> Command:
        """Start ``munit-train`` with the smallest networks; a later setting replaces an earlier."""
        return self.start("munit-train", *_merged([*TINY, *settings]), prefix=prefix)

    def train(self, *settings: str, prefix: Sequence[str] = ()) -> Outcome:
        """Run ``munit-train`` with the smallest networks to its end."""
        return self.start_train(*settings, prefix=prefix).wait()

    def stop(self) -> str:
        """Kill whatever still runs and return what the last command said."""
        for command in self.commands:
            command.stop()
        return self.commands[-1].texts() if self.commands else ""

    def _environment(self) -> dict[str, str]:
        """Return this process's environment without what would make a command another."""
        foreign = ("WANDB_", "SLURM_", "MASTER_", "HYDRA_", "PYTHON", "RANK", "LOCAL_", "WORLD_")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        own = {"HOME": str(self.home), "TMPDIR": str(self.home / "tmp"), "OMP_NUM_THREADS": "1"}
        return kept | own


def fault(kind: str, step: int, rank: int = 0) -> list[str]:
    """Return the settings that let a fault happen inside a run."""
    chosen = {"kind": kind, "step": step, "rank": rank}
    return [
        "callbacks=[default,fault_injection]",
        *(f"callbacks.fault.{k}={v}" for k, v in chosen.items()),
    ]


def _merged(settings: list[str]) -> list[str]:
    """Return the last setting of each key, flags first."""
    keyed = {re.split("=", setting)[0].lstrip("+~"): setting for setting in settings}
    return sorted(keyed.values(), key=lambda setting: not setting.startswith("--"))


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "none"


def _of(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""


def _fields(pid: int) -> list[str]:
    """Return a process's state, parent, group, session and so on."""
    return _of(pid, "stat").rpartition(")")[2].split()


def _parent(pid: int) -> int:
    fields = _fields(pid)
    return int(fields[1]) if fields else 0
