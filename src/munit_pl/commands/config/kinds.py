"""Whether a setting is of the kind that an argument takes, by its annotation or its default."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text (in quotes, if it is a number)",
    Path: "a path",
    NoneType: "null",
}


def fits(value: Any, kind: Any) -> bool:
    """Tell whether ``value``, plain, may be given where an annotation says ``kind``.

    A whole number is a number, but true and false are none. Of a class that is none of YAML's own
    kinds only a mapping can come, which names it.
    """
    if kind in (Any, None, NoneType):
        return kind is Any or value is None
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind in (int, bool, str):
        return type(value) is kind
    if kind is Path:
        return isinstance(value, str)
    return _fits_compound(value, get_origin(kind) or kind, get_args(kind))


def _fits_compound(value: Any, origin: Any, args: tuple[Any, ...]) -> bool:
    if origin in (Union, UnionType):
        return any(fits(value, kind) for kind in args)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in args)
    if origin is tuple and args and Ellipsis not in args:
        lengths_fit = isinstance(value, list) and len(value) == len(args)
        return lengths_fit and all(map(fits, value, args))
    if origin in (list, tuple, Sequence, Iterable):
        return isinstance(value, list) and all(fits(v, k) for v in value for k in args[:1])
    if origin in (dict, Mapping):
        values = args[1:] or (Any,)
        return isinstance(value, Mapping) and all(fits(v, values[0]) for v in value.values())
    return not isinstance(origin, type) or isinstance(value, Mapping)


def describe(kind: Any) -> str:
    """Return in words what `fits` takes."""
    origin, args = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        choices = tuple(choice for kind in args for choice in _choices(kind))
        others = [describe(kind) for kind in args if not _choices(kind)]
        named = [f"one of {', '.join(dict.fromkeys(map(str, choices)))}"] if choices else []
        return " or ".join(dict.fromkeys([*named, *others]))
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin in (list, tuple, Sequence, Iterable):
        return "a list of numbers" if args[:1] in ((int,), (float,)) else "a list"
    if origin in (dict, Mapping):
        return "settings of its own"
    return _WORDS.get(kind, "a mapping with _target_")


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def kind_of(default: Any) -> Any:
    """Return the annotation that a default stands for; text may stand for anything."""
    if isinstance(default, bool | int | float):
        return type(default)
    if str(default).startswith("${share:"):
        return int  # of iterations
    if isinstance(default, list) and default:
        return list[kind_of(default[0])]  # type: ignore[misc]
    return Mapping if isinstance(default, Mapping) else Any
