"""One worker of a sweep: claim, sample, compose, run, tell, until nothing is left.

The same loop runs in each worker process (process.py), and in the calling process where that is asked for (n_jobs=0). Workers need
nothing but the study's storage; none of them is special.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from trivet import reports, space
from trivet.errors import StorageGone, UserError
from trivet.reports import TrialPruned
from trivet.study import copies
from trivet.study.invocation import Invocation
from trivet.study.records import Claim, Outcome, StudySpec
from trivet.study.study import Study
from trivet.sweep import staging
from trivet.sweep.alarm import Alarm
from trivet.sweep.jobs import Composed, Composer, run_job
from trivet.sweep.listening import Ear
from trivet.sweep.outcome import held_by, is_studys_disk, one_line, outcome_of, run_of, weighed
from trivet.sweep.reporter import TrialReporter
from trivet.sweep.single_run import SingleRun, leave_group
from trivet.targets import call, locate

log = logging.getLogger("trivet")

IN_PROCESS = "in-process"
"""The session of sweeps in the calling process: a trial that ends such a sweep is found by the next one, which counts its death."""


@dataclass(frozen=True)
class WorkerPlan:
    """What a worker needs besides its study: all of it can be sent to a process of the same app (main_module.py)."""

    spec: StudySpec
    context: HydraContext
    config: DictConfig  # of the sweep, `hydra` in it
    task_function: TaskFunction
    fixed: tuple[str, ...]  # command-line overrides that hold for every trial
    trial_timeout: float | None
    threads: int | None
    custom_search_space: str | None
    composed: Composed = field(default_factory=dict)  # by the sweep, so that no worker composes it again


class Around:
    """What stands around the trials of a worker. This one is for the calling process, of which nothing is ended."""

    def begin(self, number: int, replicate: int | None = None) -> None:
        """A trial begins, or a run of one."""

    def leaving(self) -> bool:
        """Whether this process was told to go: the running trial is handed back at its next report, and none begins."""
        return False

    def end(self, number: int, several: bool) -> bool:
        """A trial has ended and is told; `several`: it trained in several processes. True where the worker is to be replaced now."""
        if several:
            leave_group()
        return False


class Worker:
    """`name` shows in the table."""

    def __init__(self, plan: WorkerPlan, name: str, around: Around | None = None) -> None:
        self.plan, self.name = plan, name
        self.composer = Composer(plan.context, plan.config, plan.fixed, plan.spec.folder, plan.composed)
        self.around = around or Around()
        self.single_run, self.ear = SingleRun(Invocation.current()), Ear()
        self.study = Study(plan.spec)
        if plan.custom_search_space is not None:
            self.study._extend = _extension(plan.custom_search_space, plan.config)

    def run(self) -> Literal["done", "renew", "left"]:
        """Work until nothing is left to begin or continue ("done"), another worker has to go on ("renew"), or this one must go ("left")."""
        pause = 0.002
        try:
            while not self.around.leaving():
                claim = self.study.claim(self.name)
                if isinstance(claim, Claim):
                    pause = 0.002
                    self.around.begin(claim.number, claim.replicate)
                    if claim.copied is not None:
                        copies.finish(self.study, claim.number, claim.copied, self.name)
                    else:
                        self._run_trial(claim)
                    if self.around.end(claim.number, self.single_run.several):
                        return "renew"
                elif claim == "wait":
                    time.sleep(pause)
                    pause = min(pause * 1.5, 0.05)
                else:
                    return "done"
            return "left"
        finally:
            self.ear.close()
            self.study.close()

    def _run_trial(self, claim: Claim) -> None:
        clock, started = time.monotonic(), time.localtime()
        alarm = Alarm()
        folder = Path(self.plan.spec.folder)
        reporter = TrialReporter(self.study, claim.number, alarm, self.ear, self.plan.spec, self.around.leaving, claim.replicate)
        reports.set_reporter(reporter)
        try:
            with alarm.set(self.plan.trial_timeout):
                if claim.replicate is None:
                    result = staging.run(self.study, claim.number, reporter, lambda: self._run_job(claim, reporter))
                else:
                    result = self._run_job(claim, reporter)
        except UserError as error:  # of composing: what a job raises is its result
            self._tell(claim, Outcome("FAIL", reason=one_line(str(error))), reporter, {})
            return
        except KeyboardInterrupt:
            self._leave(claim)
            raise
        finally:
            reports.set_reporter(None)
        if reporter.fault is not None:
            raise reporter.fault
        if _studys_fault(result, folder):
            raise result._return_value
        if reporter.left:  # whatever the app made of it
            self._leave(claim)
            return
        outcome = outcome_of(result, self.plan.spec.n_objectives, self.plan.trial_timeout, alarm.rang)
        outcome, objectives = weighed(outcome, self.plan.spec.weights)
        if reporter.pruned_elsewhere and not alarm.rang:
            outcome = Outcome("PRUNED")
        outcome, returned = held_by(self.plan.spec.constraints, outcome, reporter.held)
        attrs: dict[str, Any] = {
            "trivet:run": {
                "worker": self.name,
                "seconds": round(time.monotonic() - clock, 3),
                "started": time.strftime("%Y-%m-%dT%H:%M:%S", started),
            }
        }
        # as the job resolved it: ${hydra:job.num} means nothing any more once the job is over
        if result.hydra_cfg is not None:
            subdir = os.path.relpath(str(result.hydra_cfg.hydra.runtime.output_dir), os.path.abspath(folder))
            if subdir != self.plan.spec.place_of(self.plan.spec.run_of(claim.number, claim.replicate)) and os.path.isdir(folder / subdir):
                attrs["trivet:folder"] = subdir
        self._tell(claim, outcome, reporter, attrs | objectives | returned)
        reporter.metrics.remove()

    def _leave(self, claim: Claim) -> None:
        """Hand a trial, or a run of one, back."""
        if claim.replicate is None:
            self.study.leave(claim.number)
        else:
            self.study.leave_run(claim.number, claim.replicate)

    def _tell(self, claim: Claim, outcome: Outcome, reporter: TrialReporter, attrs: Mapping[str, Any]) -> None:
        """End a trial, or a run of one."""
        attrs = {**attrs, **reporter.metrics.attrs()}
        if claim.replicate is None:
            self.study.tell(claim.number, outcome, attrs)
        else:
            self.study.tell_run(claim.number, claim.replicate, run_of(outcome, self.plan.spec.constraints, reporter.held, attrs))

    def _run_job(self, claim: Claim, reporter: TrialReporter) -> JobReturn:
        """Run a trial's job, or that of one of its replicates, in the folder `<sweep>/<number>/<replicate>`."""
        number, replicate = claim.number, claim.replicate
        groups, values = self.study.overrides_of(number)
        place = Path(self.plan.spec.folder) / str(number)
        spec = self.plan.spec.replicates
        if spec is not None and replicate is not None and spec.key is not None:
            values = [*values, f"{spec.key}={space.sweep_text(spec.values[replicate])}"]
        full, task = self.composer.job(number, groups, values)
        if replicate is not None:
            with open_dict(full.hydra):
                full.hydra.sweep.dir, full.hydra.job.num, full.hydra.job.id = str(place), replicate, f"{number}-{replicate}"
            place = place / str(replicate)
        with self.ear.of(reporter.hear, place):
            return run_job(self.plan.context, self._logged(full), full, task)

    def _logged(self, full: DictConfig) -> TaskFunction:
        """The task function as of a run by itself, with failures written to the trial's own log, while that log is set up."""

        def call(config: DictConfig) -> Any:
            quiet = _QuietPrunes()
            handlers = logging.getLogger().handlers
            for handler in handlers:
                handler.addFilter(quiet)
            try:
                with self.single_run.of(full):
                    return self.plan.task_function(config)
            except TrialPruned:
                raise
            except KeyboardInterrupt:
                if self.plan.spec.session == IN_PROCESS:
                    raise
                raise RuntimeError("the app raised KeyboardInterrupt") from None  # a worker hears no Ctrl-C
            except BaseException as error:
                if type(error).__name__ != "TrialPruned":
                    _log_to_file(f"The trial failed.\n{traceback.format_exc()}")
                raise
            finally:
                for handler in handlers:
                    handler.removeFilter(quiet)

        return call


