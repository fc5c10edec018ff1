"""Parameters that act together: batch size with learning rate, and the two that matter most."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from trivet.diagnosis.importance import Importance, predict
from trivet.diagnosis.sweep import Entry, Sweep, find, is_batch_size, is_lr
from trivet.diagnosis.widening import ordered
from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Chart, Layer, Panel, Section
from trivet.reporting.sections.curves import slug
from trivet.reporting.sections.dependence import abscissa
from trivet.reporting.thin import keep
from trivet.reporting.words import Code, value_text

GRID = 12
BACKGROUND = 120


def fill(section: Section, context: Context, known: dict[str, Importance | None]) -> None:
    for sweep in context.searches:
        found = known[sweep.name]
        pair = batch_and_lr(sweep)
        if pair is not None:
            section.say(*batch_words(context, sweep, *pair), *scaling_words(sweep, pair[1]))
            section.add(scatter(context, sweep, *pair, f"batch-lr-{slug(sweep.name)}"))
        if found is not None and found.trusted and len(sweep.params) > 1:
            section.say(*strongest(context, sweep, found))
        section.add(contour(context, sweep, found))
    if not any(batch_and_lr(sweep) for sweep in context.searches):
        section.say("Batch size and learning rate were not searched together, so how they act together is not known.")


def numeric(sweep: Sweep, key: str) -> bool:
    return pd.api.types.is_numeric_dtype(sweep.trials[key]) and sweep.trials[key].notna().any()


def batch_and_lr(sweep: Sweep) -> tuple[str, str] | None:
    keys = [key for key in sweep.params if numeric(sweep, key) and sweep.trials[key].nunique() > 1]
    batch, lr = find(keys, is_batch_size), find(keys, is_lr)
    return (batch, lr) if batch and lr and len(sweep.complete) >= 3 else None


def batch_words(context: Context, sweep: Sweep, batch: str, lr: str) -> list:
    """Whether the good trials take higher learning rates with larger batches (rank correlation among the best), for the range that most of
    the good trials drew from: rates of different optimizers are different quantities."""
    entry = rates(sweep, lr)[0]
    rows = sweep.ranked[sweep.ranked.index.isin(drawn(sweep, lr, entry))].dropna(subset=[batch, lr])
    best = rows.head(max(10, len(rows) // 4))
    where = f" where {_when(entry)}" if entry is not None and entry.when else ""
    words = ["Batch size (", Code(batch), ") and learning rate (", Code(lr), f") in the {context.name(sweep)}{where}: "]
    if len(best) < 10 or best[batch].nunique() < 2 or best[lr].nunique() < 2:
        return [*words, "too few good trials to see whether they go together."]
    rho = float(best[batch].rank().corr(best[lr].rank()))
    if abs(rho) < 0.5:
        return [*words, f"among the best {len(best)} trials the one does not follow the other (rank correlation {rho:z.2f})."]
    way = "larger batches go with higher learning rates, as expected" if rho > 0 else "larger batches go with lower learning rates"
    return [*words, f"among the best {len(best)} trials {way} (rank correlation {rho:z.2f})."]


def scaling_words(sweep: Sweep, lr: str) -> list:
    """That the rates shown are not those that were used, where our own trainer tied them to the batch size."""
    config = sweep.study.get("config") or {}
    scaling, reference = config.get("lr_scaling", "none"), config.get("reference_batch_size")
    if scaling not in ("sqrt", "linear") or reference is None:
        return []
    power = "the square root of the batch size" if scaling == "sqrt" else "the batch size"
    return [
        " ",
        Code(lr),
        f" is meant for a batch of {reference}; the rate that was used grew with {power} (",
        Code(f"lr_scaling={scaling}"),
        ").",
    ]


def _when(entry: Entry) -> str:
    return ",".join(f"{group}={option}" for group, option in entry.when)


def rates(sweep: Sweep, lr: str) -> list[Entry | None]:
    """The ranges of the learning rate, the one that most completed trials drew from first; [None] where the study does not name one."""
    entries = sweep.active(lr)
    return sorted(entries, key=lambda entry: -len(sweep.complete.index.intersection(drawn(sweep, lr, entry)))) or [None]


def drawn(sweep: Sweep, lr: str, entry: Entry | None) -> pd.Index:
    mask = sweep.trials[lr].notna() if entry is None else sweep.drawn(entry)
    return sweep.trials.index[mask]


def scatter(context: Context, sweep: Sweep, batch: str, lr: str, name: str) -> Chart | None:
    """A panel for each range of the learning rate that three completed trials drew from: different optimizers share no axis."""
    known = [(entry, sweep.complete.loc[sweep.complete.index.intersection(drawn(sweep, lr, entry))]) for entry in rates(sweep, lr)]
    panels = [_scatter(context, sweep, batch, lr, entry, rows.dropna(subset=[batch, lr])) for entry, rows in known[:3] if len(rows) >= 3]
    title = f"Batch size with learning rate, {context.name(sweep)}"
    alt = f"Each completed trial by {batch} and {lr}, coloured by {context.scale.label}."
    return Chart(name, title, panels, alt, folded=True) if panels else None


def _scatter(context: Context, sweep: Sweep, batch: str, lr: str, entry: Entry | None, rows: pd.DataFrame) -> Panel:
    rows = rows.loc[sweep.score[rows.index].sort_values(kind="stable").index]  # the best are drawn last, on top
    rows = rows.iloc[keep(len(rows), np.arange(len(rows) - 200, len(rows)).clip(0))]
    batches = sweep.active(batch)
    x, x_axis, _ = abscissa(rows[batch], batches[0].spec if batches else None, rows["number"].to_numpy())
    y, y_axis, _ = abscissa(rows[lr], entry.spec if entry is not None else None, rows["number"].to_numpy())
    hover = [
        f"trial {n}: {batch}={value_text(a)}, {lr}={value_text(b)}: {context.scale.show(v)}"
        for n, a, b, v in zip(rows["number"], rows[batch], rows[lr], rows[sweep.objectives[0]], strict=True)
    ]
    values = colored(context, sweep, rows)
    layer = Layer("points", x, y, size=9, opacity=0.9, hover=hover, values=values, values_label=context.scale.label)
    axes = (Axis(batch, x_axis.log, x_axis.ticks, x_axis.range), Axis(lr, y_axis.log, y_axis.ticks, y_axis.range))
    return Panel(*axes, [layer], _when(entry) if entry is not None and entry.when else "")


def colored(context: Context, sweep: Sweep, rows: pd.DataFrame) -> np.ndarray:
    """Values for a colour scale, the worse tenth drawn in so that the better part can be told apart."""
    values = context.scale.axis(rows[sweep.objectives[0]])
    if len(values) < 10:
        return values
    edge = np.quantile(values, 0.1 if context.maximize else 0.9)
    return np.maximum(values, edge) if context.maximize else np.minimum(values, edge)


def grid_of(found: Importance, key: str, n: int = GRID) -> tuple[np.ndarray, list[int]]:
    """Values of a parameter's feature columns to ask the model about: (one row per value, column numbers)."""
    columns = found.owner[key]
    block = found.features.iloc[:, columns].to_numpy(dtype=float)
    if len(columns) > 1:
        return np.unique(block, axis=0), columns
    known = np.unique(block)
    return (known if len(known) <= n else np.quantile(block, np.linspace(0.02, 0.98, n)))[:, None], columns


