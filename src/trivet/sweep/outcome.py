"""What the end of a trial means: its row in the table. A reason is one printable line, and the same in every run."""

from __future__ import annotations

import errno
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from trivet import secrets
from trivet.reports import Diverged, TrialPruned, is_bad
from trivet.search.constraints import Constraint, Values, pick
from trivet.search.weights import OBJECTIVES, Weights
from trivet.study import constrained
from trivet.study.metrics import parted
from trivet.study.records import Outcome
from trivet.sweep.alarm import TrialTimeout
from trivet.targets import ANYBODYS

MAX_REASON = 300
"""Characters of a reason; the trial's log has the rest."""

ROOM = 16 * 2**20
"""A disk with fewer bytes left than that has caused the errors that speak of a full one."""

VARYING = (
    (re.compile(r"\b0x[0-9a-fA-F]{4,}"), "0x..."),  # where an object lies
    (re.compile(r"\b(pid|PID|process)(\(s\)|s)?([ =:]+)\d+(, ?\d+)*"), r"\1\2\3..."),
    (re.compile(r"/tmp/(tmp|pymp-)\w+"), r"/tmp/\1..."),
)
"""What names another thing in each run, and what stands for it in a reason."""


def outcome_of(result: JobReturn, n_objectives: int, timeout: float | None = None, timed_out: bool = False) -> Outcome:
    """What a job's end means for its trial. `timed_out`: its alarm rang, whatever the app made of that."""
    try:
        return _outcome_of(result, n_objectives, timeout, timed_out)
    except ANYBODYS as error:  # an app's object may do so wherever it is touched
        return Outcome("FAIL", reason=one_line(f"what it returned or raised cannot be looked at: {type(error).__name__}"))


def _outcome_of(result: JobReturn, n_objectives: int, timeout: float | None, timed_out: bool) -> Outcome:
    if timed_out:
        return Outcome("FAIL", reason=reason_of(TrialTimeout(), timeout))
    if result.status == JobStatus.COMPLETED:
        return _outcome_of_value(result.return_value, n_objectives)
    error = result._return_value
    if isinstance(error, TrialPruned) or type(error).__name__ == "TrialPruned":
        return Outcome("PRUNED", reason="" if isinstance(error, TrialPruned) else "raised TrialPruned itself")
    return Outcome("FAIL", reason=reason_of(error, timeout))


def reason_of(error: BaseException, timeout: float | None = None) -> str:
    """One line that says why a trial failed."""
    if isinstance(error, Diverged):
        return one_line(f"diverged: {_text(error)}")
    if isinstance(error, TrialTimeout):
        return f"timed out after {timeout:g} s"
    if isinstance(error, SystemExit):
        return one_line(f"called sys.exit({_text(error.code, repr)})")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory"
    lines = _text(error).strip().splitlines()
    return one_line(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)


def one_line(text: str) -> str:
    """A reason as the table takes it: printable, not long, without what differs from run to run."""
    text = text[: 20 * MAX_REASON]  # an app may say a gigabyte
    for pattern, instead in VARYING:
        text = pattern.sub(instead, text)
    text = secrets.line(text)
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 4]} ..."


def _text(thing: Any, how: Any = str) -> str:
    """What an app's object says of itself; its methods may do anything."""
    try:
        return how(thing)
    except ANYBODYS as error:
        return f"<its {how.__name__}() raised {type(error).__name__}>"


def _outcome_of_value(value: Any, n_objectives: int) -> Outcome:
    """A task returns its objective, or a mapping of it as `value` and of further metrics by their names."""
    if not isinstance(value, Mapping):
        return _outcome_of_objective(value, n_objectives)
    if "value" not in value:
        return Outcome(
            "FAIL", reason=one_line(f"returned a mapping of {', '.join(map(str, value))}: the objective must be in it as `value`")
        )
    try:
        metrics = {str(name): float(number) for name, number in value.items() if name != "value"}
    except Exception:  # an app's object may raise anything here
        return Outcome("FAIL", reason=one_line(f"returned {_text(value)[:80]}: what is in a mapping must be numbers"))
    return replace(_outcome_of_objective(value["value"], n_objectives), metrics=metrics)


