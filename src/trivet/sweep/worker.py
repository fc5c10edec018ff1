"""One worker of a sweep: claim, sample, compose, run, tell, until nothing is left.

The same loop runs in the calling process (n_jobs=1), in local worker processes (`python -m trivet.sweep.worker`), and as a job of any
Hydra launcher. Workers need nothing but the study's storage; none of them is special.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from trivet import trial as trial_api
from trivet.errors import StorageGone, UserError
from trivet.study.records import Claim, Outcome, StudySpec
from trivet.study.study import Study
from trivet.sweep.jobs import Composed, Composer, run_job
from trivet.trial import Diverged, TrialPruned, is_bad

log = logging.getLogger("trivet")
VARYING_METRICS = ("seconds", "peak_gpu_mb")
"""Metrics that differ from run to run; they stand last in curves.csv."""

EXIT_TOLD, EXIT_FAULT, EXIT_DISK = 2, 70, 74
"""Exit codes of a worker process: an error told in one line, an exception outside any trial, a disk that takes no more."""


@dataclass(frozen=True)
class WorkerPlan:
    """What a worker needs besides its study: all of it can be pickled (by cloudpickle, where the app is `__main__`)."""

    spec: StudySpec
    context: HydraContext
    config: DictConfig  # of the sweep, `hydra` in it
    task_function: TaskFunction
    fixed: tuple[str, ...]  # command-line overrides that hold for every trial
    trial_timeout: float | None
    threads: int | None
    custom_search_space: str | None
    composed: Composed = field(default_factory=dict)  # by the sweep, so that no worker composes it again
    keep_logging: bool = False  # in the calling process: put Hydra's own logging back after each trial


class TrialTimeout(BaseException):
    """Raised in a trial by the alarm of `trial_timeout`; not an `Exception`, so that a trial's own handlers let it pass."""


class Worker:
    """`name` shows in the table. `on_trial(number)` is called after each trial."""

    def __init__(
        self,
        plan: WorkerPlan,
        name: str,
        on_trial: Callable[[int], None] | None = None,
    ) -> None:
        self.plan, self.name = plan, name
        self.composer = Composer(plan.context, plan.config, plan.fixed, plan.spec.folder, plan.composed)
        self.on_trial = on_trial
        self.study = Study(plan.spec)
        if plan.custom_search_space is not None:
            extend = locate(plan.custom_search_space, "hydra.sweeper.custom_search_space")
            self.study._extend = lambda trial: extend(plan.config, trial)

    def run(self) -> str:
        """Work until nothing is left to begin or continue; returns why."""
        pause = 0.002
        try:
            while True:
                claim = self.study.claim(self.name)
                if isinstance(claim, Claim):
                    pause = 0.002
                    self._run_trial(claim)
                elif claim == "wait":
                    time.sleep(pause)
                    pause = min(pause * 1.5, 0.05)
                else:
                    return claim.removeprefix("stop: ")
        finally:
            self.study.close()

    def _run_trial(self, claim: Claim) -> None:
        started = time.time()
        alarm = _Alarm()
        reporter = _Reporter(self.study, claim.number, alarm)
        try:
            full, task = self.composer.job(claim.number, *self.study.overrides_of(claim.number))
        except UserError as error:
            self.study.tell(claim.number, Outcome("FAIL", reason=str(error)))
            return
        trial_api.set_reporter(reporter)
        try:
            with alarm.set(self.plan.trial_timeout):
                result = run_job(self.plan.context, self._logged(task), full, task)
        finally:
            trial_api.set_reporter(None)
        if self.plan.keep_logging:
            from hydra.core.utils import configure_log

            configure_log(self.plan.config.hydra.hydra_logging, self.plan.config.hydra.verbose)
        if _is_disks_fault(result):
            raise result._return_value
        outcome = outcome_of(result, len(self.plan.spec.directions), self.plan.trial_timeout)
        attrs: dict[str, Any] = {
            "trivet:run": {
                "worker": self.name,
                "seconds": round(time.time() - started, 3),
                "started": time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(started)),
            }
        }
        self.study.tell(claim.number, outcome, attrs | reporter.metrics.attrs())
        reporter.metrics.remove()
        if self.on_trial is not None:
            self.on_trial(claim.number)

    def _logged(self, task: DictConfig) -> TaskFunction:
        """The task function with failures written to the trial's own log, while that log is set up."""

        def call(config: DictConfig) -> Any:
            try:
                return self.plan.task_function(config)
            except (TrialPruned, KeyboardInterrupt):
                raise
            except BaseException as error:
                if type(error).__name__ != "TrialPruned":
                    _log_to_file(f"The trial failed.\n{traceback.format_exc()}")
                raise

        return call


class _Reporter:
    """Hears a trial's reports: values go to the study, metrics to a file of the trial until it ends."""

    def __init__(self, study: Study, number: int, alarm: _Alarm) -> None:
        self._study, self._number, self._alarm = study, number, alarm
        self.metrics = study.metrics_of(number)

    def report(self, value: float, step: int, metrics: Mapping[str, float]) -> None:
        with self._alarm.held():
            self.metrics.add(step, metrics)
            pruned = self._study.report(self._number, step, value)
        if pruned:
            raise TrialPruned(f"pruned: see the pruner's rule (step {self._study.history.curve(self._number).pruned_at})")


