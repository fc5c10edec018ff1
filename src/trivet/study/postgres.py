"""A study in PostgreSQL, for workers that share no disk: journal, locks and files of trials, over one connection.

The journal is Optuna's, a row for each append; a reader asks for what is new, and a writer gets it with its answer. A connection that
drops is taken again for `timeout` seconds, and so are the locks that it held. Nothing is lost or written twice by that: each append has a
token of its own.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import make_url

from trivet import secrets
from trivet.errors import StorageGone, UserError
from trivet.study.journal import Batching
from trivet.study.locks import own

KEEP_SECONDS = 1.0
"""How often a lost connection is noticed while a trial computes: its locks must be taken again before others take the trial."""
GRACE_SECONDS = 10.0
"""How long after a start of the server nobody takes a trial over: the workers that run them are on their way back."""
LONGEST_PAUSE = 2.0
CHUNK = 1 << 22  # bytes of a file in one row

_TABLES = """
create table if not exists trivet_studies (id serial primary key, name text not null unique);
create table if not exists trivet_journal
  (id bigserial primary key, study int not null, token text not null unique, records text not null);
create index if not exists trivet_journal_of_a_study on trivet_journal (study, id);
create table if not exists trivet_metrics
  (study int not null, trial int not null, step bigint not null, metrics text not null, primary key (study, trial, step));
create table if not exists trivet_files
  (study int not null, trial int not null, name text not null, part int not null, content bytea not null,
   primary key (study, trial, name, part));
