"""Classes and functions that a config names by a dotted path: found, given their arguments, made. What goes wrong is one line.

>>> build("fractions.Fraction", {"numerator": 1, "denominator": 2}, "half")
Fraction(1, 2)
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from trivet.errors import UserError

TARGET = "_target_"
ANYBODYS = (Exception, SystemExit)
"""What code of others may raise where it is imported or called: a `sys.exit(0)` in it would end a command as if all were done."""
_HYDRAS_OWN = ("_convert_", "_recursive_")


def locate(path: str, key: str) -> Callable[..., Any]:
    """The function or class at a dotted path; `UserError` naming `key` where there is none."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except ANYBODYS as error:
        raise UserError(f"{key}={path}: cannot be imported ({first_line(error)}); give module.function") from None
    if not callable(found):
        raise UserError(f"{key}={path}: is not a function")
    return found


def build(path: str, arguments: Mapping[str, Any], key: str, seed: int | None = None) -> Any:
    """What the callable at `path` makes of its arguments; mappings with `_target_` among them, to any depth, are made first.

    `seed` goes to everything that takes a `seed` and was given none. Raises `UserError` naming `key` and the path.
    """
    made = locate(path, key)
    given = {k: _argument(v, f"{key}.{k}", seed) for k, v in arguments.items() if k not in _HYDRAS_OWN}
    odd = next((k for k in given if k.startswith("_")), None)
    if odd is not None:
        raise UserError(f"{key}.{odd}: is not read here; give {TARGET} and the arguments by name")
    takes = accepts(made)
    known = takes is None or "seed" in takes
    if seed is not None and "seed" not in given and known:
        given["seed"] = seed
        if takes is None and not _fits(made, given):
            del given["seed"]
    if takes is not None and (wrong := sorted(set(given) - set(takes))):
        raise UserError(f"{key}.{wrong[0]}: {path} has no such argument; it takes {', '.join(takes) or 'none'}")
    try:
        return made(**given)
    except UserError:
        raise
    except ANYBODYS as error:
        raise UserError(f"{key}={path}: {first_line(error)}") from None


def call(path: str, function: Callable[..., Any], key: str, *given: Any) -> Any:
    """What the function that `key` names by `path` returns. Raises `UserError` where it raises anything."""
    try:
        return function(*given)
    except UserError:
        raise
    except ANYBODYS as error:
        raise UserError(f"{key}={path}: raised {first_line(error)}") from error


def _argument(value: Any, key: str, seed: int | None) -> Any:
    if isinstance(value, Mapping) and TARGET in value:
        return build(str(value[TARGET]), {k: v for k, v in value.items() if k != TARGET}, key, seed)
    if isinstance(value, Mapping):
        return {k: _argument(v, f"{key}.{k}", seed) for k, v in value.items()}
    return [_argument(v, f"{key}.{i}", seed) for i, v in enumerate(value)] if isinstance(value, (list, tuple)) else value


def accepts(made: Callable[..., Any]) -> list[str] | None:
    """The names of the arguments that a callable takes; None where it takes any, or does not say."""
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):  # of some classes written in C
        return None
    if any(p.kind == p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _fits(made: Callable[..., Any], given: Mapping[str, Any]) -> bool:
    """Whether a callable that says it takes any argument does take these: it may hand them on to one that does not."""
    try:
        made(**given)
    except TypeError:
        return False
    except ANYBODYS:
        return True
    return True


def first_line(error: BaseException) -> str:
    """An error's kind and the first line of its text."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # somebody's __str__ may do anything
        lines = []
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
