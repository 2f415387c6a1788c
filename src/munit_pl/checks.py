"""What arguments may be: types for signatures that say it, and what becomes of a value that is not.

A signature says its bounds once, ``dim: PositiveInt``. `checked` holds calls to them, and
`munit_pl.commands.config.schema` a whole configuration, with the same words.
"""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, wraps
from itertools import chain
from numbers import Integral, Real
from typing import TYPE_CHECKING, Annotated, Any, Literal, ParamSpec, TypeVar, get_type_hints

from annotated_types import Ge, Gt, Interval, Len

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Fraction = Annotated[float, Interval(ge=0, le=1)]
WithinOne = Annotated[float, Interval(gt=-1, lt=1)]
Below1 = Annotated[float, Interval(ge=0, lt=1)]
Depth = Annotated[int, Interval(ge=1, le=1000)]  # of layers: more are asked for by mistake
NumDownsample = Annotated[int, Interval(ge=0, le=1000)]
Seed = Annotated[int, Interval(ge=0, le=2**32 - 1)]  # what NumPy's generator takes
HeightWidth = PositiveInt | Annotated[Sequence[PositiveInt], Len(2, 2)]

Arguments = Mapping[str, Any] | None
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class ArgumentsOf:
    """Says of a mapping in a signature what its items are the keyword arguments of.

    ``generator: Annotated[Arguments, ArgumentsOf(AdaINGenerator, without=("in_channels",))]``

    Attributes:
        what: A class or function.
        without: Its arguments that do not come from the mapping.
        further: What ``what`` hands other items on to, told from the mapping; None where that
            names nothing.
    """

    what: Callable[..., Any]
    without: tuple[str, ...] = ()
    further: Callable[[Mapping[str, Any]], Callable[..., Any] | None] | None = None


@dataclass(frozen=True)
class ArgumentsByName:
    """Says of a mapping in a signature that each item holds arguments of what its name stands for.

    ``recipes: Annotated[Mapping[str, Mapping[str, Any]], ArgumentsByName(Recipe.kinds)]``

    Attributes:
        kinds: What each name stands for, looked up when values are checked.
    """

    kinds: Mapping[str, Callable[..., Any]]


Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def checked(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Have a function, or a constructor's ``__init__``, refuse what its signature says is wrong.

    Not for a LightningModule's: Lightning reads hyper-parameters off the frames of those that call
    each other, so that they call `check_arguments`.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            given = {}  # of which the call itself says more
        check_arguments(function, given)
        return function(*args, **kwargs)

    return call


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse arguments outside of the bounds and choices that a signature names.

    So are those in mappings, held to the signatures of what they are arguments of.

    Args:
        function: Whose signature it is.
        given: Arguments by their names; others than its own are ignored.

    Raises:
        TypeError: If a mapping has a name that is no argument.
        ValueError: The first that is wrong: "dim is 0, but must be at least 1".
    """
    for name, adapter in _bounded(function).items():
        if name in given:
            value = _plain(given[name])
            try:
                adapter.validate_python(value)
            except ValueError as error:
                told = explain(error, value)  # type: ignore[arg-type]
                place, words = next(iter(told.items()))
                raise ValueError(fault((name, *place), at(value, place), words)) from None
    for name, said in _mappings(function).items():
        if given.get(name) is not None:
            _check_mapping(name, said, given[name])


def _check_mapping(name: str, said: ArgumentsOf | ArgumentsByName, given: Any) -> None:
    if not isinstance(given, Mapping):
        words = "arguments" if isinstance(said, ArgumentsOf) else "each one's arguments, by name"
        raise ValueError(fault((name,), given, f"a dict of {words}"))
    if isinstance(said, ArgumentsByName):  # what they are made by knows their names
        for key, inner in given.items():
            if not isinstance(inner, Mapping | None):
                raise ValueError(fault((name, key), inner, "a dict of arguments"))
        return
    try:
        check_arguments(said.what, given)
    except ValueError as error:
        raise ValueError(f"{name}.{error}") from None
    known = _names_of(said, given)  # after the values, which choose what else takes names
    for key in given if known else ():
        if key not in known:
            raise TypeError(unknown_argument(name, key, known))


def _names_of(said: ArgumentsOf, given: Mapping[str, Any]) -> list[str]:
    """Return the names that a mapping may have; none where it may have any."""
    further = said.further(given) if said.further else None
    takers = [said.what, *([further] if further else [])]
    try:
        taken = [inspect.signature(what).parameters.values() for what in takers]
    except ValueError:  # as of some that are written in C
        return []
    if any(p.kind is p.VAR_KEYWORD for p in taken[-1]) and (further or not said.further):
        return []
    named = (p for p in chain.from_iterable(taken) if p.kind is not p.VAR_KEYWORD)
    return [
        name for name in dict.fromkeys(p.name for p in named) if name not in ("self", *said.without)
    ]


def unknown_argument(where: str, name: str, known: Collection[str]) -> str:
    """Return the line that says that there is no such argument, and which there are."""
    return f"{where} has no argument {name}{nearest(name, known)} (known: {', '.join(known)})"


def nearest(name: str, known: Collection[str]) -> str:
    """Return the end of a line that says that there is no ``name``: what was meant, if it shows."""
    near = get_close_matches(name, list(known), 1)
    return f": did you mean {near[0]}?" if near else ""


def plain(value: Any) -> Any:
    """Return ``value`` with its mappings and sequences as dicts and lists, which checkpoints hold.

    Configurations come as containers of their own, and a checkpoint with those does not load.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def explain(error: "ValidationError", value: Any) -> dict[Place, str]:
    """Return in words what ``value`` must be, by the places in it where it is something else.

    Names that are unknown or missing are none of it: see the error itself.
    """
    by_place: dict[Place, list[Any]] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] not in ("extra_forbidden", "missing"):
            by_place.setdefault(_place(detail["loc"], value), []).append(detail)
    # A list that may be a number is wrong in its items, not for being none.
    outer = {place[:i] for place in by_place for i in range(len(place))}
    return {place: _words(found) for place, found in by_place.items() if place not in outer}


