"""Local worker processes: started once, each with its GPU and threads, replaced when they die, ended with their parent."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton

import trivet
from trivet.errors import UserError
from trivet.study.records import Outcome
from trivet.study.study import Study
from trivet.sweep.runtime import RuntimeFolder
from trivet.sweep.worker import EXIT_DISK, EXIT_FAULT, EXIT_TOLD, WorkerPlan

POLL_SECONDS = 0.1
KILL_GRACE_SECONDS = 5.0
"""How long a trial may overrun `trial_timeout` before its worker is killed: the alarm inside comes first, and leaves a log."""


@dataclass
class _Process:
    name: str
    slot: int
    popen: subprocess.Popen[bytes]
    born: float


class Pool:
    """Runs `n_jobs` workers until the study has nothing left to begin."""

    def __init__(self, plan: WorkerPlan, n_jobs: int, gpus: Sequence[str]) -> None:
        self.plan, self.n_jobs, self.gpus = plan, n_jobs, list(gpus)
        self._folder = Path(plan.spec.folder) / "workers"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._runtime = RuntimeFolder()
        self._payload = self._runtime.path / "plan.pickle"  # the plan names the storage, maybe with its password
        with open(self._runtime.create(self._payload.name), "wb") as file:
            file.write(json.dumps(sys.path).encode() + b"\n")
            cloudpickle.dump((plan, Singleton.get_state()), file)
        self._processes: list[_Process] = []
        self._n_started = 0
        self._fruitless = 0  # deaths in a row during which no trial was begun or went on
        self._alive, self._alive_writer = os.pipe()

    def run(self, study: Study, tick: Callable[[], None]) -> None:
        """Start the workers, watch them, and return when all have ended. Raises `UserError` when workers cannot even start."""
        try:
            for slot in range(self.n_jobs):
                self._start(slot)
            while self._processes:
                time.sleep(POLL_SECONDS)
                for process in list(self._processes):
                    if process.popen.poll() is not None:
                        self._ended(process, study)
                self._kill_overdue(study)
                tick()
        finally:
            self.stop()

    def stop(self) -> None:
        """End every worker at once; their trials continue from their checkpoints in the next run."""
        for process in self._processes:
            process.popen.terminate()
        for process in self._processes:
            try:
                process.popen.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()
        self._processes.clear()
        if self._alive_writer >= 0:
            os.close(self._alive_writer)
            os.close(self._alive)
            self._alive_writer = -1
        self._runtime.close()

    def _start(self, slot: int) -> None:
        name = f"worker-{slot}"
        self._n_started += 1
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(trivet.__file__).parents[1]), *filter(None, [environment.get("PYTHONPATH")])])
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        if self.plan.threads is not None:
            for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
                environment[variable] = str(self.plan.threads)
        with (self._folder / f"{name}.log").open("ab") as log, _interrupts_ignored():
            popen = subprocess.Popen(
                [sys.executable, "-m", "trivet.sweep.worker", str(self._payload), name, str(self._alive)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._alive],
            )
        self._processes.append(_Process(name, slot, popen, time.time()))

    def _ended(self, process: _Process, study: Study) -> None:
        """Replace a worker that died; a clean end means that nothing was left for it."""
        self._processes.remove(process)
        code = process.popen.returncode
        if code == 0:
            return
        tail = self._tail(process.name)
        if code == EXIT_TOLD:
            raise UserError(f"{process.name}: {tail.removeprefix('error: ')}")
        if code == EXIT_DISK:
            folder = self.plan.spec.folder
            raise OSError(errno.ENOSPC, "No space left on device, or it may not be written", folder)
        if code == EXIT_FAULT:
            raise UserError(f"{process.name} broke down: {tail}; see {self._folder / (process.name + '.log')}")
        study.sync()
        claims = [t.user_attrs.get("trivet:claim", {}) for t in study.trials if not t.state.is_finished()]
        claimed = any(c.get("worker") == process.name and c.get("session") == self.plan.spec.session for c in claims)
        self._fruitless = 0 if claimed else self._fruitless + 1
        if self._fruitless > self.plan.spec.max_restarts:
            raise UserError(
                f"workers end before they begin a trial (exit code {code}): {tail}; see {self._folder / (process.name + '.log')}"
            )
        self._start(process.slot)

    def _tail(self, name: str) -> str:
        lines = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "no output"

    def _kill_overdue(self, study: Study) -> None:
        """End workers whose trial hangs where the alarm inside it cannot reach, and write the trial's row."""
        timeout = self.plan.trial_timeout
        if timeout is None:
            return
        study.sync()
        for process in self._processes:
            overdue = self._overdue(process, study, timeout)
            if overdue is None:
                continue
            process.popen.kill()
            process.popen.wait()
            with study.locks.mutex():
                if study.locks.acquire(overdue):
                    attrs = _run_attrs(process.name, timeout) | study.left_behind(overdue)
                    study.tell(overdue, Outcome("FAIL", reason=f"timed out after {timeout:g} s"), attrs)

    def _overdue(self, process: _Process, study: Study, timeout: float) -> int | None:
        for trial in study.trials:
            claim: dict[str, Any] = trial.user_attrs.get("trivet:claim", {})
            mine = claim.get("worker") == process.name and claim.get("session") == self.plan.spec.session
            if mine and not trial.state.is_finished() and "trivet:end" not in trial.user_attrs:
                return trial.number if time.time() > float(claim["since"]) + timeout + KILL_GRACE_SECONDS else None
        return None


def _run_attrs(worker: str, seconds: float) -> dict[str, Any]:
    return {"trivet:run": {"worker": worker, "seconds": seconds, "started": ""}}


class _interrupts_ignored:
    """A child born inside never sees Ctrl-C: the parent ends it in order. Only a main thread can set this up."""

    def __enter__(self) -> None:
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)
