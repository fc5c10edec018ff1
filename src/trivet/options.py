"""Check a config node against its fields: every wrong name or value becomes one line that says what is allowed.

>>> read({"name": "mlp", "width": 0}, "model", {"width": Whole(1)})
Traceback (most recent call last):
trivet.errors.UserError: model.width=0: must be a whole number >= 1
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trivet.errors import UserError

REQUIRED = object()
IGNORED = frozenset({"space"})  # search ranges live beside the values; they are not values


@dataclass(frozen=True)
class Real:
    """A finite number between `low` and `high`; `open` names the ends that are themselves refused."""

    low: float = -math.inf
    high: float = math.inf
    default: Any = REQUIRED
    open: str = ""  # "", "low", "high" or "both"

    def allowed(self) -> str:
        lower, upper = (">" if self.open in ("low", "both") else ">="), ("<" if self.open in ("high", "both") else "<=")
        ends = [f"{lower} {self.low:g}"] if self.low > -math.inf else []
        ends += [f"{upper} {self.high:g}"] if self.high < math.inf else []
        return " ".join(["a number", " and ".join(ends)]).rstrip()

    def accepts(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        try:
            if not math.isfinite(value):
                return False
        except OverflowError:  # an int beyond the largest float
            return False
        above = value > self.low if self.open in ("low", "both") else value >= self.low
        below = value < self.high if self.open in ("high", "both") else value <= self.high
        return above and below


@dataclass(frozen=True)
class Whole:
    """An int (never a bool, never 3.0) between `low` and `high`, both allowed."""

    low: int = 0
    high: float = math.inf
    default: Any = REQUIRED

    def allowed(self) -> str:
        return f"a whole number >= {self.low}" + (f" and <= {self.high}" if self.high < math.inf else "")

    def accepts(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class OneOf:
    """One of the listed values."""

    values: tuple
    default: Any = REQUIRED

    def allowed(self) -> str:
        return "one of " + ", ".join("null" if value is None else str(value) for value in self.values)

    def accepts(self, value: Any) -> bool:
        return any(value == known and type(value) is type(known) for known in self.values)


@dataclass(frozen=True)
class Flag:
    """true or false."""

    default: Any = REQUIRED

    def allowed(self) -> str:
        return "true or false"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Text:
    """A string that is not empty and holds no control characters: no path, name or URL has any."""

    default: Any = REQUIRED

    def allowed(self) -> str:
        return "a text"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and bool(value.strip()) and not any(c < " " or c == "\x7f" for c in value)


@dataclass(frozen=True)
class ListOf:
    """A list whose items all satisfy `item`; may be empty only when `low` is 0."""

    item: Any
    low: int = 1
    default: Any = REQUIRED

    def allowed(self) -> str:
        return f"a list of {'at least ' + str(self.low) + ' ' if self.low else ''}items, each {self.item.allowed()}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, list | tuple) and len(value) >= self.low and all(self.item.accepts(item) for item in value)


@dataclass(frozen=True)
class MapOf:
    """A mapping from texts to values that `item` accepts; may be empty."""

    item: Any
    default: Any = REQUIRED

    def allowed(self) -> str:
        return f"a mapping from names to values, each {self.item.allowed()}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Mapping) and all(isinstance(key, str) and self.item.accepts(item) for key, item in value.items())


@dataclass(frozen=True)
class Maybe:
    """null, or what `field` accepts. The default is null."""

    field: Any
    default: Any = None

    def allowed(self) -> str:
        return f"null or {self.field.allowed()}"

    def accepts(self, value: Any) -> bool:
        return value is None or self.field.accepts(value)


@dataclass(frozen=True)
class Either:
    """What any of the `fields` accepts."""

    fields: tuple
    default: Any = REQUIRED

    def allowed(self) -> str:
        return " or ".join(field.allowed() for field in self.fields)

    def accepts(self, value: Any) -> bool:
        return any(field.accepts(value) for field in self.fields)


@dataclass(frozen=True)
class Anything:
    """Any value: somebody else checks it."""

    default: Any = REQUIRED

    def allowed(self) -> str:
        return "anything"

    def accepts(self, value: Any) -> bool:
        return True


@dataclass(frozen=True)
class Matching:
    """A text that a pattern fits as a whole; `words` say which."""

    pattern: str
    words: str
    default: Any = REQUIRED

    def allowed(self) -> str:
        return self.words

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class Described:
    """What `field` accepts, told in `words` of its own."""

    field: Any
    words: str
    default: Any = REQUIRED

    def allowed(self) -> str:
        return self.words

    def accepts(self, value: Any) -> bool:
        return self.field.accepts(value)


@dataclass(frozen=True)
class Section:
    """A mapping with these keys and no others; a field without a default must be there."""

    fields: Mapping[str, Any]
    default: Any = REQUIRED

    def allowed(self) -> str:
        return f"a mapping of {', '.join(self.fields)}"

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, Mapping) or any(key not in self.fields for key in value):
            return False
        return all(field.accepts(value[key]) if key in value else field.default is not REQUIRED for key, field in self.fields.items())


def check(field: Any, value: Any, name: str) -> None:
    """UserError where `field` refuses `value`, naming the key that is wrong inside a section; `name` is the value's own."""
    inside = field.field if isinstance(field, Maybe) else field
    if isinstance(inside, Section) and isinstance(value, Mapping):
        field = inside
        for key, inner in value.items():
            if key not in field.fields:
                raise UserError(f"{name}.{show(key)}: unknown; it takes {', '.join(field.fields)}{nearest(key, field.fields)}")
            check(field.fields[key], inner, f"{name}.{key}")
    if not field.accepts(value):
        raise UserError(f"{name}={show(value)}: must be {field.allowed()}")


