"""How trials of a study end: the verdict or the worker's word is written down, and what is to be published of them is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from trivet.study.records import LAST_STEP, REASON, Outcome
from trivet.study.storage import batch
from trivet.study.view import View


class Ending(View):
    """The part of a worker's hold on a study that ends trials."""

    locks: Any

    def _write_end(self, number: int, outcome: Outcome, attrs: Mapping[str, Any] | None = None) -> None:
        trial_id = self.trials[number]._trial_id
        self.history.end(number, failed=outcome.state != "COMPLETE")
        self.history.judge()
        with batch(self.storage):
            for key, value in (attrs or {}).items():
                self.storage.set_trial_user_attr(trial_id, key, value)
            end = {"state": outcome.state, "values": list(outcome.values), "reason": outcome.reason}
            self.storage.set_trial_user_attr(trial_id, "trivet:end", end)
        self.sync()
        if self.history.curve(number).final:
            self._settle(number)

    def _settle(self, number: int) -> None:
        """Write the final state of a trial whose verdicts are all known."""
        outcome, rows = self._outcome(number)
        trial_id = self.trials[number]._trial_id
        abandoned = "trivet:end" not in self.trials[number].user_attrs  # pruned after its worker had died
        with contextlib.suppress(UpdateFinishedTrialError), batch(self.storage):
            for key, value in (self.left_behind(number) if abandoned else {}).items():
                self.storage.set_trial_user_attr(trial_id, key, value)
            self.storage.set_trial_user_attr(trial_id, LAST_STEP, rows[-1][0] if rows else 0)
            if outcome.reason:
                self.storage.set_trial_user_attr(trial_id, REASON, outcome.reason)
            values = outcome.values if outcome.state != "FAIL" else ()
            self.storage.set_trial_state_values(trial_id, TrialState[outcome.state], list(values) or None)
        self.sync()

    def settle_all(self) -> None:
        """Write the final state of every trial that has one and runs nowhere; the last worker's verdicts may have freed some."""
        with self.locks.mutex():
            self.sync()
            for number in list(self._stored.unfinished):
                if self.history.curve(number).final and self.locks.acquire(self.spec.run_of(number)):
                    self._settle(number)
                    self.locks.release(self.spec.run_of(number))

    def is_lost(self, number: int, replicate: int | None = None) -> bool:
        """Whether another worker took this trial, or this run of it, while this one had no connection."""
        return self.files is not None and self.spec.run_of(number, replicate) in self.locks.lost

    def _keep_files(self, run: int, *folders: str) -> None:
        """Store what is to be published of a run that has ended: its folder may be on another machine than the one that publishes."""
        for name in self.spec.keep_files if self.files is not None else ():
            for path in (Path(self.spec.folder) / folder / name for folder in dict.fromkeys(folders)):
                if path.is_file():
                    self.files.keep(run, name, path)

    def fetch_files(self) -> None:
        """Bring the files that are to be published and that trials left on other machines."""
        if self.files is not None:
            self.files.fetch(Path(self.spec.folder), self.spec.keep_files, self.spec.place_of)
