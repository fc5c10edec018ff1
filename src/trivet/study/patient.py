"""Optuna's own tables on a server that may be away for a while: MySQL, MariaDB. What PostgreSQL has of it is in postgres.py."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import InterfaceError, OperationalError

from trivet import secrets
from trivet.errors import StorageGone
from trivet.targets import first_line

LONGEST_PAUSE = 2.0
_OF_THE_CACHE = ("_create_new_trial", "_get_trials", "_set_trial_param")  # what Optuna's cache calls beside the storage's own methods


class PatientStorage(RDBStorage):
    """Each call is made again, for `timeout` seconds, while the server is away; then it raises `StorageGone`. `shown` is the URL as
    messages show it.

    A call whose answer was lost is made twice: values are put in the place of themselves, a parameter that is there is left, and a trial
    that was made twice is one that runs nowhere, which a worker takes over (Optuna itself makes such a call up to five times).
    """

    def __init__(self, url: str, timeout: float, shown: str, **more: Any) -> None:
        self.timeout, self.shown = timeout, secrets.text(shown)
        super().__init__(url, **more)


def _patiently(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def made(self: PatientStorage, *given: Any, **named: Any) -> Any:
        until, pause = None, 0.05
        while True:
            try:
                return call(self, *given, **named)
            except (StorageInternalError, OperationalError, InterfaceError) as error:
                cause = error.__cause__ if isinstance(error, StorageInternalError) else error
                if not isinstance(cause, (OperationalError, InterfaceError)):
                    raise  # of the values, not of the way to the server
                until = time.monotonic() + self.timeout if until is None else until
                if time.monotonic() + pause > until:
                    raise _gone(self, cause) from None
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    return made


for _name in (*sorted(BaseStorage.__abstractmethods__), *_OF_THE_CACHE):
    setattr(PatientStorage, _name, _patiently(getattr(RDBStorage, _name)))


def _gone(storage: PatientStorage, cause: Any) -> StorageGone:
    waited, storage.timeout = storage.timeout, 0.0  # so long is waited once
    why = first_line(cause.orig) if cause.orig is not None else first_line(cause)
    return StorageGone(
        f"hydra.sweeper.storage={storage.shown}: gone for {waited:g} s (storage_timeout): {why}; the same command continues when it is back"
    )
