"""Who runs which trial: locks that are free the moment their owner is gone, as files of a folder or in PostgreSQL.

A lock is its process's alone: a helper that a trial forks (a data loader, a pool) would hold it for as long as it lives, so each fork
lets go of what it inherited.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_open: weakref.WeakSet[Any] = weakref.WeakSet()
"""Every holder of locks in this process."""


def own(locks: Any) -> None:
    """Let forks of this process let go of the files or connections that `locks.fds()` names."""
    _open.add(locks)


def _let_go() -> None:
    """In a fork: put nothing in the place of each lock's file or connection. Closed, its number could come to mean another file."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for locks in _open:
        for fd in locks.fds():
            with contextlib.suppress(OSError):
                os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)


os.register_at_fork(after_in_child=_let_go)


class FileLocks:
    """Named locks as files in a folder; a lock is free the moment its process ends, however it ends."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._mutex = os.open(self.folder / "mutex", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._held: dict[int, int] = {}
        own(self)

    def fds(self) -> list[int]:
        """The open files that stand for locks."""
        return [self._mutex, *self._held.values()]

    @contextlib.contextmanager
    def mutex(self) -> Iterator[None]:
        """Hold the one lock under which trials are claimed."""
        fcntl.flock(self._mutex, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._mutex, fcntl.LOCK_UN)

    def acquire(self, number: int) -> bool:
        """Take the lock of trial `number` for this process; False where a living process holds it. Call it under `mutex`."""
        if number in self._held:
            return False
        while True:
            fd = os.open(self.folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                return False
            if os.fstat(fd).st_nlink:
                self._held[number] = fd
                return True
            os.close(fd)  # its owner gave it back and removed the file after we had opened it: others would not find this lock

    def release(self, number: int) -> None:
        """Give the lock of trial `number` back and remove its file."""
        fd = self._held.pop(number, None)
        if fd is not None:
            (self.folder / str(number)).unlink(missing_ok=True)
            os.close(fd)

    def close(self) -> None:
        """Give every lock back."""
        for number in list(self._held):
            self.release(number)
        _open.discard(self)
        os.close(self._mutex)


class PostgresLocks:
    """The same over PostgreSQL's advisory locks, for workers that share no disk; a lock is free when its connection ends."""

    def __init__(self, engine: Any, study_id: int) -> None:
        from sqlalchemy import text

        self._text = text
        self._space = 0x7219 << 16 | (study_id & 0xFFFF)
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._held: set[int] = set()
        own(self)

    def fds(self) -> list[int]:
        """The connection that stands for the locks."""
        driver = self._connection.connection.dbapi_connection
        return [driver.fileno()] if driver is not None and hasattr(driver, "fileno") else []

    def _call(self, function: str, key: int) -> Any:
        return self._connection.execute(self._text(f"select {function}(:space, :key)"), {"space": self._space, "key": key}).scalar()

    @contextlib.contextmanager
    def mutex(self) -> Iterator[None]:
        """Hold the one lock under which trials are claimed."""
        self._call("pg_advisory_lock", -1)
        try:
            yield
        finally:
            self._call("pg_advisory_unlock", -1)

    def acquire(self, number: int) -> bool:
        """Take the lock of trial `number`; False where another connection holds it. Call it under `mutex`."""
        if number in self._held or not self._call("pg_try_advisory_lock", number):
            return False
        self._held.add(number)
        return True

    def release(self, number: int) -> None:
        """Give the lock of trial `number` back."""
        if number in self._held:
            self._held.discard(number)
            self._call("pg_advisory_unlock", number)

    def close(self) -> None:
        """Give every lock back."""
        _open.discard(self)
        self._connection.close()
