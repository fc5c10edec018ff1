"""Local worker processes: started once, each with its GPU and threads, replaced when they die, ended with their pool.

A worker tells which trial it runs and says good-bye (process.py); what ends otherwise has died, whatever its exit code. Everything that it
started ends with it. A launcher's jobs are pools of one (launched.py).
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trivet
from trivet import secrets
from trivet.errors import UserError
from trivet.study.records import Outcome, StudySpec
from trivet.study.study import Study
from trivet.sweep import keeper, main_module, tree
from trivet.sweep.alarm import TrialTimeout
from trivet.sweep.notice import Notice, Preempted
from trivet.sweep.outcome import reason_of, run_of
from trivet.sweep.worker import WorkerPlan

log = logging.getLogger("trivet")
POLL_SECONDS = 0.1
KILL_GRACE_SECONDS = 5.0
"""How long a trial may overrun `trial_timeout` before its worker is killed: the alarm inside comes first, and leaves a log."""
LEAVE_SECONDS = 10.0
"""How long a worker that has said good-bye may take to end: libraries send their last words then."""
TAIL = 8192
"""Bytes of a worker's log that are read when it has died: a trial may have printed any number."""


@dataclass(frozen=True)
class Job:
    """What a pool needs: the study, what holds for its workers, and the packed app, which the pool itself never opens."""

    spec: StudySpec
    trial_timeout: float | None
    threads: int | None
    payload: bytes

    @classmethod
    def of(cls, plan: WorkerPlan) -> Job:
        """Raises `UserError` where the app cannot be sent to a worker."""
        payload = main_module.pack(replace(plan, task_function=main_module.absent), plan.task_function)
        return cls(plan.spec, plan.trial_timeout, plan.threads, payload)


