"""What a constructor has to say of its arguments, all of it and not only the first thing."""

import inspect
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from traceback import walk_tb
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import nn

from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.datamodules.drawn import DrawnDataModule
from munit_pl.data.image_folder import ImageFolder
from munit_pl.models.base.module import AdversarialModule

Names = tuple[str, ...]
Arguments = dict[str, Any]


class Answer(NamedTuple):
    """What came of asking.

    Attributes:
        made: What was made in the end, on the meta device if it has tensors.
        refused: Each argument that was refused, and how; of no name where none could be blamed.
    """

    made: object
    refused: dict[Names, Exception]


def ask(cls: type, arguments: Arguments, listed: Arguments) -> Answer:
    """Make a ``cls`` without memory, files or devices, leaving out argument after argument.

    Constructors stop at the first thing that is wrong. The argument to blame is the one without
    which another thing is said, or nothing; it is left out, and the rest asked again.

    Args:
        cls: A class of this package.
        arguments: Its keyword arguments, mappings among them.
        listed: Arguments that are known to be good: others are suspected first.
    """
    given, refused = deepcopy(arguments), dict[Names, Exception]()
    while True:
        made = _try(cls, given)
        if not isinstance(made, Exception):
            return Answer(made, refused)
        name = _to_blame(cls, given, made, listed)
        refused[name] = made
        if not name:
            return Answer(None, refused)
        given = _without(given, name)


def knows(cls: type, arguments: Arguments, name: Names) -> bool:
    """Tell whether ``cls`` looks at the names in a mapping and takes this one."""
    nonsense = _without(arguments, name)
    _inner(nonsense, name[:-1])["no_such_name"] = None
    refused = [isinstance(_try(cls, given), TypeError) for given in (arguments, nonsense)]
    return refused == [False, True]


def _try(cls: type, arguments: Arguments) -> object:
    """Return what was made, or the exception."""
    try:
        with torch.device("meta"):
            made = cls(**deepcopy(arguments))
        if isinstance(made, AdversarialModule):
            _make_optimizers(made)
        if isinstance(made, TwoDomains):
            _make_domains(made, arguments)
    except Exception as error:  # of any kind: out of range is what is asked for here
        return error
    return made


def _make_optimizers(module: AdversarialModule) -> None:
    """Let optimizers and schedules speak, over weights that fused ones take."""
    networks = {name: getattr(module, name) for name in ("gen_a", "gen_b", "dis_a", "dis_b")}
    try:
        for name in networks:
            setattr(module, name, nn.ParameterList([torch.zeros(1)]))
        module.configure_optimizers()
    finally:
        for name, network in networks.items():
            setattr(module, name, network)


def _make_domains(datamodule: TwoDomains, arguments: Arguments) -> None:
    """Let what reads the images speak, without reading any."""
    if isinstance(datamodule, DrawnDataModule):
        datamodule.make_domains("train")
        datamodule.make_domains("test")
        return
    taken = inspect.signature(ImageFolder).parameters.keys() & arguments.keys() - {"crop"}
    for channels in ("channels_a", "channels_b"):
        given = {name: arguments[name] for name in taken}
        if channels in arguments:
            given["channels"] = arguments[channels]
        ImageFolder([], crop=datamodule.size, **given)


def names_instead(error: Exception) -> list[str]:
    """Return the names there were where a call failed for one that there is not."""
    said = re.match(r"([\w.]+?)(\.__\w+__)?\(\) got an unexpected keyword", str(error))
    if not isinstance(error, TypeError) or said is None or error.__traceback__ is None:
        return []
    *_, (frame, _) = walk_tb(error.__traceback__)
    called: Any = SimpleNamespace(**frame.f_globals)
    for part in said[1].split("."):
        called = getattr(called, part, None)
    return list(inspect.signature(called).parameters) if callable(called) else []


def _to_blame(cls: type, arguments: Arguments, error: Exception, listed: Arguments) -> Names:
    """Return the name of the argument without which another thing is said."""
    told = str(error)
    # The first guess is right as a rule; each takes as long as making all networks.
    for name in sorted(
        _leaves(cls, arguments),
        key=lambda name: (_inner(arguments, name) == _inner(listed, name), name[-1] not in told),
    ):
        without = _try(cls, _without(arguments, name))
        if not (type(without) is type(error) and str(without) == told):
            return name
    return ()


def _leaves(cls: type, arguments: Mapping[str, Any]) -> Iterator[Names]:
    """Yield the names of all arguments that can be left out, those in mappings too."""
    parameters = inspect.signature(cls).parameters
    for name, value in arguments.items():
        if isinstance(value, Mapping):
            yield from ((name, inner) for inner in value)
        elif name not in parameters or parameters[name].default is not inspect.Parameter.empty:
            yield (name,)


def _inner(arguments: Any, name: Names) -> Any:
    for part in name:
        arguments = arguments.get(part) if isinstance(arguments, Mapping) else None
    return arguments


def _without(arguments: Arguments, name: Names) -> Arguments:
    left = deepcopy(arguments)
    del _inner(left, name[:-1])[name[-1]]
    return left
