"""The one call between a training loop and its study: `trivet.report(value, step)`.

    for epoch in range(1, epochs + 1):
        ...
        trivet.report(accuracy, epoch)

In a sweep it records the value and raises `TrialPruned` when the trial is to stop; outside a sweep it does nothing.
"""

from __future__ import annotations

import logging
import math
import numbers
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from trivet import ranks, secrets
from trivet.errors import UserError

log = logging.getLogger("trivet")
COLUMNS = ("number", "step", "value")
"""What curves.csv has before the metrics: a metric of that name is called `metric/<name>` there."""


class TrialPruned(BaseException):
    """Raised by `report` when the trial is to stop. Let it pass, or clean up and raise it again.

    Not an `Exception`: a pruned trial is no failure, and decorators that log one, or retry after it, are to let it pass.
    """


class StageOver(TrialPruned):
    """Raised by `report` where a trial has trained the steps that it was to train, and others may go on from its checkpoint."""


class RankPruned(TrialPruned, SystemExit):
    """What `report` raises in a further process of a trial: where nobody catches it the process ends in order, as its trial does.

    A launcher (Lightning's, torchrun) takes any other end of a rank for a failure, and kills the rest.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.code = 0


class Diverged(Exception):
    """Raise it from a training loop when the loss is NaN or infinite: the trial becomes a FAIL row with this reason."""


class Reporter(Protocol):
    """What a worker puts behind `report` while a trial runs."""

    def report(self, value: float, step: int, metrics: Mapping[str, float]) -> None:
        """Record the value; raise `TrialPruned` when the trial is to stop."""


_reporter: Reporter | None = None
_process = 0  # that the reporter was set in: a forked one asks its trial instead


def set_reporter(reporter: Reporter | None) -> None:
    """Name who hears the reports of this process (workers call it around each trial)."""
    global _reporter, _process
    _reporter, _process = reporter, os.getpid()


def pruned(why: str) -> TrialPruned:
    """What is to be raised in this process, which may be a rank of a trial, where the trial is pruned."""
    return TrialPruned(why) if ranks.folder() is None or _own() is not None else RankPruned(why)


def _own() -> Reporter | None:
    """Who hears the reports of this process; None in one that was forked from it."""
    return _reporter if _process == os.getpid() else None


def _is_whole(step: object) -> bool:
    """Whether it is a whole number of any kind, NumPy's included; the type checker knows of int alone."""
    return isinstance(step, numbers.Integral) and not isinstance(step, bool)


def report(value: float | Sequence[float], step: int, metrics: Mapping[str, float] | None = None) -> None:
    """Tell the study the objective's `value` (a float, NaN allowed) after `step` (an integer >= 1, usually epochs finished).

    A search over several objectives takes a list of them, too: what `hydra.sweeper.weights` make of it is what a pruner judges; without
    weights the first is kept.

    `metrics` are further numbers of this step for `curves.csv`; one called number, step or value becomes `metric/<name>` there. Steps
    count from 1 and rise, gaps allowed: the first report of a step stays, and a later one of it, or of an earlier step, changes nothing,
    be it that a loop reports twice or that a trial which goes on after an interruption repeats an epoch. The first time is told in the
    trial's log. Raises `TrialPruned` when the trial is to stop and `UserError` for a step, value or metric that is no such number.

    Where several processes train one trial (DDP), rank 0's reports count; in the other ranks a call waits for rank 0's of that step, and
    raises what that raised. So either all ranks call it, or rank 0 alone.
    """
    if not _is_whole(step) or step < 1:
        more = "; a loop that counts from 0 reports epoch + 1" if not isinstance(step, bool) and step == 0 else ""
        raise UserError(f"trivet.report: step={_short(step)} must be a whole number >= 1 (epochs finished, say){more}")
    try:
        number = _numbers(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"trivet.report: value={_short(value)} must be a number; pass a float, such as loss.item()") from None
    try:
        numbers_of = {_column(k): float(v) for k, v in (metrics or {}).items()}
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise UserError(f"trivet.report: metrics={_short(metrics)} must be a mapping of name: number") from None
    if (own := _own()) is not None:
        own.report(number, int(step), numbers_of)
    elif (why := ranks.ask(number, int(step), numbers_of)) is not None:
        raise RankPruned(why)


def _numbers(value: Any) -> Any:
    """A number as a float, and a list of two or more, one per objective, as floats; raises as `float` does."""
    if isinstance(value, (list, tuple)) and len(value) > 1:
        return [float(one) for one in value]
    return float(value)


def _column(name: Any) -> str:
    """A metric's name as the head of a column."""
    text = secrets.line(str(name))
    if text not in COLUMNS:
        return text
    if _reporter is not None:
        tell_once(
            f"metric {text}", f"trivet.report: the metric {text} is called metric/{text} in curves.csv, where {text} means another thing"
        )
    return f"metric/{text}"


def _short(thing: Any) -> str:
    """What was given, in a line that can be read."""
    try:
        text = secrets.line(repr(thing))
    except ValueError:  # an integer of more digits than Python writes
        return f"<a number of {thing.bit_length()} bits>" if isinstance(thing, int) else f"<{type(thing).__name__}>"
    return text if len(text) <= 200 else f"{text[:196]} ..."


_told: set[str] = set()


def tell_once(kind: str, text: str) -> None:
    """A line in the log of the first trial of this process that does so."""
    if kind not in _told:
        _told.add(kind)
        log.warning(text)


def resume_dir() -> Path:
    """The folder of this trial, made where it is not there yet: the same after every restart, and no other trial's.

    Write checkpoints here, and look here for one before training begins. It is `<sweep>/<number>`, whatever `hydra.sweep.subdir` and
    `hydra.job.chdir` say, and the same in every process of a trial. Outside a sweep it is Hydra's output folder of this run and, without
    Hydra, the present folder.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.utils import to_absolute_path
    from omegaconf import OmegaConf

    if not HydraConfig.initialized():
        return ranks.folder() or Path.cwd()
    hydra = HydraConfig.get()
    in_sweep = not OmegaConf.is_missing(hydra.job, "num")
    folder = Path(to_absolute_path(str(hydra.sweep.dir)), str(hydra.job.num)) if in_sweep else Path(hydra.runtime.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


START = "TRIVET_START_FROM"
"""The folder that the job goes on from, in the environment of all its processes."""


def start_from() -> Path | None:
    """The folder of the trial whose checkpoint this one goes on from, as `resume_dir` was for that one; None where training begins anew.

    In a population (`sampler=pbt`) load the checkpoint there, weights and optimizer, and train on with this trial's config; a checkpoint of
    one's own in `resume_dir()` goes before it, as the trial may have been killed. Steps count on from the parent's. So that a kill changes
    nothing, write the checkpoint of a step before it is reported, and report that step (again) when training goes on from it. Nothing in
    the folder may be changed: others go on from it, too. Raises `UserError` where the folder is not on this machine.
    """
    given = os.environ.get(START)
    if not given:
        return None
    if not os.path.isdir(given):
        raise UserError(f"trivet.start_from: {given} is not on this machine; put hydra.sweep.dir on a disk that all workers share")
    return Path(given)


def is_bad(value: float) -> bool:
    """Whether a value is NaN or infinite."""
    return math.isnan(value) or math.isinf(value)
