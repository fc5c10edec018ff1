"""What the callbacks have in common: find the objective among a trainer's metrics."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

from trivet.errors import UserError


def pick(metrics: Mapping[str, Any], metric: str) -> tuple[float, dict[str, float]]:
    """The value of `metric` and all numbers among `metrics` (tensors of one element count as numbers).

    Raises `UserError` where there is no such metric, or it is no number.
    """
    found = {str(name): number for name, value in metrics.items() if (number := _number(value)) is not None}
    if metric not in found:
        known = ", ".join(sorted(found)) or "none"
        problem = "is not a number" if metric in metrics else "is not logged"
        raise UserError(f"metric={metric}: {problem}; the trainer's metrics are {known}")
    return found[metric], found


def _number(value: Any) -> float | None:
    if isinstance(value, numbers.Real):
        return float(value)
    if callable(getattr(value, "item", None)) and math.prod(getattr(value, "shape", (0,))) == 1:
        return float(value.item())
    return None