def show(value: Any) -> str:
    """`value` as YAML would write it on one short line, what cannot be printed escaped."""
    text = {None: "null", True: "true", False: "false"}.get(value, value) if isinstance(value, bool | None) else value
    try:
        text = str(text)
    except ValueError:  # an int of more than 4,300 digits
        text = f"a {type(value).__name__} too long to show"
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(name: Any, known: Iterable[str]) -> str:
    """`"; did you mean x?"` when a known name is close to `name`, else nothing."""
    close = difflib.get_close_matches(show(name), [str(item) for item in known], n=1)
    return f"; did you mean {close[0]}?" if close else ""


def choose(config: Any, section: str, known: Iterable[str]) -> str:
    """The `name` of a config node, checked against the `known` names."""
    known = tuple(known)
    if not isinstance(config, Mapping):
        raise UserError(f"{section}={show(config)}: must be a mapping with `name`, one of {', '.join(known)}")
    if "name" not in config:
        raise UserError(f"{section}.name is missing: must be one of {', '.join(known)}")
    name = config["name"]
    if name not in known:
        raise UserError(f"{section}.name={show(name)}: must be one of {', '.join(known)}{nearest(name, known)}")
    return name


def read(config: Mapping[str, Any], section: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `fields` in `config`, defaults filled in; `name` and `space` are left out.

    UserError for a key that is not a field, a required field that is absent, or a value that its field refuses.
    """
    skip = IGNORED | {"name"}
    for key in config:
        if key not in fields and key not in skip:
            known = [name for name in fields if name not in skip]
            raise UserError(
                f"{section}.{key} is not a key of {section}={config.get('name', '')}: "
                f"{'allowed are ' + ', '.join(known) if known else 'it has none'}{nearest(key, known)}"
            )
    values = {}
    for key, field in fields.items():
        value = config.get(key, field.default)
        if value is REQUIRED:
            raise UserError(f"{section}.{key} is missing: must be {field.allowed()}")
        if key in config and not field.accepts(value):
            raise UserError(f"{section}.{key}={show(value)}: must be {field.allowed()}")
        values[key] = float(value) if isinstance(field, Real) else value  # torch takes no mixture: betas of (0, 0.999) are refused
    return values
