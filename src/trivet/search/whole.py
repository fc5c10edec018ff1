"""A space as a Gaussian process sees it: every parameter in every trial, on scales that have an order where there is one.

A Gaussian process compares points of one fixed set of dimensions. So a parameter that does not count in a trial stands at its default
there, and what is suggested for it is dropped on the way out. Rising numbers to choose from are steps: their order says more than names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trivet import space

MOST_STEPS = 64
"""Points of a range that are held as they are; more of them pass for a continuous one, and are rounded on the way out."""


class Dimension:
    """A parameter: values of its range <-> places. Numbers have places from 0 to 1, options without an order 0, 1, 2 ..."""

    def __init__(self, name: str, spec: space.Spec, default: Any) -> None:
        self.name, self.spec = name, spec
        n = space.n_points(self.spec)
        self.is_options = isinstance(self.spec, space.Choice) and not space.is_ladder(self.spec)
        self.n = n if n is not None and (n <= MOST_STEPS or isinstance(self.spec, space.Choice)) else None
        self._grid = space.grid_points(self.spec) if self.n is not None else []
        self.places = (
            np.arange(float(len(self._grid))) if self.is_options else np.array([self._scaled(i, v) for i, v in enumerate(self._grid)])
        )
        known = default is not None and space.contains(self.spec, default)
        self.default = self.place(default) if known else 0.0 if self.is_options else float(self.snap(np.array([0.5]))[0])

    def _scaled(self, index: int, value: Any) -> float:
        if isinstance(self.spec, space.Choice):
            return index / max(1, len(self.spec.options) - 1)
        low, high, here = (math.log(x) if self.spec.log else float(x) for x in (self.spec.low, self.spec.high, value))
        return (here - low) / (high - low) if high > low else 0.5

    def place(self, value: Any) -> float:
        """Where a value of the range is."""
        if self.n is None:
            return self._scaled(0, value)
        return float(self.places[next(i for i, point in enumerate(self._grid) if space.contains(space.Fixed(point), value))])

    def value(self, place: float) -> Any:
        """The value at a place, the nearest one of a range with steps."""
        spec = self.spec
        if self.n is not None or isinstance(spec, space.Choice):
            return self._grid[int(np.argmin(np.abs(self.places - place)))]
        if place <= 0 or place >= 1:  # the ends themselves, not what a logarithm and back makes of them
            return spec.low if place <= 0 else spec.high
        low, high = (math.log(x) if spec.log else float(x) for x in (spec.low, spec.high))
        value = low + place * (high - low)
        value = math.exp(value) if spec.log else value
        if spec.step is not None:
            value = spec.low + round((value - spec.low) / spec.step) * spec.step
        return type(spec.low)(min(max(value, spec.low), spec.high))

    def snap(self, places: np.ndarray) -> np.ndarray:
        """The nearest places that hold a value."""
        if self.n is None or self.is_options:
            return places
        return self.places[np.argmin(np.abs(places[:, None] - self.places), axis=1)]

    def texts(self, places: np.ndarray) -> np.ndarray:
        """The values at places as conditions write them."""
        if self.n is None:
            return np.array([str(self.value(place)) for place in places], dtype=object)
        grid = np.array([str(value) for value in self._grid], dtype=object)
        return grid[np.argmin(np.abs(places[:, None] - self.places), axis=1)]


class Whole:
    """The space of `params` as one fixed set of dimensions. `defaults` holds values by parameter name; the middle stands in for others."""

    def __init__(self, params: Sequence[space.Param], defaults: Mapping[str, Any]) -> None:
        self._params = list(params)
        self.dimensions = [Dimension(name, spec, defaults.get(name)) for name, spec in space.searched(params).items()]
        self._by_name = {d.name: j for j, d in enumerate(self.dimensions)}
        self._deciding = {group for p in params for group, _ in p.when}
        self.defaults = np.array([d.default for d in self.dimensions])

    def point(self, values: Mapping[str, Any]) -> np.ndarray:
        """A trial's values by name as places. What it has no value for, or one outside the range, stands at its default."""
        point = self.defaults.copy()
        for j, dimension in enumerate(self.dimensions):
            if dimension.name in values and space.contains(dimension.spec, values[dimension.name]):
                point[j] = dimension.place(values[dimension.name])
        return point

    def values(self, point: np.ndarray) -> dict[str, Any]:
        """The values by name of those parameters that count at a point."""
        chosen: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for param in self._params:
            if not param.active(chosen):
                continue
            if isinstance(param.spec, space.Fixed):
                chosen[param.key] = param.spec.value
            else:
                j = self._by_name[param.name]
                chosen[param.key] = values[param.name] = self.dimensions[j].value(point[j])
        return values

    def settled(self, points: np.ndarray) -> np.ndarray:
        """Points with places that hold values, and what does not count at its default: as `point` would give them."""
        points, nothing = points.copy(), np.full(len(points), None, dtype=object)
        chosen: dict[str, np.ndarray] = {}
        for param in self._params:
            active = np.ones(len(points), dtype=bool)
            for group, option in param.when:
                active &= chosen.get(group, nothing) == option
            if isinstance(param.spec, space.Fixed):
                texts = np.full(len(points), str(param.spec.value), dtype=object)
            else:
                j = self._by_name[param.name]
                points[:, j] = np.where(active, self.dimensions[j].snap(points[:, j]), self.defaults[j])
                texts = self.dimensions[j].texts(points[:, j]) if param.key in self._deciding else nothing
            if param.key in self._deciding:
                chosen[param.key] = np.where(active, texts, chosen.get(param.key, nothing))
        return points
