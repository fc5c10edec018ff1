"""The time that a trial may take."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class TrialTimeout(BaseException):
    """Raised in a trial by the alarm of `trial_timeout`; not an `Exception`, so that a trial's own handlers let it pass."""


class Alarm:
    """Ends a trial that outlasts its time. Works in a main thread; code stuck in C is the pool's to end. `rang`: its time was up."""

    def __init__(self) -> None:
        self.rang = self._held = False

    @contextlib.contextmanager
    def set(self, seconds: float | None) -> Iterator[None]:
        """Raise `TrialTimeout` in this block after so many seconds; never where they are None."""
        if seconds is None or threading.current_thread() is not threading.main_thread():
            yield
            return

        def ring(signum: int, frame: Any) -> None:
            self.rang = True
            if not self._held:
                raise TrialTimeout

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let this block finish, which writes a record; an alarm that rang in it, or was swallowed before, counts at its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.rang:
            raise TrialTimeout
