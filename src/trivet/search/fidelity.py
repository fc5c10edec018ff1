"""What trials that were cut short say of the end: values at several steps, set off by what trials gain on their way from there.

A pruned trial's last value is no final one: told as such it makes a slow starter, and all that is like it, look hopeless. Here it is
evidence at its own step: the value, with the median gain of the trials that went on from there, and how far on its way it was, which the
model takes for one more dimension (log of the step; Swersky et al. 2013 on what such a model shares). Trials that went on say at the same
steps how much an early value is worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RATIO = 3
"""Between the steps that are looked at, down from the end: those of successive halving, and any other rule's near enough."""
MOST_MARKS = 5
MOST_ROWS = 300
"""Values that the model sees: its cost grows with their cube, to about half a second on one core."""


@dataclass(frozen=True)
class Told:
    """A trial as the model is told of it. `curve`: (step, value) in the order of steps; empty where nothing is known but the result."""

    values: Mapping[str, Any]
    result: float
    curve: Sequence[tuple[int, float]] = ()
    complete: bool = True


@dataclass(frozen=True)
class Evidence:
    """Rows of evidence: which of the trials told, how far it was (0 the first step, 1 the end), and what it is worth there."""

    places: np.ndarray
    depths: np.ndarray
    scores: np.ndarray  # higher is better, on the scale of final values


def evidence(told: Sequence[Told], sign: float, most: int = MOST_ROWS) -> Evidence:
    """All there is to know of `told`: each trial's last value first, then earlier ones, of the latest trials first, up to `most` in all.

    `sign` is 1 where higher values are better, else -1. Where no trial was cut short, or nobody knows when, these are the results.
    """
    last = [trial.curve[-1][0] if trial.curve else 0 for trial in told]
    cut = [not trial.complete and step > 0 for trial, step in zip(told, last, strict=True)]
    results = sign * np.array([trial.result for trial in told], dtype=float)
    end = max(last, default=0)
    if not any(cut) or end < 2:
        return Evidence(np.arange(len(told)), np.ones(len(told)), results)
    marks = _marks(end, min(step for step, is_cut in zip(last, cut, strict=True) if is_cut))
    seen = np.array([_at(trial.curve, marks, sign) for trial in told]).reshape(len(told), len(marks))
    reached = np.column_stack([seen, np.where(cut, np.nan, results)])
    ahead = _gains(reached)
    depths = np.where(cut, np.log(np.clip(last, 1, end)) / math.log(end), 1.0)
    scores = results + np.where(cut, np.interp(depths, np.append(np.log(marks) / math.log(end), 1.0), ahead), 0.0)
    earlier = [
        (place, k)
        for place in reversed(range(len(told)))
        for k, mark in enumerate(marks)
        if np.isfinite(seen[place, k]) and (mark < last[place] or not cut[place])
    ][: max(0, most - len(told))]
    places, ks = (np.array([pair[i] for pair in earlier], dtype=int) for i in (0, 1))
    return Evidence(
        np.concatenate([np.arange(len(told)), places]),
        np.concatenate([depths, np.log(np.array(marks)[ks]) / math.log(end)]),
        np.concatenate([scores, seen[places, ks] + ahead[ks]]),
    )


def _marks(end: int, first: int) -> list[int]:
    """The steps that are looked at beside the end, rising: its third, a third of that and so on, down to the second step.

    And `first`, where a trial was cut before them: what is gained from there to the next mark counts, too.
    """
    marks = [max(1, round(end / RATIO))]
    while len(marks) < MOST_MARKS and round(marks[-1] / RATIO) > 1:
        marks.append(round(marks[-1] / RATIO))
    return [*([first] if first < marks[-1] else []), *marks[::-1]]


def _at(curve: Sequence[tuple[int, float]], marks: Sequence[int], sign: float) -> list[float]:
    """The scores at the marks, of the last report until then; NaN where the curve ends before one or holds no number there."""
    found = []
    for mark in marks:
        before = [value for step, value in curve if step <= mark]
        there = bool(before) and curve[-1][0] >= mark and math.isfinite(before[-1])
        found.append(sign * before[-1] if there else math.nan)
    return found


def _gains(reached: np.ndarray) -> np.ndarray:
    """What a trial gains from each mark to the end, in the median of those that went on from mark to mark; nothing where none did."""
    ahead = np.zeros(reached.shape[1])
    for k in reversed(range(reached.shape[1] - 1)):
        steps = reached[:, k + 1] - reached[:, k]
        steps = steps[np.isfinite(steps)]
        ahead[k] = ahead[k + 1] + (float(np.median(steps)) if len(steps) else 0.0)
    return ahead
