"""Files and settings of people with bad intentions (A.2.4)."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from fault_rows import drawing, payloads
from fault_rows.checks import Row, ended, ensure, finished, refused, saved_steps, told, tree
from fault_rows.stage import CHECKPOINTS, Stage, Surprise

Maker = Callable[[Path], None]


def runs_if_trusted(file: Path) -> None:
    """Make sure that a payload works where nobody takes care, so that its absence tells."""
    program = "import sys, torch; torch.load(sys.argv[1], weights_only=False)"
    line = [sys.executable, "-c", program, file.name]
    subprocess.run(line, cwd=file.parent, capture_output=True, check=False)
    marker = file.parent / payloads.MARKER
    ensure(marker.is_dir(), "the payload does nothing even where nobody takes care")
    marker.rmdir()


def checkpoint(make: Maker, command: str, works: bool, name: str, stage: Stage) -> None:
    """Give a hostile checkpoint to a command: one line, and nothing of it runs."""
    stage.draw()
    make(stage.folder / name)
    if works:
        runs_if_trusted(stage.folder / name)
    data = ["data=folder", "data.root=images", "data.resize=16", "data.crop=[16,16]"]
    if command == "munit-train":
        outcome = stage.train(f"ckpt_path={name}")
    elif command == "munit-translate":
        outcome = stage.run(command, name, "images/testA", "--device", "cpu")
    else:
        outcome = stage.run(command, name, *data, "--device", "cpu")
    told(outcome, 2 if command == "munit-train" else 1, name, command=command)
    ensure(not list(stage.folder.rglob(payloads.MARKER)), "the payload ran")
    ensure(not saved_steps(stage), "trained")


def target(settings: list[str], stage: Stage) -> None:
    stage.draw()
    outcome = stage.train(*settings)
    refused(stage, outcome)
    ensure(not list(stage.folder.rglob(payloads.MARKER)), "the payload ran")


def names(stage: Stage) -> None:
    """Translate images whose names lead elsewhere if they are taken for more than names."""
    stage.draw()
    finished(stage, stage.train())
    folder = stage.folder / "inputs"
    folder.mkdir()
    odd = ["-rf.png", "--out=x.png", "a\nb.png", "x\\..\\y.png", "$(x).png", "\u202egnp.png"]
    odd += ["a" * 251 + ".png", os.fsdecode(b"\xff.png"), "%2e%2e%2fx.png", "<script>.png"]
    for name in odd:
        drawing.png(folder / name)
    before = tree(stage.folder)
    arguments = [str(CHECKPOINTS / "last.ckpt"), "inputs", "--styles", "1", "--device", "cpu"]
    outcome = stage.run("munit-translate", *arguments, "--out", "out")
    outside = {x for x in tree(stage.folder) - before if x.split("/")[0] != "out"}
    ensure(not outside, f"written outside: {sorted(outside)[:3]}")
    ended(outcome, 0)
    made = [x for x in (stage.folder / "out").rglob("*.png") if "sheet" not in x.name]
    ensure(len(made) == len(odd), f"{len(made)} outputs of {len(odd)}")


def bad_inputs(stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train())
    folder = stage.folder / "images" / "testA"
    drawing.bomb(folder / "bomb.png")
    drawing.truncated_jpeg(folder / "cut.jpg")
    arguments = [str(CHECKPOINTS / "last.ckpt"), "images/testA", "--styles", "1", "--device", "cpu"]
    outcome = stage.run("munit-translate", *arguments, "--out", "out")
    ended(outcome, 1, r"bomb\.png", r"cut\.jpg")
    made = [x for x in (stage.folder / "out").rglob("*.png") if "sheet" not in x.name]
    ensure(len(made) == 4, f"{len(made)} outputs of 4")


def original_config(text: str, stage: Stage) -> None:
    """The configuration that comes with a checkpoint of the original."""
    stage.draw()
    torch.save({"a": {}, "b": {}}, stage.folder / "gen_1.pt")
    (stage.folder / "config.yaml").write_text(text)
    arguments = ["gen_1.pt", "images/testA", "--config", "config.yaml", "--device", "cpu"]
    told(stage.run("munit-translate", *arguments), 1, "config", command="munit-translate")
    if list(stage.folder.rglob(payloads.MARKER)):
        raise Surprise("the payload ran")


_CALL = "lightning.pytorch.trainer.connectors.signal_connector.call"
_ARGUMENTS = f"_args_:[[mkdir,{payloads.MARKER}]]"
_TARGETS = [
    ("data._target_=os.system", ["data._target_=os.system"]),
    (
        "an alias of subprocess.call as a callback",
        [f"+callbacks.x={{_target_:{_CALL},{_ARGUMENTS}}}"],
    ),
    ("the same, nested", [f"+model.generator.x={{_target_:{_CALL},{_ARGUMENTS}}}"]),
    ("os.mkdir as a logger", [f"+logger.x={{_target_:os.mkdir,_args_:[{payloads.MARKER}]}}"]),
]
_CHECKPOINTS: list[tuple[str, Maker, bool, str]] = [
    ("a bare pickle", payloads.bare_pickle, True, "x.ckpt"),
    ("a pickle among the callbacks' states", payloads.in_callbacks, True, "x.ckpt"),
    ("a pickle in the old format", payloads.in_old_format, True, "x.ckpt"),
    ("_instantiator", payloads.in_instantiator, False, "x.ckpt"),
    ("_target_ among the arguments", payloads.as_target, False, "x.ckpt"),
    ("one number shown as a terabyte", payloads.terabyte_of_one_number, False, "x.ckpt"),
    ("a storage of a declared terabyte", payloads.terabyte_of_storage, False, "x.ckpt"),
    ("a gigabyte of zeros, compressed", payloads.compressed_zeros, False, "x.ckpt"),
    ("a header of declared exabytes", payloads.safetensors_of_long_header, False, "x.safetensors"),
    ("tensors beyond the end", payloads.safetensors_beyond_its_end, False, "x.safetensors"),
]
_COMMANDS = ("munit-train", "munit-translate", "munit-evaluate")
_LINE = "one line; nothing of it runs"
ROWS = [
    *(
        Row(
            f"hostile checkpoint: {what}, to {command}",
            _LINE,
            partial(checkpoint, make, command, works, name),
        )
        for what, make, works, name in _CHECKPOINTS
        for command in _COMMANDS
        if command != "munit-evaluate" or make in (payloads.in_callbacks, payloads.bare_pickle)
    ),
    *(
        Row(f"hostile setting: {what}", "refused, exit 2", partial(target, how))
        for what, how in _TARGETS
    ),
    Row("hostile names: to munit-translate", "translated; nothing outside --out", names),
    Row("bad images: to munit-translate", "told; the others are translated, exit 1", bad_inputs),
    Row(
        "hostile YAML: an object, to munit-translate --config",
        _LINE,
        partial(original_config, f"x: !!python/object/apply:os.mkdir [{payloads.MARKER}]\n"),
    ),
    Row(
        "hostile YAML: a billion aliases, to munit-translate --config",
        "one line",
        partial(
            original_config,
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(
                f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n"
                for a, b in zip("abcdefghi", "bcdefghij", strict=True)
            ),
        ),
    ),
]
