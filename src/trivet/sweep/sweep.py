"""A sweep from the command line to its tables: plan, check, open or resume the study, run the workers, write and publish."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import configure_log
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from trivet import ranks, secrets, space
from trivet.errors import UserError
from trivet.study import identity, naming, publishing, run_tables, schedule, tables
from trivet.study.invocation import Invocation
from trivet.study.mirror import offer
from trivet.study.records import StudySpec
from trivet.study.storage import check_reachable, from_root
from trivet.study.study import Study
from trivet.sweep import places, resolving, retrying, ruled
from trivet.sweep.configs import mapping, task_of
from trivet.sweep.crew import crew
from trivet.sweep.identifying import Search, identify
from trivet.sweep.launched import Launched
from trivet.sweep.notice import Notice, Preempted
from trivet.sweep.pool import Job, Pool
from trivet.sweep.progress import Progress, summarize
from trivet.sweep.searching import searched
from trivet.sweep.settings import Settings, plain
from trivet.sweep.spaces import Space
from trivet.sweep.worker import IN_PROCESS, Around, Worker, WorkerPlan

log = logging.getLogger("trivet")


class Sweep:
    """One sweep of one app. `run(arguments)` does all of it; `arguments` are the command line's overrides of the app's keys."""

    def __init__(self, settings: Settings, context: HydraContext, config: DictConfig, task_function: TaskFunction) -> None:
        self.settings, self.context, self.config, self.task_function = settings, context, config, task_function
        self.root = Path(str(config.hydra.runtime.cwd))
        self._publish_to: Path | None = None

    def run(self, arguments: Sequence[str]) -> Any:
        """Plan and run. Returns the best value (a list of values with several objectives).

        Raises `UserError` before any trial starts where something is wrong, and after the last where too many failed.
        """
        plan, meta = self.plan(arguments)
        plan = replace(plan, spec=naming.named(plan.spec, self.settings.study_name, meta["fingerprint"], meta["resumed"]))
        folder = Path(plan.spec.folder)
        started = time.monotonic()
        study = Study(plan.spec)
        self._write_study_yaml(folder, meta, study, plan.spec, None, 0.0)
        with open_dict(self.config.hydra):
            self.config.hydra.sweep.dir = str(folder)
        tables.write_yaml(folder / "multirun.yaml", self._shown())
        stopped_by = "interrupted"
        progress = Progress(study, self.n_jobs, meta["resumed"], plan.fixed)
        try:
            with progress:
                stopped_by = self._run_workers(plan, study, progress)
            study.settle_all()
        finally:
            study.sync()
            tables.write_tables(study, folder, plan.fixed)
            schedule.write(study, folder, plan.fixed)
            run_tables.write(study, folder)
            self._write_study_yaml(folder, meta, study, plan.spec, stopped_by, time.monotonic() - started)
        finished = study.finished()
        summarize(study, folder, plan.fixed, stopped_by)
        offer(study, self.settings.study_name, meta["fingerprint"])
        if stopped_by == "failure_rate" or study.failed_too_often():
            failed = [t for t in finished if t.state == "FAIL"]
            raise UserError(
                f"{len(failed)} of {len(finished)} trials failed, more than hydra.sweeper.max_failure_rate={plan.spec.max_failure_rate:g}; "
                f"the last reason: {failed[-1].reason} (see {study.folders().get(failed[-1].number, folder / str(failed[-1].number))}); "
                "hydra.sweeper.retry=failed runs them again once that is mended"
            )
        if self._publish_to is not None:
            self._publish(study, folder)
        best = tables.best_of(study, finished)
        return None if best is None else (best.values[0] if len(best.values) == 1 else best.values)

    def _shown(self) -> dict[str, Any]:
        """The config as written, for a file: secrets masked, those of the command line too."""
        content = mapping(self.config, resolve=False, enum_to_str=True)
        given = content["hydra"]["overrides"]
        names = content["hydra"]["job"].get("override_dirname") or ""
        content["hydra"]["job"]["override_dirname"] = ",".join(map(secrets.argument, names.split(",")))
        content["hydra"]["overrides"] = {kind: [secrets.argument(text) for text in texts] for kind, texts in given.items()}
        return secrets.values(plain(content))

    def _publish(self, study: Study, folder: Path) -> None:
        files, places, completed = self.settings.publish_files, run_tables.folders(study), run_tables.completed(study)
        study.fetch_files()
        for name, numbers in publishing.missing_files(folder, files, completed, places).items():
            some = ", ".join(map(str, numbers[:8])) + (" ..." if len(numbers) > 8 else "")
            log.warning(f"hydra.sweeper.publish_files: {name} {len(numbers)} of {len(completed)} completed trials left none ({some})")
        assert self._publish_to is not None
        publishing.publish(folder, self._publish_to, files, places)

    # Planning ------------------------------------------------------------------------------------------------------------

    def plan(self, arguments: Sequence[str]) -> tuple[WorkerPlan, dict[str, Any]]:
        """Everything that the sweep needs, checked; nothing is written yet but a database that the storage names."""
        s = self.settings
        ranks.refuse_launched()
        search = searched(s, self.context, self.config, self.root, arguments)
        parts, varying = identify(s, search, self.task_function, self.root)
        if varying:
            log.info(f"{', '.join(varying)}: gives another value each time, so its text counts for the study's identity, not its value")
        name = s.study_name or str(self.config.hydra.job.name)
        if s.retry == "failed":
            if s.custom_search_space is not None:
                raise UserError("hydra.sweeper.retry=failed: trials of a custom_search_space cannot be run again; start a new study_name")
            if search.ruled is not None:
                raise UserError("hydra.sweeper.retry=failed: what follows by rule rests on the trials that failed; start a new study_name")
            folders = retrying.siblings(places.sweep_folder(self.config, name)[0])
            search, parts = retrying.retried(search, parts, plain(secrets.values(parts)), folders)
        mark = identity.fingerprint(parts)
        folder, resumed = self._folder(name, mark, parts)
        self.n_jobs, self.gpus = crew(s, search.stop, search.sampler, self._is_launched, search.n_runs)
        for line in search.ruled.told(self.n_jobs) if search.ruled is not None else ():
            log.info(line)
        spec = self._spec(search, f"{name}-{mark[:8]}", folder)
        if s.publish is not None:
            self._publish_to = publishing.target_of(s.publish, self.root, folder)
        if s.storage is not None:
            check_reachable(str(spec.storage))  # a storage that cannot be reached is told of before anything is written
        _make_folder(folder)
        if parts["retried"] is not None:
            retrying.write(folder, search)
        plan = WorkerPlan(
            spec,
            self.context,
            self.config,
            self.task_function,
            tuple(search.fixed),
            s.trial_timeout,
            s.threads,
            s.custom_search_space,
            search.composer.composed,
        )
        meta = {
            "fingerprint": mark,
            "identity": parts,
            "defaults": search.where.defaults,
            "resumed": resumed,
            "config": resolving.resolved(task_of(search.where.config)),
        }
        return plan, {**meta, "overrides": list(search.fixed)}

    def _spec(self, search: Search, name: str, folder: Path) -> StudySpec:
        s, stop = self.settings, search.stop
        spent = _previous_seconds(folder) if stop.seconds is not None else 0.0
        return StudySpec(
            name=name,
            folder=str(folder),
            directions=search.directions,
            params=tuple(search.where.params),
            groups=_groups(search.where, [o for t in search.trials for o in t["overrides"] or []], search.ruled),
            sampler=search.sampler,
            pruner=search.pruner,
            seed=search.seed,
            stop=stop,
            lag=s.lag,
            defaults=search.where.defaults or {},
            storage=self._storage(),
            explicit=search.trials,
            warm=search.warm,
            warm_prunes=s.warm_start_prunes,
            constraints=search.constraints,
            replicates=search.replicates,
            weights=search.weights,
            storage_timeout=float(s.storage_timeout),
            keep_files=tuple(s.publish_files) if s.publish is not None else (),
            max_failure_rate=float(s.max_failure_rate),
            reuse=s.duplicates == "copy",
            max_restarts=s.max_restarts,
            session=uuid.uuid4().hex[:12] if self.n_jobs else IN_PROCESS,
            deadline=None if stop.seconds is None else time.time() + stop.seconds - spent,
        )

    def _storage(self) -> str | None:
        """The storage's URL with `${oc.env:...}` as written: what is kept, pickled or shown of the plan knows no password."""
        found = resolving.resolved(self.config.hydra.sweeper).get("storage")
        if found is None:
            return None
        if secrets.text(str(found)) != str(found):
            log.warning("hydra.sweeper.storage holds a password, which is masked in all files; write it as ${oc.env:NAME}")
        return from_root(str(found), self.root)

    def _folder(self, name: str, mark: str, parts: Mapping[str, Any]) -> tuple[Path, bool]:
        """The sweep's folder and whether it holds this study already.

        A folder of another study is left alone, and what differs is told.
        """
        folder, named = places.sweep_folder(self.config, f"{name}-{mark[:8]}")
        if named:
            others = sorted(folder.parent.glob(f"{name}-*/study.yaml"), key=lambda p: p.stat().st_mtime, reverse=True)
        else:
            others = [folder / "study.yaml"] if (folder / "study.yaml").exists() else []
            if others and tables.load_study(folder).get("fingerprint") != mark:
                folder = folder.with_name(f"{folder.name}-{mark[:8]}")
        if (folder / "study.yaml").exists() and tables.load_study(folder).get("fingerprint") == mark:
            return folder.resolve(), True
        for other in others[:1] if parts["retried"] is None else ():
            what = identity.told(tables.load_study(other.parent).get("identity", {}), secrets.values(parts))
            log.warning(f"not continuing {other.parent}: it differs in {what}; a new study begins in {folder}")
        return folder.resolve(), False

    # Running -------------------------------------------------------------------------------------------------------------

    def _run_workers(self, plan: WorkerPlan, study: Study, progress: Progress) -> str:
        """Returns why the sweep is over. Raises `UserError` where it is not, and yet no worker is left."""
        logging.raiseExceptions = False  # a log that a full disk refuses is no reason for a traceback among the sweep's own lines
        if self._is_launched:
            Launched(plan, self.n_jobs).run(study, progress)
        elif self.n_jobs == 0:
            with Notice() as notice:
                Worker(plan, "worker-0", _Here(plan, progress, notice)).run()
            if notice:
                raise Preempted
        else:
            Pool(Job.of(plan), self.n_jobs, self.gpus).run(study, progress.tick)
        study.settle_all()
        reason = study.why_stopped()
        if reason is None:
            left = f"{len(study.finished())} of {plan.spec.stop.n_trials} trials have ended"
            raise UserError(f"{plan.spec.name}: {left}, and no worker is left; the same command continues this sweep")
        return reason

    @property
    def _is_launched(self) -> bool:
        return not str(OmegaConf.select(self.config, "hydra.launcher._target_")).endswith("BasicLauncher")

    def _write_study_yaml(
        self, folder: Path, meta: Mapping[str, Any], study: Study, spec: StudySpec, stopped_by: str | None, seconds: float
    ) -> None:
        previous = tables.load_study(folder) if (folder / "study.yaml").exists() else {}
        now = time.strftime("%Y-%m-%dT%H:%M:%S")
        invocation = Invocation.current()
        if stopped_by is None:
            self._seconds_before = float(previous.get("seconds") or 0.0)
        content = {
            "name": spec.name,
            "fingerprint": meta["fingerprint"],
            "command": invocation.command,
            "program": [*invocation.program, *invocation.flags],
            "overrides": [secrets.argument(text) for text in meta["overrides"]],
            "directions": list(spec.directions),
            "metric": self.settings.metric,
            "seed": spec.seed,
            "lag": spec.lag,
            "sampler": spec.sampler.as_dict() if spec.sampler.name != "list" else {"name": "list"},
            "pruner": spec.pruner or {"name": "none"},
            **({"weights": spec.weights.as_dict()} if spec.weights is not None else {}),
            **({"replicates": spec.replicates.as_dict()} if spec.replicates is not None else {}),
            "constraints": {c.metric: str(c) for c in spec.constraints},
            "n_trials": spec.stop.n_trials,
            "n_jobs": self.n_jobs,
            "stopped_by": stopped_by,
            "storage": None if spec.storage is None else secrets.text(spec.storage),
            "space": [
                {"key": p.key.lstrip("+"), "spec": space.to_text(p.spec), "when": {g.lstrip("+"): o for g, o in p.when}}
                for p in spec.params
            ],
            "defaults": meta["defaults"],
            "config": secrets.values(meta["config"]),
            "identity": secrets.values(meta["identity"]),
            "versions": identity.versions(),
            "git": identity.git_state(self.root),
            "hardware": identity.hardware(),
            "started": previous.get("started") or now,
            "finished": None if stopped_by is None else now,
            "seconds": round(self._seconds_before + seconds, 3),
        }
        tables.write_yaml(folder / "study.yaml", plain(content))


