"""Studies with two or more objectives: the trials that no other beats in everything, and what one objective costs the other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trivet.diagnosis.sweep import Sweep
from trivet.reporting.model import Axis, Chart, Layer, Panel, Section, Table
from trivet.reporting.thin import keep
from trivet.reporting.words import cell, code_cell, count, empty, number, settings

FRONT_ROWS = 50


def fill(section: Section, sweep: Sweep) -> None:
    """Adds nothing for one objective."""
    if len(sweep.objectives) < 2:
        return
    rows = sweep.trials[(sweep.trials["state"] == "COMPLETE") & np.isfinite(sweep.trials[sweep.objectives]).all(axis=1)]
    if not len(rows):
        return
    front = rows[pareto(rows[sweep.objectives].to_numpy(dtype=float), sweep.directions)].sort_values(sweep.objectives[0])
    section.say(
        f"With {len(sweep.objectives)} objectives there is no single best: {count(len(front), 'trial')} of {len(rows):,} completed ones "
        "are beaten by no other in every objective (the Pareto front)."
    )
    best = front.iloc[knee(front[sweep.objectives].to_numpy(dtype=float), sweep.directions)]
    section.say(
        f"Trial {int(best['number'])} is the knee of the front, nearest to the best of every objective when each is scaled by the front's "
        f"range: {', '.join(f'{name} {number(best[column])}' for name, column in zip(sweep.names, sweep.objectives, strict=True))}."
    )
    section.add(_chart(sweep, rows, front), _growth(sweep, rows), _table(sweep, front))


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


def _growth(sweep: Sweep, rows: pd.DataFrame) -> Chart:
    rows = rows.sort_values("number")
    shares = growth(rows[sweep.objectives].to_numpy(dtype=float), sweep.directions)
    layers = [Layer("line", rows["number"], shares, color="blue", width=1.5)]
    axes = Axis("trial"), Axis("hypervolume, share of the whole", range=(0.0, 1.0))
    caption = "How much the front beats, between the best and the worst value of the first two objectives, as trials came in."
    return Chart("hypervolume", "How the front grew", [Panel(*axes, layers)], caption)


def _chart(sweep: Sweep, rows: pd.DataFrame, front: pd.DataFrame) -> Chart:
    first, second = sweep.objectives[:2]
    at = keep(len(rows), np.flatnonzero(rows.index.isin(front.index)))
    drawn = rows.iloc[at]

    def hover(part: pd.DataFrame) -> list[str]:
        return [f"trial {n}: {number(a)}, {number(b)}" for n, a, b in zip(part["number"], part[first], part[second], strict=True)]

    layers = [
        Layer("points", drawn[first], drawn[second], name="completed trials", color="pale", size=6, opacity=0.8, hover=hover(drawn)),
        Layer("line", front[first], front[second], color="blue", width=1.5),
        Layer("points", front[first], front[second], name="Pareto front", color="blue", size=8, hover=hover(front)),
    ]
    x, y = [Axis(f"{name} ({direction})") for name, direction in zip(sweep.names, sweep.directions, strict=True)][:2]
    return Chart("tradeoff", "One objective against the other", [Panel(x, y, layers)], "Completed trials by their first two objectives.")


def _table(sweep: Sweep, front: pd.DataFrame) -> Table:
    keys = [key for key in sweep.params if front[key].notna().any()]
    rows = []
    for _, row in front.head(FRONT_ROWS).iterrows():
        values = settings(row, keys)
        cells = [cell(int(row["number"])), *(cell(row[name]) for name in sweep.objectives)]
        rows.append((*cells, *(code_cell(values[key]) if key in values else empty() for key in keys)))
    caption = "The Pareto front." if len(front) <= FRONT_ROWS else f"The first {FRONT_ROWS} trials of the Pareto front."
    return Table(("Trial", *sweep.names, *keys), tuple(rows), caption, ("Trial", *sweep.names))
