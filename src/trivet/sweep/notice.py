"""A machine that is to be taken away says so first: SIGTERM (spot, containers, SLURM), or the signal that a launcher listens for.

Then each trial goes on to its next report, by which time it has written its checkpoint, and is handed back; nothing new begins.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, getattr(signal, "SIGUSR2", signal.SIGTERM))
"""The second where somebody listens already: submitit asks SLURM for it some time before the end, and queues its job anew."""


class Preempted(KeyboardInterrupt):
    """A sweep that was told to go, and has handed its trials back: the same command continues it."""


class Notice:
    """Hears the notice while it is open; only a main thread can. `then` is called once, when it comes.

    A second signal is what it would have been without this. At the end the one who listened before hears of what came.
    """

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self._then = then
        self._before: dict[int, Any] = {}
        self.heard: int | None = None

    def __bool__(self) -> bool:
        return self.heard is not None

    def __enter__(self) -> Notice:
        if threading.current_thread() is threading.main_thread():
            for number in dict.fromkeys(SIGNALS):
                before = signal.getsignal(number)
                if number == signal.SIGTERM or callable(before):
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        self._put_back()
        if self.heard is not None and callable(listener := self._before[self.heard]):
            listener(self.heard, None)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard = number
        self._put_back()
        self._then()

    def _put_back(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before if before is not None else signal.SIG_DFL)
