"""What a check is given and what it gives."""

from __future__ import annotations

from dataclasses import dataclass

from trivet.diagnosis.sweep import Sweep
from trivet.diagnosis.thresholds import THRESHOLDS, Threshold
from trivet.diagnosis.wording import Scale

LEVELS = ("serious", "warning", "hint")


@dataclass(frozen=True)
class Flag:
    """A red flag. level: serious (the result cannot be trusted as it is), warning (something is wasted or missed), hint.

    where: the phase it was seen in. thresholds: keys of THRESHOLDS that it was judged by. asks: what the mend asks for, where that is a
    course of the whole study (more | widen | longer | milder | keep | mend); the report says so where it has decided on another.
    """

    key: str
    level: str
    where: str
    title: str
    evidence: str
    cause: str
    mend: str
    thresholds: tuple[str, ...] = ()
    asks: str = ""

    @property
    def limits(self) -> list[Threshold]:
        return [THRESHOLDS[key] for key in self.thresholds]


@dataclass
class Case:
    """One search to be judged. noise: the standard deviation between seeds of one configuration, where it is known."""

    sweep: Sweep
    scale: Scale
    noise: float | None = None

    @property
    def where(self) -> str:
        return self.sweep.name
