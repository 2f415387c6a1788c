"""Both generators of a trained model, from whatever file it was saved in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from munit_pl.hub.model_lookup import find_model
from munit_pl.hub.weights import read_exported
from munit_pl.inference.onnx import read_onnx
from munit_pl.io import safe_reading
from munit_pl.io.state_dict_checks import build_on_meta, check_extent, check_finite, named_tensors
from munit_pl.layers.autocast import to_float32
from munit_pl.models.base.description import recall_images
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.cyclegan.author_files import holds_author_generator, read_author_generators
from munit_pl.models.munit.nvlabs import read_checkpoint
from munit_pl.models.unit.nvlabs import holds_unit, read_unit_checkpoint

Generators = tuple[DomainGenerator, DomainGenerator]


def read_generators(path: str | Path, config_path: str | Path | None = None) -> Generators:
    """Read the generators of a checkpoint, of an exported model or of the original MUNIT's file.

    Where a run averaged its weights (`WeightAverage`), the averages are what is read. Weights in
    half precision become float32.

    The file may be untrusted: no code in it runs, and it takes no more memory than it is long.
    What the generators are is looked up by name among `DomainGenerator.kinds`, so one of another
    package must have been imported.

    Args:
        path: A ``.ckpt`` of ``munit-train`` or a run's folder, which stands for its newest one, a
            ``.safetensors`` of `export_generators`, the ``model.json`` of an ONNX export, a folder
            with one of the latter two, the name of a model of `PRETRAINED`, the original's
            ``gen_*.pt``, or CycleGAN's authors' ``*_net_G_A.pth``.
        config_path: The original's YAML file, for activations other than its defaults.

    Returns:
        Domain a's and domain b's generator, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If an ONNX export is read without onnxruntime.
        ValueError: If it is something else; the message says what.
    """
    path = find_model(path)
    if path.suffix == ".json":
        return read_onnx(path)
    if _is_safetensors(path):
        description, state = read_exported(path)
    else:
        description, state = _read_pickled(path, Path(config_path) if config_path else None)
    states = _split(state, path)
    gen_a, gen_b = (_build(name, description, own, path) for name, own in states.items())
    return gen_a, gen_b


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"  # after the header's length


def _read_pickled(path: Path, config_path: Path | None) -> tuple[Any, Any]:
    checkpoint = safe_reading.read_checkpoint(path)
    if isinstance(checkpoint, dict) and {"state_dict", "generators"} <= checkpoint.keys():
        averaged = checkpoint.get("averaged")
        state = _joined(averaged) if averaged else checkpoint["state_dict"]
        return checkpoint["generators"], state
    if holds_author_generator(checkpoint):
        return read_author_generators(path)
    unit = holds_unit(checkpoint)
    read = read_unit_checkpoint if unit else read_checkpoint
    arguments, states = read(path, None, config_path)
    description = {
        f"gen_{domain}": {
            "kind": "UNITGenerator" if unit else "AdaINGenerator",
            "arguments": {
                "in_channels": arguments[f"input_channels_{domain}"],
                **arguments["generator"],
            },
        }
        for domain in "ab"
    }
    return description, _joined(states)


def _joined(states: Any) -> dict[str, Any] | None:
    """Return the networks' states as one; nothing of what is no mapping of mappings."""
    if not isinstance(states, dict) or not all(isinstance(s, dict) for s in states.values()):
        return None
    return {
        f"{name}.{key}": tensor for name, state in states.items() for key, tensor in state.items()
    }


def _build(name: str, description: Any, state: Mapping[str, Tensor], path: Path) -> DomainGenerator:
    """Build a generator from what an untrusted file says, all of which is checked."""
    said = description.get(name) if isinstance(description, dict) else None
    called = said.get("kind") if isinstance(said, dict) else None
    if (
        not isinstance(said, dict)
        or not isinstance(called, str)
        or called not in DomainGenerator.kinds
    ):
        raise ValueError(
            f"{path} describes no {name} that is known here: {', '.join(DomainGenerator.kinds)}"
        )
    try:
        generator = build_on_meta(DomainGenerator.kinds[called], said.get("arguments"), state)
        # Copied, since a mapped file may change under a running program.
        own = {key: to_float32(tensor.detach().clone()) for key, tensor in state.items()}
        generator.load_state_dict(own, assign=True)
        check_finite(own)
        recall_images({name: generator}, description)
    except ValueError as error:
        raise ValueError(
            f"{path} does not fit the networks that it describes: {name}: {error}"
        ) from None
    return generator


def _split(state: Any, path: Path) -> dict[str, dict[str, Tensor]]:
    """Return each generator's part of a state dictionary."""
    tensors = named_tensors(state, path)
    states = {
        name: {
            key.removeprefix(f"{name}."): tensor
            for key, tensor in tensors.items()
            if key.startswith(f"{name}.")
        }
        for name in ("gen_a", "gen_b")
    }
    check_extent([tensor for own in states.values() for tensor in own.values()], path)
    return states
