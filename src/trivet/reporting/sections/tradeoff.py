"""Studies with two or more objectives: the trials that no other beats in everything, and what one objective costs the other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trivet.diagnosis.front import between, candidates, growth
from trivet.diagnosis.front import front as front_of
from trivet.diagnosis.sweep import Sweep
from trivet.reporting.model import Axis, Chart, Layer, Panel, Section, Table
from trivet.reporting.thin import keep
from trivet.reporting.words import cell, code_cell, count, empty, number, settings

FRONT_ROWS = 50


def fill(section: Section, sweep: Sweep) -> None:
    """Adds nothing for one objective."""
    if not sweep.several:
        return
    rows, front, best = candidates(sweep), front_of(sweep), between(sweep)
    if best is None:
        return
    section.say(
        f"With {len(sweep.objectives)} objectives there is no single best: {count(len(front), 'trial')} of {len(rows):,} completed ones "
        "are beaten by no other in every objective (the Pareto front)."
    )
    section.say(
        f"Trial {int(best['number'])} is the knee of the front, nearest to the best of every objective when each is scaled by the front's "
        f"range: {', '.join(f'{name} {number(best[column])}' for name, column in zip(sweep.names, sweep.objectives, strict=True))}."
    )
    section.add(_chart(sweep, rows, front), _growth(sweep, rows), _table(sweep, front))


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