def surface(found: Importance, a: str, b: str, grids: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The model's mean prediction over a grid of two parameters, all others as in a sample of the trials (partial dependence)."""
    rng = np.random.default_rng(0)
    n = len(found.features)
    rows = found.features.to_numpy(dtype=np.float32)[rng.permutation(n)[:BACKGROUND]]
    extra = rng.normal(size=(len(rows), found.model.n_features_in_ - rows.shape[1])).astype(np.float32)
    rows = np.column_stack([rows, extra])
    points = list(itertools.product(grids[0], grids[1]))
    block = np.repeat(rows[None], len(points), axis=0)
    for place, (first, second) in enumerate(points):
        block[place][:, found.owner[a]] = first
        block[place][:, found.owner[b]] = second
    flat = predict(found.model, block.reshape(-1, rows.shape[1]))
    return flat.reshape(len(grids[0]), len(grids[1]), len(rows)).mean(axis=2)


def interaction(found: Importance, a: str, b: str) -> float:
    """The part of two parameters' joint effect that is not the sum of their single effects, 0..1 (functional ANOVA on the model)."""
    table = surface(found, a, b, (grid_of(found, a, 8)[0], grid_of(found, b, 8)[0]))
    table = table - table.mean()
    additive = table.mean(axis=1, keepdims=True) + table.mean(axis=0, keepdims=True)
    total = float((table**2).sum())
    return float(((table - additive) ** 2).sum() / total) if total > 0 else 0.0


def strongest(context: Context, sweep: Sweep, found: Importance) -> list:
    keys = [key for key, value in found.share.items() if value > found.noise][:4]
    pairs = [(interaction(found, a, b), a, b) for a, b in itertools.combinations(keys, 2)]
    if not pairs:
        return [f"In the {context.name(sweep)} one parameter alone stands out, so there is no interaction to speak of."]
    part, a, b = max(pairs)
    if part < 0.1:
        return [f"In the {context.name(sweep)} the parameters that matter act nearly independently of each other."]
    words = f" act together most strongly: {100 * part:.0f} % of their joint effect is not the sum of their single effects."
    return [f"In the {context.name(sweep)} ", Code(a), " and ", Code(b), words]


def contour(context: Context, sweep: Sweep, found: Importance | None) -> Chart | None:
    """The model's surface over the two most important numeric parameters that are always active, with the trials on it."""
    if found is None or not found.trusted:
        return None
    keys = [key for key in found.share if numeric(sweep, key) and sweep.trials[key].nunique() > 2 and len(found.owner[key]) == 1]
    keys = [key for key in keys if sweep.finite[key].notna().mean() > 0.95][:2]
    if len(keys) < 2:
        return None
    a, b = keys
    logs = [any(getattr(entry.spec, "log", False) for entry in sweep.active(key)) for key in keys]
    spans = [_spans(sweep, key) for key in keys]
    grids = [_line(found, key) for key in keys]
    table = surface(found, a, b, (grids[0][:, None], grids[1][:, None]))
    x, y = (np.exp(grid) if log else grid for grid, log in zip(grids, logs, strict=True))
    sign = 1 if sweep.maximize else -1
    when = f" after epoch {found.step}" if found.step is not None else ""
    heat = Layer("heat", x, y, z=context.scale.axis(sign * table.T), values_label=f"{context.scale.label}{when}, expected")
    rows = sweep.complete.iloc[keep(len(sweep.complete), np.array([], dtype=int), 400)]
    hover = [
        f"trial {n}: {a}={value_text(p)}, {b}={value_text(q)}, {context.scale.show(v)}"
        for n, p, q, v in zip(rows["number"], rows[a], rows[b], rows[sweep.objectives[0]], strict=True)
    ]
    points = Layer("points", rows[a], rows[b], color="white", size=6, hover=hover, edge=True)
    axes = [_padded(key, grid, log or span) for key, grid, log, span in zip(keys, (x, y), logs, spans, strict=True)]
    panel = Panel(axes[0], axes[1], [heat, points])
    title = f"The two numeric parameters that matter most of those always in play, {context.name(sweep)}"
    note = "Colour: what a model of boosted trees expects, averaged over all other parameters. Dots: trials that ran to the end."
    alt = f"Expected {context.scale.label} over {a} and {b}."
    return Chart(f"contour-{slug(sweep.name)}", title, [panel], alt, note, height=380)


def _spans(sweep: Sweep, key: str) -> bool:
    """Whether the options of a choice among positive numbers span so much that they read better on a logarithmic axis."""
    options = next((options for entry in sweep.active(key) if (options := ordered(entry.spec))), None)
    return options is not None and options[0] > 0 and options[-1] / options[0] >= 8


def _padded(name: str, grid: np.ndarray, log: bool) -> Axis:
    """An axis a little longer than the grid, so that points at its ends are seen whole."""
    low, high = float(grid.min()), float(grid.max())
    if log:
        pad = (high / low) ** 0.03
        return Axis(name, True, range=(low / pad, high * pad))
    return Axis(name, range=(low - 0.03 * (high - low), high + 0.03 * (high - low)))


def _line(found: Importance, key: str) -> np.ndarray:
    values = found.features.iloc[:, found.owner[key][0]].to_numpy(dtype=float)
    return np.linspace(values.min(), values.max(), 20)
