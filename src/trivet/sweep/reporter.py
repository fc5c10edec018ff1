"""What stands behind `trivet.report` while a worker runs a trial, or a run of one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trivet import reports
from trivet.errors import StorageGone, UserError
from trivet.reports import StageOver, TrialPruned
from trivet.search.constraints import Values, pick
from trivet.study.constrained import merged
from trivet.study.metrics import VALUE
from trivet.study.records import StudySpec
from trivet.study.study import Study
from trivet.sweep import staging
from trivet.sweep.alarm import Alarm
from trivet.sweep.listening import Ear
from trivet.sweep.outcome import is_full


class TrialReporter:
    """Hears a trial's reports: values go to the study, metrics to a file of the trial until it ends.

    `fault`: the study took no more. `pruned_elsewhere`: another process than this one heard that the trial is pruned. `left`: the trial was
    stopped because this process has to go.
    """

    def __init__(
        self,
        study: Study,
        number: int,
        alarm: Alarm,
        ear: Ear,
        spec: StudySpec | None = None,
        leaving: Callable[[], bool] = lambda: False,
        replicate: int | None = None,
    ) -> None:
        constraints = spec.constraints if spec is not None else ()
        self._constraints, self._leaving, self.left = constraints, leaving, False
        self._weights = spec.weights if spec is not None else None
        self._study, self._number, self._alarm, self._ear, self._replicate = study, number, alarm, ear, replicate
        self.metrics = study.metrics_of(number, replicate)
        self.fault: Exception | None = None
        self.pruned_elsewhere = False
        self.stage: staging.Stage | None = None  # of a trial that ends after some steps of its own
        self.held: Values = [None] * len(constraints)  # the constrained metrics as last reported
        for _, row in sorted(self.metrics.rows.items()):
            self._hold(row)
        steps = study.trials[number].intermediate_values if replicate is None else self.metrics.rows
        self._last = self._before = max(steps, default=0)
        self._elders = frozenset(threading.enumerate()) - {threading.current_thread()}

    def report(self, value: float, step: int, metrics: Mapping[str, float]) -> None:
        if threading.current_thread() in self._elders:
            raise UserError("trivet.report: this thread was started by an earlier trial, which is over; end it with its trial")
        self._record(value, step, metrics)

    def hear(self, value: float, step: int, metrics: Mapping[str, float]) -> None:
        """A report from another process of the trial."""
        try:
            self._record(value, step, metrics)
        except TrialPruned:
            self.pruned_elsewhere = True
            raise

    def _one(self, value: float | Sequence[float]) -> float:
        """The objective of a report, which may name several: what the weights make of them, else the first."""
        if self._weights is not None:
            return self._weights.heard(value)
        return value[0] if isinstance(value, Sequence) else value

    def _record(self, value: float | Sequence[float], step: int, metrics: Mapping[str, float]) -> None:
        if self.stage is not None:
            self.stage.check(step)
        given, value = value, self._one(value)
        new = step > self._last
        self._note(step)
        with self._alarm.held():
            try:
                if self._replicate is None:
                    why = self._keep(value, step, metrics, staging.objectives(self.stage, step, given))
                else:
                    why = self._keep_of_run(value, step, metrics, new)
            except (OSError, StorageGone) as error:
                self.fault = error if isinstance(error, StorageGone) or is_full(error) else None
                raise
        if why is None and self._leaving():
            self.left, why = True, f"preempted: handed back at step {step}, to be gone on with"
        over = why is None and self.stage is not None and step >= self.stage.until
        why = f"the steps of this trial end at {step}" if over else why
        self._ear.note(step, why)
        if why is not None:
            raise (StageOver if over else TrialPruned)(why)

    def _keep(self, value: float, step: int, metrics: Mapping[str, float], kept: Mapping[str, Any]) -> str | None:
        """Keep a step of the trial, and `kept` with it; why the trial is to stop, if it is."""
        self.metrics.add(step, metrics)
        self._hold(self.metrics.rows.get(step, {}))
        if self._study.report(self._number, step, value, self.held, kept):
            return f"pruned: see the pruner's rule (step {self._study.history.curve(self._number).pruned_at})"
        return None

    def _keep_of_run(self, value: float, step: int, metrics: Mapping[str, float], new: bool) -> str | None:
        """Keep a step of a replicate: it is no step of the trial, and stops it only where the trial is over by its other runs."""
        assert self._replicate is not None
        if new:
            self.metrics.add(step, {**metrics, VALUE: value})
        self._hold(self.metrics.rows.get(step, {}))
        return "the trial is over by its other replicates" if self._study.is_needless(self._number, self._replicate) else None

    def _hold(self, metrics: Mapping[str, float]) -> None:
        self.held = merged(self.held, pick(self._constraints, metrics))

    def _note(self, step: int) -> None:
        """Say once of each kind what becomes of a step that is not later than the last one."""
        if step > self._last:
            self._last = step
        elif step <= self._before:
            reports.tell_once("again", f"trial {self._number}: step {step} was reported before the trial was interrupted; that value stays")
        else:
            last = "the same step again" if step == self._last else f"step {self._last} was reported before it"
            reports.tell_once("order", f"trial {self._number}: step {step}: {last}; steps must rise, and the first value of a step stays")
