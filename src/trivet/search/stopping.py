"""When a sweep ends, judged on the fixed history."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Finished(Protocol):
    """What the rules look at in a finished trial."""

    @property
    def state(self) -> str:
        """COMPLETE, PRUNED or FAIL."""

    @property
    def values(self) -> list[float]:
        """Those of the objectives, the first of which counts."""

    @property
    def cost(self) -> int:
        """The steps that were trained for it."""


@dataclass(frozen=True)
class StopRules:
    """When a sweep ends. All but `seconds` are judged on the fixed history, so every number of workers stops at the same trial.

    n_trials: total. epochs: total of trained steps (copies cost none). plateau: stop when the best of the last `trials` is not better than
    the best before by more than `delta`. same_best: stop when the best trial has stayed the best for that many trials. target: a value
    reached.
    """

    n_trials: int
    seconds: float | None = None
    epochs: int | None = None
    plateau: Mapping[str, float] | None = None
    same_best: int | None = None
    target: float | None = None

    @property
    def has_rules(self) -> bool:
        """Whether any rule speaks of what trials found."""
        return any(rule is not None for rule in (self.epochs, self.plateau, self.same_best, self.target))

    def reason(self, trials: Sequence[Finished], maximize: bool) -> str | None:
        """Why to stop, knowing these finished trials in number order; None to go on."""
        if self.epochs is not None and sum(t.cost for t in trials) >= self.epochs:
            return "epochs"
        best, best_at, bests = -math.inf, 0, []
        for i, trial in enumerate(trials):
            value = trial.values[0] if trial.state == "COMPLETE" else math.nan
            if not math.isnan(value) and (value if maximize else -value) > best:
                best, best_at = (value if maximize else -value), i
            bests.append(best)
        if best == -math.inf:
            return None
        if self.target is not None and best >= (self.target if maximize else -self.target):
            return "target"
        if self.same_best is not None and len(trials) - 1 - best_at >= self.same_best:
            return "same_best"
        if self.plateau is not None:
            k = int(self.plateau["trials"])
            if len(bests) > k and bests[-1] - bests[-1 - k] <= float(self.plateau["delta"]):
                return "plateau"
        return None
