"""Why trials failed, told while the sweep runs: each reason when it first comes, and how often in the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trivet import reasons
from trivet.study.records import Official

log = logging.getLogger("trivet")
MOST_REASONS = 5  # told one by one: a reason may have a word in it that is never the same


class Failures:
    """`folder` is the sweep's, in which trials have their logs; `elsewhere` says in which folders those not named by the number do."""

    def __init__(self, folder: Path, elsewhere: Callable[[], Mapping[int, Path]] = dict) -> None:
        self.folder, self._elsewhere = folder, elsewhere
        self._told: set[str] = set()

    def tell(self, trials: Sequence[Official]) -> None:
        """Log the kinds of reasons that are new among these finished trials."""
        for trial in trials:
            if trial.state == "FAIL" and (kind := reasons.kind(trial.reason)) not in self._told and len(self._told) < MOST_REASONS:
                self._told.add(kind)
                log.warning(f"trial {trial.number} failed: {trial.reason}{self._where(trial.number)}")

    def summary(self, trials: Sequence[Official]) -> list[str]:
        """A line for each kind of reason, the most frequent first, with the first trial's own reason and log."""
        failed = [trial for trial in trials if trial.state == "FAIL"]
        first = {trial.reason: trial.number for trial in reversed(failed)}
        counts = reasons.grouped(trial.reason for trial in failed)
        lines = [f"failed {n} x: {reason}{self._where(first[reason])}" for reason, n in counts[:MOST_REASONS]]
        rest = sum(n for _, n in counts[MOST_REASONS:])
        return [*lines, f"failed {rest} x for other reasons: see the column reason of {self.folder / 'trials.csv'}"] if rest else lines

    def _where(self, number: int) -> str:
        """` (log: path)` where the trial left one; of several the one written last, which is where its traceback went."""
        logs = sorted(self._elsewhere().get(number, self.folder / str(number)).rglob("*.log"), key=lambda log: log.stat().st_mtime_ns)
        return f" (log: {logs[-1]})" if logs else ""
