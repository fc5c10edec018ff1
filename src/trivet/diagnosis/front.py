"""Searches with two or more objectives: the trials that no other beats in everything, the one in between, and how far they have come."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trivet.diagnosis.sweep import Sweep


def candidates(sweep: Sweep) -> pd.DataFrame:
    """The completed trials with a finite value of every objective, in number order."""
    return sweep.trials[(sweep.trials["state"] == "COMPLETE") & np.isfinite(sweep.trials[sweep.objectives].astype(float)).all(axis=1)]


def front(sweep: Sweep) -> pd.DataFrame:
    """Those of them that no other beats, by their first objective."""
    rows = candidates(sweep)
    return rows[pareto(rows[sweep.objectives].to_numpy(dtype=float), sweep.directions)].sort_values(sweep.objectives[0], kind="stable")


def between(sweep: Sweep) -> pd.Series | None:
    """The knee of the front; None where no trial completed."""
    rows = front(sweep)
    return rows.iloc[knee(rows[sweep.objectives].to_numpy(dtype=float), sweep.directions)] if len(rows) else None


def beaten(sweep: Sweep, number: int) -> int | None:
    """How many trials are better than trial `number` in every objective; None where that one has no values."""
    rows = candidates(sweep)
    known = rows[rows["number"] == number]
    if not len(known):
        return None
    costs = np.where([direction == "maximize" for direction in sweep.directions], -1.0, 1.0) * rows[sweep.objectives].to_numpy(dtype=float)
    return int((costs < costs[rows["number"].to_numpy() == number]).all(axis=1).sum())


def pareto(values: np.ndarray, directions: list[str]) -> np.ndarray:
    """Mask of the rows that no other row beats: none is at least as good in all columns and better in one. Equal rows stay together."""
    costs = np.where([direction == "maximize" for direction in directions], -values, values)
    mask = np.ones(len(costs), dtype=bool)
    for place in np.lexsort(costs.T[::-1]):
        if mask[place]:
            beaten = (costs >= costs[place]).all(axis=1) & (costs > costs[place]).any(axis=1)
            mask &= ~beaten
    return mask


def knee(values: np.ndarray, directions: list[str]) -> int:
    """Which row of a front is nearest to the best of every column, columns scaled by their range; of equals the first."""
    costs = np.where([direction == "maximize" for direction in directions], -values, values)
    low, span = costs.min(axis=0), np.ptp(costs, axis=0)
    return int(np.argmin((((costs - low) / np.where(span > 0, span, 1.0)) ** 2).sum(axis=1)))


def hypervolume(costs: np.ndarray) -> float:
    """The area of the unit square that points of two costs from 0 to 1 beat: towards the corner (1, 1)."""
    order = costs[np.lexsort(costs.T[::-1])]
    lowest = np.minimum.accumulate(order[:, 1])
    ends = np.append(order[1:, 0], 1.0)
    return float(((ends - order[:, 0]) * (1 - lowest)).sum())


def growth(values: np.ndarray, directions: list[str]) -> np.ndarray:
    """Hypervolume of the first two columns after each row, as a share of the square from their best to their worst value.

    A column without extent counts as nowhere beaten.
    """
    costs = np.where([direction == "maximize" for direction in directions], -values, values)[:, :2]
    low, span = costs.min(axis=0), np.ptp(costs, axis=0)
    scaled = (costs - low) / np.where(span > 0, span, 1.0)
    shares: list[float] = []
    front = np.empty((0, 2))
    for point in scaled:
        if (front <= point).all(axis=1).any():
            shares.append(shares[-1])
            continue
        front = np.vstack([front[~(front >= point).all(axis=1)], point])
        shares.append(hypervolume(front))
    return np.array(shares)
