"""The runs of trials that are judged by several (search/replicates.py): who may take which, and what a trial is by what they gave.

A run is claimed by a lock of its own, like a trial, so those of one trial go on side by side where workers are free. What the trial is
follows from its runs in the order of their values, whoever ended first: step r is the aggregate of the first r, the first run that did not
complete is the end of the trial, and what ran ahead of a verdict or a failure counts for nothing.
"""

from __future__ import annotations

import abc
import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError

from trivet.search import racing, replicates
from trivet.search.constraints import Values
from trivet.search.weights import OBJECTIVES
from trivet.study import constrained, copies
from trivet.study.ending import Ending
from trivet.study.records import Claim, Outcome
from trivet.study.storage import batch


def claim_attribute(i: int) -> str:
    """The attribute of a trial that says who runs its replicate `i`, or ran it last."""
    return f"trivet:claim:{i}"


class Runs(Ending, abc.ABC):
    """The part of a worker's hold on a study that shares out and folds together the runs of its trials."""

    _sync_due = 0.0

    @abc.abstractmethod
    def _proposal(self, number: int, resumed: bool, replicate: int | None = None) -> Claim:
        """What the worker that holds the lock of a trial, or of a run of it, is to run."""

    def _take_run(self, worker: str, ahead: bool = False) -> Claim | None:
        """The first run that waits for a worker: the next of a trial whose verdicts are known; `ahead`: any that has not ended, for a
        worker that would wait otherwise. Trials that are over by what their runs gave are ended on the way."""
        for number in list(self._stored.unfinished):
            self._fold(number)
            if self.history.curve(number).final and not self.trials[number].state.is_finished():
                self._settle(number)
            if self.is_over(number):
                continue
            for i in self._open_runs(number, ahead):
                claim = self._begin_run(number, i, worker) if self.locks.acquire(self.spec.run_of(number, i)) else None
                if claim is not None:
                    return claim
        return None

    def is_over(self, number: int) -> bool:
        """Whether nothing that a run of the trial still gives can count."""
        trial = self.trials[number]
        return trial.state.is_finished() or "trivet:end" in trial.user_attrs or self.history.curve(number).pruned_at is not None

    def _open_runs(self, number: int, ahead: bool) -> Iterator[int]:
        attrs = self.trials[number].user_attrs
        if copies.COPIED in attrs:  # to be copied on, by one worker
            yield 0
            return
        told, curve = replicates.told(attrs), self.history.curve(number)
        left = [i for i in range(self._standing(number)[0]) if i not in told]
        judged = curve.n_judged == len(curve.steps)
        yield from left if ahead else [i for i in left[:1] if judged]

    def _begin_run(self, number: int, i: int, worker: str) -> Claim | None:
        """Take a run whose lock is held; None where it is not to be run after all."""
        claim = self._proposal(number, resumed=claim_attribute(i) in self.trials[number].user_attrs, replicate=i)
        if claim.copied is not None and i > 0:
            self.locks.release(self.spec.run_of(number, i))
            return None
        last = self.trials[number].user_attrs.get(claim_attribute(i))
        if last is None:
            self._note_claim(number, i, {"session": self.spec.session, "worker": worker, "deaths": 0, "step": 0})
            return claim
        step = max(self.metrics_of(number, i).rows, default=0)
        deaths = (int(last["deaths"]) if step <= int(last["step"]) else 0) + (last["session"] == self.spec.session)
        self._note_claim(number, i, {"session": self.spec.session, "worker": worker, "deaths": deaths, "step": step})
        if deaths <= self.spec.max_restarts:
            return claim
        self._end_run(number, i, {"state": "FAIL", "reason": f"its worker died {self.spec.max_restarts + 1} times without a new step"})
        self.locks.release(self.spec.run_of(number, i))
        return None

    def _note_claim(self, number: int, i: int, claim: Mapping[str, Any]) -> None:
        self.storage.set_trial_user_attr(self.trials[number]._trial_id, claim_attribute(i), {**claim, "since": time.time()})
        self.sync()

    def tell_run(self, number: int, i: int, run: Mapping[str, Any]) -> None:
        """End this worker's run of a trial and give its claim back; see search/replicates.py for what a run is."""
        if not self.is_lost(number, i):
            self._keep_files(self.spec.run_of(number, i), *filter(None, (f"{number}/{i}", run.get("folder"))))
        with self.locks.mutex():
            self.sync()
            if not self.is_lost(number, i) and not self.is_over(number):
                self._end_run(number, i, run)
            self.locks.release(self.spec.run_of(number, i))

    def leave_run(self, number: int, i: int) -> None:
        """Give back the claim of a run that is to go on in another sweep: its interruption is none of its deaths."""
        self._note_claim(number, i, {**self.trials[number].user_attrs[claim_attribute(i)], "session": ""})
        self.locks.release(self.spec.run_of(number, i))

    def is_needless(self, number: int, i: int) -> bool:
        """Whether a run that goes on is of no use any more. Reads others' news now and then."""
        self._hear_news()
        return self.is_lost(number, i) or self.is_over(number)

    def _hear_news(self) -> None:
        """Read what is new, if it is time to: as a verdict may come late without changing the record, that may cost a twentieth of it."""
        if time.monotonic() >= self._sync_due:
            start = time.monotonic()
            self.sync()
            self._sync_due = time.monotonic() + 20 * (time.monotonic() - start)

    def _end_run(self, number: int, i: int, run: Mapping[str, Any]) -> None:
        with contextlib.suppress(UpdateFinishedTrialError):
            self.storage.set_trial_user_attr(self.trials[number]._trial_id, replicates.attribute(i), dict(run))
        self.sync()
        self._fold(number)

    def _fold(self, number: int) -> None:
        """Write the steps and the end that follow from the trial's runs. Done again after a kill it writes what is missing."""
        rule, trial = self.spec.replicates, self.trials[number]
        if rule is None or copies.COPIED in trial.user_attrs or self.is_over(number):
            return
        runs = replicates.counted(trial.user_attrs)
        found = replicates.values(runs)
        held = [replicates.means([run["held"] for run in runs[: r + 1]]) for r in range(len(found))]
        for r in range(len(trial.intermediate_values), len(found)):
            self._write_step(number, r + 1, rule.of(found[: r + 1], self.spec.maximize), held[r])
            if self.history.curve(number).pruned_at is not None:
                self._settle(number)
                return
        if len(found) < len(runs):
            self._write_end(number, Outcome(runs[-1]["state"], reason=runs[-1].get("reason", "")))
        elif self._standing(number)[1]:
            self._write_end(number, Outcome("PRUNED"))
        elif len(runs) == self.spec.n_runs:
            objectives = [run["objectives"] for run in runs if run.get("objectives")]
            attrs = {OBJECTIVES: replicates.means(objectives)} if objectives else {}
            self._write_end(number, Outcome("COMPLETE", (rule.of(found, self.spec.maximize),)), attrs)

    def _standing(self, number: int) -> tuple[int, bool]:
        """(how many runs the trial may have by now, whether it is out of the race); all of them where there is no race."""
        rule = self.spec.replicates
        if rule is None or rule.race is None:
            return self.spec.n_runs, False
        n, maximize = self.spec.stop.n_trials, self.spec.maximize
        runs = [replicates.counted(trial.user_attrs) for trial in self.trials]
        found = [replicates.values(of_trial) for of_trial in runs]
        failed = [len(values) < len(of_trial) for values, of_trial in zip(found, runs, strict=True)]
        missing = n - len(runs)
        sign = 1 if maximize else -1
        allowed, out = racing.standing(
            racing.plan(n, rule.race), [*found, *[[]] * missing], [*failed, *[False] * missing], lambda v: sign * rule.of(v, maximize)
        )
        return allowed[number], out[number]

    def _write_step(self, number: int, step: int, value: float, held: Values) -> None:
        trial_id = self.trials[number]._trial_id
        with contextlib.suppress(UpdateFinishedTrialError), batch(self.storage):
            if self.spec.constraints:
                self.storage.set_trial_user_attr(trial_id, constrained.attribute(step), list(held))
            self.storage.set_trial_intermediate_value(trial_id, step, value)
        self.sync()
