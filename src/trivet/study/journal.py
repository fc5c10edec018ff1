"""An append-only journal for Optuna's `JournalStorage`.

The file is what `JournalFileBackend` reads and writes, so `optuna-dashboard <folder>/journal.log` opens it. What differs:
a line that a killed writer left half written is cut off before the next append, a lock held by a killed process is free
at once (`flock` is dropped by the kernel), a reader remembers its place, and several records can be appended at once.

Each record ends in `"trivet":[number, checksum]`, which Optuna does not look at: a line that was changed, lost, doubled or moved is told
with its number. Lines without it, of journals from before and of Optuna's own tools, are read as they are.
"""

from __future__ import annotations

import abc
import contextlib
import fcntl
import json
import os
import shlex
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.exceptions import OptunaError
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from trivet.errors import UserError

_MARK = b',"trivet":['


class Batching(BaseJournalBackend):
    """A backend that may keep records while a block runs; its `append_logs` puts them into `_held` where that is a list."""

    paused = False  # whether nothing new is looked for
    _held: list[dict[str, Any]] | None = None

    @abc.abstractmethod
    def damaged(self, line: int, what: str) -> UserError:
        """The error that tells of a damaged line (from 1), and how to go on from what stands before it."""

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


class Journal(Batching):
    """Records as JSON lines in `path`, shared by processes on one file system that supports `flock` (local disks, NFSv4).

    An append that fails half-way (a full disk) is taken back and raises `OSError`; what was written before stays readable.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._open(path)

    def _open(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except PermissionError:  # somebody else's: to read it is enough to look at it
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self._next = (0, 0)  # number and byte offset of the record to read next
        self._counted = (0, 0)  # records before a byte offset, as last counted to append
        self.paused = False

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._open(state["path"])

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the records from number `log_number_from` on; a last line without a newline is not a record yet."""
        if self.paused:
            return
        number, offset = self._next if log_number_from >= self._next[0] else (0, 0)
        if os.fstat(self._fd).st_size <= offset:
            return
        fcntl.flock(self._fd, fcntl.LOCK_SH)  # not in the middle of an append, which a full disk may take back
        try:
            data = os.pread(self._fd, os.fstat(self._fd).st_size - offset, offset)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        for line in data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]:
            record = self._record(line, number, offset)
            number, offset = number + 1, offset + len(line) + 1
            self._next = (number, offset)
            if number > log_number_from:
                yield record

    def _record(self, line: bytes, number: int, offset: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise self.damaged(number + 1, "is no record", offset)
        mark = record.pop("trivet", None)
        if mark is None:
            return record
        at = line.rfind(_MARK)
        if not isinstance(mark, list) or len(mark) != 2 or mark[1] != _checksum(line[:at], mark[0]):
            raise self.damaged(number + 1, "was changed", offset)
        if mark[0] != number:
            raise self.damaged(number + 1, f"was line {mark[0] + 1} when it was written", offset)
        return record

    def damaged(self, line: int, what: str, offset: int | None = None) -> UserError:
        """The error that tells of a damaged line (from 1), and how to go on from what stands before it."""
        if offset is None:
            offset = len(b"".join(self.path.read_bytes().splitlines(keepends=True)[: line - 1]))
        command = f"truncate -s {offset} {shlex.quote(str(self.path))}"
        return UserError(f"{self.path}: line {line} {what}; what stands before it is whole: to go on from there, cut it: {command}")

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records; inside `batch()` they are kept until it ends."""
        if self._held is not None:
            self._held.extend(logs)
            return
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            end = self._cut_torn_line()
            first = self._count(end)
            data = b"".join(_line(log, first + i) for i, log in enumerate(logs))
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

    def _count(self, end: int) -> int:
        """How many records there are before the byte `end`, which is the end of one. Call it under the lock."""
        number, offset = self._counted if self._counted[1] <= end else (0, 0)
        while offset < end:
            part = os.pread(self._fd, min(1 << 20, end - offset), offset)
            number, offset = number + part.count(b"\n"), offset + len(part)
        self._counted = (number, offset)
        return number


class Records(JournalStorage):
    """Optuna's storage over a journal; a record that it cannot apply is told as damage. Raises `UserError` for that."""

    @property
    def journal(self) -> Batching:
        """Where the records are kept."""
        assert isinstance(self._backend, Batching)
        return self._backend

    @contextlib.contextmanager
    def as_of_now(self) -> Iterator[None]:
        """Read what is new once, and nothing more inside the block."""
        self.get_all_studies()
        self.journal.paused = True
        try:
            yield
        finally:
            self.journal.paused = False

    def _sync_with_backend(self) -> None:
        try:
            super()._sync_with_backend()
        except (OptunaError, UserError, OSError):
            raise
        except Exception as error:
            if isinstance(error, KeyError) and str(error.args[0]).startswith("Record does not exist"):
                raise  # asked for what is not there (yet)
            raise self.journal.damaged(self._replay_result.log_number_read, f"makes no sense ({type(error).__name__}: {error})") from None


def _line(log: dict[str, Any], number: int) -> bytes:
    """A record as a line, with its number and checksum as the last of its keys."""
    head = json.dumps(log, separators=(",", ":")).encode()[:-1]
    return b'%s%s%d,"%s"]}\n' % (head, _MARK if log else _MARK[1:], number, _checksum(head, number).encode())


def _checksum(head: bytes, number: Any) -> str:
    """Of a record's bytes before its mark, and of its number."""
    return f"{zlib.crc32(head, zlib.crc32(str(number).encode())):08x}"
