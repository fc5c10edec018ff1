"""The constrained metrics of a study's trials, as its storage keeps them: with each report in which one changed, and at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trivet.search.constraints import Constraint, Values, broken
from trivet.search.weights import OBJECTIVES

_AT = "trivet:constrained:"
RETURNED = "trivet:returned"
"""The attribute with the constrained values that a trial returned."""


def attribute(step: int) -> str:
    """The attribute with the values that hold from a step on. It is written before that step's report, so who sees one sees both."""
    return f"{_AT}{step}"


def known(constraints: Sequence[Constraint], attrs: Mapping[str, Any], step: float) -> list[float | None]:
    """The values as last reported up to `step`."""
    steps = [int(key.removeprefix(_AT)) for key in attrs if key.startswith(_AT)]
    last = max((s for s in steps if s <= step), default=None)
    return [None] * len(constraints) if last is None else list(attrs[attribute(last)])


def merged(old: Values, new: Values) -> list[float | None]:
    """The new values, and the old ones where there is no new one."""
    return [o if n is None else n for o, n in zip(old, new, strict=True)]


def copied(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a trial that its copy has as well."""
    return {key: value for key, value in attrs.items() if key.startswith(_AT) or key in (RETURNED, OBJECTIVES)}


def given(values: Values) -> dict[str, Any]:
    """The attributes of a trial of which no more than the values at its end is known."""
    return {attribute(0): list(values)} if values else {}


def final(constraints: Sequence[Constraint], attrs: Mapping[str, Any], step: float, completed: bool) -> list[float | None]:
    """The values that count of a trial that ended at `step`: those that it returned, else those last reported."""
    last = known(constraints, attrs, step)
    return merged(last, attrs.get(RETURNED) or [None] * len(constraints)) if completed else last


def breaks(constraints: Sequence[Constraint], attrs: Mapping[str, Any], step: int) -> bool:
    """Whether the report of a step comes from a trial that breaks a bound there."""
    return bool(constraints) and broken(constraints, known(constraints, attrs, step))
