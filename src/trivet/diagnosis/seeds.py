"""The seeds phase as one value per finalist and seed, and what follows from it: means, the winner, the noise between seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from trivet.diagnosis.sweep import Sweep
from trivet.errors import UserError
from trivet.phases import finalists


@dataclass
class Seeds:
    """values: finalist -> {seed: objective}. shown: finalist -> what its trial showed in the search. Finalist 0 is the default."""

    values: dict[int, dict[int, float]]
    winner: int
    maximize: bool
    shown: dict[int, float] = field(default_factory=dict)
    phase: dict[int, str] = field(default_factory=dict)
    number: dict[int, int | None] = field(default_factory=dict)

    def summary(self, finalist: int) -> finalists.Summary:
        return finalists.summary(list(self.values[finalist].values()))

    def mean(self, finalist: int) -> float:
        return self.summary(finalist).mean

    @property
    def order(self) -> list[int]:
        """Finalists by mean, best first."""
        sign = -1 if self.maximize else 1
        return sorted(self.values, key=lambda finalist: (sign * self.mean(finalist), finalist))

    @property
    def tuned(self) -> list[int]:
        return [finalist for finalist in self.order if finalist != 0]

    def paired(self, a: int, b: int) -> finalists.Paired | None:
        """a minus b over the seeds that both finished; None where they share none."""
        common = [seed for seed in self.values[a] if seed in self.values[b]]
        if not common:
            return None
        return finalists.paired([self.values[a][seed] for seed in common], [self.values[b][seed] for seed in common])

    @property
    def noise(self) -> float | None:
        """Standard deviation between seeds of one configuration, pooled over all finalists; None where none has two seeds."""
        groups = [np.var(list(runs.values()), ddof=1) for runs in self.values.values() if len(runs) > 1]
        weights = [len(runs) - 1 for runs in self.values.values() if len(runs) > 1]
        return math.sqrt(float(np.average(groups, weights=weights))) if groups else None

    @property
    def label(self) -> dict[int, str]:
        return {finalist: "default" if finalist == 0 else f"finalist {finalist}" for finalist in self.values}


def read(sweep: Sweep | None, table: pd.DataFrame | None = None) -> Seeds | None:
    """From the seeds sweep (columns finalist and seed) and finalists.csv. None where no run finished."""
    if sweep is None or "finalist" not in sweep.params:
        return None
    rows = sweep.complete
    if not len(rows):
        return None
    seeds = rows["seed"] if "seed" in rows else rows["number"]
    objective = sweep.objectives[0]
    values: dict[int, dict[int, float]] = {}
    for finalist, seed, value in zip(rows["finalist"], seeds, rows[objective], strict=True):
        values.setdefault(int(finalist), {})[int(seed)] = float(value)
    values = dict(sorted(values.items()))
    try:
        winner = finalists.winner(rows.assign(value=rows[objective]), sweep.directions[0])
    except UserError:
        return None
    result = Seeds(values, winner, sweep.maximize)
    if table is not None and {"finalist", "value"} <= set(table.columns):
        for record in table.to_dict("records"):
            finalist = int(record["finalist"])
            if isinstance(record["value"], float) and math.isfinite(record["value"]):
                result.shown[finalist] = record["value"]
            result.phase[finalist] = str(record.get("phase", ""))
            number = record.get("number")
            result.number[finalist] = int(number) if isinstance(number, float) and math.isfinite(number) else None
    return result
