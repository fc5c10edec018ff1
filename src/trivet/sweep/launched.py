"""Workers as jobs of a Hydra launcher (joblib, submitit, ray): one job is a pool of one worker, and all share the study.

So a trial that dies or hangs costs its worker and not the job, under every launcher. A launcher tells of a lost job only when its others
have ended or been killed with it, so a lost job means a new launch.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from dataclasses import replace

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from omegaconf import DictConfig

from trivet.errors import UserError
from trivet.search import replicates
from trivet.study.study import Study
from trivet.sweep.notice import Preempted
from trivet.sweep.outcome import is_full
from trivet.sweep.pool import Job, Pool
from trivet.sweep.progress import Progress
from trivet.sweep.worker import WorkerPlan

log = logging.getLogger("trivet")
SUBDIR = "workers/launched-"


class Launched:
    """Runs `n_jobs` workers through the launcher of the config until the study has nothing left to begin."""

    def __init__(self, plan: WorkerPlan, n_jobs: int) -> None:
        self.plan, self.n_jobs = plan, n_jobs

    def run(self, study: Study, progress: Progress) -> None:
        """Launch workers, again while some died and trials are left. Raises `UserError` when that gets nowhere.

        After a launch that lost a job one worker alone settles the trials that were left, so that each of their deaths is its own.
        """
        most = self.plan.spec.max_restarts + 2  # so many deaths make a trial a row, and that is progress
        n_fruitless, alone, before = 0, False, _marks(study)
        while True:
            plan, n_jobs = (self._limited(len(study.trials)), 1) if alone else (self.plan, self.n_jobs)
            failure = self._launch(plan, n_jobs, progress)
            if isinstance(failure, UserError) or (failure is not None and is_full(failure)):
                raise failure
            study.settle_all()
            if study.why_stopped() is not None:
                return
            n_fruitless = n_fruitless + 1 if _marks(study) == before else 0
            if n_fruitless > most:
                raise UserError(f"hydra.launcher: its workers keep ending before the sweep does: {_in_short(failure)}")
            if failure is not None:
                log.warning(f"workers ended before the sweep did ({_in_short(failure)}); starting them again")
            alone, before = failure is not None and bool(study.trials), _marks(study)

    def _limited(self, n_trials: int) -> WorkerPlan:
        spec = self.plan.spec
        return replace(self.plan, spec=replace(spec, stop=replace(spec.stop, n_trials=n_trials)))

    def _launch(self, plan: WorkerPlan, n_jobs: int, progress: Progress) -> Exception | None:
        """Run one set of workers to their end; returns what the launcher raised."""
        task = WorkerTask(Job.of(plan))
        context = replace(plan.context, callbacks=Callbacks())  # the app's are for its trials: workers are none of its jobs
        launcher = Plugins.instance().instantiate_launcher(config=plan.config, hydra_context=context, task_function=task)
        with progress.in_background():
            try:
                for job in launcher.launch([[f"hydra.sweep.subdir={SUBDIR}{i}"] for i in range(n_jobs)], initial_job_idx=0):
                    _ = job.return_value
            except Exception as error:  # launchers raise their own; what counts is whether trials are left
                return error
        return None


def _marks(study: Study) -> tuple[int, int, int]:
    """What grows while a study gets somewhere: trials begun, trials finished, and runs of trials that have replicates."""
    study.sync()
    return len(study.trials), len(study.finished()), sum(len(replicates.told(trial.user_attrs)) for trial in study.trials)


def _in_short(error: BaseException | None) -> str:
    """The line of a launcher's error that says what happened; some carry a whole traceback of another process."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit|Interrupt)\b", line)]
    return (telling or lines or [type(error).__name__])[-1 if telling else 0]


class WorkerTask:
    """A pool of one worker as a task function for a Hydra launcher. It travels as plain values and bytes; the app is met by the worker."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, job_config: DictConfig) -> None:
        number = os.path.basename(str(HydraConfig.get().sweep.subdir)).rpartition("-")[2]
        study = Study(self.job.spec)
        try:
            with contextlib.suppress(Preempted):  # its trial is handed back: other jobs, or the next launch, take it up
                Pool(self.job, 1, first=int(number)).run(study)
        finally:
            study.close()
