"""How far a range may go on beyond an end, and the range that does: what the report proposes where the best sit at an edge."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

from trivet import space
from trivet.space.limits import AVERAGE, STRUCTURE, hard_limits, leaf

FRACTION = re.compile(r"p|(.*_)?(p|prob|probability|share|quantile|rate|subsample|sample|bytree|bylevel|bynode|fraction|frac|ratio|mix)")
ALIKE = 1e-6  # steps that differ by less, relatively, count as one: floating point makes 0.3 - 0.2 other than 0.2 - 0.1


def ordered(spec: object) -> list[float] | None:
    """The options of a choice among at least three numbers, in order; None for any other spec."""
    if not isinstance(spec, space.Choice):
        return None
    options = spec.options
    numeric = all(isinstance(option, (int, float)) and not isinstance(option, bool) for option in options)
    return sorted(float(option) for option in options) if numeric and len(set(options)) >= 3 else None


def reach(spec: object, key: str) -> tuple[float, float]:
    """(least, most) that a range of the quantity `key` may hold; never less than it holds now.

    By what is known of the name. Averaging factors (momentum, betas) at most halve their distance from 1, by which they act. Of other
    names: nothing that is positive becomes negative, sizes and counts stay at 1 or above, and a fraction by its name stays one.
    """
    ends = ordered(spec) or [float(getattr(spec, "low", -math.inf)), float(getattr(spec, "high", math.inf))]
    low, high = ends[0], ends[-1]
    whole = isinstance(spec, space.Int) or (isinstance(spec, space.Choice) and all(isinstance(option, int) for option in spec.options))
    least, most = -math.inf if low < 0 else 1.0 if whole and low >= 1 else 0.0, math.inf
    known = hard_limits(key)
    if known is not None:
        least, most = max(least, known[0]), known[1]
        if AVERAGE.fullmatch(leaf(key)):
            most = min(most, 1 - (1 - high) / 2)
    elif low >= 0 and high <= 1 and FRACTION.fullmatch(leaf(key)):
        most = 1.0
    return min(least, low), max(most, high)


def natural_end(spec: object, key: str, low_end: bool) -> bool:
    """Whether an end cannot be moved: zero, the smallest whole number that means anything, as far as the quantity of this name may reach
    (a dropout of 0.9), the end of a fraction, the last point of a range in steps."""
    ends = ordered(spec) or [float(getattr(spec, "low", math.nan)), float(getattr(spec, "high", math.nan))]
    least, most = reach(spec, key)
    if (step := float(getattr(spec, "step", None) or 0)) > 0:
        least, most = least + (1 - ALIKE) * step, most - (1 - ALIKE) * step
        return ends[0] < least if low_end else ends[-1] > most
    return ends[0] <= least if low_end else ends[-1] >= most


def widened(spec: space.Spec | space.Fixed, low_end: bool, key: str = "") -> space.Spec | space.Fixed:
    """The range with one end moved out: by a factor of ten on a log scale (two for sizes of a model, whose cost grows with them), by half
    its width else; a choice of numbers gains one option. Never beyond `reach`, in numbers that people write.
    What has no order, or cannot be moved, is given back as it is."""
    if natural_end(spec, key, low_end):
        return spec
    least, most = reach(spec, key)
    if ordered(spec) is not None and isinstance(spec, space.Choice):
        return _longer(spec, low_end, least, most)
    if not isinstance(spec, (space.Float, space.Int)):
        return spec
    low, high, step = float(spec.low), float(spec.high), float(spec.step or 0)
    if spec.log:
        factor = 2 if STRUCTURE.fullmatch(leaf(key)) else 10
        low, high = (low / factor, high) if low_end else (low, high * factor)
    else:
        more = (high - low) / 2
        more = math.ceil(more / step - ALIKE) * step if step else more
        low, high = (low - more, high) if low_end else (low, high + more)
    if step and low < least:
        low += math.ceil((least - low) / step - ALIKE) * step  # on the grid of the old ends; the type keeps the high end on it
    low, high = max(low, least), min(high, most)
    if isinstance(spec, space.Int):
        return dataclasses.replace(spec, low=math.floor(low), high=math.floor(high + ALIKE))
    return dataclasses.replace(spec, low=_written(low), high=_written(high))


def _longer(spec: space.Choice, low_end: bool, least: float, most: float) -> space.Choice:
    """One option more, in the choice's own step where its options stand evenly, else in the ratio of the two next to that end."""
    options = ordered(spec) or []
    inner, outer = (options[1], options[0]) if low_end else (options[-2], options[-1])
    new = outer + (outer - inner) if _even(options) or inner <= 0 or outer <= 0 else outer * outer / inner
    new = min(max(new, least), most)
    new = round(new) if all(isinstance(option, int) for option in spec.options) else _written(new)
    return space.Choice((new, *spec.options) if low_end else (*spec.options, new))


def _even(options: list[float]) -> bool:
    """Whether the options stand in equal steps."""
    steps = [b - a for a, b in itertools.pairwise(options)]
    return bool(steps) and all(math.isclose(step, steps[0], rel_tol=ALIKE) for step in steps)


def _written(value: float) -> float:
    """Without what floating point adds: 0.3, not 0.30000000000000004."""
    return float(f"{value:.12g}")
