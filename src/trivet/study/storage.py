"""Where a study is kept: an embedded journal or a database, and its trials as they are read from there."""

from __future__ import annotations

import contextlib
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial

from trivet import secrets
from trivet.errors import UserError
from trivet.study.journal import Journal, Records
from trivet.study.locks import FileLocks, PostgresLocks

JOURNAL = "journal.log"


def open_storage(url: str | None, folder: str | Path) -> BaseStorage:
    """The journal in `folder`, or the database at `url`. Raises `UserError` where it cannot be reached."""
    if url is None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        return Records(Journal(Path(folder) / JOURNAL))
    url = _with_environment(url)
    try:
        kwargs = {"pool_pre_ping": True} if url.startswith("postgresql") else {"connect_args": {"timeout": 60}}
        return get_storage(RDBStorage(url, engine_kwargs=kwargs))  # with Optuna's cache: finished trials are not read again
    except Exception as error:  # SQLAlchemy and its drivers raise errors of many families here; all mean the same to the user
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"hydra.sweeper.storage={url}: cannot be opened ({cause}); give a reachable URL, or null for a file") from None


def _with_environment(url: str) -> str:
    """`${oc.env:NAME}` in a URL as the environment has it: files and messages keep what is written.

    A password that was masked in a file is left out: PGPASSWORD or ~/.pgpass may give it.
    """
    try:
        return str(OmegaConf.create({"url": url.replace(f":{secrets.MASK}@", "@")}).url)
    except OmegaConfBaseException as error:
        raise UserError(f"hydra.sweeper.storage={url}: {str(error).splitlines()[0]}") from None


def open_locks(storage: BaseStorage, study_id: int, folder: str | Path) -> FileLocks | PostgresLocks:
    """The locks of a study: in its database where that has any, else files in its folder."""
    engine = getattr(getattr(storage, "_backend", None), "engine", None)
    if engine is not None and engine.dialect.name == "postgresql":
        return PostgresLocks(engine, study_id)
    return FileLocks(Path(folder) / "claims")


def batch(storage: BaseStorage) -> contextlib.AbstractContextManager[None]:
    """What is written inside reaches a journal in one go; a database has transactions of its own."""
    backend = getattr(storage, "_backend", None)
    return backend.batch() if isinstance(backend, Journal) else contextlib.nullcontext()


def close(storage: BaseStorage) -> None:
    """Give a database's connection back."""
    backend = getattr(storage, "_backend", None)
    if isinstance(backend, RDBStorage):
        backend.remove_session()


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
