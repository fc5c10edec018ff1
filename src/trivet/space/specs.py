"""What a search space is made of: ranges, choices, and the parameters that carry them. Frozen values; 1 and true are different options."""

import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from trivet.errors import UserError

# A step must be told apart from rounding: at least this share of the largest bound.
MIN_STEP_SHARE = 1e-9
# A value counts as lying on a stepped grid when it is this near, in steps.
ON_GRID = 1e-6

# Strings that Hydra's grammar reads back as the same string without quotes.
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_RESERVED = re.compile(r"(?i)true|false|null|inf|nan")
# The escape set of Hydra's grammar, needed for dict keys, which cannot be quoted.
_ESCAPED = re.compile(r"([\\()\[\]{}:=, \t])")


@dataclass(frozen=True)
class Float:
    """Every real number from `low` to `high`, both ends included; with `step`, low, low+step, ... up to `high`.

    `high` is moved down to the last point that the step reaches. `log` samples evenly in the logarithm and needs low > 0 and no step.
    `low == high` is allowed: one value. Raises UserError on anything else that is not a range.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        low, high = _number(self.low, "low"), _number(self.high, "high")
        _check_order(low, high)
        object.__setattr__(self, "low", low)
        if self.log and low <= 0:
            raise UserError(f"a log scale needs bounds above 0, and low is {low!r}: raise low, or drop `log`")
        if self.step is not None:
            step = _number(self.step, "step")
            _check_step(step, self.log)
            if step < MIN_STEP_SHARE * max(abs(low), abs(high)):
                raise UserError(f"step {step!r} is too small beside the bounds {low!r} and {high!r}: write a larger step, or none")
            object.__setattr__(self, "step", step)
            high = float(Decimal(repr(low)) + _n_steps(low, high, step) * Decimal(repr(step)))
        object.__setattr__(self, "high", high)


@dataclass(frozen=True)
class Int:
    """The whole numbers low, low+step, ... up to `high`, both ends included. `log` needs low >= 1 and step 1. Raises UserError."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        low, high, step = (_whole(getattr(self, name), name) for name in ("low", "high", "step"))
        _check_order(low, high)
        _check_step(step, self.log and step != 1)
        if self.log and low < 1:
            raise UserError(f"a log scale needs whole numbers from 1 on, and low is {low}: raise low, or drop `log`")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "step", step)
        object.__setattr__(self, "high", low + (high - low) // step * step)


@dataclass(frozen=True, eq=False)
class Choice:
    """One of `options`: None, bool, int, float, str, or lists and dicts of those. UserError when empty or when one is listed twice."""

    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        options = tuple(plain(option) for option in self.options)
        if not options:
            raise UserError("a choice without options: list at least one")
        for index, option in enumerate(options):
            if any(same(option, earlier) for earlier in options[:index]):
                raise UserError(f"the option {value_text(option)} is listed twice: list it once")
        object.__setattr__(self, "options", options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and repr(self.options) == repr(other.options)

    def __hash__(self) -> int:
        return hash(repr(self.options))


@dataclass(frozen=True, eq=False)
class Fixed:
    """A single value, not searched: what a text without any sweep means."""

    value: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", plain(self.value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash(repr(self.value))


Spec = Float | Int | Choice


@dataclass(frozen=True)
class Param:
    """A searched config key. It counts in trials where every (group, option) of `when`, outermost first, is chosen.

    A condition may stand on any other key as well, and compares values: `use=true`, `depth=3`. `key` is what stands left of `=` in a
    Hydra override: a dotted key, or a group (`optimizer/inner`), perhaps with `+`.
    """

    key: str
    spec: Spec | Fixed
    when: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Unique among the parameters of a space: the key, and its conditions if it has any."""
        return f"{self.key} [{self.condition}]" if self.when else self.key

    @property
    def condition(self) -> str:
        """`group=option,group=option`, outermost first; empty where the parameter always counts."""
        return ",".join(f"{group}={option}" for group, option in self.when)

    def active(self, chosen: Mapping[str, Any]) -> bool:
        """Whether the parameter counts in a trial with these values. A group that `chosen` does not hold is taken as not chosen."""
        return all(group in chosen and meets(chosen[group], option) for group, option in self.when)


def plain(value: Any) -> Any:
    """The value as None, bool, int, float, str, list or dict (tuples and config nodes become lists and dicts). Raises UserError."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "items"):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "__iter__"):
        return [plain(item) for item in value]
    raise UserError(f"{value!r} ({type(value).__name__}) cannot be an option: use null, true/false, numbers, strings, lists or mappings")


def same(a: object, b: object) -> bool:
    """Equality in which true is not 1, but 1 is 1.0."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or (a != a and b != b)
    return repr(a) == repr(b)


def option_text(value: Any) -> str:
    """A value as it stands in a condition: names as they are, the rest as `value_text` writes it."""
    return value if isinstance(value, str) else value_text(value)


@functools.cache
def condition_value(text: str) -> object:
    """The value that a condition's text means, read as an override's would be: `true` is true, `1e-3` a number; else the text."""
    try:
        override = OverridesParser.create().parse_override(f"x={text}")
        return text if override.is_sweep_override() else plain(override.value())
    except (HydraException, UserError):
        return text


def meets(value: object, text: str) -> bool:
    """Whether a value is the one that the text of a condition means: 1.0 and 1 are the same, `1` and an option named 1 too."""
    if isinstance(value, str):
        return value == text or value == condition_value(text)
    return same(plain(value), condition_value(text))


def value_text(value: Any) -> str:
    """The value as Hydra's override grammar writes it: `f"{key}={value_text(value)}"` sets exactly this value, of this type.

    Raises UserError for a mapping whose key the grammar has no way to write.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and not _RESERVED.fullmatch(value)
        return value if bare else QuotedString(value, Quote.single).with_quotes()
    if isinstance(value, list):
        return "[" + ",".join(map(value_text, value)) + "]"
    return "{" + ",".join(f"{_dict_key(key)}:{value_text(item)}" for key, item in value.items()) + "}"


def _dict_key(key: object) -> str:
    if not isinstance(key, str):
        return value_text(key)
    if not re.fullmatch(r"[A-Za-z0-9_./\\$%*@?|+()\[\]{}:=, \t-]+", key) or _RESERVED.fullmatch(key) or re.match(r"[-+.\d]", key):
        raise UserError(f"the mapping key {key!r} cannot be written in Hydra's grammar: use letters, digits, '_' and '-'")
    return _ESCAPED.sub(r"\\\1", key)


def to_text(spec: Spec | Fixed) -> str:
    """The spec in Hydra's sweep grammar; `parse` reads it back as the same spec, without a warning."""
    if isinstance(spec, Fixed):
        return value_text(spec.value)
    if isinstance(spec, Choice):
        texts = [value_text(option) for option in spec.options]
        # Hydra's own choice() refuses null; the simple form a,null is read everywhere.
        if None in spec.options and len(texts) > 1:
            return ",".join(texts)
        return f"choice({', '.join(texts)})"
    if isinstance(spec, Int):
        if spec.step > 1:
            return f"range({spec.low}, {spec.high + 1}, {spec.step})"
        text = f"int(interval({spec.low}, {spec.high}))"
    elif spec.step is not None:
        # The stop lies half a step beyond the last point, where "upper end excluded" and "included" mean the same.
        n = _n_steps(spec.low, spec.high, spec.step)
        stop = float(Decimal(repr(spec.low)) + (n + Decimal("0.5")) * Decimal(repr(spec.step)))
        return f"range({spec.low!r}, {stop!r}, {spec.step!r})"
    else:
        text = f"interval({spec.low!r}, {spec.high!r})"
    return f"tag(log, {text})" if spec.log else text


def contains(spec: Spec | Fixed, value: object) -> bool:
    """Whether a trial in this space could have the value. Numbers count by value (3.0 lies in an Int), true and false only as options."""
    if isinstance(spec, Fixed):
        return same(spec.value, plain(value))
    if isinstance(spec, Choice):
        return any(same(option, plain(value)) for option in spec.options)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    if not spec.low <= value <= spec.high:
        return False
    if isinstance(spec, Int):
        return value == int(value) and (int(value) - spec.low) % spec.step == 0
    if spec.step is None:
        return True
    steps = (value - spec.low) / spec.step
    return abs(steps - round(steps)) <= ON_GRID


def n_points(spec: Spec | Fixed) -> int | None:
    """How many values the spec has; None where it is continuous."""
    if isinstance(spec, Fixed):
        return 1
    if isinstance(spec, Choice):
        return len(spec.options)
    if isinstance(spec, Int):
        return (spec.high - spec.low) // spec.step + 1
    if spec.low == spec.high:
        return 1
    return None if spec.step is None else _n_steps(spec.low, spec.high, spec.step) + 1


def grid_points(spec: Spec | Fixed) -> list:
    """Every value of the spec in order, upper end included. Raises UserError for a continuous range. `n_points` counts without listing."""
    if isinstance(spec, Fixed):
        return [spec.value]
    if isinstance(spec, Choice):
        return list(spec.options)
    if isinstance(spec, Int):
        return list(range(spec.low, spec.high + 1, spec.step))
    n = n_points(spec)
    if n is None:
        raise UserError(
            f"{to_text(spec)} is continuous and has no grid: write choice(...) or range(low, high, step), or use another sampler"
        )
    low, step = Decimal(repr(spec.low)), Decimal(repr(spec.step or 1.0))
    return [float(low + i * step) for i in range(n)]


def n_configurations(params: list[Param]) -> int | None:
    """The size of the full grid, conditions counted (a parameter of `sgd` multiplies only sgd's share); None if any range is continuous."""
    sizes: dict[str, int] = {}
    for param in params:
        size = n_points(param.spec)
        if size is None:
            return None
        sizes[param.name] = size
    return _count(params, sizes, {})


def searched(params: Iterable[Param]) -> dict[str, Spec]:
    """What is searched, by parameter name and in order: the parameters without those of a single value that a `Fixed` gives."""
    return {param.name: param.spec for param in params if not isinstance(param.spec, Fixed)}


def check_unique(params: list[Param]) -> list[Param]:
    """The same list. Raises UserError when two entries for one key can hold in the same trial."""
    by_key: dict[str, list[Param]] = {}
    for param in params:
        others = by_key.setdefault(param.key.lstrip("+"), [])
        for other in others:
            mine, theirs = dict(param.when), dict(other.when)
            if not any(group in theirs and theirs[group] != option for group, option in mine.items()):
                raise UserError(
                    f"{param.key}: given twice, as {other.name}={to_text(other.spec)} and {param.name}={to_text(param.spec)}: keep one"
                )
        others.append(param)
    return params


def _count(params: list[Param], sizes: Mapping[str, int], chosen: Mapping[str, Any]) -> int:
    """Grid size given `chosen`: multiply what is active; where a group decides on others, add up over its options."""
    deciding = {group for param in params for group, _ in param.when} - set(chosen)
    total = 1
    for param in params:
        if not param.active(chosen) or param.key in chosen:
            continue
        if param.key in deciding and isinstance(param.spec, (Choice, Fixed)):
            rest = [p for p in params if p.key != param.key]
            return sum(_count(rest, sizes, {**chosen, param.key: option}) for option in grid_points(param.spec))
        total *= sizes[param.name]
    return total


def _n_steps(low: float, high: float, step: float) -> int:
    return math.floor((Decimal(repr(high)) - Decimal(repr(low))) / Decimal(repr(step)) + Decimal(repr(ON_GRID)))


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f"{name} is {value!r}, which is not a number: write numbers as bounds")
    if not math.isfinite(value):
        raise UserError(f"{name} is {value!r}: write finite numbers as bounds")
    return float(value)


def _whole(value: Any, name: str) -> int:
    if _number(value, name) != int(value):
        raise UserError(f"{name} is {value!r}, which is not a whole number: write whole numbers, or a float range")
    return int(value)


def _check_order(low: float, high: float) -> None:
    if low > high:
        raise UserError(f"an empty range: low {low!r} is above high {high!r}: swap them")


def _check_step(step: float, log_too: bool) -> None:
    if step <= 0:
        raise UserError(f"step is {step!r}: write a step above 0, with the lower bound first")
    if log_too:
        raise UserError(f"step {step!r} on a log scale: drop the step, or drop `log`")
