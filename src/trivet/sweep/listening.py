"""A worker's ear for the further processes of its trials (trivet/ranks.py): what they report counts, and each hears the verdict.

It listens on this machine alone, to those who know the key that the trial's environment holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

from trivet import ranks
from trivet.errors import UserError
from trivet.reports import TrialPruned

Report = Callable[[float, int, Mapping[str, float]], None]


class Ear:
    """One for each worker. `of` is for the time of a trial; between trials nobody is answered anything but that it is over."""

    def __init__(self) -> None:
        self._key = os.urandom(16)
        self._listener = Listener((ranks.HERE, 0), backlog=64)
        self._changed = threading.Condition()
        self._report: Report | None = None
        self._step = 0  # the last one that rank 0 has reported
        self._why: str | None = None
        threading.Thread(target=self._accept, name="trivet-ear", daemon=True).start()

    @contextlib.contextmanager
    def of(self, report: Report, folder: Path) -> Iterator[None]:
        """Hear the processes of one trial; `report` is called for what its rank 0 reports from outside this process."""
        self._report, self._step, self._why = report, 0, None
        before = os.environ.get(ranks.VARIABLE)
        os.environ[ranks.VARIABLE] = f"{self._listener.address[1]} {self._key.hex()} {folder}"
        try:
            yield
        finally:
            with self._changed:
                self._report = None
                self._changed.notify_all()
            if before is None:
                os.environ.pop(ranks.VARIABLE, None)
            else:
                os.environ[ranks.VARIABLE] = before

    def note(self, step: int, why: str | None) -> None:
        """Rank 0 has reported `step`; `why`: the trial is pruned."""
        with self._changed:
            self._step, self._why = max(step, self._step), why or self._why
            self._changed.notify_all()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                line = self._listener.accept()
            except ConnectionError:
                continue
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(line,), name="trivet-ear", daemon=True).start()

    def _serve(self, line: Connection[Any, Any]) -> None:
        with contextlib.suppress(OSError, EOFError, AuthenticationError), line:
            deliver_challenge(line, self._key)  # here, as a stranger that says nothing must not keep the others waiting
            answer_challenge(line, self._key)
            while True:
                heard = json.loads(line.recv_bytes())
                line.send_bytes(json.dumps(self._answer(**heard)).encode())

    def _answer(self, rank: int, value: float, step: int, metrics: Mapping[str, float]) -> dict[str, str | None]:
        report, error = self._report, None
        if rank == 0 and report is not None:
            try:
                report(value, step, metrics)
            except TrialPruned:  # the report has noted it
                pass
            except UserError as refused:
                error = str(refused)
            except Exception as fault:  # of the study's disk or storage: the worker tells of it once the trial ends
                error = f"trivet.report: the study took no more ({type(fault).__name__})"
        with self._changed:
            # a rank that is behind goes on to the step of the verdict, where rank 0 stopped
            self._changed.wait_for(lambda: self._report is None or self._step >= step or self._why is not None or error is not None)
            return {"pruned": self._why if step >= self._step else None, "error": error}
