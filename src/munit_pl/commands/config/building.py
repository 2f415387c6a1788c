"""Objects made of a configuration, as Hydra makes them.

A configuration is its user's own program: ``_target_`` names any class or function. So trust the
files that are composed (``--config-dir``, ``hydra.searchpath``, ``--experimental-rerun``) as you
trust code. What checkpoints, exports and model folders hold never comes here: they are plain
values, arguments of classes of this package that they name by a key, and nothing in them is called.
"""

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

from hydra.utils import instantiate


def build(node: Any, **extra: Any) -> Any:
    """Build what ``node`` describes, with plain dicts and lists: they go into checkpoints.

    Args:
        node: A part of a composed configuration.
        **extra: More arguments of the outermost class, taken as they are.

    Raises:
        HydraException: If something is not to be found, or does not take its arguments.
        OmegaConfBaseException: If a value is missing or an interpolation does not resolve.
    """
    return instantiate(node, _convert_="all", **extra)


def find_target(target: Any) -> Callable[..., Any]:
    """Return the class or function that ``_target_`` names.

    Raises:
        ValueError: If there is none; the message starts with ``target``.
    """
    try:
        found: Any = resolve_name(target)
    except ModuleNotFoundError as error:
        raise ValueError(f"{target}, which does not exist: there is no {error.name}") from error
    except (AttributeError, TypeError, ValueError):
        end = "which does not exist: give a full name, such as munit_pl.MUNITModule"
        raise ValueError(f"{target}, {end}") from None
    except Exception as error:  # a module may raise whatever it likes
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{target}, which cannot be imported: {told}") from error
    if not callable(found):
        raise ValueError(f"{target}, which is no class and no function")
    return found
