"""How the value depends on each parameter: every trial as a point, the range's ends drawn, the best of each slice as a line."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trivet import space
from trivet.diagnosis.importance import Importance
from trivet.diagnosis.sweep import Entry, Sweep
from trivet.diagnosis.widening import ordered
from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Chart, Layer, Panel
from trivet.reporting.sections.curves import slug
from trivet.reporting.thin import keep
from trivet.reporting.words import count, listing, value_text

FIRST = 6  # panels of the first chart, the one that Markdown shows
MOST = 40
TELLING = 8  # completed trials that a panel needs to show anything
SLICES = 8


def charts(context: Context, sweep: Sweep, found: Importance | None, folded: bool = False) -> list[Chart]:
    """One chart of the parameters with something to see, the most important first, and one of the rest, which the page folds."""
    known = found is not None and found.trusted and len(found.share) > 1
    order = list(found.share) if found is not None and known else []
    keys = [*order, *(key for key in sweep.params if key not in order)]
    panels = [panel for key in keys for panel in panels_of(context, sweep, key)][:MOST]
    first = [panel for panel in panels if panel.telling][:FIRST]
    rest = [panel for panel in panels if not any(panel is other for other in first)]
    alt = f"{context.scale.label} against each searched parameter in the {context.name(sweep)}."
    title = "The parameters that matter most" if known else "The parameters with most to see"
    named = slug(sweep.name)
    drawn = [Chart(f"dependence-{named}", title, first, alt, _note(first), height=300, many=True, folded=folded)]
    title = f"{count(len(rest), 'more panel')}: little to see, or of less weight"
    drawn.append(Chart(f"dependence-{named}-rest", title, rest, alt, brief=False, height=300, many=True, folded=True))
    return [chart for chart in drawn if chart.panels]


def _note(panels: list[Panel]) -> str:
    """What the colours and lines of these panels mean, of those that are there."""

    def draws(kind: str, color: str | None = None) -> bool:
        return any(panel.draws(kind, color) for panel in panels)

    words = ["Blue: trials that ran to the end" + ("; the line is the best of each slice." if draws("line") else ".")] * draws(
        "points", "blue"
    )
    ended = (("pale", "were stopped early (pale)"), ("purple", "broke a constraint (purple)"), ("red", "failed (red)"))
    below = [said for color, said in ended if draws("points", color)]
    words += [f"Below: trials that {listing(below, 'or')}, at the epoch where they ended."] if below else []
    return " ".join(words + ["Dashed lines are the ends of the range."] * draws("vline"))


def panels_of(context: Context, sweep: Sweep, key: str) -> list[Panel]:
    """One panel of a parameter, or one per option where its ranges differ from option to option."""
    if sweep.trials[key].notna().sum() == 0:
        return []
    entries = sweep.active(key)
    if len({entry.spec for entry in entries}) <= 1:
        return [_panel(context, sweep, key, sweep.trials[key].notna().to_numpy(), entries[:1], key)]
    panels = []
    for entry in entries:
        mask = sweep.drawn(entry).to_numpy()
        title = f"{key} ({', '.join(f'{group}={option}' for group, option in entry.when)})"
        if mask.any():
            panels.append(_panel(context, sweep, key, mask, [entry], title))
    return panels


def _panel(context: Context, sweep: Sweep, key: str, mask: np.ndarray, entries: list[Entry], title: str) -> Panel:
    rows = sweep.trials[mask]
    spec = entries[0].spec if entries else None
    column = rows[key] if isinstance(spec, space.Choice) else numbers_of(rows[key])
    x, axis, ends = abscissa(column, spec, rows["number"].to_numpy())
    values = context.scale.axis(sweep.trials[sweep.objectives[0]])
    y_axis, low, high = limits(context, sweep, values)
    raw = values[mask]
    state = rows["state"].to_numpy()
    ended = (state != "COMPLETE") | ~np.isfinite(raw)
    important = np.flatnonzero(np.isin(rows["number"], sweep.ranked["number"].head(100)))
    at = keep(len(rows), important)
    texts = shown(context, state, raw)
    hover = [f"trial {rows['number'].iloc[i]}, {key}={value_text(rows[key].iloc[i])}: {texts[i]}" for i in at]
    ends_of_range = [Layer("vline", x=ends, color="muted", dash="dash", width=1)] if len(ends) else []
    y = np.clip(np.where(np.isfinite(raw), raw, low), low, high)

    def points(which: np.ndarray, heights: np.ndarray, color: str, symbol: str, size: float) -> list[Layer]:
        part = [place for place, i in enumerate(at) if which[i]]
        chosen = at[part]
        hovers = [hover[place] for place in part]
        return [Layer("points", x[chosen], heights[chosen], "", color, size, 0.75, symbol=symbol, hover=hovers)] if len(part) else []

    layers = ends_of_range + points(~ended, y, "blue", "circle", 6)
    envelope = slices(x, y, ~ended, axis, context.maximize)
    layers += [Layer("line", *envelope, color="orange", width=2)] if envelope else []
    step = rows["step"].fillna(0).to_numpy(dtype=float)
    below = [
        *points(ended & (state == "PRUNED"), step, "pale", "circle", 5),
        *points(ended & (state == "INFEASIBLE"), step, "purple", "diamond", 6),
        *points(ended & ~np.isin(state, ("PRUNED", "INFEASIBLE")), step, "red", "x", 6),
    ]
    under = (Axis("ended at", range=(0.0, 1.15 * max(sweep.full, 1))), below) if below else None
    telling = int((~ended).sum()) >= TELLING and rows.loc[~ended, key].nunique() > 1
    return Panel(axis, y_axis, layers, title, below=under, telling=telling)


def numbers_of(column: pd.Series) -> pd.Series:
    """A column whose cells are all numbers as numbers (a column that holds words in other rows comes as text); else as it is."""
    converted = pd.to_numeric(column, errors="coerce")
    return converted if converted.notna().all() else column


def shown(context: Context, state: np.ndarray, values: np.ndarray) -> list[str]:
    words = {"PRUNED": " (stopped early)", "INFEASIBLE": " (infeasible)", "COMPLETE": ""}
    scale = context.scale
    return [
        "failed" if name == "FAIL" or not np.isfinite(value) else scale.show(value / scale.factor) + words.get(name, "")
        for name, value in zip(state, values, strict=True)
    ]


def limits(context: Context, sweep: Sweep, values: np.ndarray) -> tuple[Axis, float, float]:
    """(axis, low, high): the better part of the values fills the panel; the rest is drawn at the edge."""
    known = values[np.isfinite(values) & sweep.trials["state"].isin(["COMPLETE", "PRUNED"]).to_numpy()]
    if not len(known):
        return Axis(context.scale.label, range=(0.0, 1.0)), 0.0, 1.0
    axis = context.objective_axis(known)
    complete = values[np.isfinite(values) & (sweep.trials["state"] == "COMPLETE").to_numpy()]
    complete = complete if len(complete) else known
    best, middle = (complete.max(), np.quantile(complete, 0.1)) if context.maximize else (complete.min(), np.quantile(complete, 0.9))
    span = abs(best - middle) or abs(best) * 0.05 or 1.0
    if axis.log:
        return Axis(axis.label, True, range=(known.min() * 0.9, known.max() * 1.1)), float(known.min()), float(known.max())
    if context.maximize:
        low, high = max(known.min(), best - 2 * span), best
    else:
        low, high = best, min(known.max(), best + 2 * span)
    pad = 0.06 * (high - low) or 0.05 * abs(best) or 0.5
    return Axis(axis.label, range=(low - pad, high + pad)), float(low), float(high)


def abscissa(column: pd.Series, spec: object, numbers: np.ndarray) -> tuple[np.ndarray, Axis, list[float]]:
    """(places, axis, ends of the range) for the values of one parameter; categories side by side, each spread a little by trial number."""
    spread = ((numbers * 0.6180339887) % 1 - 0.5) * 0.5
    numeric = pd.api.types.is_numeric_dtype(column)
    options = ordered(spec) or few_integers(spec)
    if options is not None and numeric:
        places = np.searchsorted(options, column.to_numpy(dtype=float)).clip(0, len(options) - 1) + spread
        ticks = tuple((float(place), value_text(option)) for place, option in enumerate(options))
        return places, Axis("", ticks=ticks, range=(-0.6, len(options) - 0.4)), []
    if numeric and not isinstance(spec, space.Choice):
        values = column.to_numpy(dtype=float)
        log = bool(getattr(spec, "log", False)) and values.min() > 0
        low, high = float(getattr(spec, "low", values.min())), float(getattr(spec, "high", values.max()))
        low, high = min(low, values.min()), max(high, values.max())
        if low == high:
            pad = 0.1 * abs(low) or 1.0
            return values, Axis("", range=(low - pad, high + pad)), []
        pad = 0.04 * (np.log(high / low) if log else high - low)
        limits = (low * np.exp(-pad), high * np.exp(pad)) if log else (low - pad, high + pad)
        ends = [float(spec.low), float(spec.high)] if isinstance(spec, (space.Float, space.Int)) else []
        return values, Axis("", log, range=(float(limits[0]), float(limits[1]))), ends
    text = column.map(value_text)
    known = [value_text(option) for option in spec.options] if isinstance(spec, space.Choice) else []
    names = [*dict.fromkeys(known), *sorted(set(text) - set(known))]
    index = {name: place for place, name in enumerate(names)}
    ticks = tuple((float(place), name) for name, place in index.items())
    return text.map(index).to_numpy(dtype=float) + spread, Axis("", ticks=ticks, range=(-0.6, len(names) - 0.4)), []


def few_integers(spec: object) -> list[float] | None:
    """All values of a short range of whole numbers, which reads best as categories side by side."""
    if not isinstance(spec, space.Int) or spec.log or (spec.high - spec.low) / spec.step > 7:
        return None
    return [float(value) for value in range(spec.low, spec.high + 1, spec.step)]


def slices(x: np.ndarray, y: np.ndarray, usable: np.ndarray, axis: Axis, maximize: bool) -> tuple[list[float], list[float]] | None:
    """The best value in each slice of a numeric range (the tuning playbook's isolation plot); None for categories and few trials."""
    if axis.ticks or usable.sum() < 15:
        return None
    places = np.log(x[usable]) if axis.log else x[usable]
    if np.ptp(places) == 0:
        return None
    n = min(SLICES, int(usable.sum()) // 5)
    bins = np.minimum(((places - places.min()) / np.ptp(places) * n).astype(int), n - 1)
    picks = [part for slot in range(n) if len(part := np.flatnonzero(bins == slot)) >= 3]
    best = [part[np.argmax(y[usable][part] if maximize else -y[usable][part])] for part in picks]
    return [float(x[usable][at]) for at in best], [float(y[usable][at]) for at in best]