class _Here(Around):
    """Around the trials of a worker in this process: Hydra's own logging is put back after each, and the progress shown."""

    def __init__(self, plan: WorkerPlan, progress: Progress, notice: Notice) -> None:
        self._hydra, self._progress, self._notice = plan.config.hydra, progress, notice

    def leaving(self) -> bool:
        return bool(self._notice)

    def end(self, number: int, several: bool) -> bool:
        configure_log(self._hydra.hydra_logging, self._hydra.verbose)
        self._progress.tick()
        return super().end(number, several)


def _groups(where: Space, overrides: Sequence[str], by_rule: ruled.Ruled | None) -> tuple[str, ...]:
    """The config groups that a trial may choose from: searched ones, and those that a trial given outright, or by rule, names."""
    given = [text.partition("=")[0] for text in [*overrides, *(o for p in (by_rule.prospects if by_rule else ()) for o in p)]]
    return tuple(dict.fromkeys([*where.groups, *(key for key in given if where.is_group(key))]))


def _previous_seconds(folder: Path) -> float:
    return float(tables.load_study(folder).get("seconds") or 0.0) if (folder / "study.yaml").exists() else 0.0


def _make_folder(folder: Path) -> None:
    if store := publishing.store_of(folder):
        raise UserError(f"hydra.sweep.dir={folder}: lies in {store}, which is version control's own; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"hydra.sweep.dir={folder}: cannot be written ({error.strerror}); name a folder that can") from None
