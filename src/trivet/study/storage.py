"""Where a study is kept: an embedded journal or a database, and its trials as they are read from there."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import uuid
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial

from trivet import secrets
from trivet.errors import UserError
from trivet.study.journal import Journal, Records
from trivet.study.locks import FileLocks, PostgresLocks

JOURNAL = "journal.log"


def open_storage(url: str | None, folder: str | Path, name: str = "", timeout: float = 60.0, make: bool = True) -> BaseStorage:
    """The journal in `folder`, or the database at `url`, in which `name` is the study.

    A server that is gone is tried again for `timeout` seconds. Raises `UserError` where a storage cannot be reached, and
    `KeyError` where `make` is False and a server holds no such study.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of every study that it makes
    if url is None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        return Records(Journal(Path(folder) / JOURNAL))
    found = _with_environment(url)
    try:
        if _speaks_postgres(found) and not _in_optunas_tables(found, name):
            from trivet.study.postgres import Database, PostgresJournal

            return Records(PostgresJournal(Database(found, name, timeout, url, make)))
        return open_optunas(url, timeout)
    except (UserError, KeyError):
        raise
    except Exception as error:  # SQLAlchemy and its drivers raise errors of many families here; all mean the same to the user
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"hydra.sweeper.storage={url}: cannot be opened ({cause}); give a reachable URL, or null for a file") from None


MIRRORED = "trivet:mirror"
"""System attribute of a study in Optuna's tables that is a copy (mirror.py) of one in ours."""


def open_optunas(url: str, timeout: float = 60.0) -> BaseStorage:
    """Optuna's own tables in a database, made where they are missing. Raises what its drivers raise.

    A server without locks (MySQL) is tried again for `timeout` seconds; PostgreSQL's would be lost meanwhile.
    """
    found = _with_environment(url)
    if found.startswith("sqlite"):  # a file is waited for while others write to it
        return get_storage(RDBStorage(found, engine_kwargs={"connect_args": {"timeout": 60}}))
    kwargs = {"pool_pre_ping": True}  # a server ends connections that nobody used for long
    if found.startswith("postgresql"):
        return get_storage(RDBStorage(found, engine_kwargs=kwargs))  # with Optuna's cache: finished trials are not read again
    from trivet.study.patient import PatientStorage

    return get_storage(PatientStorage(found, timeout, url, engine_kwargs=kwargs))


def check_reachable(url: str) -> None:
    """Raise `UserError` where a database cannot be opened now; nothing is made in it."""
    found = _with_environment(url)
    if not _speaks_postgres(found):
        close(open_storage(url, "."))
        return
    from trivet.study.postgres import Database

    try:
        with contextlib.suppress(KeyError):  # no such study yet
            Database(found, "", 0.0, url, make=False, patient=False).close()
    except UserError:
        raise
    except Exception as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise UserError(f"hydra.sweeper.storage={url}: cannot be opened ({cause}); give a reachable URL, or null for a file") from None


def from_root(url: str, root: Path) -> str:
    """The URL of an SQLite file with its path from the root on: a relative one would name another file in each working directory."""
    found = re.fullmatch(r"(sqlite(?:\+\w+)?:///)(?!file:)([^?]*)(\?.*)?", url)
    if found is None or os.path.isabs(_with_environment(found[2])):
        return url
    return f"{found[1]}{root / found[2]}{found[3] or ''}"


def in_own_tables(url: str) -> bool:
    """Whether new studies at this URL are kept in tables of trivet's own, where Optuna's tools would find none."""
    return _speaks_postgres(_with_environment(url))


def _speaks_postgres(url: str) -> bool:
    """Whether a URL is PostgreSQL's, by the driver of the extra `postgres`: those studies are kept in tables of trivet's own."""
    return re.match(r"postgresql(\+psycopg2)?://", url) is not None


def _in_optunas_tables(url: str, name: str) -> bool:
    """Whether a study is there that was begun in Optuna's own tables: it goes on in them. A copy of one of ours is none."""
    from sqlalchemy import create_engine, inspect, text
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("studies"):
                return False
            copied = "select 1 from study_system_attributes a where a.study_id = s.study_id and a.key = :mirrored"
            found = text(f"select 1 from studies s where study_name = :name and not exists ({copied})")
            return connection.execute(found, {"name": name, "mirrored": MIRRORED}).first() is not None
    except DBAPIError:  # the server is away: who opens the study next waits for it
        return False


