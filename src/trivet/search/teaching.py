"""What a sampler is shown of the trials it may know: the best and the latest of a long history, failed and pruned ones told rightly."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from trivet.search.constraints import is_infeasible

HISTORY_CAP = 500
"""A sampler sees at most this many trials: the best hundred and the latest of the rest. It keeps the cost of a sample
constant; TPE gives old losing trials next to no weight anyway (its default weights)."""
N_BEST_KEPT = 100
BLIND = ("gp", "cmaes")
"""Samplers that know no constraints."""


class Cap:
    """Cuts a history to what a sampler sees: the best of the older trials and all of the latest, in their order.

    Histories come one longer than the other, as a rule, so the order of the older trials is kept from call to call: a cut
    costs the same however long the study is.
    """

    def __init__(self, directions: Sequence[str], most: int = HISTORY_CAP) -> None:
        self._most = most
        self._sign = -1.0 if directions[0] == "maximize" else 1.0
        self._ranked: list[tuple[float, int]] = []  # of the older trials: the first objective, lower is better, and the place

    def __call__(self, known: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
        """`known` is the beginning of one growing history: calls differ in its length alone."""
        n_older = len(known) - (self._most - N_BEST_KEPT)
        if len(known) <= self._most:
            return known
        if n_older < len(self._ranked):
            self._ranked.clear()
        for place in range(len(self._ranked), n_older):
            bisect.insort(self._ranked, (self._rank(known[place]), place))
        return [*(known[place] for place in sorted(place for _, place in self._ranked[:N_BEST_KEPT])), *known[n_older:]]

    def _rank(self, trial: FrozenTrial) -> float:
        if trial.state != TrialState.COMPLETE or not trial.values or is_infeasible(trial):
            return math.inf
        return self._sign * trial.values[0]


def teach(known: Sequence[FrozenTrial], name: str, directions: Sequence[str]) -> Sequence[FrozenTrial]:
    """Show failed trials as bad ones, so that the sampler stays away; and pruned ones to samplers that know no pruning.

    TPE ranks a pruned trial without a value behind all others. GP, CMA-ES and NSGA-II look at completed trials only: a
    pruned one comes with its last value, a failed one with the worst value seen. Samplers that know no constraints (gp and
    CMA-ES) are told an infeasible trial as a failed one; Optuna's others read by how much it breaks which constraint.
    """
    barred = [name in BLIND and is_infeasible(t) for t in known]
    states = {TrialState.FAIL} if name == "tpe" else {TrialState.FAIL, TrialState.PRUNED}
    untold = [is_barred or trial.state in states for trial, is_barred in zip(known, barred, strict=True)]
    if not any(untold):
        return known
    pruned_tpe = name == "tpe" and len(directions) == 1
    worst = None if pruned_tpe else _worst(known, directions)
    taught = []
    for trial, to_tell, is_barred in zip(known, untold, barred, strict=True):
        if not to_tell:
            taught.append(trial)
        elif pruned_tpe:
            taught.append(copied(trial, state=TrialState.PRUNED, values=None, intermediate_values={}))
        elif (trial.values and not is_barred) or worst is not None:
            values = list((None if is_barred else trial.values) or worst or [])
            taught.append(copied(trial, state=TrialState.COMPLETE, values=values, intermediate_values={}))
    return taught


def _worst(known: Sequence[FrozenTrial], directions: Sequence[str]) -> list[float] | None:
    complete = [t for t in known if t.state == TrialState.COMPLETE and t.values]
    rows = [t.values for t in complete if not is_infeasible(t)] or [t.values for t in complete]
    if not rows:
        return None
    return [
        min(column) if direction == "maximize" else max(column)
        for column, direction in zip(zip(*rows, strict=True), directions, strict=True)
    ]


def copied(trial: FrozenTrial, **changes: Any) -> FrozenTrial:
    """The same trial with some of its fields changed."""
    given = {
        "number": trial.number,
        "state": trial.state,
        "value": None,
        "values": trial.values,
        "datetime_start": trial.datetime_start,
        "datetime_complete": trial.datetime_complete,
        "params": trial.params,
        "distributions": trial.distributions,
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "intermediate_values": trial.intermediate_values,
        "trial_id": trial._trial_id,
    }
    return FrozenTrial(**{**given, **changes})


def blank(number: int, params: dict[str, Any], distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    """A trial that has its parameters and no result yet."""
    return FrozenTrial(
        number=number,
        trial_id=number + 1,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.min,
        datetime_complete=None,
        params=params,
        distributions=distributions,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
