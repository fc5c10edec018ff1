"""What a configuration must hold to count: bounds on metrics that trials report or return.

    hydra.sweeper.constraints: {parameters: "<= 200000", val/loss: "<= 0.5"}

A metric counts as it was last reported, and as the trial returned it, where it did. A trial that breaks a bound is INFEASIBLE: it is no
best, no finalist and no reason for a range, and a pruner takes it for the worst. Samplers of Optuna are told by how much it breaks which
bound, as Optuna's own constraints have it; gp and cmaes, which know none, are told the worst value of the trials that hold them all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from trivet.errors import UserError

KEY = "hydra.sweeper.constraints"
_FORM = re.compile(r"\s*(<=|>=)\s*(\S+)\s*")
Values = Sequence[float | None]
"""A metric's value for each constraint; None where it is not known."""


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric: `upper` or lower, the bound itself allowed."""

    metric: str
    upper: bool
    bound: float

    def excess(self, value: float | None) -> float:
        """By how much a value breaks the bound; 0 or less where it holds, and where it is not known. NaN and infinities are far off."""
        if value is None:
            return 0.0
        if not math.isfinite(value):
            return 0.0 if value == (-math.inf if self.upper else math.inf) else max(1.0, abs(self.bound))
        return value - self.bound if self.upper else self.bound - value

    def __str__(self) -> str:
        return f"{'<=' if self.upper else '>='} {self.bound:.15g}"


def read(config: Mapping[str, Any] | None) -> tuple[Constraint, ...]:
    """The constraints of a config, in its order. Raises `UserError` for a bound that is none."""
    found = []
    for metric, text in (config or {}).items():
        if text is None:  # taken back on the command line
            continue
        match = _FORM.fullmatch(str(text))
        try:
            bound = float(match[2]) if match is not None else math.nan
        except ValueError:
            bound = math.nan
        if match is None or not math.isfinite(bound):
            raise UserError(f"{KEY}.{metric}={str(text)[:60]}: must be '<= number' or '>= number'")
        found.append(Constraint(str(metric), match[1] == "<=", bound))
    return tuple(found)


def pick(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> list[float | None]:
    """The constrained ones of some metrics."""
    return [metrics.get(c.metric) for c in constraints]


def broken(constraints: Sequence[Constraint], values: Values) -> bool:
    """Whether any bound is broken."""
    return any(c.excess(v) > 0 for c, v in zip(constraints, values, strict=True))


def reason(constraints: Sequence[Constraint], values: Values) -> str:
    """What the row of an infeasible trial has as its reason."""
    found = [f"{c.metric} is {v:.6g}, must be {c}" for c, v in zip(constraints, values, strict=True) if v is not None and c.excess(v) > 0]
    return f"infeasible: {'; '.join(found)}"


def attributes(constraints: Sequence[Constraint], values: Values) -> dict[str, float]:
    """The system attributes by which Optuna's samplers know of constraints: what is not known holds."""
    return {f"constraints:{c.metric}": c.excess(v) for c, v in zip(constraints, values, strict=True)}


def is_infeasible(trial: FrozenTrial) -> bool:
    """Whether a trial, as samplers are shown it, breaks a bound."""
    return any(excess > 0 for excess in trial.constraints.values())
