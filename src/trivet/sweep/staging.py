"""A trial that goes on from the checkpoint of another, and ends after some steps of its own: a member of a population."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hydra.core.utils import JobReturn, JobStatus

from trivet import reports
from trivet.errors import UserError
from trivet.search.weights import OBJECTIVES
from trivet.study.study import Study


@dataclass(frozen=True)
class Stage:
    """`folder`: of the trial whose checkpoint it goes on from (None: from nothing), `begin`: that one's last step. It ends at `until`."""

    folder: Path | None
    begin: int
    until: int

    @classmethod
    def of(cls, study: Study, number: int) -> Stage | None:
        """The stage of a trial; None of a trial that is whole."""
        given = study.given(number) or {}
        if "until" not in given:
            return None
        start = given.get("start")
        folder = None if start is None else Path(study.spec.folder, str(start["trial"])).absolute()
        return cls(folder, 0 if start is None else int(start["step"]), int(given["until"]))

    def check(self, step: int) -> None:
        """Raise `UserError` for a step that the trial before has trained: the app began anew, or counts anew."""
        if step <= self.begin:
            raise UserError(
                f"trivet.report: step={step}: this trial goes on from step {self.begin} of trial {self._number}; load the checkpoint in "
                "the folder that trivet.start_from() names, and count on from there"
            )

    @property
    def _number(self) -> str:
        return self.folder.name if self.folder is not None else ""

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """Tell the processes of the job where it goes on from (`trivet.start_from`)."""
        before = os.environ.pop(reports.START, None)
        try:
            if self.folder is not None:
                os.environ[reports.START] = str(self.folder)
            yield
        finally:
            os.environ.pop(reports.START, None)
            if before is not None:
                os.environ[reports.START] = before


class Hearing(Protocol):
    """What stands behind `trivet.report` while the job runs; it ends the job where `stage` does."""

    stage: Stage | None
    left: bool
    fault: Exception | None
    pruned_elsewhere: bool


def run(study: Study, number: int, hearing: Hearing, job: Callable[[], JobReturn]) -> JobReturn:
    """Run the trial's job. Of one that ends at its stage's last step, the result is what it reported there, whatever the app made of that.

    A trial that was killed between that report and its end does not run again: its checkpoint is whole, and stays as it is.
    """
    stage = hearing.stage = Stage.of(study, number)
    none = Stage(None, 0, 0)  # a trial may be a sweep of its own, whose trials go on from nothing
    if stage is None:
        with none.begun():
            return job()
    result = JobReturn()
    if _last(study, number) < stage.until:
        with stage.begun():
            result = job()
        if hearing.left or hearing.fault is not None:
            return result
    last = _last(study, number)
    if last >= stage.until:
        hearing.pruned_elsewhere = False
        trial = study.trials[number]
        result.status = JobStatus.COMPLETED
        made = trial.user_attrs.get(OBJECTIVES) if study.spec.weights is not None else None
        result.return_value = trial.intermediate_values[last] if made is None else made
    elif result.status == JobStatus.COMPLETED and not last:
        result.status = JobStatus.FAILED
        result.return_value = UserError("reported nothing: steps are counted by trivet.report(value, step), which ends the trial in time")
    return result


def _last(study: Study, number: int) -> int:
    study.sync()
    return max(study.trials[number].intermediate_values, default=0)


def objectives(stage: Stage | None, step: int, value: Any) -> dict[str, Any]:
    """What to store with a report of several objectives of which weights make one, where it is the last of its stage."""
    return {OBJECTIVES: list(value)} if stage is not None and step >= stage.until and isinstance(value, list) else {}
