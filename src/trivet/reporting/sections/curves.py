"""Learning curves: of the best trials, and of all trials of a search with the rungs at which it stopped them."""

from __future__ import annotations

import numpy as np

from trivet.diagnosis.sweep import Sweep
from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Chart, Layer, Panel
from trivet.reporting.palette import SERIES
from trivet.reporting.thin import keep
from trivet.reporting.words import count, listing

MOST = 400  # curves drawn of one search: more show no more, and take the page seconds
POINTS = 60  # of one of them


def value_column(sweep: Sweep) -> str | None:
    """The column of curves.csv that holds the objective at each step."""
    return next((name for name in ("value", sweep.metric, "value_0") if name in sweep.curves.columns), None)


def rungs(sweep: Sweep, most: int = 8) -> list[int]:
    """The epochs at which a twentieth of the pruned trials or more, and at least two, were stopped: the `most` busiest, in order."""
    steps = sweep.trials.loc[sweep.stopped, "step"].dropna()
    counts = steps.astype(int).value_counts()
    counts = counts[counts >= max(2, 0.05 * len(steps))].sort_index().sort_values(ascending=False, kind="stable")
    return sorted(int(step) for step in counts.index[:most])


def best(context: Context) -> Chart | None:
    """Learning curves of the best five trials of the last search, and of the one in the middle of its completed trials."""
    sweep = next((sweep for sweep in reversed(context.searches) if len(sweep.curves) and len(sweep.ranked)), None)
    column = value_column(sweep) if sweep is not None else None
    if sweep is None or column is None:
        return None
    ranked, scale = sweep.ranked, context.scale
    chosen = [(f"trial {int(n)}", int(n), SERIES[i], "solid") for i, n in enumerate(ranked["number"].head(5))]
    if len(ranked) > 10:
        middle = int(ranked["number"].iloc[len(ranked) // 2])
        chosen.append((f"trial {middle} (the median)", middle, "pale", "dash"))
    layers = []
    for name, trial, color, dash in chosen:
        curve = sweep.curve(trial)
        at = keep(len(curve), np.array([0, max(len(curve) - 1, 0)]), 400)
        if len(curve) and curve[column].notna().any():
            part = curve.iloc[at]
            y = scale.axis(part[column])
            layers.append(Layer("line" if len(part) > 1 else "points", part["step"], y, name=name, color=color, dash=dash))
    if not layers:
        return None
    values = np.concatenate([np.asarray(layer.y, dtype=float)[len(layer.y) // 3 :] for layer in layers])
    axis = zoomed(context.objective_axis(values), values)
    panel = Panel(Axis("epoch"), axis, layers)
    title = f"Learning curves of the best trials{f' by {sweep.names[0]}' if sweep.several else ''} ({context.name(sweep)})"
    alt = f"{scale.label} against epochs for the best trials" + (" and the median trial." if panel.draws("line", "pale") else ".")
    return Chart("curves", title, [panel], alt)


def zoomed(axis: Axis, values: np.ndarray) -> Axis:
    """Limits around the values from a third of the training on: the steep start would press the rest together."""
    known = values[np.isfinite(values)]
    if axis.log or len(known) < 2 or np.ptp(known) == 0:
        return axis
    pad = 0.06 * np.ptp(known)
    return Axis(axis.label, range=(float(known.min() - pad), float(known.max() + pad)))


def everything(context: Context, sweep: Sweep) -> Chart | None:
    """Every curve of a search (of very many, MOST of them), what was stopped pale, and the rungs where that happened."""
    column = value_column(sweep)
    numbers = sweep.trials.loc[sweep.trials["step"] > 1, "number"]
    if column is None or not len(numbers):
        return None
    ranks = np.flatnonzero(numbers.isin(sweep.ranked["number"].head(50)))
    drawn = numbers.iloc[keep(len(numbers), ranks, MOST)]
    states = sweep.trials.set_index("number")["state"]
    looks = (
        ("FAIL", "red", 0.5, 1.0, "failed"),
        ("INFEASIBLE", "purple", 0.5, 1.0, "infeasible"),
        ("PRUNED", "pale", 0.6, 1.0, "stopped early"),
        ("COMPLETE", "blue", 0.45, 1.2, "to the end"),
    )
    layers = [Layer("vline", x=rungs(sweep), name="rungs: epochs where trials were stopped", color="orange", dash="dot", width=1)]
    layers = layers if len(layers[0].x) else []
    for state, color, opacity, width, name in looks:
        x, y = _joined(context, sweep, column, [number for number in drawn if states[number] == state])
        layers += [Layer("line", x, y, name=name, color=color, opacity=opacity, width=width)] if len(x) else []
    if sweep.best is not None:
        number = int(sweep.best["number"])
        x, y = _joined(context, sweep, column, [number])
        layers += [Layer("line", x, y, name=f"trial {number}, the best", color="green", width=2.5)] if len(x) else []
    values = np.concatenate([np.asarray(layer.y, dtype=float) for layer in layers if layer.kind == "line"] or [np.array([])])
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    axis = context.objective_axis(known)
    low, high = np.quantile(known, [0.02, 1]) if context.maximize else np.quantile(known, [0, 0.98])
    pad = 0.05 * (high - low)
    axis = axis if axis.log or high <= low else Axis(axis.label, range=(float(low - pad), float(high + pad)))
    note = f"{count(len(numbers), 'trial')} that ran for more than an epoch" + (
        f", of which {len(drawn)} are drawn" if len(drawn) < len(numbers) else ""
    )
    stops = rungs(sweep)
    note += f"; most stops were at epoch {listing(list(map(str, stops)), 'or')}." if stops else "."
    name = context.name(sweep)
    return Chart(
        f"all-curves-{slug(sweep.name)}",
        f"All learning curves, {name}",
        [Panel(Axis("epoch"), axis, layers)],
        note,
        note,
        brief=False,
        folded=sweep is not context.last,
    )


def _joined(context: Context, sweep: Sweep, column: str, numbers: list[int]) -> tuple[list[float], list[float]]:
    """Several curves as one line with gaps."""
    x: list[float] = []
    y: list[float] = []
    for number in numbers:
        curve = sweep.curve(number)
        curve = curve.iloc[keep(len(curve), np.array([0, max(len(curve) - 1, 0)]), POINTS)]
        x += [*curve["step"].tolist(), np.nan]
        y += [*context.scale.axis(curve[column]).tolist(), np.nan]
    return x, y


def slug(name: str) -> str:
    """A name as an anchor and a file name."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-" for char in name) or "sweep"
