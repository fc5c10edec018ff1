"""How it went: best so far, learning curves, what pruning saved and what it may have cost."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trivet.diagnosis.sweep import Sweep
from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Cell, Chart, Layer, Panel, Section, Table
from trivet.reporting.pruning import Regret, regret
from trivet.reporting.sections import audit, curves, spot
from trivet.reporting.thin import POINTS, keep
from trivet.reporting.words import count, duration, listing, money, number, share


def build(context: Context) -> Section:
    section = Section("went", "How it went")
    if context.best is None:
        section.say("No trial reported a usable value, so there is no progress to draw.")
    else:
        section.say(*progress_words(context))
        section.add(progress_chart(context), curves.best(context))
        section.add(*(curves.everything(context, sweep) for sweep in context.searches))
    _pruning(section, context)
    return section


def best_so_far(sweep: Sweep, before: float = -np.inf) -> pd.DataFrame:
    """Per trial in number order: trial, epochs spent up to then, value (NaN unless complete), best so far (NaN before the first).

    before: the best score of the searches before this one, below which the best so far never falls.
    """
    score = sweep.score.where(sweep.trials["state"] == "COMPLETE")
    if score.notna().sum() == 0:
        score = sweep.score.where(sweep.trials["state"].isin(["COMPLETE", "PRUNED"]))
    best = score.cummax().ffill()
    best = best.fillna(before).clip(lower=before) if np.isfinite(before) else best
    sign = 1 if sweep.maximize else -1
    return pd.DataFrame(
        {
            "trial": sweep.trials["number"],
            "epochs": sweep.spent.cumsum(),
            "value": sign * score,
            "best": sign * best,
        }
    )


def progress_words(context: Context) -> list:
    words = []
    for sweep in context.searches:
        table = best_so_far(sweep)
        known = table.dropna(subset=["best"])
        if not len(known):
            continue
        final = known["best"].iloc[-1]
        at = known[known["best"] == final].iloc[0]
        cut = "" if len(sweep.complete) else ", where no trial ran to its end,"
        after = f", after {number(at['epochs'])} of {count(sweep.epochs, 'epoch')}" if sweep.epochs else ""
        what = f"best {sweep.names[0] if sweep.several else 'value'} came with trial {int(at['trial'])} of {len(table):,}"
        words.append(f"In the {context.name(sweep)}{cut} the {what}{after}. ")
    return words


def progress_chart(context: Context) -> Chart:
    scale = context.scale
    by_trial: list[Layer] = []
    by_epoch: list[Layer] = []
    thinned = False
    first_trial = first_epoch = 0.0
    values, before = [], -np.inf
    for sweep, color in zip(context.searches, ("orange", "blue"), strict=False):
        table = best_so_far(sweep, before)
        before = max(before, sweep.score[sweep.best.name] if sweep.best is not None else -np.inf)
        values.append(table["value"].to_numpy())
        size = len(table)
        jumps = np.flatnonzero((table["best"].ne(table["best"].shift()) & table["best"].notna()).to_numpy())
        ended = np.flatnonzero(table["value"].notna())
        dots = ended[keep(len(ended), np.array([], dtype=int))]  # of those that have one: most may have been pruned
        at = np.unique(np.concatenate([jumps, dots, [0, size - 1]])) if size > POINTS else np.arange(size)
        thinned = thinned or len(dots) < len(ended)
        part = table.iloc[at]
        hover = [f"trial {int(n)}: {scale.show(v)}" for n, v in zip(part["trial"], part["value"], strict=True)]
        name = context.name(sweep)
        for layers, x in ((by_trial, part["trial"] + first_trial), (by_epoch, part["epochs"] + first_epoch)):
            layers.append(Layer("points", x, scale.axis(part["value"]), color=color, size=5, opacity=0.5, hover=hover))
            layers.append(Layer("steps", x, scale.axis(part["best"]), name=f"best so far, {name}", color=color, width=2.5))
        first_trial += size
        first_epoch += float(table["epochs"].iloc[-1]) if size else 0
    y = context.objective_axis(np.concatenate(values))
    y = Axis(y.label, y.log, range=_robust(np.concatenate(values) * scale.factor, y.log, context.maximize))
    panels = [Panel(Axis("trials run"), y, by_trial)] + [Panel(Axis("epochs spent"), y, by_epoch)] * bool(context.unit)
    against = "trials and against epochs spent" if context.unit else "trials"
    whole = [context.name(sweep) for sweep in context.searches if len(sweep.complete)]
    cut = [context.name(sweep) for sweep in context.searches if len(sweep.finite) and not len(sweep.complete)]
    dots = [f"a trial that ran to its end{f' ({listing(whole)})' if cut else ''}"] * bool(whole)
    dots += [f"a trial that was stopped early{f' ({listing(cut)})' if whole else ''}"] * bool(cut)
    note = f"Each dot is {listing(dots, 'or')}; the line is the best value found up to then."
    note += " Of very many trials only a part is drawn." if thinned else ""
    return Chart("progress", "Best value so far", panels, f"Best {scale.label} found so far against {against}.", note)


def _robust(values: np.ndarray, log: bool, maximize: bool) -> tuple[float, float] | None:
    """Axis limits that hold the better nine tenths of the values, so that a few very bad ones do not flatten the rest."""
    values = values[np.isfinite(values)]
    if log or len(values) < 10:
        return None
    low, high = (np.quantile(values, 0.1), values.max()) if maximize else (values.min(), np.quantile(values, 0.9))
    if high <= low or (values.max() - values.min()) < 3 * (high - low):
        return None
    pad = 0.08 * (high - low)
    return float(low - pad), float(high + pad)


def _pruning(section: Section, context: Context) -> None:
    saved = sum(sweep.epochs_unpruned - sweep.epochs for sweep in context.searches)
    total = saved + sum(sweep.epochs for sweep in context.searches)
    if saved > 0:
        section.say(f"Stopping trials early saved {saved:,} of {count(total, 'epoch')} ({share(saved, total)}).")
    elif context.unit:
        section.say("No trial was stopped early, so nothing was saved by pruning.")
    else:
        section.say("No trial reported a value before its end, so none could be stopped early.")
    _costs(section, context, saved > 0)
    spot.fill(section, context)
    for sweep in context.searches:
        found = regret(sweep)
        if found is not None:
            section.say(f"What it may have cost in the {context.name(sweep)}: {_lost(found)}")
    audit.fill(section, context)


def _costs(section: Section, context: Context, pruned: bool) -> None:
    """A row for each search: epochs, time and money, and where trials were stopped early, what it would have taken without."""
    price = context.price_per_hour
    epochs = {"Epochs": "epochs", "Epochs without pruning": "epochs_unpruned"} if context.unit else {}
    times = {"Time": "wall", "Time without pruning": "wall_unpruned"}
    times |= {"Time with one worker": "alone", "One worker, no pruning": "alone_unpruned"}
    shown = [(name, key, _number) for name, key in epochs.items()] + [(name, key, _time) for name, key in times.items()]
    if price:
        shown += [
            (name, key, lambda value: Cell(money(value / 3600 * price), value))
            for name, key in (("Cost", "wall"), ("Cost without pruning", "wall_unpruned"))
        ]
    shown = [column for column in shown if pruned or not column[1].endswith("_unpruned")]
    found = [(context.name(sweep), costs(sweep)) for sweep in context.searches]
    rows = tuple((Cell(name), *(cell(cost[key]) for _, key, cell in shown)) for name, cost in found)
    columns = tuple(name for name, *_ in shown)
    caption = "What the search cost, and what it would have cost." if pruned else "What the search cost."
    section.add(Table(("Search", *columns), rows, caption, columns))
    notes = ["Times without pruning are estimates: the same trials at the same seconds per epoch."] * pruned
    notes += [f"Costs are hours times {money(price)} per hour, as params.yaml says."] if price else []
    if notes:
        section.say(" ".join(notes), kind="note")


def _lost(found: Regret) -> str:
    if found.could == 0:
        return (
            f"none of {count(found.n, 'pruned trial')} would have passed the best, even had they finished better than nine in ten of the "
            "completed trials did from the same epoch on."
        )
    return (
        f"{found.could:,} of {count(found.n, 'pruned trial')} could have passed the best, but only by finishing as well as the luckiest "
        "tenth of the completed trials did from the same epoch on."
    )


def _number(value: float) -> Cell:
    return Cell(f"{value:,.0f}", float(value))


def _time(value: float) -> Cell:
    return Cell(duration(value), value)


def costs(sweep: Sweep) -> dict[str, float]:
    """Epochs and seconds as they were, without pruning, with one worker, and both. Without-pruning seconds scale with epochs per trial.

    One worker takes the trials' seconds one after the other, and no less than several did: what passed between them does so for it, too.
    """
    step = sweep.spent.to_numpy()
    seconds = sweep.trials["seconds"].to_numpy(dtype=float)
    alone = float(np.nansum(seconds))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(sweep.stopped & ~sweep.copies & (step > 0), sweep.full / step, 1.0)
    alone_unpruned = float(np.nansum(seconds * factor))
    clock = sweep.wall
    unpruned = clock * alone_unpruned / alone if alone > 0 else clock
    return {
        "epochs": sweep.epochs,
        "epochs_unpruned": sweep.epochs_unpruned,
        "wall": clock,
        "wall_unpruned": unpruned,
        "alone": float(np.fmax(alone, clock)) if alone > 0 else clock * sweep.jobs,
        "alone_unpruned": float(np.fmax(alone_unpruned, unpruned)) if alone > 0 else clock * sweep.jobs,
    }
