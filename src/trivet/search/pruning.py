"""Pruners whose decisions depend on the fixed history alone.

Trial i is judged at step s against trials 0..i-1 at step s, each cut where its own verdict cut it, and against nothing else:
never against whoever happened to run at the time. `History` (history.py) feeds them; here are only the rules.

Values arrive turned so that higher is better. A pruner is a frozen dataclass with
`prune(number, steps, values, peers) -> bool`: `steps` and `values` of the trial up to now (the last is the one judged), and
`peers(step)` the arrays `(numbers, values, bests)` of all earlier trials: the value at `step` and the best value up to
it; -inf for a trial that was pruned or failed before, its last for one that had completed.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from trivet.errors import UserError
from trivet.search import own
from trivet.targets import TARGET

FIRST_RUNG = 26
"""Successive halving looks first at this share of a full trial, rounded up: later looks cost more than they know, earlier ones stop slow
starters. `python benchmarks/search_quality.py --methods trivet,from-step-1,from-step-3` compares."""

Peers = Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]]


class Pruner(Protocol):
    """The rule that stops a trial."""

    def prune(self, number: int, steps: Sequence[int], values: Sequence[float], peers: Peers) -> bool:
        """Whether trial `number` is to stop after its last step."""


def _need(holds: bool, pruner: object, key: str, allowed: str) -> None:
    if not holds:
        raise UserError(f"pruner.{key}={getattr(pruner, key)!r}: must be {allowed}")


def _need_whole(pruner: object, key: str, low: int) -> None:
    value = getattr(pruner, key)
    _need(isinstance(value, int) and not isinstance(value, bool) and value >= low, pruner, key, f"a whole number >= {low}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class Percentile:
    """Keep a trial whose best value so far is among the best `percentile` per cent of the earlier trials at the same step.

    As Optuna's PercentilePruner, but trials that were pruned before the step count, as worse than it; Optuna's rule sees
    completed trials only, so that it learns nothing from a pruned one. Ties stay.
    """

    percentile: float = 25.0
    n_startup_trials: int = 4  # earlier trials needed before anything is pruned
    n_warmup_steps: int = 0  # steps during which nothing is pruned
    interval_steps: int = 1  # a trial is looked at when it first reports every so many steps, or later ones

    def __post_init__(self) -> None:
        _need(_is_number(self.percentile) and 0 < self.percentile < 100, self, "percentile", "a number above 0 and below 100")
        _need_whole(self, "n_startup_trials", 1)
        _need_whole(self, "n_warmup_steps", 0)
        _need_whole(self, "interval_steps", 1)

    def prune(self, number: int, steps: Sequence[int], values: Sequence[float], peers: Peers) -> bool:
        """See the class."""
        step, before = steps[-1], steps[-2] if len(steps) > 1 else -math.inf
        looks, had = ((at - self.n_warmup_steps - 1) // self.interval_steps for at in (step, max(before, self.n_warmup_steps)))
        if step <= self.n_warmup_steps or looks == had:
            return False
        _, _, bests = peers(step)
        if len(bests) < self.n_startup_trials:
            return False
        # The k-th best of the earlier ones is the bar; k counts so that `percentile` per cent of them reach it.
        k = max(1, math.ceil(len(bests) * self.percentile / 100))
        bar = np.partition(bests, len(bests) - k)[len(bests) - k]
        return bool(max(values) < bar)


@dataclass(frozen=True)
class Median(Percentile):
    """Percentile at 50: stop a trial whose best value so far is below the median of the earlier trials at the same step."""

    percentile: float = 50.0


@dataclass(frozen=True)
class SuccessiveHalving:
    """Asynchronous successive halving: at the rungs min_resource * reduction_factor**k the best 1/reduction_factor go on.

    A trial is looked at when it first reports a rung or a later step: an app that reports every hundred steps meets few rungs exactly.

    Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), in the stopping form: a trial goes on
    where its value is among the best 1/reduction_factor of the earlier trials that reached the rung, itself included.
    Without `min_resource` the first rung is at 1/FIRST_RUNG of `max_resource`, the steps of a full trial, or at step 1. At its end, where
    `max_resource` says when that is, a trial is not judged: nothing would be spared. One that goes on past it is: it counts other steps.

    Among few trials the best is no good one yet. With `bootstrap_count` (the term is Optuna's) that many trials must have reached the
    first rung before one may go on from there, half as many at each rung after it. The very first to reach a rung always goes on: it
    shows what a full trial comes to.
    """

    min_resource: int | None = None
    reduction_factor: int = 3
    min_early_stopping_rate: int = 0
    max_resource: int | None = None
    bootstrap_count: int = 0

    def __post_init__(self) -> None:
        for key in ("min_resource", "max_resource"):
            if getattr(self, key) is not None:
                _need_whole(self, key, 1)
        _need_whole(self, "reduction_factor", 2)
        _need_whole(self, "min_early_stopping_rate", 0)
        _need_whole(self, "bootstrap_count", 0)

    @property
    def first(self) -> int:
        """The first rung, before any is left out."""
        if self.min_resource is not None:
            return self.min_resource
        return max(1, math.ceil((self.max_resource or 1) / FIRST_RUNG))

    def rung(self, steps: Sequence[int]) -> int | None:
        """The first rung that the last of `steps` has come to and the one before it had not, 0 the first of all; None where there is none,
        and for a trial that has come to its end, which is spared nothing any more."""
        step, before = steps[-1], steps[-2] if len(steps) > 1 else 0
        if step == self.max_resource:
            return None
        number, at = 0, self.first * self.reduction_factor**self.min_early_stopping_rate
        while at <= before:
            number, at = number + 1, at * self.reduction_factor
        return number if at <= step else None

    def prune(self, number: int, steps: Sequence[int], values: Sequence[float], peers: Peers) -> bool:
        """See the class."""
        rung = self.rung(steps)
        if rung is None:
            return False
        _, at_step, _ = peers(steps[-1])
        rivals = at_step[at_step > -np.inf]
        too_few = len(rivals) > 0 and len(rivals) + 1 < self.bootstrap_count / 2**rung
        return too_few or self._loses(rivals, values[-1])

    def _loses(self, rivals: np.ndarray, value: float) -> bool:
        better = int(np.count_nonzero(rivals > value))
        return better >= max(1, (len(rivals) + 1) // self.reduction_factor)


@dataclass(frozen=True)
class Hyperband:
    """Successive halving in several brackets, from the most eager to none; a trial's bracket is a function of its number.

    Li et al., "Hyperband" (JMLR 2018); brackets are drawn in proportion to their budgets, as Optuna does. `max_resource`
    is the number of steps of a full trial.
    """

    max_resource: int = 30
    min_resource: int = 1
    reduction_factor: int = 3

    def __post_init__(self) -> None:
        _need_whole(self, "min_resource", 1)
        _need_whole(self, "max_resource", 1)
        _need(self.max_resource >= self.min_resource, self, "max_resource", f">= min_resource={self.min_resource}")
        _need_whole(self, "reduction_factor", 2)

    @property
    def n_brackets(self) -> int:
        """How many brackets there are."""
        return math.floor(math.log(self.max_resource / self.min_resource, self.reduction_factor) + 1e-9) + 1

    def bracket(self, number: int) -> int:
        """The bracket of trial `number`: its first rung is min_resource * reduction_factor**bracket."""
        return _bracket(number, self.n_brackets, self.reduction_factor)

    def prune(self, number: int, steps: Sequence[int], values: Sequence[float], peers: Peers) -> bool:
        """See the class."""
        bracket = self.bracket(number)
        halving = SuccessiveHalving(self.min_resource, self.reduction_factor, bracket, self.max_resource)
        if halving.rung(steps) is None:
            return False
        numbers, at_step, _ = peers(steps[-1])
        same = np.fromiter((self.bracket(int(n)) == bracket for n in numbers), dtype=bool, count=len(numbers))
        return halving._loses(at_step[same & (at_step > -np.inf)], values[-1])


@lru_cache(maxsize=100_000)
def _bracket(number: int, n_brackets: int, reduction_factor: int) -> int:
    """Draw a bracket by a hash of the number, in proportion to the brackets' budgets."""
    n = n_brackets
    budgets = [math.ceil(n * reduction_factor ** (n - 1 - b) / (n - b)) for b in range(n)]
    point = binascii.crc32(f"trivet_{number}".encode()) % sum(budgets)
    for bracket, budget in enumerate(budgets):
        point -= budget
        if point < 0:
            return bracket
    raise AssertionError("budgets cover every point")


@dataclass(frozen=True)
class Threshold:
    """Stop a trial that is further behind the best earlier trial at the same step than a table allows.

    `gaps` maps a step to the largest gap allowed from that step on (0.2 at step 3: accuracy .70 goes on while the best had .90
    there). Both are best values up to the step.
    """

    gaps: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _need(isinstance(self.gaps, Mapping) and len(self.gaps) > 0, self, "gaps", "a table of step: gap, such as {3: 0.2, 10: 0.05}")
        for step, gap in self.gaps.items():
            whole = str(step).isdecimal() and int(step) >= 1  # YAML through Hydra may give the step as text
            if not whole or not _is_number(gap) or not gap >= 0:
                raise UserError(f"pruner.gaps={{{step!r}: {gap!r}}}: steps must be whole numbers >= 1 and gaps numbers >= 0")

    def prune(self, number: int, steps: Sequence[int], values: Sequence[float], peers: Peers) -> bool:
        """See the class."""
        reached = [int(step) for step in self.gaps if int(step) <= steps[-1]]
        if not reached:
            return False
        _, _, bests = peers(steps[-1])
        if not len(bests):
            return False
        gap = float({int(k): v for k, v in self.gaps.items()}[max(reached)])
        return bool(max(values) < np.max(bests) - gap)


@dataclass(frozen=True)
class Patient:
    """Prune only when, besides, the best value has not improved by more than `min_delta` in the last `patience` steps.

    `pruner` is the rule that must agree; without one, patience alone decides.
    """

    patience: int = 3
    min_delta: float = 0.0
    pruner: Pruner | None = None

    def __post_init__(self) -> None:
        _need_whole(self, "patience", 1)
        _need(_is_number(self.min_delta) and self.min_delta >= 0, self, "min_delta", "a number >= 0")

    def prune(self, number: int, steps: Sequence[int], values: Sequence[float], peers: Peers) -> bool:
        """See the class."""
        if len(values) <= self.patience:
            return False
        if max(values[-self.patience :]) > max(values[: -self.patience]) + self.min_delta:
            return False
        return self.pruner is None or self.pruner.prune(number, steps, values, peers)


@dataclass(frozen=True)
class Limit:
    """Stop every trial at its first report of step `max_step` or later: for a look at many configurations, not for a search."""

    max_step: int = 1

    def __post_init__(self) -> None:
        _need_whole(self, "max_step", 1)

    def prune(self, number: int, steps: Sequence[int], values: Sequence[float], peers: Peers) -> bool:
        """See the class."""
        return steps[-1] >= self.max_step


PRUNERS: dict[str, type] = {
    "median": Median,
    "percentile": Percentile,
    "asha": SuccessiveHalving,
    "successive_halving": SuccessiveHalving,
    "hyperband": Hyperband,
    "threshold": Threshold,
    "patient": Patient,
    "limit": Limit,
}


def plain(config: Mapping[str, Any] | str | None) -> dict[str, Any] | None:
    """A pruner's config as a mapping with `name`, which is the path of a rule of one's own; None for no pruning. Raises `UserError`."""
    if config is None or config == "none":
        return None
    if isinstance(config, str):
        return {"name": config}
    if not isinstance(config, Mapping):
        raise UserError(f"pruner={config!r}: must be a name or a mapping with `name`, one of none, {', '.join(PRUNERS)}")
    if TARGET not in config:
        return dict(config)
    merged = PRUNERS.get(config.get("name", ""))
    path, arguments = own.named(config, "hydra.sweeper.pruner", [f.name for f in fields(merged)] if merged else None)
    return {"name": path, **arguments}


def build(config: Mapping[str, Any] | str | None) -> Pruner | None:
    """The pruner of a config: None or "none" for no pruning, a name, or a mapping with `name` and the rule's arguments.

    A name with a dot in it, or `_target_`, is the dotted path of a rule of one's own, see own.py. Raises `UserError` for an unknown name,
    argument or value.
    """
    arguments = plain(config)
    if arguments is None:
        return None
    name = arguments.pop("name", None)
    if own.is_own(name):
        return own.Rule(name, arguments)
    if name in (None, "none") and not arguments:
        return None
    if not isinstance(name, str) or name not in PRUNERS:
        raise UserError(f"pruner.name={name!r}: must be one of none, {', '.join(PRUNERS)}")
    rule = PRUNERS[name]
    allowed = [f.name for f in fields(rule)]
    for key in arguments:
        if key not in allowed:
            raise UserError(f"pruner.{key}: {name} has no such argument; it takes {', '.join(allowed)}")
    if "pruner" in arguments:
        arguments["pruner"] = build(arguments["pruner"])
    try:
        return rule(**arguments)
    except UserError as error:
        raise UserError(f"{error} (pruner {name})") from None
