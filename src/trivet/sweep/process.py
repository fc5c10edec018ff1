"""A worker process: `python -m trivet.sweep.process <name> <payload> <alive> <channel>`, the last three open files of its pool.

It becomes the app (main_module.py), tells the pool over the channel which trial it runs, and says good-bye: an exit without that is a
death, whatever the exit code. What a trial leaves behind ends with the trial, and so does the worker: nobody knows what relied on it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import thread as futures
from dataclasses import replace
from typing import Any, Literal

from omegaconf import OmegaConf

from trivet.errors import UserError, exit_code
from trivet.sweep import main_module, tree
from trivet.sweep.notice import SIGNALS
from trivet.sweep.outcome import is_full
from trivet.sweep.worker import Around, Worker, set_threads

log = logging.getLogger("trivet")

End = Literal["done", "renew", "left", "told", "disk", "fault"]
"""Nothing left; a fresh worker is to go on; told to go, and its trial handed back; an error told in one line; a disk that takes no more; an
exception outside any trial."""


class Channel(Around):
    """What the pool hears: {"begin": number, "replicate": which or null}, {"over": number}, and at last {"end": End, "text": why}."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before: set[tree.Process] = set()
        self._threads: set[threading.Thread] = set()
        self._told = False
        self._told_to_go = False

    def listen(self) -> None:
        """Hear from now on whether this process is told to go: by the machine, by the pool, or by both, which is no more than by one."""
        for number in SIGNALS:
            signal.signal(number, self._hear)

    def _hear(self, *_: object) -> None:
        self._told_to_go = True

    def leaving(self) -> bool:
        return self._told_to_go

    def _send(self, **message: Any) -> None:
        with contextlib.suppress(OSError):  # the pool is gone, and this process about to be
            os.write(self._fd, json.dumps(message).encode() + b"\n")

    def begin(self, number: int, replicate: int | None = None) -> None:
        self._before, self._threads = tree.descendants(), set(threading.enumerate())
        self._send(begin=number, replicate=replicate)

    def end(self, number: int, several: bool) -> bool:
        self._send(over=number)
        left = []
        if tree.has_children() and (n := tree.end_left(self._before)):
            left.append(f"{n} process{'es' * (n > 1)}")
        if threads := _busy_threads(self._threads):
            left.append(f"the thread{'s' * (len(threads) > 1)} {', '.join(t.name for t in threads)}")
        if left:
            print(f"trial {number} left {' and '.join(left)} behind; that ended with it, and a fresh worker goes on", file=sys.stderr)
        return bool(left) or several  # the next training of several processes must not meet the group of this one

    def bye(self, end: End, text: str = "") -> None:
        self._send(end=end, text=text[:4000])


def _busy_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    """Threads that were not there before and would keep a process from ending; those of idle executors end with it."""
    return [
        t for t in threading.enumerate() if t not in before and not t.daemon and t.is_alive() and t not in futures._threads_queues
    ]  # fmt: skip


def _die_with_parent(fd: int) -> None:
    """End this process, and what it has started, when the pool's end of the pipe closes: the pool is gone, however it went."""

    def watch() -> None:
        while os.read(fd, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _read(fd: int) -> bytes:
    """The whole of an open file that others read as well."""
    size, content = os.fstat(fd).st_size, bytearray()
    while len(content) < size:
        content += os.pread(fd, size - len(content), len(content))
    return bytes(content)


def work(name: str, payload: int, channel: Channel) -> None:
    """Run the worker, and say good-bye in the way that fits."""
    try:
        plan, task_function = main_module.unpack(_read(payload))
        os.close(payload)
        plan = replace(plan, task_function=task_function)
        set_threads(plan.threads)
        channel.listen()
        OmegaConf.set_readonly(plan.config, True)
        channel.bye(Worker(plan, name, channel).run())
    except (UserError, OSError) as error:
        with contextlib.suppress(OSError):  # the log is on that same full disk
            print(f"error: {error}", file=sys.stderr)
        channel.bye("disk" if is_full(error) else "told", str(error))
    except Exception as error:  # a fault of ours, not of a trial: the pool must not take it for a trial that kills its worker
        traceback.print_exc()
        channel.bye("fault", f"{type(error).__name__}: {error}")


def leave() -> None:
    """End in order, but do not wait for threads that a trial left, nor for a disk that is full."""
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(0)


def main(argv: Sequence[str]) -> None:
    """Entry: see the module. `UserError` for words that no pool has given."""
    if len(argv) != 5 or not all(word.isdecimal() for word in argv[1:]):  # a launcher of ranks has run the trial's `__main__` again
        raise UserError("an app without a file (python -c, a notebook) cannot train in several processes; put it into a script")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends its workers in order
    name, (payload, alive, channel, parent) = argv[0], map(int, argv[1:])
    for fd in (payload, alive, channel):
        os.set_inheritable(fd, False)
    tree.die_with(parent)
    tree.adopt_orphans()
    _die_with_parent(alive)
    work(name, payload, Channel(channel))
    leave()


if __name__ == "__main__":
    # As `trivet.sweep.process`, not `__main__`, which becomes the app.
    from trivet.sweep.process import main as entry

    sys.exit(exit_code(lambda: entry(sys.argv[1:])))
