"""A configuration judged by several runs, one for each seed, fold or data set, instead of by one that may be luck.

    hydra.sweeper.replicates: {key: seed, values: [0, 1, 2], aggregate: mean}

A trial runs once for each value of the key, and its value is the aggregate of theirs. To a pruner a replicate is a step: what it judges
after the r-th is the aggregate of the first r (racing). Reports of the epochs within are not pruned.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trivet.errors import UserError

KEY = "hydra.sweeper.replicates"
AGGREGATES = ("mean", "median", "mean_minus_std", "worst")
_OF = "trivet:replicate:"


@dataclass(frozen=True)
class Replicates:
    """`key` of the config takes each of `values` in turn."""

    key: str
    values: tuple[Any, ...]
    aggregate: str = "mean"

    def of(self, found: Sequence[float], maximize: bool) -> float:
        """The aggregate of the values found so far, at least one. mean_minus_std is pessimistic: mean plus std where less is better."""
        if self.aggregate == "median":
            return float(statistics.median(found))
        if self.aggregate == "worst":
            return float(min(found) if maximize else max(found))
        mean = statistics.fmean(found)
        return mean if self.aggregate == "mean" else mean - std(found) if maximize else mean + std(found)

    def columns(self) -> list[str]:
        """What a table has of them besides the aggregate."""
        return ["mean", "std", *(f"{self.key}={value}" for value in self.values)]

    def as_dict(self) -> dict[str, Any]:
        """For study.yaml and the identity."""
        return {"key": self.key, "values": list(self.values), "aggregate": self.aggregate}


def std(found: Sequence[float]) -> float:
    """Sample standard deviation; 0 of a single value."""
    return statistics.stdev(found) if len(found) > 1 else 0.0


def read(config: Mapping[str, Any] | None) -> Replicates | None:
    """The replicates of a config. Raises `UserError` for values that are none, or that are given twice."""
    if not config:
        return None
    values = config["values"]
    for i, value in enumerate(values):
        if not isinstance(value, (str, int, float, bool)):
            raise UserError(f"{KEY}.values={value!r}: must be plain values, such as [0, 1, 2]")
        if any(value == other and type(value) is type(other) for other in values[:i]):
            raise UserError(f"{KEY}.values={value}: is there twice; give each value once")
    return Replicates(config["key"], tuple(values), config.get("aggregate", "mean"))


def attribute(i: int) -> str:
    """The attribute of a trial that keeps what its replicate `i`, from 0 on, gave: {"value", "held"}."""
    return f"{_OF}{i}"


def done(attrs: Mapping[str, Any], steps: float) -> list[Mapping[str, Any]]:
    """What the first replicates of a trial gave, at most `steps` of them, up to the first that is missing."""
    found: list[Mapping[str, Any]] = []
    while len(found) < steps and attribute(len(found)) in attrs:
        found.append(attrs[attribute(len(found))])
    return found


def copied(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that a copy of the trial has as well."""
    return {key: value for key, value in attrs.items() if key.startswith(_OF)}


def given(cells: Sequence[float | None]) -> dict[str, Any]:
    """The attributes of a trial of which no more than its replicates' values is known."""
    return {attribute(i): {"value": value, "held": []} for i, value in enumerate(cells) if value is not None}
