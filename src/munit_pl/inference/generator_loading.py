"""Both generators of a trained model, from whatever file it was saved in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from munit_pl.hub.model_lookup import find_model
from munit_pl.hub.weights import read_exported
from munit_pl.inference.one_way import SourceDomain
from munit_pl.inference.onnx import read_onnx
from munit_pl.io import safe_reading
from munit_pl.io.state_dict_checks import (
    build_on_meta,
    check_extent,
    check_finite_weights,
    check_fit,
    named_tensors,
)
from munit_pl.layers.autocast import to_float32
from munit_pl.models.base.description import recall_images
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.base.pair import DomainPair
from munit_pl.models.bicyclegan.author_files import holds_author_unet, read_author_unet
from munit_pl.models.cyclegan.author_files import holds_author_generator, read_author_generators
from munit_pl.models.munit.nvlabs import read_munit_checkpoint
from munit_pl.models.unit.nvlabs import holds_unit, read_unit_checkpoint

Generators = tuple[DomainGenerator, DomainGenerator]

# Of generators' arguments those that are not under model.generator, by argument and domain.
_SETTINGS = {"in_channels": "model.input_channels_{1}", "noise_dim": "model.noise_dim"}


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
            ``gen_*.pt``, CycleGAN's authors' ``*_net_G_A.pth``, or BicycleGAN's ``*_net_G.pth``.
        config_path: The original's YAML file, for activations other than its defaults.

    Returns:
        Domain a's and domain b's generator, on the CPU; a `SourceDomain` for the domain that a
        model of one direction translates from.

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
    states = _split(state, path, ("gen_a", "gen_b"))
    one_way = [name for name in states if isinstance(description, dict) and name in description]
    gens = {
        name: _build(name, description, states[name], path)
        for name in (one_way if len(one_way) == 1 else states)
    }
    for absent in states.keys() - gens.keys():
        gens[absent] = _source_of(gens[one_way[0]], absent, path)
    return gens["gen_a"], gens["gen_b"]


def start_from(pair: DomainPair, path: str | Path) -> list[str]:
    """Give networks the weights of a trained model, as transfer learning does.

    Both generators' weights are taken, and the discriminators' where the file holds some that fit;
    else these stay as they are, such as fresh.

    Args:
        pair: The networks, of the method and sizes of the trained ones.
        path: Any file, folder or name that `read_generators` takes, but for an ONNX export.

    Returns:
        The names of the discriminators that stayed as they are.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no trained model, or one of other networks; the message says what
            differs.
    """
    path = find_model(path)
    if path.suffix == ".json":
        raise ValueError(f"{path} is an ONNX export, with which training cannot begin")
    trained = read_generators(path)
    if any(isinstance(gen, SourceDomain) for gen in trained):
        raise ValueError(f"{path} is of one direction, and training is of both")
    _check_same((pair.gen_a, pair.gen_b), trained, path)
    for own, other in zip((pair.gen_a, pair.gen_b), trained, strict=True):
        own.load_state_dict(_with_own_buffers(own, other))
    states = _split(_read_state(path), path, ("dis_a", "dis_b"))
    kept = []
    for name, state in states.items():
        try:
            check_fit(pair.get_submodule(name), state)
            check_finite_weights(state)
        except ValueError:
            kept.append(name)
        else:
            pair.get_submodule(name).load_state_dict(state)
    return kept


def _check_same(own: Generators, trained: Generators, path: Path) -> None:
    """Refuse generators of another method or size than the trained ones, with what differs."""
    if own[0].method != trained[0].method:
        methods = trained[0].method, own[0].method
        raise ValueError("{} is a model of {}, and {} is to be trained".format(path, *methods))
    try:
        for ours, theirs in zip(own, trained, strict=True):
            check_fit(ours, _with_own_buffers(ours, theirs))
    except ValueError as error:
        settings = {
            f"{_SETTINGS.get(argument, 'model.generator.{}').format(argument, domain)}={value}"
            for domain, ours, theirs in zip("ab", own, trained, strict=True)
            for argument, value in theirs.arguments.items()
            if value != ours.arguments.get(argument) and argument != "other_channels"
        }
        how = f"train it with {' '.join(sorted(settings))}" if settings else error
        raise ValueError(f"{path} has networks of other sizes: {how}") from None


def _with_own_buffers(own: DomainGenerator, trained: DomainGenerator) -> dict[str, Tensor]:
    """Return a trained generator's state, with statistics that begin anew where it has none."""
    return dict(own.named_buffers(remove_duplicate=False)) | trained.state_dict()


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"  # after the header's length


def _read_state(path: Path) -> Any:
    """Return all tensors of a file of this package by name; none of another's."""
    if _is_safetensors(path):
        return read_exported(path)[1]
    checkpoint = safe_reading.read_checkpoint(path)
    return checkpoint.get("state_dict", {}) if isinstance(checkpoint, dict) else {}


def _read_pickled(path: Path, config_path: Path | None) -> tuple[Any, Any]:
    checkpoint = safe_reading.read_checkpoint(path)
    if isinstance(checkpoint, dict) and {"state_dict", "generators"} <= checkpoint.keys():
        averaged = checkpoint.get("averaged")
        state = _joined(averaged) if averaged else checkpoint["state_dict"]
        return checkpoint["generators"], state
    if holds_author_generator(checkpoint):
        return read_author_generators(path)
    if holds_author_unet(checkpoint):
        return read_author_unet(path)
    unit = holds_unit(checkpoint)
    read = read_unit_checkpoint if unit else read_munit_checkpoint
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
        check_finite_weights(own)
        recall_images({name: generator}, description)
    except ValueError as error:
        raise ValueError(
            f"{path} does not fit the networks that it describes: {name}: {error}"
        ) from None
    return generator


def _source_of(gen: DomainGenerator, absent: str, path: Path) -> SourceDomain:
    """Return the side that a model of one direction translates from."""
    try:
        return SourceDomain(gen)
    except ValueError as error:
        raise ValueError(f"{path} describes no {absent}: {error}") from None


def _split(state: Any, path: Path, networks: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """Return each network's part of a state dictionary."""
    tensors = named_tensors(state, path)
    states = {
        name: {
            key.removeprefix(f"{name}."): tensor
            for key, tensor in tensors.items()
            if key.startswith(f"{name}.")
        }
        for name in networks
    }
    check_extent([tensor for own in states.values() for tensor in own.values()], path)
    return states