def _log_to_file(text: str) -> None:
    """Write to the trial's log file only: a traceback for each failed trial would bury the sweep's own lines."""
    record = logging.LogRecord("trivet", logging.ERROR, __file__, 0, text, None, None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


class _Alarm:
    """Ends a trial that outlasts its time. Works in a main thread; code stuck in C is the parent's to end."""

    def __init__(self) -> None:
        self._rung = self._held = False

    @contextlib.contextmanager
    def set(self, seconds: float | None) -> Iterator[None]:
        """Raise `TrialTimeout` in this block after so many seconds; never where they are None."""
        if seconds is None or threading.current_thread() is not threading.main_thread():
            yield
            return

        def ring(signum: int, frame: Any) -> None:
            self._rung = True
            if not self._held:
                raise TrialTimeout

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let this block finish, which writes a record; an alarm that rang in it, or was swallowed before, counts at its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._rung:
            raise TrialTimeout


def _is_disks_fault(result: JobReturn) -> bool:
    """Whether a job ended for want of a disk or of the study's storage: that is no fact about its parameters, so it makes no row."""
    return result.status == JobStatus.FAILED and (is_full(result._return_value) or isinstance(result._return_value, StorageGone))


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk takes no more."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def outcome_of(result: JobReturn, n_objectives: int, timeout: float | None = None) -> Outcome:
    """What a job's end means for its trial."""
    if result.status == JobStatus.COMPLETED:
        return _outcome_of_value(result.return_value, n_objectives)
    error = result._return_value
    if isinstance(error, TrialPruned) or type(error).__name__ == "TrialPruned":
        return Outcome("PRUNED", reason="" if isinstance(error, TrialPruned) else "raised TrialPruned itself")
    return Outcome("FAIL", reason=reason_of(error, timeout))


def reason_of(error: BaseException, timeout: float | None = None) -> str:
    """One line that says why a trial failed."""
    if isinstance(error, Diverged):
        return f"diverged: {error}"
    if isinstance(error, TrialTimeout):
        return f"timed out after {timeout:g} s"
    if isinstance(error, SystemExit):
        return f"called sys.exit({error.code!r})"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _outcome_of_value(value: Any, n_objectives: int) -> Outcome:
    if value is None:
        return Outcome("FAIL", reason="returned nothing: the task function must return the objective")
    if n_objectives > 1 and (
        isinstance(value, (str, bytes)) or (not isinstance(value, (Sequence, Iterator)) and not hasattr(value, "__iter__"))
    ):
        return Outcome("FAIL", reason=f"returned {value!r}: must be {n_objectives} numbers, one per direction")
    try:
        values = tuple(float(v) for v in value) if n_objectives > 1 else (float(value),)
    except (TypeError, ValueError):
        return Outcome("FAIL", reason=f"returned {str(value)[:80]!r}: must be {'a number' if n_objectives == 1 else 'numbers'}")
    if len(values) != n_objectives:
        return Outcome("FAIL", reason=f"returned {len(values)} values: must be {n_objectives}, one per direction")
    if any(is_bad(v) for v in values):
        return Outcome("FAIL", reason=f"diverged: the objective is {', '.join(map(str, values))}")
    return Outcome("COMPLETE", values)


def locate(path: str, key: str) -> Callable[..., Any]:
    """The function at a dotted path; `UserError` naming `key` where there is none."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{key}={path}: cannot be imported ({error}); give module.function") from None
    if not callable(found):
        raise UserError(f"{key}={path}: is not a function")
    return found


def set_threads(threads: int | None) -> None:
    """Fix the threads of libraries that read them late; those that read them at import have the environment's."""
    if threads is None:
        return
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _die_with_parent(fd: int) -> None:
    """End this process when the parent's end of the pipe closes: the parent is gone, however it went."""

    def watch() -> None:
        while os.read(fd, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(argv: Sequence[str]) -> int:
    """Entry of a local worker process: payload file, name, and the pipe that says whether the parent lives."""
    payload, name, fd = Path(argv[0]), argv[1], int(argv[2])
    _die_with_parent(fd)
    import cloudpickle
    from hydra.core.singleton import Singleton
    from hydra.core.utils import setup_globals

    with payload.open("rb") as file:
        path = json.loads(file.readline())
        sys.path[:] = path
        setup_globals()
        plan, singletons = cloudpickle.load(file)
    Singleton.set_state(singletons)
    set_threads(plan.threads)
    OmegaConf.set_readonly(plan.config, True)
    try:
        Worker(plan, name).run()
    except (UserError, OSError) as error:
        with contextlib.suppress(OSError):  # the log is on that same full disk
            print(f"error: {error}", file=sys.stderr)
        if is_full(error):
            os._exit(EXIT_DISK)  # an ordinary end would flush output to the full disk, and lose the exit code
        return EXIT_TOLD
    except Exception:  # a fault of ours, not of a trial: the parent must not take it for a trial that kills its worker
        traceback.print_exc()
        return EXIT_FAULT
    return 0


if __name__ == "__main__":
    # As `trivet.sweep.worker`, not `__main__`: classes pickled by the parent must be the ones that this process uses.
    from trivet.sweep.worker import main as entry

    sys.exit(entry(sys.argv[1:]))
