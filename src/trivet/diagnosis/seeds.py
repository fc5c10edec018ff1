"""The seeds phase as one value per finalist and seed, and what follows from it: means, the winner, the noise between seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from trivet.diagnosis.choosing import Choosing, Gain, choosing, gain, raced
from trivet.diagnosis.sweep import Sweep
from trivet.phases import finalists

NOT_PARAMS = finalists.NOT_PARAMS


@dataclass
class Seeds:
    """values: finalist -> {seed: objective}. shown: finalist -> what its trial showed in the search. Finalist 0 is the default. raced: the
    better ones had more seeds, by rounds."""

    values: dict[int, dict[int, float]]
    winner: int
    maximize: bool
    shown: dict[int, float] = field(default_factory=dict)
    phase: dict[int, str] = field(default_factory=dict)
    number: dict[int, int | None] = field(default_factory=dict)
    raced: bool = False

    def summary(self, finalist: int) -> finalists.Summary:
        return finalists.summary(list(self.values[finalist].values()))

    def mean(self, finalist: int) -> float:
        return self.summary(finalist).mean

    @property
    def order(self) -> list[int]:
        """Finalists by mean, best first; of a race, those that came further first."""
        sign = -1 if self.maximize else 1
        return sorted(self.values, key=lambda one: (-len(self.values[one]) if self.raced else 0, sign * self.mean(one), one))

    @property
    def tuned(self) -> list[int]:
        return [finalist for finalist in self.order if finalist != 0]

    def gain(self, finalist: int) -> Gain | None:
        """Of a finalist over the default, corrected for having been one of several compared. None: no default, or no common seed."""
        if finalist == 0 or 0 not in self.values:
            return None
        return gain(self.values[finalist], self.values[0], self.maximize, max(len(self.tuned), 1))

    @cached_property
    def rivals(self) -> list[int]:
        """The finalists that the winner was chosen from: those with as many seeds as it has; in a race, all."""
        if self.raced:
            return self.tuned
        most = max(len(runs) for runs in self.values.values())
        return [finalist for finalist in self.tuned if len(self.values[finalist]) == most]

    @cached_property
    def choosing(self) -> Choosing | None:
        """What choosing the best finalist did to its mean; None with one seed each, or no finalist."""
        if self.noise is None or not self.rivals:
            return None
        sign = 1 if self.maximize else -1
        if self.raced:
            return raced([sign * self.mean(one) for one in self.rivals], self.rounds, self.noise)
        return choosing([sign * self.mean(finalist) for finalist in self.rivals], len(self.values[self.rivals[0]]), self.noise)

    @property
    def rounds(self) -> list[int]:
        """How many finalists, the default not counted, had a first seed, a second, and so on."""
        counts = [len(self.values[finalist]) for finalist in self.tuned]
        return [sum(count > r for count in counts) for r in range(max(counts, default=0))]

    @property
    def even(self) -> Choosing | None:
        """What the same number of runs would have done in equal shares; None of no race."""
        if not self.raced or self.noise is None or not self.tuned:
            return None
        n = sum(map(len, self.values.values())) // len(self.values)
        sign = 1 if self.maximize else -1
        return choosing([sign * self.mean(finalist) for finalist in self.tuned], n, self.noise)

    def corrected(self, finalist: int) -> float:
        """Its mean, less the luck of having been chosen where it is the winner."""
        luck = self.choosing.luck if self.choosing is not None and finalist == self.winner != 0 else 0.0
        return self.mean(finalist) - (luck if self.maximize else -luck)

    @property
    def noise(self) -> float | None:
        """Standard deviation between seeds of one configuration, pooled over all finalists; None where none has two seeds."""
        groups = [np.var(list(runs.values()), ddof=1) for runs in self.values.values() if len(runs) > 1]
        weights = [len(runs) - 1 for runs in self.values.values() if len(runs) > 1]
        return math.sqrt(float(np.average(groups, weights=weights))) if groups else None

    @property
    def without_effect(self) -> bool:
        """Whether each configuration gave one and the same value with all its seeds, to the last digit."""
        several = [set(runs.values()) for runs in self.values.values() if len(runs) > 1]
        return bool(several) and all(len(values) == 1 for values in several)

    @property
    def label(self) -> dict[int, str]:
        return {finalist: "default" if finalist == 0 else f"finalist {finalist}" for finalist in self.values}


def labels(sweep: Sweep, table: pd.DataFrame | None = None) -> dict[int, int] | None:
    """Which finalist each row of a seeds sweep trained, by its index: its column `finalist`, else by the parameters in finalists.csv.

    None where neither tells; rows that fit no finalist are left out.
    """
    if "finalist" in sweep.trials:
        known = pd.to_numeric(sweep.trials["finalist"], errors="coerce").dropna()
        return {index: int(finalist) for index, finalist in known.items()}
    if table is None or "finalist" not in table:
        return None
    keys = [key for key in sweep.params if key in table and key not in NOT_PARAMS]
    marks = {_mark(row, keys): int(row["finalist"]) for row in table.to_dict("records") if int(row["finalist"]) != 0}
    marks.setdefault(("",) * len(keys), 0)  # the default brings no values of its own
    marks |= {_mark(row, keys): 0 for row in table.to_dict("records") if int(row["finalist"]) == 0}
    found = {index: marks.get(_mark(row, keys)) for index, row in sweep.trials[keys].iterrows()}
    return {index: finalist for index, finalist in found.items() if finalist is not None}


def _mark(row: Mapping, keys: list[str]) -> tuple[str, ...]:
    """The values of a row as text that is equal for equal values."""
    cells = [row[key] for key in keys]
    return tuple("" if pd.isna(cell) else f"{cell:.12g}" if isinstance(cell, float) else str(cell) for cell in cells)


def read(sweep: Sweep | None, table: pd.DataFrame | None = None) -> Seeds | None:
    """From the seeds sweep and finalists.csv. None where no run finished, or nothing tells which finalist a run trained.

    A run without a column `seed` is told apart by its place among those of its finalist.
    """
    if sweep is None:
        return None
    known, rows = labels(sweep, table) or {}, sweep.complete
    rows = rows[rows.index.isin(list(known))]
    if not len(rows):
        return None
    rows = rows.assign(finalist=[known[index] for index in rows.index])
    seeds = rows["seed"] if "seed" in rows else rows.groupby("finalist").cumcount()
    objective = sweep.objectives[0]
    values: dict[int, dict[int, float]] = {}
    for finalist, seed, value in zip(rows["finalist"], seeds, rows[objective], strict=True):
        values.setdefault(int(finalist), {})[int(seed)] = float(value)
    values = dict(sorted(values.items()))
    winner = finalists.winner(rows.assign(value=rows[objective]), sweep.directions[0])
    result = Seeds(values, winner, sweep.maximize, raced=(sweep.study.get("replicates") or {}).get("race") is not None)
    if table is not None and {"finalist", "value"} <= set(table.columns):
        for record in table.to_dict("records"):
            finalist = int(record["finalist"])
            if isinstance(record["value"], float) and math.isfinite(record["value"]):
                result.shown[finalist] = record["value"]
            result.phase[finalist] = str(record.get("phase", ""))
            number = record.get("number")
            result.number[finalist] = int(number) if isinstance(number, float) and math.isfinite(number) else None
    return result
