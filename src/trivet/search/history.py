"""The official record of a study: every trial's curve, cut where its verdict cut it, whoever ran when.

Workers run ahead of verdicts: a trial trains on while an earlier one has not reached the step that the verdict needs. When the
verdict comes and says stop, what was trained past it is dropped from the record. So nobody waits, and the record is a function
of the curves alone: the same with one worker or eight, in one go or interrupted.
"""

from __future__ import annotations

import functools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from trivet.search.pruning import Pruner


@dataclass
class Curve:
    """One trial as known so far. `values` are turned so that higher is better; NaN counts as -inf."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    ended: bool = False  # it will report nothing more
    failed: bool = False
    n_judged: int = 0  # how many of its steps have a verdict
    pruned_at: int | None = None

    @property
    def final(self) -> bool:
        """Whether nothing about it can change any more."""
        return self.pruned_at is not None or (self.ended and self.n_judged == len(self.steps))

    @property
    def reached(self) -> int:
        """The last judged step; 0 before the first."""
        return self.steps[self.n_judged - 1] if self.n_judged else 0


class History:
    """Curves of trials 0, 1, 2 ... and their verdicts.

    `prior` are curves of earlier sweeps (warm start): lists of (step, value); they count as earlier trials that completed.
    """

    def __init__(self, pruner: Pruner | None, maximize: bool = True, prior: Iterable[Sequence[tuple[int, float]]] = ()) -> None:
        self._pruner = pruner
        self._sign = 1.0 if maximize else -1.0
        self.curves: list[Curve] = []
        self._first_open = 0  # all before are final
        self._table: dict[int, tuple[list[float], list[float]]] = {}  # step -> values and bests of final trials
        self._prior = [self._prior_curve(rows) for rows in prior]

    def _prior_curve(self, rows: Sequence[tuple[int, float]]) -> Curve:
        curve = Curve(ended=True)
        for step, value in rows:
            curve.steps.append(step)
            curve.values.append(self._turn(value))
        return curve

    def _turn(self, value: float) -> float:
        return -math.inf if math.isnan(value) else self._sign * value

    def curve(self, number: int) -> Curve:
        """The curve of a trial, made when first asked for."""
        while len(self.curves) <= number:
            self.curves.append(Curve())
        return self.curves[number]

    def report(self, number: int, step: int, value: float, barred: bool = False) -> None:
        """Add a value, which counts as the worst where a constraint is broken (`barred`).

        A step that is not later than the last one is known already and changes nothing.
        """
        curve = self.curve(number)
        if curve.ended or (curve.steps and step <= curve.steps[-1]):
            return
        curve.steps.append(step)
        curve.values.append(-math.inf if barred else self._turn(value))

    def end(self, number: int, failed: bool = False) -> None:
        """The trial will report nothing more."""
        curve = self.curve(number)
        curve.ended, curve.failed = True, failed

    def settle(self, number: int, pruned_at: int | None) -> None:
        """Take a verdict that stands in the storage already: final, pruned at a step or not at all."""
        curve = self.curve(number)
        curve.ended, curve.pruned_at = True, pruned_at
        if pruned_at is not None:
            keep = bisect_left(curve.steps, pruned_at) + 1
            del curve.steps[keep:], curve.values[keep:]
        curve.n_judged = len(curve.steps)

    def judge(self) -> None:
        """Give every verdict for which all earlier trials are far enough."""
        if self._pruner is None:
            for curve in self.curves[self._first_open :]:
                curve.n_judged = len(curve.steps)
        else:
            frontier = math.inf
            for number in range(self._first_open, len(self.curves)):
                curve = self.curves[number]
                while not curve.final and curve.n_judged < len(curve.steps) and curve.steps[curve.n_judged] <= frontier:
                    step, n = curve.steps[curve.n_judged], curve.n_judged + 1
                    curve.n_judged = n
                    if self._pruner.prune(number, curve.steps[:n], curve.values[:n], functools.partial(self._peers, number)):
                        curve.pruned_at = step
                if not curve.final:
                    frontier = min(frontier, curve.reached)
        while self._first_open < len(self.curves) and self.curves[self._first_open].final:
            self._first_open += 1

    @property
    def n_settled(self) -> int:
        """How many trials from number 0 on are final without a gap."""
        return self._first_open

    def _peers(self, number: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers, values at `step` and best values up to it, of the trials before `number`; see pruning.py.

        What final trials say of a step never changes, so it is computed once.
        """
        n = len(self._prior)
        seen = self._table.setdefault(step, ([], []))
        for i in range(len(seen[0]), n + min(number, self._first_open)):
            value, best = _at(self._prior[i] if i < n else self.curves[i - n], step)
            seen[0].append(value)
            seen[1].append(best)
        rest = [_at(curve, step) for curve in self.curves[len(seen[0]) - n : number]]
        values = np.array([*seen[0], *(value for value, _ in rest)])
        bests = np.array([*seen[1], *(best for _, best in rest)])
        return np.arange(-n, number), values, bests


def _at(curve: Curve, step: int) -> tuple[float, float]:
    """Value at a step (the one before, where it reported none there) and best value up to it.

    -inf before its first report, and past the end of a trial that was pruned or failed; a completed one keeps its last.
    """
    n = bisect_right(curve.steps, step)
    cut = curve.pruned_at is not None and curve.pruned_at < step
    failed_before = curve.failed and n == len(curve.steps) and n > 0 and curve.steps[-1] < step
    if n == 0 or cut or failed_before:
        return -math.inf, -math.inf
    return curve.values[n - 1], max(curve.values[:n])
