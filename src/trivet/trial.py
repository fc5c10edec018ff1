"""The one call between a training loop and its study: `trivet.report(value, step)`.

    for epoch in range(1, epochs + 1):
        ...
        trivet.report(accuracy, epoch)

In a sweep it records the value and raises `TrialPruned` when the trial is to stop; outside a sweep it does nothing.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Protocol

from trivet.errors import UserError


class TrialPruned(Exception):
    """Raised by `report` when the trial is to stop. Let it pass, or clean up and raise it again."""


class Diverged(Exception):
    """Raise it from a training loop when the loss is NaN or infinite: the trial becomes a FAIL row with this reason."""


class Reporter(Protocol):
    """What a worker puts behind `report` while a trial runs."""

    def report(self, value: float, step: int, metrics: Mapping[str, float]) -> None:
        """Record the value; raise `TrialPruned` when the trial is to stop."""


_reporter: Reporter | None = None


def set_reporter(reporter: Reporter | None) -> None:
    """Name who hears the reports of this process (workers call it around each trial)."""
    global _reporter
    _reporter = reporter


def report(value: float, step: int, metrics: Mapping[str, float] | None = None) -> None:
    """Tell the study the objective's `value` (a float, NaN allowed) after `step` (an integer >= 1, usually epochs finished).

    `metrics` are further numbers of this step for `curves.csv`. A step that is not later than the last one (a continued trial
    reports some again) changes nothing. Raises `TrialPruned` when the trial is to stop and `UserError` for a step, value or
    metric that is not a number.
    """
    if isinstance(step, bool) or not isinstance(step, numbers.Integral) or step < 1:
        raise UserError(f"trivet.report: step={step!r} must be a whole number >= 1 (epochs finished, say)")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UserError(f"trivet.report: value={value!r} must be a number; pass a float, such as loss.item()") from None
    try:
        numbers_of = {str(k): float(v) for k, v in (metrics or {}).items()}
    except (AttributeError, TypeError, ValueError):
        raise UserError(f"trivet.report: metrics={metrics!r} must be a mapping of name: number") from None
    if _reporter is not None:
        _reporter.report(number, int(step), numbers_of)


def is_bad(value: float) -> bool:
    """Whether a value is NaN or infinite."""
    return math.isnan(value) or math.isinf(value)
