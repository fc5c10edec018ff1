"""The processes that a trial starts: which are there, and the end of those that it leaves behind. Linux knows all of them (/proc)."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Set
from pathlib import Path

from trivet.sweep import keeper

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>

SERVANTS = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver", b"backend.resource_tracker", b"_inductor/compile_worker")
"""Commands of processes that a library starts once for all that comes later; they hold nothing of a trial, and end with its worker."""

Process = tuple[int, str]
"""A process id and when it started, which together are never used again."""


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def die_with(parent: int) -> None:
    """Let the kernel end this process when the thread that started it ends, even while it is stuck in C. Linux only."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if sys.platform == "linux" and os.getppid() != parent:  # it was gone before we asked
        os._exit(1)


def adopt_orphans() -> None:
    """What this process's descendants leave behind becomes its child, whatever session it has gone to. Linux only."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def started(pid: int) -> str | None:
    """When a process started, in clock ticks since the machine did; None where there is none."""
    fields = _stat(pid)
    return fields[19] if fields else None


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def has_children() -> bool:
    """Whether this process has any child, living or not waited for. One system call."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except (AttributeError, OSError):  # no such call on this system
        return True
    return True


def descendants(pid: int | None = None) -> set[Process]:
    """The living processes below a process (this one: None), servants left out."""
    if pid is None and not has_children():
        return set()
    found: set[Process] = set()
    waiting = [(child, b"") for child in _children(os.getpid() if pid is None else pid)]
    while waiting:
        one, above = waiting.pop()
        fields = _stat(one)
        if not fields:
            continue
        try:
            command = Path(f"/proc/{one}/cmdline").read_bytes()
        except OSError:
            command = b""
        waiting += [(child, command) for child in _children(one)]
        # A server's forks have its command line, and are not servers.
        is_servant = command != above and any(name in command for name in SERVANTS)
        if fields[0] not in "ZX" and not is_servant:
            found.add((one, fields[19]))
    return found


def end_left(before: Set[Process]) -> int:
    """End the processes below this one that were not there `before`; returns how many did not end in order when they were let go."""
    if not has_children():
        return 0
    _shut_loky()
    if descendants() - before:
        gc.collect()  # iterators and pools that nobody holds any more end their helpers in order
    handler = signal.getsignal(signal.SIGCHLD) if threading.current_thread() is threading.main_thread() else None
    if handler is not None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's own raises when a data loader's process is killed
    try:
        n_left = keeper.kill_all(lambda: [pid for pid, _ in descendants() - before])
        _reap({pid for pid, _ in before})
        return n_left
    finally:
        if handler is not None:
            signal.signal(signal.SIGCHLD, handler)


def _reap(others: Set[int]) -> None:
    """Wait for the children that are dead, `others` left alone: one that is not waited for stays in the table of processes."""
    for pid in _children(os.getpid()):
        if pid not in others:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _shut_loky() -> None:
    """End joblib's pool in order: killed, the next call to it would find it broken."""
    for name in ("joblib.externals.loky.reusable_executor", "loky.reusable_executor"):
        executor = getattr(sys.modules.get(name), "_executor", None)
        if executor is not None:
            with contextlib.suppress(Exception):
                executor.shutdown(wait=True, kill_workers=True)
