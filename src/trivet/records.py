"""What a study is made of, as plain data: its spec and stop rules, a claim, a trial's outcome, and the official record of a trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from optuna.trial import FrozenTrial

from trivet import space
from trivet.sampling import SamplerSpec


@dataclass(frozen=True)
class StopRules:
    """When a sweep ends. All but `seconds` are judged on the fixed history, so every number of workers stops at the same trial.

    n_trials: total. epochs: total of reported steps. plateau: stop when the best of the last `trials` is not better than the best before by
    more than `delta`. same_best: stop when the best trial has stayed the best for that many trials. target: a value reached.
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

    def reason(self, trials: Sequence[Official], maximize: bool) -> str | None:
        """Why to stop, knowing these finished trials in number order; None to go on."""
        if self.epochs is not None and sum(t.step for t in trials) >= self.epochs:
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


@dataclass(frozen=True)
class StudySpec:
    """Everything that workers must agree on. Plain values only: it travels to other processes and machines."""

    name: str
    folder: str
    directions: tuple[str, ...]
    params: tuple[space.Param, ...]
    sampler: SamplerSpec
    pruner: Mapping[str, Any] | None
    seed: int
    stop: StopRules
    lag: int = 8
    groups: tuple[str, ...] = ()  # parameters that are choices of a config group
    storage: str | None = None  # None: a journal in the folder; else a database URL
    explicit: tuple[Mapping[str, Any], ...] = ()  # trials given outright: {"params": {name: value}, "overrides": [...] | None}
    warm: tuple[Mapping[str, Any], ...] = ()  # earlier knowledge: {"params", "state", "values", "curve": [[step, value], ...]}
    warm_prunes: bool = False
    max_failure_rate: float = 0.5
    max_restarts: int = 3
    session: str = ""
    deadline: float | None = None  # time.time() at which `stop.seconds` is used up

    @property
    def maximize(self) -> bool:
        """Whether the (first) objective is maximised."""
        return self.directions[0] == "maximize"


@dataclass(frozen=True)
class Claim:
    """A trial that this worker is to run. `resumed`: another worker began it and is gone."""

    number: int
    resumed: bool


@dataclass
class Official:
    """A finished trial as the record has it."""

    number: int
    state: Literal["COMPLETE", "PRUNED", "FAIL"]
    values: list[float]
    reason: str
    curve: list[tuple[int, float]]
    params: dict[str, Any]  # by name
    trial: FrozenTrial = field(repr=False)

    @property
    def step(self) -> int:
        """The last reported step; 0 where nothing was reported."""
        return self.curve[-1][0] if self.curve else 0


@dataclass(frozen=True)
class Outcome:
    """How a trial's function ended."""

    state: Literal["COMPLETE", "PRUNED", "FAIL"]
    values: tuple[float, ...] = ()
    reason: str = ""
