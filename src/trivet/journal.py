"""An append-only journal for Optuna's `JournalStorage`, and locks that die with their owner.

The file is what `JournalFileBackend` reads and writes, so `optuna-dashboard <folder>/journal.log` opens it. What differs:
a line that a killed writer left half written is cut off before the next append, a lock held by a killed process is free
at once (`flock` is dropped by the kernel), a reader remembers its place, and several records can be appended at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend


class Journal(BaseJournalBackend):
    """Records as JSON lines in `path`, shared by processes on one file system that supports `flock` (local disks, NFSv4).

    An append that fails half-way (a full disk) is taken back and raises `OSError`; what was written before stays readable.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except PermissionError:  # somebody else's: to read it is enough to look at it
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self._next = (0, 0)  # number and byte offset of the record to read next
        self._held: list[dict[str, Any]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the records from number `log_number_from` on; a last line without a newline is not a record yet."""
        number, offset = self._next if log_number_from >= self._next[0] else (0, 0)
        if os.fstat(self._fd).st_size <= offset:
            return
        fcntl.flock(self._fd, fcntl.LOCK_SH)  # not in the middle of an append, which a full disk may take back
        try:
            data = os.pread(self._fd, os.fstat(self._fd).st_size - offset, offset)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
            number, offset = number + 1, offset + len(line)
            self._next = (number, offset)
            if number > log_number_from:
                yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records; inside `batch()` they are kept until it ends."""
        if self._held is not None:
            self._held.extend(logs)
            return
        data = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            end = self._cut_torn_line()
            written = 0
            try:
                while written < len(data):
                    written += os.pwrite(self._fd, data[written:], end + written)
            except OSError:
                os.ftruncate(self._fd, end)
                raise
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _cut_torn_line(self) -> int:
        """Drop what follows the last newline (its writer was killed) and return the size. Call it under the lock."""
        size = os.fstat(self._fd).st_size
        end = size
        while end > 0:
            start = max(0, end - 4096)
            newline = os.pread(self._fd, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._fd, end)
        return end

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Append what is written inside in one go when the block ends without an error."""
        self._held = []
        try:
            yield
            held = self._held
        finally:
            self._held = None
        if held:
            self.append_logs(held)


class FileLocks:
    """Named locks as files in a folder; a lock is free the moment its process ends, however it ends."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._mutex = os.open(self.folder / "mutex", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._held: dict[int, int] = {}

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
        os.close(self._mutex)


class PostgresLocks:
    """The same over PostgreSQL's advisory locks, for workers that share no disk; a lock is free when its connection ends."""

    def __init__(self, engine: Any, study_id: int) -> None:
        from sqlalchemy import text

        self._text = text
        self._space = 0x7219 << 16 | (study_id & 0xFFFF)
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._held: set[int] = set()

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
        self._connection.close()