@dataclass
class _Process:
    name: str
    slot: int
    popen: subprocess.Popen[bytes]
    channel: int  # the end that is read
    mark: str
    heard: bytes = b""
    trial: int | None = None  # that it runs, which replicate of it, and since when on the clock that never jumps
    replicate: int | None = None
    n_over: int = 0  # trials that it has ended
    since: float = 0.0
    end: dict[str, Any] = field(default_factory=dict)  # its good-bye
    ended: float = 0.0

    def listen(self) -> None:
        """Take in what the worker has told."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.channel, 65536):
                self.heard += data
        *lines, self.heard = self.heard.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "begin" in message:
                self.trial, self.replicate, self.since = message["begin"], message["replicate"], time.monotonic()
            elif "over" in message:
                self.trial, self.n_over = None, self.n_over + 1
            else:
                self.end, self.ended = message, time.monotonic()


class Pool:
    """Runs `n_jobs` workers until the study has nothing left to begin. `first` is the number of the first worker's name."""

    def __init__(self, job: Job, n_jobs: int, gpus: Sequence[str] = (), first: int = 0) -> None:
        self.job, self.n_jobs, self.gpus, self.first = job, n_jobs, list(gpus), first
        self._folder = Path(job.spec.folder) / "workers"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._payload = _nameless(job.payload)
        self._processes: list[_Process] = []
        self._n_started = 0
        self._notice = Notice()
        self._fruitless = 0  # deaths in a row during which no trial was begun or went on
        self._alive, self._alive_writer = os.pipe()
        study = f"{job.spec.name}@{job.spec.folder}".replace(";", ":")
        self._mark = f"{study}|{os.getpid()}|{tree.started(os.getpid())}|{uuid.uuid4().hex[:8]}|"
        end_strays(f"{study}|")
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, self._mark], stdin=subprocess.PIPE, text=True, process_group=0
        )

    def run(self, study: Study, tick: Callable[[], None] = lambda: None) -> None:
        """Start the workers, watch them, and return when all have ended. Raises `UserError` when workers cannot even start, and
        `Preempted` where this process was told to go and the workers have handed their trials back."""
        try:
            with Notice(self._pass_on) as self._notice:
                for slot in range(self.n_jobs):
                    self._start(slot)
                self._watch(study, tick)
            if self._notice:
                raise Preempted
        finally:
            self.stop()

    def _pass_on(self) -> None:
        """Tell the workers to go: each goes on to its trial's next report."""
        log.warning(
            "told to go: each trial is handed back at its next report, and the same command continues; a second signal ends at once"
        )
        for process in self._processes:
            process.popen.terminate()

    def _watch(self, study: Study, tick: Callable[[], None]) -> None:
        while self._processes:
            time.sleep(POLL_SECONDS)
            for process in list(self._processes):
                process.listen()
                if process.popen.poll() is not None or self._lingers(process):
                    process.listen()
                    self._ended(process)
                elif self._is_overdue(process):
                    self._end_overdue(process, study)
            tick()

    def stop(self) -> None:
        """End every worker at once, and all that they started; their trials continue from their checkpoints in the next run."""
        for process in self._processes:
            process.popen.kill()  # a SIGTERM would let it go on to its trial's next report
        end = time.monotonic() + 5
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(timeout=max(0.0, end - time.monotonic()))
        if self._processes:
            for process in self._processes:
                keeper.kill_group(process.popen.pid)
            keeper.kill_all(lambda: keeper.marked(self._mark))
        for process in self._processes:
            process.popen.wait()
            os.close(process.channel)
        self._processes.clear()
        if self._alive_writer >= 0:
            os.close(self._alive_writer)
            os.close(self._alive)
            self._alive_writer = -1
            os.close(self._payload)
            self._tell_keeper("over")
            with contextlib.suppress(OSError):
                assert self._keeper.stdin is not None
                self._keeper.stdin.close()
            self._keeper.wait()

    def _tell_keeper(self, word: str) -> None:
        with contextlib.suppress(OSError):  # somebody killed it; the kernel ends the workers all the same
            print(word, file=self._keeper.stdin, flush=True)

    def _start(self, slot: int) -> None:
        name = f"worker-{self.first + slot}"
        mark = f"{self._mark}{self._n_started}."
        self._n_started += 1
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        fds = [self._payload, self._alive, writer]
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # Python's own, and not public
        # -P: what lies in the folder where the app was started must not stand in for modules of Python.
        command = [sys.executable, *flags, "-P", "-m", "trivet.sweep.process", name, *map(str, fds)]
        with (self._folder / f"{name}.log").open("ab") as log, _interrupts_deferred():
            popen = subprocess.Popen(
                [*command, str(os.getpid())],
                env=self._environment(slot, mark),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=fds,
                process_group=0,
            )
            os.close(writer)
            self._tell_keeper(f"+{popen.pid}")
            self._processes.append(_Process(name, slot, popen, reader, mark))

    def _environment(self, slot: int, mark: str) -> dict[str, str]:
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(trivet.__file__).parents[1]), *filter(None, [environment.get("PYTHONPATH")])])
        environment[keeper.VARIABLE] = f"{environment.get(keeper.VARIABLE, '')}{mark};"
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        if self.job.threads is not None:
            for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
                environment[variable] = str(self.job.threads)
        return environment

    def _ended(self, process: _Process) -> None:
        """Replace a worker that died or asked for it, after the end of all that it started; otherwise nothing was left for it."""
        self._bury(process)
        end, text = process.end.get("end"), secrets.line(process.end.get("text", ""))
        if end == "done":
            return
        if end == "told":
            raise UserError(f"{process.name}: {text}")
        if end == "disk":
            raise OSError(errno.ENOSPC, "No space left on device, or it may not be written", self.job.spec.folder)
        if end == "fault":
            raise UserError(f"{process.name} broke down: {text}; see {self._folder / (process.name + '.log')}")
        if self._notice:
            return  # nothing is begun any more
        self._fruitless = 0 if end in ("renew", "left") or process.trial is not None or process.n_over else self._fruitless + 1
        if self._fruitless > self.job.spec.max_restarts:
            code, tail = process.popen.returncode, self._tail(process.name)
            raise UserError(
                f"workers end before they begin a trial (exit code {code}): {tail}; see {self._folder / (process.name + '.log')}"
            )
        self._start(process.slot)

    def _bury(self, process: _Process) -> None:
        """End a worker, if it lives, and what it started; a worker that said good-bye has ended the latter itself."""
        group = process.popen.pid
        in_order = bool(process.end) and process.popen.poll() is not None
        if not in_order:
            keeper.kill_group(group)
            keeper.kill_all(lambda: keeper.marked(process.mark))
        process.popen.wait()
        keeper.kill_group(group)
        self._tell_keeper(f"-{group}")
        os.close(process.channel)
        self._processes.remove(process)

    def _lingers(self, process: _Process) -> bool:
        """Whether a worker that has said good-bye does not end: something in it does not let it."""
        return bool(process.end) and time.monotonic() > process.ended + LEAVE_SECONDS

    def _tail(self, name: str) -> str:
        with (self._folder / f"{name}.log").open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return secrets.line(lines[-1][:300]) if lines else "no output"

    def _is_overdue(self, process: _Process) -> bool:
        """Whether a trial hangs where the alarm inside its worker cannot reach."""
        timeout = self.job.trial_timeout
        return timeout is not None and process.trial is not None and time.monotonic() > process.since + timeout + KILL_GRACE_SECONDS

    def _end_overdue(self, process: _Process, study: Study) -> None:
        """End the worker and write the trial's row, or the end of its run, while no other worker can take it over."""
        number, replicate, start = process.trial, process.replicate, time.monotonic()
        assert number is not None
        with study.locks.mutex():
            process.listen()
            if process.trial != number or process.replicate != replicate:
                return  # it has ended after all
            self._bury(process)
            run = study.spec.run_of(number, replicate)
            while not (mine := study.locks.acquire(run)) and time.monotonic() < start + KILL_GRACE_SECONDS:
                time.sleep(0.05)  # a database frees the lock when it sees that the connection has ended
            study.sync()
        if mine:
            self._tell_overdue(process.name, study, number, replicate)
        self._start(process.slot)

    def _tell_overdue(self, worker: str, study: Study, number: int, replicate: int | None) -> None:
        """End what this process holds the lock of by now."""
        timeout, trial = self.job.trial_timeout, study.trials[number]
        outcome = Outcome("FAIL", reason=reason_of(TrialTimeout(), timeout))
        attrs = {"trivet:run": {"worker": worker, "seconds": timeout, "started": ""}} | study.metrics_of(number, replicate).attrs()
        if replicate is not None:
            study.tell_run(number, replicate, run_of(outcome, (), (), attrs))
        elif "trivet:end" in trial.user_attrs or trial.state.is_finished():
            study.locks.release(number)
        else:
            study.tell(number, outcome, attrs)


def _nameless(content: bytes) -> int:
    """An open file that no folder lists: nobody else can read it, and nothing stays behind."""
    fd, path = tempfile.mkstemp()
    os.unlink(path)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    return fd


def end_strays(study: str) -> int:
    """End what is left of this study's earlier sweeps on this machine whose pools are gone, keeper and all; returns how many there were."""

    def strays() -> list[int]:
        found = []
        for pid, marks in keeper.environments():
            for mark in marks.decode(errors="replace").split(";"):
                if mark.startswith(study):
                    pool, start = mark[len(study) :].split("|")[:2]
                    if tree.started(int(pool)) != start:
                        found.append(pid)
        return found

    return keeper.kill_all(strays)


class _interrupts_deferred:
    """Ctrl-C inside counts at the end: a worker is either not started or known, and ended in order. Only a main thread can set this up."""

    def __enter__(self) -> None:
        self._heard = False
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._hear)

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)
            if self._heard:
                signal.raise_signal(signal.SIGINT)

    def _hear(self, *_: object) -> None:
        self._heard = True