"""
_SPACE = 0x7219 << 16 | 0x8000  # of advisory locks; studies in Optuna's own tables have the lower half
_ANY_STUDY = -2  # number of the lock under which tables and studies are made
_ORDER, _MUTEX = -3, -1  # of a study's locks: appends stand in the order in which they are seen; claims exclude each other


Cursor = Any  # psycopg2 has no types
_LOCK = "select pg_advisory_lock(%(space)s, %(key)s)"
_UNLOCK = "select pg_advisory_unlock(%(space)s, %(key)s)"


def _rows(cursor: Cursor, statement: str, **values: Any) -> Sequence[Any]:
    cursor.execute(statement, values or None)
    return cursor.fetchall() if cursor.description is not None else []


class Database:
    """The connection to a server, shared by threads. `study` is the number of the study `name` in it.

    `make`: whether a new study is made, else `KeyError` where there is none; `patient`: whether even the first connection is tried for
    `timeout` seconds. `shown` is the URL as messages show it.
    """

    def __init__(self, url: str, name: str, timeout: float, shown: str, make: bool = True, patient: bool = True) -> None:
        self._timeout, self._shown, self._make = timeout, secrets.text(shown), make
        keep = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}  # notice a dead server soon
        address = make_url(url).set(drivername="postgresql+psycopg2")
        self._words, named = address.get_dialect()().create_connect_args(address)
        self._named = {**keep, **named}
        self._connection: Any = None
        self._lock = threading.RLock()
        self._me = f"trivet-{uuid.uuid4().hex[:12]}"
        self.on_connect: list[Callable[[Cursor], None]] = []
        if not patient:
            self._connect()
        self.study = int(self.retried(lambda cursor: self._open(cursor, name)))

    @property
    def connection(self) -> Any:
        """The present connection; None between two."""
        return self._connection

    def _open(self, cursor: Cursor, name: str) -> int:
        find = "select id from trivet_studies where name = %(name)s"
        if _rows(cursor, "select to_regclass('trivet_studies')")[0][0] is not None and (found := _rows(cursor, find, name=name)):
            return int(found[0][0])
        if not self._make:
            raise KeyError(name)
        lock = {"space": _SPACE, "key": _ANY_STUDY}
        _rows(cursor, _LOCK, **lock)
        try:
            _rows(cursor, _TABLES)
            _rows(cursor, "insert into trivet_studies (name) values (%(name)s) on conflict do nothing", name=name)
        finally:
            _rows(cursor, _UNLOCK, **lock)
        return int(_rows(cursor, find, name=name)[0][0])

    def rows(self, statement: str, **values: Any) -> Sequence[Any]:
        """Run a statement (or several, as one transaction), again where the connection drops: it must bear that.

        Returns the rows of the last one.
        """
        return self.retried(lambda cursor: _rows(cursor, statement, **values))

    def retried(self, work: Callable[[Cursor], Any]) -> Any:
        """What `work` returns; done again with a new connection where that drops. Raises `StorageGone` after `timeout` seconds."""
        until, pause = None, 0.05
        with self._lock:
            while True:
                try:
                    with (self._connection or self._connect()).cursor() as cursor:
                        return work(cursor)
                except psycopg2.Error as error:
                    if self._connection is not None and not self._connection.closed and not _is_of_the_connection(error):
                        raise
                    self._drop()
                    until = time.monotonic() + self._timeout if until is None else until
                    if time.monotonic() + pause > until:
                        gone, self._timeout = self._gone(error), 0.0  # so long is waited once
                        raise gone from None
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)

    def _connect(self) -> Any:
        self._connection = psycopg2.connect(*self._words, **self._named)
        try:
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                _rows(cursor, "set application_name = %(me)s", me=self._me)
                # A connection that only this side knows to be gone would keep the locks.
                _rows(
                    cursor,
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %(me)s and pid <> pg_backend_pid()",
                    me=self._me,
                )
                for take_again in self.on_connect:
                    take_again(cursor)
        except BaseException:
            self._drop()
            raise
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg2.Error):  # it is gone already
                connection.close()

    def _gone(self, error: Exception) -> StorageGone:
        return StorageGone(
            f"hydra.sweeper.storage={self._shown}: gone for {self._timeout:g} s (storage_timeout): {_cause(error)}; "
            "the same command continues when it is back"
        )

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._drop()


def _is_of_the_connection(error: psycopg2.Error) -> bool:
    """Whether an error says that the server is away, and not that a statement is wrong."""
    return isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)) or type(error) is psycopg2.DatabaseError


def _cause(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class PostgresJournal(Batching):
    """Optuna's journal as rows of a table; what it holds of one study."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._next = 0  # number of the record to read next
        self._read_to = 0  # id of the last row read
        self._come: list[dict[str, Any]] = []  # read with an append, not asked for yet
        self._fresh = False
        self.paused = False

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the records from number `log_number_from` on."""
        if self.paused or self._held is not None:
            return
        if log_number_from < self._next:
            self._next = self._read_to = 0
            self._come, self._fresh = [], False
        if not self._fresh:
            self._take(self.database.rows(_NEW, study=self.database.study, after=self._read_to))
        self._fresh = False
        while self._come:
            record = self._come.pop(0)
            self._next += 1
            if self._next > log_number_from:
                yield record

    def _take(self, rows: Sequence[Any]) -> None:
        for row, records in rows:
            self._read_to = max(self._read_to, int(row))
            self._come += [json.loads(line) for line in records.split("\n")]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, all or none, and read what is new on the same way; inside `batch()` they are kept until it ends."""
        if self._held is not None:
            self._held.extend(logs)
            return
        records = "\n".join(json.dumps(log, separators=(",", ":")) for log in logs)
        study = self.database.study
        values = {"study": study, "token": uuid.uuid4().hex, "records": records, "after": self._read_to}
        order = {"space": _SPACE | (study & 0x7FFF), "key": _ORDER}
        # One message with several statements: to the server that is one transaction, and to us one way there and back.
        self._take(self.database.rows(f"{_IN_ORDER}; {_INSERT}; {_NEW}", **values, **order))
        self._fresh = True

    def damaged(self, line: int, what: str) -> UserError:
        """The error that tells of a record that cannot be used."""
        return UserError(f"trivet_journal: record {line} of study {self.database.study} {what}; another study_name begins anew")


_IN_ORDER = "select pg_advisory_xact_lock(%(space)s, %(key)s)"
_INSERT = "insert into trivet_journal (study, token, records) values (%(study)s, %(token)s, %(records)s) on conflict (token) do nothing"
_NEW = "select id, records from trivet_journal where study = %(study)s and id > %(after)s order by id"


