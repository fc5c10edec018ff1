"""Was pruning right? A sample of pruned trials that was trained to the end afterwards (results/audit)."""

from __future__ import annotations

import numpy as np

from trivet.diagnosis.sweep import Sweep
from trivet.report.context import Context
from trivet.report.model import Axis, Chart, Command, Heading, Layer, Panel, Section
from trivet.report.words import count

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


def _chart(context: Context, sweep: Sweep, best: float) -> Chart:
    rows = sweep.complete
    source = {int(number): search for search in reversed(context.searches) for number in search.trials["number"]}
    layers = []
    ends = context.scale.axis(rows[sweep.objectives[0]])
    then = []
    for number in rows["audited"]:
        search = source.get(int(number))
        match = search.trials.loc[search.trials["number"] == int(number)] if search is not None else None
        value = float(match[search.objectives[0]].iloc[0]) if match is not None and len(match) else np.nan
        then.append(value)
    x = np.arange(len(rows))
    layers.append(Layer("points", x, context.scale.axis(then), name="when it was stopped", color="pale", size=8))
    layers.append(Layer("points", x, ends, name="trained to the end", color="blue", size=8))
    layers.append(Layer("hline", y=[context.scale.factor * best], name="best of the search", color="green", dash="dash"))
    ticks = tuple((float(place), f"trial {int(number)}") for place, number in enumerate(rows["audited"]))
    panel = Panel(Axis("", ticks=ticks[:30], range=(-0.6, len(rows) - 0.4)), context.objective_axis(), layers)
    return Chart(
        "audit", "Pruned trials trained to the end", [panel], "Pruned trials when they were stopped and at their end, against the best."
    )