def _studys_fault(result: JobReturn, folder: Path) -> bool:
    """Whether a job ended for want of the study's own disk or storage: that is no fact about its parameters, so it makes no row."""
    error = result._return_value
    return result.status == JobStatus.FAILED and (isinstance(error, StorageGone) or is_studys_disk(error, folder))


class _QuietPrunes(logging.Filter):
    """Drops what an app's decorators log of a pruned trial: it is no failure, and its traceback would look like one."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, TrialPruned) or type(error).__name__ == "TrialPruned":  # ours, or Optuna's
            return False
        return not (isinstance(record.msg, str) and "Traceback (most recent" in record.msg and "TrialPruned: " in record.msg)


def _log_to_file(text: str) -> None:
    """Write to the trial's log file only: a traceback for each failed trial would bury the sweep's own lines."""
    writable = text.encode("utf-8", "backslashreplace").decode()
    record = logging.LogRecord("trivet", logging.ERROR, __file__, 0, writable, None, None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


def _extension(path: str, config: DictConfig) -> Callable[[Any], None]:
    """What a custom_search_space does with a trial that is sampled. Raises `UserError` where it raises."""
    key = "hydra.sweeper.custom_search_space"
    extend = locate(path, key)

    def extended(trial: Any) -> None:
        call(path, extend, key, config, trial)

    return extended


def set_threads(threads: int | None) -> None:
    """Fix the threads of libraries that read them late; those that read them at import have the environment's."""
    if threads is None:
        return
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