def fault(place: Place, value: Any, words: str) -> str:
    """Return the line that says what is wrong with a value, and what it must be."""
    return f"{join(place)} is {value!r:.200}, but must be {words}"


def join(place: Place) -> str:
    """Return where a value lies, as it is written on the command line."""
    text = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in place)
    return text.removeprefix(".")


def at(tree: Any, place: Place) -> Any:
    """Return what lies in a place."""
    for name in place:
        tree = tree[name]
    return tree


def _place(found: Place, value: Any) -> Place:
    """Return where an error lies, without the alternatives that were tried there."""
    place: list[str | int] = []
    for name in found:
        inside = isinstance(value, Mapping) and name in value
        if inside or (isinstance(value, list | tuple) and isinstance(name, int)):
            place.append(name)
            value = value[name]
    return tuple(place)


_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text (in quotes, if it is a number)",
    "list_type": "a list",
    "tuple_type": "a list",
    "is_instance_of": "a list",
    "sequence_str": "a list",
    "dict_type": "settings of its own",
    "model_type": "settings with a _target_",
}
_RANGES = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "finite",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of at most {max_length}",
}


def _words(details: Sequence[Mapping[str, Any]]) -> str:
    """Say what must hold instead of errors that were found in one place."""
    kinds = [_KINDS[one["type"]] for one in details if one["type"] in _KINDS]
    ranges = [_range(one) for one in details if one["type"] in _RANGES]
    literals = [one for one in details if one["type"] == "literal_error"]
    choices = list(dict.fromkeys(word for one in literals for word in _choices(one)))
    others = [
        one["msg"] for one in details if one["type"] not in (*_KINDS, *_RANGES, "literal_error")
    ]
    choice = [f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]] if choices else []
    return " or ".join(dict.fromkeys([*(ranges or kinds), *others, *choice]))


def _range(detail: Mapping[str, Any]) -> str:
    limits = detail.get("ctx", {}).items()
    whole = {name: int(x) for name, x in limits if isinstance(x, int | float) and x == int(x)}
    return _RANGES[detail["type"]].format(**dict(limits) | whole)


def _choices(detail: Mapping[str, Any]) -> Iterator[str]:
    for word in detail["ctx"]["expected"].replace(" or ", ", ").split(", "):
        yield "null" if word == "None" else word.strip("'")


@cache
def _bounded(function: Callable[..., Any]) -> "dict[str, TypeAdapter[Any]]":
    """Return what checks each argument whose annotation names bounds or choices."""
    from pydantic import ConfigDict, TypeAdapter  # takes longer than all of this package's imports

    config = ConfigDict(strict=True, allow_inf_nan=False)
    hints = hints_of(function)
    return {name: TypeAdapter(kind, config=config) for name, kind in hints.items() if _tells(kind)}


@cache
def _mappings(function: Callable[..., Any]) -> dict[str, ArgumentsOf | ArgumentsByName]:
    """Return what each argument that is a mapping holds the arguments of."""
    return {
        name: said
        for name, kind in hints_of(function).items()
        for said in getattr(kind, "__metadata__", ())
        if isinstance(said, ArgumentsOf | ArgumentsByName)
    }


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a signature's annotations, as far as they can be had, `typing.Annotated` kept."""
    made = getattr(function, "__init__") if inspect.isclass(function) else function  # noqa: B009
    try:
        return get_type_hints(made if inspect.isfunction(made) else function, include_extras=True)
    except (NameError, TypeError):  # another package's annotations may name what is not there
        return {}


def _tells(kind: Any) -> bool:
    """Tell whether an annotation has bounds or choices."""
    metadata = getattr(kind, "__metadata__", ())
    if any(isinstance(one, ArgumentsOf | ArgumentsByName) for one in metadata):
        return False
    inner = getattr(kind, "__args__", ())
    return bool(metadata) or getattr(kind, "__origin__", None) is Literal or any(map(_tells, inner))


def _plain(value: Any) -> Any:
    """Return NumPy's numbers as Python's, which are as good."""
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else [*value]
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value
