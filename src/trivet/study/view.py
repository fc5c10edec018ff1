"""What a study's storage holds, for those who look on: its trials, the verdicts that follow, and what each trial was made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from trivet import space, stopped
from trivet.errors import UserError
from trivet.search import constraints, pruning, replicates
from trivet.search.history import History
from trivet.search.samplers import RULED
from trivet.search.sampling import external
from trivet.study import constrained, copies
from trivet.study.metrics import MetricsFile
from trivet.study.records import GIVEN_PARAMS, LAST_STEP, REASON, Kept, Official, Outcome, StudySpec, ended
from trivet.study.storage import Trials, close, files_of, open_storage

GIVEN = "trivet:given"
"""The attribute of a trial that a rule has made: what `records.StudySpec.explicit` holds of those that were given outright."""


class View:
    """A study to look at only: it takes no part, gives no verdicts and writes nothing. Raises `UserError` where there is none."""

    def __init__(self, spec: StudySpec) -> None:
        try:
            storage = open_storage(spec.storage, spec.folder, spec.name, make=False)
            self._read_from(spec, storage, storage.get_study_id_from_name(spec.name), History(pruning.build(None), spec.maximize, []))
        except KeyError:
            raise UserError(f"{spec.storage or spec.folder}: holds no study {spec.name}") from None
        self.sync()

    def _read_from(self, spec: StudySpec, storage: BaseStorage, study_id: int, history: History) -> None:
        self.spec, self.storage, self.study_id, self.history = spec, storage, study_id, history
        self.files = files_of(storage)
        self._names = {p.name for p in spec.params}
        self._stored = Trials(storage, study_id)
        self._fed: dict[int, int] = {}  # number -> reported values handed to the history
        self._official: list[Official] = []  # the settled prefix

    def close(self) -> None:
        """Give up every connection."""
        close(self.storage)

    def sync(self) -> None:
        """Read what is new in the storage and give the verdicts that follow."""
        self._stored.read()
        for number in range(len(self._official), len(self.trials)):
            trial = self.trials[number]
            self.history.curve(number)
            if len(trial.intermediate_values) > self._fed.get(number, 0):
                for step in sorted(trial.intermediate_values):
                    barred = constrained.breaks(self.spec.constraints, trial.user_attrs, step)
                    self.history.report(number, step, trial.intermediate_values[step], barred)
                self._fed[number] = len(trial.intermediate_values)
            if trial.state.is_finished():
                self.history.settle(number, trial.user_attrs.get(LAST_STEP) if trial.state == TrialState.PRUNED else None)
                self.history.curve(number).failed = trial.state != TrialState.COMPLETE
            elif "trivet:end" in trial.user_attrs:
                self._has_ended(number, trial.user_attrs["trivet:end"]["state"])
        self.history.judge()
        for number in range(len(self._official), self.history.n_settled):
            official = self._make_official(number)
            self._official.append(official)
            self._has_settled(official)

    def _has_ended(self, number: int, state: str) -> None:
        """A trial ran to its end, and its verdict waits for an earlier one: for who looks on it still runs."""

    def _has_settled(self, official: Official) -> None:
        """The settled prefix grew by a trial."""

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials as the storage has them at the last sync."""
        return self._stored.all

    @property
    def settled(self) -> list[Official]:
        """The finished trials from number 0 on, without a gap."""
        return self._official

    def finished(self) -> list[Official]:
        """Every trial that is final, in number order, gaps or not."""
        later = range(len(self._official), len(self.trials))
        return [*self._official, *(self._make_official(n) for n in later if self.history.curve(n).final)]

    def _outcome(self, number: int) -> tuple[Outcome, list[tuple[int, float]]]:
        """How a trial that is final ended, and its curve as far as it counts."""
        trial, curve = self.trials[number], self.history.curve(number)
        rows = sorted(trial.intermediate_values.items())
        if curve.pruned_at is not None:
            rows = [(step, value) for step, value in rows if step <= curve.pruned_at]
            outcome = Outcome("PRUNED", reason=trial.user_attrs.get(copies.COPIED, ""))
        elif trial.state.is_finished():
            outcome = Outcome(ended(trial.state.name), tuple(trial.values or ()), trial.user_attrs.get(REASON, ""))
        else:
            outcome = Outcome(**trial.user_attrs["trivet:end"])
        if outcome.state == "PRUNED":
            known_last = rows and len(self.spec.directions) == 1 and not math.isnan(rows[-1][1])
            outcome = Outcome("PRUNED", (rows[-1][1],) if known_last else (), outcome.reason)
        return outcome, rows

    def _make_official(self, number: int) -> Official:
        trial, (outcome, rows) = self.trials[number], self._outcome(number)
        values = list(outcome.values) if outcome.state != "FAIL" else []
        held = self._held(number, outcome.state)
        pruned_at = self.history.curve(number).pruned_at
        runs = replicates.counted(trial.user_attrs, math.inf if pruned_at is None else pruned_at)
        known = FrozenTrial(
            number=number,
            trial_id=number + 1,
            state=TrialState[outcome.state],
            value=None,
            values=values or None,
            datetime_start=trial.datetime_start or datetime.min,
            datetime_complete=trial.datetime_start or datetime.min,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={},
            system_attrs={**trial.system_attrs, **constraints.attributes(self.spec.constraints, held)},
            intermediate_values=dict(rows) if len(self.spec.directions) == 1 else {},
        )
        metrics = trial.user_attrs.get("trivet:metrics", {})
        state: Kept = outcome.state
        reason = outcome.reason
        if state != "FAIL" and constraints.broken(self.spec.constraints, held):
            broken = constraints.reason(self.spec.constraints, held)
            broken = stopped.reason(broken) if state == "PRUNED" else broken
            state, reason = "INFEASIBLE", "; ".join(filter(None, [reason, broken]))
        begin = int(((self.given(number) or {}).get("start") or {}).get("step", 0))
        return Official(number, state, values, reason, rows, self.params_of(number), known, metrics, runs, held, begin)

    def _held(self, number: int, state: str) -> list[float | None]:
        """The constrained metrics of an ended trial; those of a failed one are not looked at."""
        if state == "FAIL":
            return [None] * len(self.spec.constraints)
        pruned_at = self.history.curve(number).pruned_at
        step = math.inf if pruned_at is None else pruned_at
        return constrained.final(self.spec.constraints, self.trials[number].user_attrs, step, pruned_at is None)

    def given(self, number: int) -> Mapping[str, Any] | None:
        """What makes a trial, where it was given outright or by rule; None where a sampler chose it."""
        if number < len(self.spec.explicit):
            return self.spec.explicit[number]
        return self.trials[number].user_attrs.get(GIVEN) if self.spec.sampler.name in RULED and number < len(self.trials) else None

    def params_of(self, number: int) -> dict[str, Any]:
        """The parameters of a trial by name, as the space writes them; those of an explicit trial as it gave them."""
        given = self.given(number)
        if given is not None:
            return dict(given["params"])
        outside = self.trials[number].user_attrs.get(GIVEN_PARAMS)
        if outside is not None:
            return dict(outside)
        sampled = self.trials[number].params
        values: dict[str, Any] = {}
        chosen: dict[str, Any] = {}
        for param in self.spec.params:
            if isinstance(param.spec, space.Fixed):
                if param.active(chosen):
                    values[param.name] = chosen[param.key] = param.spec.value
            elif param.name in sampled:
                values[param.name] = chosen[param.key] = external(param.spec, sampled[param.name])
        return values | {name: value for name, value in sampled.items() if name not in self._names}

    def overrides_of(self, number: int) -> tuple[dict[str, Any], list[str]]:
        """What makes a trial's config of the sweep's: group choices, and overrides of single keys."""
        groups: dict[str, Any] = {}
        values = []
        explicit = self.given(number)
        if explicit is not None and explicit["overrides"] is not None:
            for override in explicit["overrides"]:
                key, _, value = override.partition("=")
                if key in self.spec.groups:
                    groups[key] = value
                else:
                    values.append(override)
            return groups, values
        keys = {p.name: p.key for p in self.spec.params}
        for name, value in self.params_of(number).items():
            key = keys.get(name, name)
            if key in self.spec.groups:
                groups[key] = value
            else:
                values.append(f"{key}={space.sweep_text(value)}")
        return groups, values

    def left_behind(self, number: int) -> dict[str, Any]:
        """The metrics that a worker which is gone kept in the trial's folder, as attributes to store; runs of a trial keep their own."""
        return self.metrics_of(number).attrs() if self.spec.replicates is None else {}

    def metrics_of(self, number: int, replicate: int | None = None) -> MetricsFile:
        """The metrics that a trial has reported, or a run of it, to read and to add to."""
        run = self.spec.run_of(number, replicate)
        return MetricsFile(Path(self.spec.folder) / str(number) / ("" if replicate is None else str(replicate)), self.files, run)

    def folders(self) -> dict[int, Path]:
        """Where Hydra put the files of trials, where `hydra.sweep.subdir` names another folder than the trial's number."""
        named = {t.number: t.user_attrs.get("trivet:folder") for t in self.trials}
        return {number: Path(self.spec.folder) / name for number, name in named.items() if name is not None}
