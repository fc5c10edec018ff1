"""Was pruning right? A sample of pruned trials that was trained to the end afterwards (results/audit)."""

from __future__ import annotations

import numpy as np

from trivet.diagnosis.sweep import Sweep
from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Chart, Command, Heading, Layer, Panel, Section
from trivet.reporting.words import count

COMMAND: str | None = "python pipelines/audit.py results/coarse --n 8"


def fill(section: Section, context: Context) -> None:
    """Adds what the audit found to a section; without one, how to get it."""
    if context.results is None:
        return
    sweep = context.results.audit
    if sweep is None:
        if COMMAND and any(search.count("PRUNED") for search in context.searches):
            section.add(Command(COMMAND, "To check what pruning cost, train a sample of the pruned trials to the end:"))
        return
    section.add(Heading("Pruned trials that were trained to the end"))
    rows = sweep.complete
    if not len(rows) or "audited" not in sweep.params or context.best is None:
        section.say("The audit has no completed trial to compare with.")
        return
    origin, row = context.best
    best = origin.score[row.name]
    scores = sweep.score[rows.index]
    better = int((scores > best).sum())
    verdict = "none of them would have been the best" if better == 0 else f"{better:,} of them would have been better than the best"
    section.say(
        f"{count(len(rows), 'pruned trial')} {'was' if len(rows) == 1 else 'were'} trained to the end afterwards: {verdict} "
        f"({context.scale.show(origin.value(best))}). The best of them reached {context.scale.show(sweep.value(scores.max()))}."
    )
    section.add(_chart(context, sweep, origin.value(best)))


def origin_of(context: Context, audit: Sweep) -> Sweep | None:
    """The search whose pruned trials were audited: the one where those numbers were pruned and had these parameters."""
    keys = [key for key in audit.params if key not in ("audited", "seed", "finalist")]
    rows = audit.trials.set_index("audited")
    for search in context.searches:
        found = search.trials[search.trials["number"].isin(rows.index)].set_index("number")
        if len(found) < len(rows) or not (found["state"] == "PRUNED").all():
            continue
        pairs = [(rows[key].astype(str), found[key].reindex(rows.index).astype(str)) for key in keys if key in found]
        if all((a.to_numpy() == b.to_numpy()).all() for a, b in pairs):
            return search
    return None


def _chart(context: Context, sweep: Sweep, best: float) -> Chart:
    rows = sweep.complete
    search = origin_of(context, sweep)
    x = np.arange(len(rows))
    layers = []
    if search is not None:
        then = search.trials.set_index("number")[search.objectives[0]].reindex(rows["audited"])
        layers.append(Layer("points", x, context.scale.axis(then), name="when it was stopped", color="pale", size=8))
    ends = context.scale.axis(rows[sweep.objectives[0]])
    layers.append(Layer("points", x, ends, name="trained to the end", color="blue", size=8))
    layers.append(Layer("hline", y=[context.scale.factor * best], name="best of the search", color="green", dash="dash"))
    ticks = tuple((float(place), f"trial {int(number)}") for place, number in enumerate(rows["audited"]))
    panel = Panel(Axis("", ticks=ticks[:30], range=(-0.6, len(rows) - 0.4)), context.objective_axis(), layers)
    return Chart(
        "audit", "Pruned trials trained to the end", [panel], "Pruned trials when they were stopped and at their end, against the best."
    )