def _with_environment(url: str) -> str:
    """`${oc.env:NAME}` in a URL as the environment has it: files and messages keep what is written. PostgreSQL's driver is psycopg2, that
    of the extra `postgres`, where the URL names none.

    A password that was masked in a file is left out: PGPASSWORD or ~/.pgpass may give it.
    """
    try:
        found = str(OmegaConf.create({"url": url.replace(f":{secrets.MASK}@", "@")}).url)
        return with_driver(found)
    except OmegaConfBaseException as error:
        raise UserError(f"hydra.sweeper.storage={url}: {str(error).splitlines()[0]}") from None


def with_driver(url: str) -> str:
    """The URL with PostgreSQL's driver in it: the one that SQLAlchemy would take varies with its version."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", url)


def open_locks(storage: BaseStorage, study_id: int, folder: str | Path) -> Any:
    """The locks of a study: in its database where that has any, else files in its folder."""
    backend = getattr(storage, "_backend", None)
    if isinstance(backend, BaseJournalBackend) and not isinstance(backend, Journal):
        from trivet.study.postgres import PostgresClaims, PostgresJournal

        assert isinstance(backend, PostgresJournal)
        return PostgresClaims(backend.database)
    engine = getattr(backend, "engine", None)
    if engine is not None and engine.dialect.name == "postgresql":
        return PostgresLocks(engine, study_id)
    locks = FileLocks(Path(folder) / "claims")
    if engine is not None:
        _check_home(storage, study_id, locks.folder)
    return locks


HOME = "trivet:home"
"""Attribute of a study in a database without locks: whose files lock its trials."""


def _check_home(storage: BaseStorage, study_id: int, claims: Path) -> None:
    """Raise `UserError` where another folder's files lock this study's trials: each side would run them all."""
    with contextlib.suppress(FileExistsError), (claims / "home").open("x") as file:
        file.write(uuid.uuid4().hex)
    mine = {"token": (claims / "home").read_text(), "host": socket.gethostname(), "folder": str(claims.parent)}
    found = storage.get_study_user_attrs(study_id).get(HOME)
    removed = found is not None and found["host"] == mine["host"] and not Path(found["folder"], "claims").exists()
    if found is None or removed:
        storage.set_study_user_attr(study_id, HOME, mine)
        found = storage.get_study_user_attrs(study_id)[HOME]
    if found["token"] != mine["token"]:
        raise UserError(
            f"hydra.sweep.dir={claims.parent}: files in {found['folder']} on {found['host']} lock this study's trials; run it there, "
            "or on machines that share no disk with a PostgreSQL storage"
        )


def batch(storage: BaseStorage) -> contextlib.AbstractContextManager[None]:
    """What is written inside reaches a journal in one go; a database has transactions of its own."""
    return storage.journal.batch() if isinstance(storage, Records) else contextlib.nullcontext()


def close(storage: BaseStorage) -> None:
    """Give a database's connection back."""
    backend = getattr(storage, "_backend", None)
    if isinstance(backend, RDBStorage):
        backend.remove_session()
    database = getattr(backend, "database", None)
    if database is not None:
        database.close()


def files_of(storage: BaseStorage) -> Any:
    """Where a trial's metrics and files are kept beside its folder: in the database, for machines that share no disk; None elsewhere."""
    database = getattr(getattr(storage, "_backend", None), "database", None)
    if database is None:
        return None
    from trivet.study.postgres import TrialFiles

    return TrialFiles(database)


class Trials:
    """A study's trials as last read. `read` fetches what can have changed, so its cost does not grow with the study."""

    def __init__(self, storage: BaseStorage, study_id: int) -> None:
        self._storage, self._study_id = storage, study_id
        self.all: list[FrozenTrial] = []
        self.unfinished: list[int] = []

    def read(self) -> None:
        """Read the trials that were not finished, and those that are new."""
        while True:
            with contextlib.suppress(UpdateFinishedTrialError):  # a record of ours came after another worker had finished the trial:
                self._read()  # it is skipped, and reading goes on behind it
                return

    def _read(self) -> None:
        n_known = len(self.all)
        if isinstance(self._storage, JournalStorage):
            with self._storage.as_of_now() if isinstance(self._storage, Records) else contextlib.nullcontext():
                for number in self.unfinished:
                    self.all[number] = self._storage.get_trial(self.all[number]._trial_id)
                with contextlib.suppress(KeyError):  # no such trial yet
                    while True:
                        new = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, len(self.all))
                        self.all.append(self._storage.get_trial(new))
        else:
            self.all = self._storage.get_all_trials(self._study_id, deepcopy=False)
        candidates = [*self.unfinished, *range(n_known, len(self.all))]
        self.unfinished = [number for number in candidates if not self.all[number].state.is_finished()]
