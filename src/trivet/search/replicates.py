"""A configuration judged by several runs, one for each seed, fold or data set, instead of by one that may be luck.

    hydra.sweeper.replicates: {key: seed, values: [0, 1, 2], aggregate: mean}

A trial runs once for each value of the key, and its value is the aggregate of theirs. To a pruner a replicate is a step: what it judges
after the r-th is the aggregate of the first r (racing). Reports of the epochs within are not pruned.

A run is a mapping of plain values, an attribute of its trial: {"state", "reason", "value", "held" (constrained metrics), "curve" ([[step,
value], ...]), "metrics" (as a study stores them), "objectives", "run" (what varies: worker, seconds, started)}. What a run does not say is
not known of it: a copy's never ran.
"""

from __future__ import annotations

import math
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
    """`key` of the config takes each of `values` in turn; None: the runs differ by chance alone. `name`: what its column is called, where
    not by the key. `race`: the runs that all trials have together, of which the better ones get more (racing.py)."""

    key: str | None
    values: tuple[Any, ...]
    aggregate: str = "mean"
    name: str | None = None
    race: int | None = None

    @property
    def column(self) -> str:
        """What tables call the key."""
        return self.name or self.key or "replicate"

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
        return ["mean", "std", *(f"{self.column}={value}" for value in self.values)]

    def as_dict(self) -> dict[str, Any]:
        """For study.yaml and the identity."""
        more = {key: value for key, value in (("name", self.name), ("race", self.race)) if value is not None}
        return {"key": self.key, "values": list(self.values), "aggregate": self.aggregate, **more}


def std(found: Sequence[float]) -> float:
    """Sample standard deviation; 0 of a single value."""
    return statistics.stdev(found) if len(found) > 1 else 0.0


def read(config: Mapping[str, Any] | None) -> Replicates | None:
    """The replicates of a config. Raises `UserError` for values that are none, or that are given twice."""
    if not config:
        return None
    if "key" not in config:
        raise UserError(f"{KEY}.key: is missing; name a key of the config, such as seed, or null for runs that differ by chance alone")
    values = config["values"]
    for i, value in enumerate(values):
        if not isinstance(value, (str, int, float, bool)):
            raise UserError(f"{KEY}.values={value!r}: must be plain values, such as [0, 1, 2]")
        if any(value == other and type(value) is type(other) for other in values[:i]):
            raise UserError(f"{KEY}.values={value}: is there twice; give each value once")
    return Replicates(config["key"], tuple(values), config.get("aggregate", "mean"), config.get("name"), config.get("race"))


def attribute(i: int) -> str:
    """The attribute of a trial that keeps what its replicate `i`, from 0 on, gave."""
    return f"{_OF}{i}"


def told(attrs: Mapping[str, Any]) -> set[int]:
    """The replicates of a trial that have ended, whatever came before them."""
    return {int(key.removeprefix(_OF)) for key in attrs if key.startswith(_OF)}


def counted(attrs: Mapping[str, Any], steps: float = math.inf) -> list[Mapping[str, Any]]:
    """The runs of a trial that count: at most `steps` of the first, up to one that is missing, or to the first that did not complete, and
    with it. So what runs ahead of a failure, or of a verdict, is in no record."""
    found: list[Mapping[str, Any]] = []
    while len(found) < steps and attribute(len(found)) in attrs:
        found.append(attrs[attribute(len(found))])
        if not is_complete(found[-1]):
            break
    return found


def is_complete(run: Mapping[str, Any]) -> bool:
    """Whether a run ended with a value."""
    return run.get("state", "COMPLETE") == "COMPLETE"


def values(runs: Sequence[Mapping[str, Any]]) -> list[float]:
    """The values of those runs that completed."""
    return [run["value"] for run in runs if is_complete(run)]


def means(columns: Sequence[Sequence[float | None]]) -> list[float | None]:
    """The mean of each column over the rows that know it."""
    known = [[value for value in column if value is not None] for column in zip(*columns, strict=True)]
    return [statistics.fmean(column) if column else None for column in known]


def effort(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What runs took together, as a study keeps it of a trial: seconds of them all, when the first began, and who ran the last."""
    efforts = [run["run"] for run in runs if run.get("run")]
    if not efforts:
        return {}
    seconds = round(sum(one["seconds"] for one in efforts), 3)
    return {"seconds": seconds, "started": min(one["started"] for one in efforts), "worker": efforts[-1]["worker"]}


def copied(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that a copy of the trial has as well: no time was spent on it."""
    return {key: {k: v for k, v in value.items() if k != "run"} for key, value in attrs.items() if key.startswith(_OF)}


def given(cells: Sequence[float | None]) -> dict[str, Any]:
    """The attributes of a trial of which no more than its replicates' values is known."""
    return {attribute(i): {"value": value, "held": []} for i, value in enumerate(cells) if value is not None}
