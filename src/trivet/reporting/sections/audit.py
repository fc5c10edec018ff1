"""Was pruning right? A sample of pruned trials that was trained to the end afterwards (results/audit)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trivet.diagnosis.sweep import Sweep
from trivet.reporting import commands
from trivet.reporting.belonging import origin_of
from trivet.reporting.context import Context
from trivet.reporting.decision import price
from trivet.reporting.model import Axis, Chart, Command, Heading, Layer, Panel, Section
from trivet.reporting.pruning import Audit, audited
from trivet.reporting.words import count


def fill(section: Section, context: Context) -> None:
    """Adds what the audit found to a section; without one, how to get it, where the app has such a command."""
    if context.results is None:
        return
    sweep = context.results.audit
    if sweep is None:
        for search in context.searches:
            line = commands.audit(context.results, search)
            if line:
                n = min(8, search.count("PRUNED"))
                cost = price(context, n * search.full)
                which = f"{n} of the pruned trials" if context.single else f"{n} of the pruned trials of the {context.name(search)}"
                section.add(Command(line, f"To check what pruning cost, train {which} to the end (price: {cost}):"))
                return
        return
    section.add(Heading("Pruned trials that were trained to the end"))
    found = audited(context)
    if found is None or context.best is None:
        section.say("The audit has no completed trial to compare with.")
        return
    origin, row = context.best
    section.say(words(context, origin, row, found))
    section.add(_chart(context, sweep, origin.value(origin.score[row.name])))


def words(context: Context, origin: Sweep, row: pd.Series, found: Audit) -> str:
    """What the audit says of pruning, against the best trial (`row` of `origin`), and how sure it is."""
    verdict = "none of them would have been the best" if found.better == 0 else f"{found.better:,} of them came out better than the best"
    text = (
        f"{count(found.n, 'pruned trial')} {'was' if found.n == 1 else 'were'} trained to the end afterwards: {verdict} "
        f"({context.scale.show(origin.value(origin.score[row.name]))}). The best of them reached "
        f"{context.scale.show(origin.value(found.best))}."
    )
    if found.better and found.clearly < found.better and context.seeds is not None and context.seeds.noise is not None:
        text += f" {found.clearly:,} did so by more than the {context.scale.delta(context.seeds.noise)} that seeds alone make."
    return text


def _chart(context: Context, sweep: Sweep, best: float) -> Chart:
    rows = sweep.complete
    search = origin_of(context.searches, sweep)
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
