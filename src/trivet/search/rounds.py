"""Searches whose next trials follow by rule from those that are over: a round of trials, then the next, a function of all before it.

A rule is a generator: it yields rounds, and is sent the settled trials when all of a round have ended. So what it does is a function of the
fixed history alone: the same with one worker or eight, and after a kill it is run through again from the first trial on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.trial import FrozenTrial

from trivet import space

Given = Mapping[str, Any]
"""A trial as a rule gives it: {"params": {name: value}, "overrides": [...] or None, "attrs": {column of trials.csv: plain value}}; one that
goes on from another's checkpoint has "start": {"trial": number, "step": its last} as well, and "until" is the step at which it ends."""


class Done(Protocol):
    """What rules look at in a settled trial; `metrics` as the study stores them, {"columns": [...], "rows": [[step, ...], ...]} or {}."""

    number: int
    values: list[float]
    reason: str
    curve: list[tuple[int, float]]
    params: dict[str, Any]
    metrics: Mapping[str, Any]
    trial: FrozenTrial

    @property
    def state(self) -> str:
        """COMPLETE, PRUNED, FAIL or INFEASIBLE (it ended as one of the first two, and breaks a constraint)."""


Propose = Callable[[int, Sequence[Done], Sequence[Mapping[str, Any]]], Given]
"""(place in the round, the settled trials that it may know, the parameters of the trials between those and it) -> the trial."""


@dataclass(frozen=True)
class Round:
    """`n` trials that may run side by side, as far as `lag` lets them."""

    n: int
    propose: Propose

    @classmethod
    def of(cls, trials: Sequence[Given]) -> Round:
        """A round of trials that are all known at its begin."""
        return cls(len(trials), lambda place, known, pending: trials[place])


Plan = Generator[Round, Sequence[Done], None]


@dataclass(frozen=True)
class Searched:
    """What a rule draws its trials from."""

    params: Sequence[space.Param]
    defaults: Mapping[str, Any]
    """The default configuration, by name of the parameter."""
    directions: Sequence[str]
    seed: int

    @property
    def maximize(self) -> bool:
        """Whether more of the first objective is better."""
        return self.directions[0] == "maximize"


class Rule(Protocol):
    """What there is of a search by rule: `plan` begins with the settled trials that come before its first."""

    def plan(self, done: Sequence[Done]) -> Plan:
        """Its rounds, one after the other."""


def score(trial: Done, maximize: bool) -> float:
    """A completed trial's value, turned so that higher is better; -inf for the others."""
    value = trial.values[0] if trial.state == "COMPLETE" and trial.values else float("nan")
    return float("-inf") if value != value else value if maximize else -value


def best(done: Sequence[Done], maximize: bool) -> Done | None:
    """The completed trial with the best value, the earliest of equals."""
    known = [trial for trial in done if score(trial, maximize) > float("-inf")]
    return max(known, key=lambda trial: (score(trial, maximize), -trial.number), default=None)


class Rounds:
    """Which round a trial belongs to, as far as is known. `first`: the number of the rule's first trial."""

    def __init__(self, rule: Rule, first: int) -> None:
        self._rule = rule
        self._plan: Plan | None = None
        self._begins = [first]
        self._rounds: list[Round] = []
        self._over = False

    def is_over(self, number: int, done: Sequence[Done]) -> bool:
        """Whether the rule ends before trial `number`."""
        return self._at(number, done) is None and self._over

    def is_known(self, number: int, done: Sequence[Done]) -> bool:
        """Whether the round of trial `number` has begun: all trials before it are settled."""
        return self._at(number, done) is not None

    def propose(self, number: int, done: Sequence[Done], lag: int, params_of: Callable[[int], Mapping[str, Any]]) -> Given:
        """Trial `number`, whose round has begun."""
        found = self._at(number, done)
        assert found is not None
        begin, made = found
        n_known = max(begin, number - lag)
        return made.propose(number - begin, done[:n_known], [params_of(n) for n in range(n_known, number)])

    def _at(self, number: int, done: Sequence[Done]) -> tuple[int, Round] | None:
        while number >= self._begins[-1]:
            if self._over or len(done) < self._begins[-1]:
                return None
            self._go_on(done[: self._begins[-1]])
        i = next(i for i, end in enumerate(self._begins[1:]) if number < end)
        return self._begins[i], self._rounds[i]

    def _go_on(self, done: Sequence[Done]) -> None:
        try:
            if self._plan is None:
                self._plan = self._rule.plan(done)
                made = next(self._plan)
            else:
                made = self._plan.send(done)
        except StopIteration:
            self._over = True
        else:
            self._rounds.append(made)
            self._begins.append(self._begins[-1] + made.n)


def build(name: str, arguments: Mapping[str, Any], searched: Searched) -> Rule:
    """The rule of that name, from arguments that are complete (sweep/ruled.py)."""
    from trivet.search.ablation import Ablation
    from trivet.search.ladder import Ladder
    from trivet.search.population import Lineage, Population
    from trivet.search.tiers import Tiers

    if name == "ladder":
        return Ladder(arguments, searched.maximize)
    if name == "ablation":
        return Ablation(arguments, searched.maximize)
    if name == "pbt":
        return Population(arguments, searched)
    if name == "replay":
        return Lineage(arguments)
    return Tiers(arguments, searched)