class PostgresClaims:
    """Who runs which trial: advisory locks, free when their connection ends. `lost` are those that another worker took meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._space = _SPACE | (database.study & 0x7FFF)
        self._held: set[int] = set()
        self.lost: set[int] = set()
        self._in_mutex = False
        self._over = threading.Event()
        database.on_connect.append(self._take_again)
        own(self)
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def fds(self) -> list[int]:
        """The connection, which a fork must not keep open."""
        connection = self._database.connection
        return [connection.fileno()] if connection is not None and not connection.closed else []

    def _keep(self) -> None:
        while not self._over.wait(KEEP_SECONDS):
            with contextlib.suppress(UserError):  # the worker itself is told when it asks for something
                if self._held:
                    self._database.rows("select 1")

    def _take_again(self, cursor: Cursor) -> None:
        if self._in_mutex:
            _rows(cursor, _LOCK, space=self._space, key=_MUTEX)
        for number in sorted(self._held):
            for pause in (0.05, 0.2, 1.0, 0.0):  # a connection of ours that the server is just ending may hold it
                if self._try(cursor, number):
                    break
                time.sleep(pause)
            else:
                self._held.discard(number)
                self.lost.add(number)

    def _try(self, cursor: Cursor, number: int) -> bool:
        return bool(_rows(cursor, "select pg_try_advisory_lock(%(space)s, %(key)s)", space=self._space, key=number)[0][0])

    @contextlib.contextmanager
    def mutex(self) -> Iterator[None]:
        """Hold the one lock under which trials are claimed."""
        self._database.rows(_LOCK, space=self._space, key=_MUTEX)
        self._in_mutex = True
        try:
            yield
        finally:
            self._in_mutex = False
            self._database.rows(_UNLOCK, space=self._space, key=_MUTEX)

    def acquire(self, number: int) -> bool:
        """Take the lock of trial `number`; False where another connection holds it. Call it under `mutex`."""
        if number in self._held or not self._database.retried(lambda cursor: self._try(cursor, number)):
            return False
        self._held.add(number)
        self.lost.discard(number)
        return True

    def release(self, number: int) -> None:
        """Give the lock of trial `number` back."""
        if number in self._held:
            self._held.discard(number)
            self._database.rows(_UNLOCK, space=self._space, key=number)

    def owners_may_return(self) -> bool:
        """Whether the server began so lately that workers which lost their locks by that may not have them back yet."""
        age = "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())"
        return float(self._database.rows(age)[0][0]) < GRACE_SECONDS

    def close(self) -> None:
        """Give every lock back: they end with the connection."""
        self._over.set()
        self._held.clear()
        self._database.close()


class TrialFiles:
    """What belongs to a trial and must outlive the disk of its machine: metrics of its steps, and files that are published."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_metrics(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the metrics of a step; those of a step that is known already change nothing."""
        insert = "insert into trivet_metrics values (%(study)s, %(trial)s, %(step)s, %(metrics)s) on conflict do nothing"
        self._database.rows(insert, study=self._database.study, trial=number, step=step, metrics=json.dumps(dict(metrics)))

    def metrics(self, number: int) -> dict[int, dict[str, float]]:
        """The metrics that a trial has reported, by step."""
        found = self._database.rows(
            "select step, metrics from trivet_metrics where study = %(study)s and trial = %(trial)s",
            study=self._database.study,
            trial=number,
        )
        return {int(step): json.loads(metrics) for step, metrics in found}

    def keep(self, number: int, name: str, path: Path) -> None:
        """Store a file of a trial, in place of an earlier one of that name."""
        where = {"study": self._database.study, "trial": number, "name": name}
        with path.open("rb") as file:
            part = -1
            for part, content in enumerate(iter(lambda: file.read(CHUNK), b"")):
                self._put(where, part, content)
            if part < 0:
                part = 0
                self._put(where, part, b"")
        delete = "delete from trivet_files where study = %(study)s and trial = %(trial)s and name = %(name)s and part > %(part)s"
        self._database.rows(delete, **where, part=part)

    def _put(self, where: Mapping[str, Any], part: int, content: bytes) -> None:
        put = "insert into trivet_files values (%(study)s, %(trial)s, %(name)s, %(part)s, %(content)s) "
        put += "on conflict (study, trial, name, part) do update set content = excluded.content"
        self._database.rows(put, **where, part=part, content=content)

    def fetch(self, folder: Path, names: Sequence[str], place_of: Callable[[int], str] = str) -> None:
        """Write the stored files of these names that are not in the trials' folders here: they come from other machines. `place_of` a
        number: its folder's name in `folder`."""
        listed = "select distinct trial, name from trivet_files where study = %(study)s order by trial, name"
        get = "select content from trivet_files where study = %(study)s and trial = %(trial)s and name = %(name)s and part = %(part)s"
        for number, name in self._database.rows(listed, study=self._database.study):
            path = folder / place_of(number) / name
            if name not in names or path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.fetched")
            with draft.open("wb") as file:
                part = 0
                while found := self._database.rows(get, study=self._database.study, trial=number, name=name, part=part):
                    file.write(bytes(found[0][0]))
                    part += 1
            draft.replace(path)
