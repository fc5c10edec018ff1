"""Where searches agree: which parameters each has settled among its best trials, and whether two settled on the same region.

A parameter is settled where the best trials stand close together in its range: numbers within half of it, or four in five with one
option. Two settled parameters are the same where their best trials overlap or stand near each other. The numbers are our choice; among
five trials drawn by chance a range looks settled to one search in 5, and to two searches at the same place in some 3 of 100 cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trivet import space
from trivet.diagnosis.sweep import Sweep, same

TOP = 0.1  # of the completed trials, the best
LEAST_TOP = 5
SETTLED = 0.5  # of the range, at most
MOST_ONE_OPTION = 0.8  # of the best trials, at least
NEAR = 0.15  # of the range, between medians
SAME_REGION = 2 / 3  # of the parameters that both settled


@dataclass(frozen=True)
class Settled:
    """What the best trials of a search have of a parameter: `low` to `high` in units of the range around `middle`, or one `option`.

    text: for a person. fixed: whether they are close together at all.
    """

    text: str
    fixed: bool
    low: float = 0.0
    high: float = 1.0
    middle: float = 0.5
    option: str | None = None


@dataclass(frozen=True)
class Agreement:
    """Between two searches, by parameter: settled alike, settled apart, or left open by at least one of them."""

    alike: list[str]
    apart: list[str]
    open: list[str]

    @property
    def same_region(self) -> bool:
        """Whether they ended in one region: most of what both settled is alike, and there is something that both settled."""
        both = len(self.alike) + len(self.apart)
        return bool(self.alike) and len(self.alike) >= SAME_REGION * both


def top_of(sweep: Sweep) -> pd.DataFrame:
    """The best tenth of the completed trials, at least LEAST_TOP; empty where there are fewer."""
    n = max(LEAST_TOP, round(TOP * len(sweep.complete)))
    return sweep.ranked.head(n) if len(sweep.ranked) >= LEAST_TOP else sweep.ranked.head(0)


def settled(sweep: Sweep, key: str, ends: tuple[float, float, bool] | None = None) -> Settled | None:
    """Of one parameter; None where too few of the best trials have it. `ends`: (low, high, log) of the scale that is compared on."""
    top = top_of(sweep)
    cells = top[key].dropna() if key in top else pd.Series(dtype=object)
    if len(cells) < max(LEAST_TOP - 1, round(MOST_ONE_OPTION * len(top))):
        return None
    if ends is None:
        counted = cells.map(str).value_counts()
        option, share = str(counted.index[0]), float(counted.iloc[0]) / len(cells)
        return Settled(f"{option} ({counted.iloc[0]} of {len(cells)})", share >= MOST_ONE_OPTION, option=option)
    low, high, log = ends
    values = pd.to_numeric(cells, errors="coerce").dropna().to_numpy(dtype=float)
    if len(values) < LEAST_TOP - 1 or high <= low or (log and (low <= 0 or values.min() <= 0)):
        return None
    place = np.log(values / low) / np.log(high / low) if log else (values - low) / (high - low)
    text = f"{values.min():.3g} to {values.max():.3g}"
    return Settled(text, bool(np.ptp(place) <= SETTLED), float(place.min()), float(place.max()), float(np.median(place)))


def ends_of(sweeps: list[Sweep], key: str) -> tuple[float, float, bool] | None:
    """(low, high, log): the scale that holds every search's range of a parameter; None for a choice among words, or no known range."""
    specs = [entry.spec for sweep in sweeps for entry in sweep.space if entry.key == key]
    lows: list[float] = []
    highs: list[float] = []
    logs: list[bool] = []
    for spec in specs:
        if isinstance(spec, (space.Float, space.Int)):
            lows, highs, logs = [*lows, float(spec.low)], [*highs, float(spec.high)], [*logs, spec.log]
        elif isinstance(spec, space.Choice):
            numbers = [option for option in spec.options if isinstance(option, (int, float)) and not isinstance(option, bool)]
            if len(numbers) < len(spec.options):
                return None
            lows, highs = [*lows, float(min(numbers))], [*highs, float(max(numbers))]
            logs.append(min(numbers) > 0 and max(numbers) / min(numbers) >= 8)
    return (min(lows), max(highs), any(logs) and min(lows) > 0) if lows else None


def alike(a: Settled, b: Settled) -> bool:
    """Whether two settled parameters are at one place."""
    if a.option is not None or b.option is not None:
        return a.option is not None and b.option is not None and same(a.option, b.option)
    return (a.low <= b.high and b.low <= a.high) or abs(a.middle - b.middle) <= NEAR


def agreement(a: Sweep, b: Sweep) -> Agreement:
    """Over the parameters that both searched, in the order of the first."""
    found = Agreement([], [], [])
    for key in [key for key in a.params if key in b.params]:
        ends = ends_of([a, b], key)
        mine, theirs = settled(a, key, ends), settled(b, key, ends)
        if mine is None or theirs is None or not (mine.fixed and theirs.fixed):
            found.open.append(key)
        else:
            (found.alike if alike(mine, theirs) else found.apart).append(key)
    return found
