"""Values of a range that are worth trying before a search: its ends, its middle, and random ones."""

from __future__ import annotations

import math
import random
from typing import Any

from trivet.space.specs import Choice, Fixed, Float, Int, Spec, grid_points

MAX_OPTIONS = 12  # of a choice that are tried; the first ones


def ends(spec: Spec | Fixed) -> list[Any]:
    """Both ends of a range, or a choice's first options."""
    if isinstance(spec, Float | Int):
        return [spec.low, spec.high]
    options: list[Any] = []
    for option in grid_points(spec):
        if not any(option == known and type(option) is type(known) for known in options):  # options may be lists: no set takes those
            options.append(option)
    return options[:MAX_OPTIONS]


def middle(spec: Spec | Fixed) -> Any:
    """The value half-way, on the range's scale; a choice's first option."""
    if isinstance(spec, Choice | Fixed):
        return grid_points(spec)[0]
    return _fitted(spec, math.sqrt(spec.low * spec.high) if spec.log else (spec.low + spec.high) / 2)


def draw(spec: Spec | Fixed, rng: random.Random) -> Any:
    """A value drawn evenly from a range, on its scale."""
    if isinstance(spec, Choice | Fixed):
        return rng.choice(grid_points(spec))
    return _fitted(spec, math.exp(rng.uniform(math.log(spec.low), math.log(spec.high))) if spec.log else rng.uniform(spec.low, spec.high))


def _fitted(spec: Float | Int, value: float) -> float | int:
    """The value of the range that is nearest."""
    if spec.step is not None:
        value = spec.low + round((value - spec.low) / spec.step) * spec.step
    value = min(max(value, spec.low), spec.high)
    return round(value) if isinstance(spec, Int) else value
