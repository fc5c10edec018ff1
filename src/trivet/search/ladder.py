"""The loop that people run by hand before any search: begin with a small learning rate, and let each curve say what to try next.

The loss falls steadily: three times the rate. It oscillates: half. It plateaus: a third. It is unstable, or the rate was tried: stop.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from trivet import space
from trivet.search.rounds import Done, Given, Plan, Round, score

Course = Literal["unstable", "oscillates", "plateaus", "falls"]
STEPS: dict[Course, tuple[float, str]] = {
    "falls": (3.0, "fell steadily: three times the rate"),
    "oscillates": (1 / 2, "oscillated: half the rate"),
    "plateaus": (1 / 3, "reached a plateau: a third of the rate"),
}
"""What follows from a curve: the factor, and the words for the table."""
MOST = 5
SMALL = 0.1  # of the default rate: where it begins, unless it is told
UP = 0.25  # an oscillating loss climbs more than this share of what it falls
LATE = 0.02  # a loss on a plateau falls by less than this share of itself in the last third; one that nears 0 still falls
SAME = 1.01  # rates nearer than this factor are one


def course(losses: Sequence[float]) -> Course:
    """What a loss did, epoch by epoch (two at least); lower is better. Two values tell no more than whether it fell."""
    if not all(map(math.isfinite, losses)) or losses[-1] > losses[0]:
        return "unstable"
    steps = [after - before for before, after in itertools.pairwise(losses)]
    climbed, fell = sum(s for s in steps if s > 0), -sum(s for s in steps if s < 0)
    if len(losses) >= 3 and climbed > UP * fell:
        return "oscillates"
    before = losses[-1 - math.ceil(len(steps) / 3)]
    if len(losses) >= 3 and before - losses[-1] < LATE * abs(before):
        return "plateaus"
    return "falls" if fell > 0 else "plateaus"


def losses_of(trial: Done, metric: str | None, maximize: bool) -> list[float]:
    """The curve that is looked at: a metric that is lower when better, or the objective turned so."""
    columns = trial.metrics.get("columns", [])
    if metric in columns:
        place = 1 + columns.index(metric)
        last = trial.curve[-1][0] if trial.curve else 0
        return [math.nan if row[place] is None else float(row[place]) for row in trial.metrics["rows"] if row[0] <= last]
    return [-value if maximize else value for _, value in trial.curve]


class Ladder:
    """`arguments`: key, start (a rate), metric (or None: the objective), most (runs)."""

    def __init__(self, arguments: Mapping[str, Any], maximize: bool) -> None:
        self.key, self.start = str(arguments["key"]), float(arguments["start"])
        self.metric, self.most, self.maximize = arguments.get("metric"), int(arguments.get("most") or MOST), maximize

    def plan(self, done: Sequence[Done]) -> Plan:
        """A trial a round, each with its reason."""
        rate, why = self.start, "begins small"
        tried: list[float] = []
        while len(tried) < self.most and not any(1 / SAME < rate / other < SAME for other in tried):
            done = yield Round.of([self._trial(rate, why)])
            tried.append(rate)
            seen = self._seen(done[-len(tried) :])
            if seen == "unstable":
                return
            factor, words = STEPS[seen]
            rate, why = float(f"{rate * factor:.3g}"), f"the loss at {rate:g} {words}"

    def _seen(self, runs: Sequence[Done]) -> Course:
        """What the last run did; of one without a curve, whether it is better than the one before."""
        losses = losses_of(runs[-1], self.metric, self.maximize)
        if runs[-1].state == "FAIL":
            return "unstable"
        if len(losses) >= 2:
            return course(losses)
        better = len(runs) < 2 or score(runs[-1], self.maximize) > score(runs[-2], self.maximize)
        return "falls" if better and score(runs[-1], self.maximize) > -math.inf else "unstable"

    def _trial(self, rate: float, why: str) -> Given:
        return {"params": {self.key: rate}, "overrides": [f"{self.key}={space.value_text(rate)}"], "attrs": {"why": why}}
