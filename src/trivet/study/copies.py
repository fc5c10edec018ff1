"""Trials that are not trained: their configuration was, so state, values and curve are copied, at no cost."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from optuna.exceptions import UpdateFinishedTrialError

from trivet import copied
from trivet.search import replicates
from trivet.study import constrained
from trivet.study.records import Official, Outcome, State, ended

if TYPE_CHECKING:
    from trivet.study.study import Study
    from trivet.study.view import View

COPIED = "trivet:copied"
"""The attribute of a trial that says of which it is a copy."""


@dataclass(frozen=True)
class Copied:
    """What a trial takes over: how the other one ended, its curve as [step, value] and metrics as the study stores them."""

    state: State
    values: tuple[float, ...]
    reason: str
    curve: tuple[tuple[int, float], ...] = ()
    metrics: Mapping[str, Any] | None = None
    constrained: Mapping[str, Any] | None = None  # attributes, see constrained.py

    def as_dict(self) -> dict[str, Any]:
        """Plain values, from which `Copied(**...)` makes it again."""
        return {key: value for key, value in asdict(self).items() if key != "constrained" or value}


@dataclass
class Seen:
    """The configurations that settled trials had, in number order."""

    _first: dict[str, int] = field(default_factory=dict)
    _n: int = 0

    def first(self, params: Mapping[str, Any], settled: list[Official], n_known: int) -> Official | None:
        """The first of the trials 0..n_known-1 that completed or was pruned with these parameters; None where none did."""
        for official in settled[self._n :]:
            if official.state != "FAIL":
                self._first.setdefault(_mark(official.params), official.number)
        self._n = len(settled)
        number = self._first.get(_mark(params))
        return settled[number] if number is not None and number < n_known else None


def _mark(params: Mapping[str, Any]) -> str:
    """The same text for the same values: 1 is 1.0, and true is neither."""
    return json.dumps({k: float(v) if isinstance(v, int) and not isinstance(v, bool) else v for k, v in params.items()}, sort_keys=True)


def copy_of(study: View, first: Official) -> Copied:
    """A settled trial as what another one takes over."""
    attrs = study.trials[first.number].user_attrs
    curve = tuple((step, value) for step, value in first.curve)
    reason, held = copied.reason(first.number), constrained.copied(attrs) | replicates.copied(attrs)
    return Copied(ended(first.trial.state.name), tuple(first.values), reason, curve, attrs.get("trivet:metrics"), held)


def finish(study: Study, number: int, copy: Copied, worker: str) -> None:
    """Write the record of a claimed trial that is a copy. Begun again after a kill it writes what is missing."""
    with contextlib.suppress(UpdateFinishedTrialError):  # first of all: what is settled without us says so too
        study.storage.set_trial_user_attr(study.trials[number]._trial_id, COPIED, copy.reason)
        for key, value in (copy.constrained or {}).items():
            study.storage.set_trial_user_attr(study.trials[number]._trial_id, key, value)
    for step, value in copy.curve:
        study.report(number, int(step), value)
    attrs: dict[str, Any] = {"trivet:run": {"worker": worker, "seconds": 0.0, "started": ""}}
    if copy.metrics:
        attrs["trivet:metrics"] = copy.metrics
    values = tuple(copy.values) if copy.state == "COMPLETE" else ()
    study.tell(number, Outcome(copy.state, values, copy.reason), attrs)
