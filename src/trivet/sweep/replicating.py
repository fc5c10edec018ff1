"""The runs of a trial that is judged by several: one job after another, each kept as it ends, so that none is run again after a kill."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from hydra.core.utils import JobReturn, JobStatus

from trivet.reports import TrialPruned
from trivet.search import replicates
from trivet.search.constraints import Values, pick
from trivet.study.constrained import merged
from trivet.study.study import Study
from trivet.sweep.outcome import outcome_of, weighed


class Hearing(Protocol):
    """What stands behind `trivet.report` while a replicate runs."""

    held: Values
    left: bool
    fault: Exception | None

    def begin_replicate(self) -> None:
        """Hear the next replicate: what it reports is no step of the trial."""


def run(study: Study, number: int, hearing: Hearing, job: Callable[[int], JobReturn]) -> JobReturn:
    """Run what is left of the trial's replicates; `job(i)` runs one.

    The result is the aggregate, or that of the one that did not complete.
    """
    spec = study.spec
    assert spec.replicates is not None
    found = list(replicates.done(study.trials[number].user_attrs, math.inf))
    value = math.nan
    for i in range(len(spec.replicates.values)):
        if i == len(found):
            hearing.begin_replicate()
            result = job(i)
            outcome, _ = weighed(outcome_of(result, spec.n_objectives), spec.weights)
            if hearing.left or hearing.fault is not None or outcome.state != "COMPLETE":
                return result
            held = merged(hearing.held, pick(spec.constraints, outcome.metrics))
            found.append({"value": outcome.values[0], "held": held})
        value = spec.replicates.of([one["value"] for one in found[: i + 1]], spec.maximize)
        hearing.held = _means([one["held"] for one in found[: i + 1]])
        if study.report(number, i + 1, value, hearing.held, {replicates.attribute(i): found[i]}):
            return JobReturn(status=JobStatus.FAILED, _return_value=TrialPruned(f"pruned after replicate {i + 1}"))
    return JobReturn(status=JobStatus.COMPLETED, _return_value=value)


def _means(held: Sequence[Sequence[Any]]) -> list[float | None]:
    """The mean of each constrained metric over the replicates that know it."""
    known = [[value for value in column if value is not None] for column in zip(*held, strict=True)]
    return [statistics.fmean(column) if column else None for column in known]
