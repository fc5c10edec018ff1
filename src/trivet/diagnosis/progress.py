"""Diminishing returns of a search: what the last trials brought, how long the best has stood, what the next per cent would cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trivet.diagnosis.sweep import Sweep
from trivet.diagnosis.thresholds import limit

PACED = 8  # trials from which on a pace is told


@dataclass(frozen=True)
class Progress:
    """n: trials run. judged: those of them that completed or were pruned; completed: those that completed. recent: how many count as the
    last part; recent_gain: what they improved the best by (0: nothing). same_for: trials since the best; could_stop: the trial from
    which on nothing worth a hundredth of the lead was gained. lead: best over the median trial. slope: gain per doubling of trials,
    over the second half. All gains are positive numbers in the objective's unit."""

    n: int
    judged: int
    completed: int
    best: float
    best_trial: int
    same_for: int
    recent: int
    recent_gain: float
    lead: float
    could_stop: int
    slope: float

    @property
    def paced(self) -> bool:
        """Whether there are trials enough for a pace, so that a slope of nought means no growth."""
        return self.n >= PACED

    @property
    def concluding(self) -> bool:
        """Whether what the trials have not found says something about trials to come: enough were judged, and some ran to their end."""
        return self.judged >= limit("enough") and self.completed >= limit("enough_complete")

    def trials_for(self, gain: float) -> float:
        """How many trials more such a gain would take if best values went on growing with the logarithm of their number; inf: no growth."""
        if self.slope <= 0 or gain <= 0:
            return math.inf if gain > 0 else 0.0
        doublings = gain / self.slope
        return self.n * (2**doublings - 1) if doublings < 40 else math.inf


def progress(sweep: Sweep) -> Progress | None:
    """None where no trial has a value. Counts completed trials' values only, but every trial as a trial."""
    score = sweep.score.where(sweep.trials["state"] == "COMPLETE").to_numpy()
    if not np.isfinite(score).any():
        return None
    n = len(score)
    best = np.maximum.accumulate(np.where(np.isfinite(score), score, -np.inf))
    at = int(np.argmax(best == best[-1]))
    recent = max(round(limit("improving_share") * n), 1)
    before = best[n - recent - 1] if n > recent else -np.inf
    known = score[np.isfinite(score)]
    lead = float(best[-1] - np.median(known))
    could_stop = int(sweep.trials["number"].iloc[int(np.argmax(best >= best[-1] - 0.01 * lead))])
    half = n // 2
    slope = 0.0
    if n >= PACED and np.isfinite(best[half - 1]):
        slope = float(best[-1] - best[half - 1]) / math.log2(n / half)
    return Progress(
        n,
        sweep.count("COMPLETE") + int(sweep.stopped.sum()),
        sweep.count("COMPLETE"),
        sweep.value(best[-1]),
        int(sweep.trials["number"].iloc[at]),
        n - 1 - at,
        recent,
        float(best[-1] - before) if np.isfinite(before) else 0.0,
        lead,
        could_stop,
        slope,
    )
