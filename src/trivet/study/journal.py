"""An append-only journal for Optuna's `JournalStorage`.

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