def weighed(outcome: Outcome, weights: Weights | None) -> tuple[Outcome, dict[str, Any]]:
    """The outcome of a trial whose objectives are made one, and what to store of them."""
    if weights is None or outcome.state != "COMPLETE":
        return outcome, {}
    return replace(outcome, values=(weights.of(outcome.values),)), {OBJECTIVES: list(outcome.values)}


def held_by(constraints: Sequence[Constraint], outcome: Outcome, reported: Values) -> tuple[Outcome, dict[str, Any]]:
    """The outcome of a trial, which fails where a constrained metric is not known at its end, and what to store of those it returned."""
    if not constraints or outcome.state != "COMPLETE":
        return outcome, {}
    returned = pick(constraints, outcome.metrics)
    held = constrained.merged(reported, returned)
    missing = next((c.metric for c, value in zip(constraints, held, strict=True) if value is None), None)
    if missing is not None:
        reason = f"the constraint on {missing}: no such metric was reported (trivet.report(value, step, metrics)) or returned"
        return Outcome("FAIL", reason=reason), {}
    return outcome, {constrained.RETURNED: returned} if any(value is not None for value in returned) else {}


def run_of(outcome: Outcome, constraints: Sequence[Constraint], reported: Values, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """A replicate's end as search/replicates.py has it, of what would be told of a trial."""
    curve, others = parted(attrs)
    run: dict[str, Any] = {
        "state": outcome.state,
        "reason": outcome.reason,
        "value": outcome.values[0] if outcome.values else None,
        "held": constrained.merged(reported, pick(constraints, outcome.metrics)),
        "curve": curve,
        "metrics": others,
        "objectives": attrs.get(OBJECTIVES),
        "run": attrs.get("trivet:run"),
        "folder": attrs.get("trivet:folder"),
    }
    return {key: value for key, value in run.items() if value is not None}


def _outcome_of_objective(value: Any, n_objectives: int) -> Outcome:
    if value is None:
        return Outcome("FAIL", reason="returned nothing: the task function must return the objective")
    if n_objectives > 1 and (isinstance(value, (str, bytes)) or not hasattr(value, "__iter__")):
        return Outcome("FAIL", reason=one_line(f"returned {_text(value, repr)[:80]}: must be {n_objectives} numbers, one per direction"))
    try:
        values = tuple(map(float, itertools.islice(value, n_objectives + 1))) if n_objectives > 1 else (float(value),)
    except OverflowError:
        return Outcome("FAIL", reason=f"returned {_few(value)}: no float is as large")
    except Exception:  # an app's object may raise anything here
        return Outcome("FAIL", reason=f"returned {_few(value)}: must be {'a number' if n_objectives == 1 else 'numbers'}")
    if len(values) != n_objectives:
        n = len(value) if hasattr(value, "__len__") else f"{len(values)}{' or more' if len(values) > n_objectives else ''}"
        return Outcome("FAIL", reason=f"returned {n} values: must be {n_objectives}, one per direction")
    if any(is_bad(v) for v in values):
        return Outcome("FAIL", reason=f"diverged: the objective is {', '.join(map(str, values))}")
    return Outcome("COMPLETE", values)


def _few(value: Any) -> str:
    if isinstance(value, int):  # Python writes none of more than 4,300 digits
        return f"a whole number of {value.bit_length()} bits"
    return one_line(repr(_text(value)[:80]))


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk takes no more."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def is_studys_disk(error: BaseException, folder: Path) -> bool:
    """Whether an error means that the disk of the study's `folder` takes no more: no fact about a trial's parameters, so it makes no row.

    A trial that fills a disk of its own is a row like any other.
    """
    if not is_full(error):
        return False
    named = getattr(error, "filename", None)
    try:
        place = next(p for p in Path(os.fsdecode(named)).absolute().parents if p.exists()) if isinstance(named, (str, bytes)) else None
        if place is not None and place.stat().st_dev != folder.stat().st_dev:
            return False
        disk = os.statvfs(folder)
        if place is not None or disk.f_bavail * disk.f_frsize < ROOM:
            return True
        probe = folder / f".room-{os.getpid()}"
        try:
            probe.write_bytes(bytes(2**20))
        finally:
            probe.unlink(missing_ok=True)
    except (OSError, ValueError, StopIteration) as found:
        return is_full(found)
    return False
