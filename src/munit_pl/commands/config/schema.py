"""What settings may be, made of the signatures of all that they are arguments of.

No table of settings is kept. Pydantic holds each value to what a constructor's signature says of
it, and a mapping in a signature says what it holds the arguments of (`munit_pl.checks`).
"""

import inspect
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from lightning.pytorch import Trainer
from pydantic import ConfigDict, TypeAdapter, ValidationError

from munit_pl.checks import (
    Arguments,
    ArgumentsByName,
    ArgumentsOf,
    Place,
    at,
    explain,
    fault,
    hints_of,
    join,
)
from munit_pl.commands.config.resolving import missing
from munit_pl.commands.config.suggestions import nearest
from munit_pl.commands.config.trainer_arguments import TRAINER

Faults = Iterator[tuple[Place, str]]

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
SPECIAL = {"_target_", "_partial_", "_args_", "_recursive_", "_convert_"}  # Hydra's own


class Known(NamedTuple):
    """The settings that there are in one place.

    Attributes:
        kinds: Their annotations, by their names.
        required: The names of those without a default.
        open: Whether there may be others.
    """

    kinds: Mapping[str, Any]
    required: Collection[str] = ()
    open: bool = False


def arguments_of(what: Callable[..., Any], without: Collection[str] = ()) -> Known:
    """Return what a class or a function takes by name, but for some of it."""
    try:
        parameters = inspect.signature(what).parameters.values()
    except ValueError:  # as of some that are written in C
        return Known({}, open=True)
    hints = hints_of(what)
    if inspect.isclass(what) and issubclass(what, Trainer):
        hints |= {**TRAINER, "precision": hints["precision"] | Literal["auto"]}
    named = [p for p in parameters if p.kind in _BY_NAME and p.name not in ("self", *without)]
    return Known(
        {p.name: hints.get(p.name, Any) for p in named},
        [p.name for p in named if p.default is p.empty],
        any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


def faults_of(
    known: Known, given: Mapping[str, Any], place: Place = (), command: str = ""
) -> Faults:
    """Yield what is wrong with settings, each with its place in the configuration.

    What is built of its own, a mapping with ``_target_``, is not looked into.

    Args:
        known: What there is in this place.
        given: The settings, plain.
        place: Where they lie.
        command: Whose help tells more of them.
    """
    for name in known.required:
        if name not in given:
            yield (*place, name), missing((*place, name))
    for name, value in given.items():
        inner = *place, name
        if name in known.kinds:
            yield from _faults_of_value(known.kinds[name], value, inner)
        elif name in SPECIAL or (known.open and not get_close_matches(name, known.kinds, 1, 0.75)):
            continue  # a slip is one even where any name is taken
        else:
            yield inner, unknown(inner, list(known.kinds), command)


def unknown(place: Place, known: Sequence[str], command: str = "") -> str:
    """Return the line that says that there is no such setting."""
    end = nearest(str(place[-1]), known, command, prefix=join((*place[:-1], "")))
    return f"there is no setting {join(place)}{end}"


def _faults_of_value(kind: Any, value: Any, place: Place) -> Faults:
    for said in getattr(kind, "__metadata__", ()) if isinstance(value, Mapping) else ():
        if isinstance(said, ArgumentsOf):
            yield from faults_of(_arguments_of_mapping(said, value), value, place)
            return
        if isinstance(said, ArgumentsByName):
            yield from faults_of(Known(dict.fromkeys(said.kinds, Arguments)), value, place)
            for name in value.keys() & said.kinds.keys():
                yield from _faults_of_value(
                    Annotated[Any, ArgumentsOf(said.kinds[name])], value[name], (*place, name)
                )
            return
    if is_built(value):
        return
    try:
        _adapter(_plain(kind)).validate_json(json.dumps(value, default=str))
    except ValidationError as error:
        for inner, words in explain(error, value).items():
            if not any(is_built(at(value, inner[:i])) for i in range(len(inner) + 1)):
                yield (*place, *inner), fault((*place, *inner), at(value, inner), words)


def _arguments_of_mapping(said: ArgumentsOf, value: Mapping[str, Any]) -> Known:
    """Return the arguments of what takes a mapping's items, and of what that hands some on to."""
    known = arguments_of(said.what, said.without)
    if said.further is None:
        return known
    further = said.further(value)
    if further is None:
        return known._replace(open=False)
    more = arguments_of(further, said.without)
    required = [*known.required, *(name for name in more.required if name not in known.kinds)]
    return Known({**more.kinds, **known.kinds}, required, more.open)


def is_built(value: Any) -> bool:
    """Tell whether a value describes an object, by ``_target_``."""
    return isinstance(value, Mapping) and "_target_" in value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind, config=_STRICT)


def _plain(kind: Any) -> Any:
    """Return the annotation of what YAML holds in place of what an annotation says.

    In place of an object of any class there is a mapping, which names it by ``_target_``.
    """
    origin, args = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        return Annotated[(_plain(args[0]), *kind.__metadata__)]
    if origin in (Union, UnionType):
        return Union[tuple(map(_plain, args))]  # noqa: UP007
    if kind in (None, NoneType):
        return Literal[None]  # so that it is told beside what else there may be
    if origin is Literal or kind in (Any, int, float, bool, str):
        return kind
    if origin is Path:
        return str
    if origin is tuple and args and Ellipsis not in args:
        return tuple[tuple(map(_plain, args))]  # type: ignore[misc]
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return dict[str, _plain(args[1])] if args else dict[str, Any]  # type: ignore[misc]
    if origin in (list, tuple, set, Sequence, Iterable, Collection):
        return list[_plain(args[0])] if args else list[Any]  # type: ignore[misc]
    return dict[str, Any] if inspect.isclass(origin) or callable(origin) else Any
