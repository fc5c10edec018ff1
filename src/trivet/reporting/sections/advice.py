"""What next: the decision with its price and its reasons, which parameters to fix, which ranges to widen, and the command."""

from __future__ import annotations

import math

from trivet.diagnosis.flag import Case
from trivet.diagnosis.front import candidates, growth
from trivet.diagnosis.importance import idle
from trivet.diagnosis.progress import Progress, progress
from trivet.diagnosis.space_flags import at_edges
from trivet.diagnosis.sweep import Sweep
from trivet.diagnosis.widening import widened
from trivet.reporting.context import Context
from trivet.reporting.decision import Decision
from trivet.reporting.model import Bullets, Code, Section, Strong
from trivet.reporting.words import count, listing, number
from trivet.space import to_text
from trivet.space.limits import STRUCTURE, leaf


def build(context: Context, decision: Decision) -> Section:
    section = Section("next", "What next")
    section.say(Strong(decision.title), " ", decision.reason, " ", decision.price)
    state = progress(context.last)
    if state is None:
        return section
    rules = _rules(context, state)
    section.add(Bullets(tuple(rules)) if rules else None)
    changes = _changes(context, context.last, decision)
    if changes:
        section.add(Bullets(tuple(changes)))
    section.add(decision.command)
    return section


def _of_the_front(sweep: Sweep, state: Progress) -> list[tuple]:
    """How far the front came with the last trials."""
    rows = candidates(sweep)
    shares = growth(rows[sweep.objectives].to_numpy(dtype=float), sweep.directions)
    if len(shares) < 2:
        return []
    recent = rows["number"].isin(sweep.trials["number"].tail(state.recent)).to_numpy()
    before = shares[~recent][-1] if (~recent).any() else 0.0
    last = f"The last {count(state.recent, 'trial') if state.recent > 1 else 'trial'}"
    if shares[-1] <= before:
        return [(f"{last} did not move the front.",)]
    return [(f"{last} moved the front: {100 * (1 - before / shares[-1]):.0f} % of the area that it covers came with them.",)]


def _rules(context: Context, state: Progress) -> list[tuple]:
    if context.last.several:
        return _of_the_front(context.last, state)
    scale = context.scale
    gain = f"improved the best by {scale.delta(state.recent_gain)}" if state.recent_gain > 0 else "brought no improvement"
    noise = context.seeds.noise if context.seeds is not None else None
    if noise is not None and 0 < state.recent_gain <= noise:
        gain += f", no more than the {scale.delta(noise)} by which one configuration varies from seed to seed"
    items = [(f"The last {count(state.recent, 'trial') if state.recent > 1 else 'trial'} {gain}.",)]
    stood = f"has stood for {count(state.same_for, 'trial')}" if state.same_for else "came with the last trial"
    items.append((f"The best value {stood} (trial {state.best_trial}).",))
    if not state.paced or (state.slope > 0 and state.recent_gain <= 0):  # a pace that has come to a stop says nothing of what comes
        return items
    step = 0.01 if scale.percent else 0.01 * abs(state.best)
    room = (1 - state.best if context.maximize else state.best) if scale.percent else abs(state.best)
    if step == 0 or room < step:  # nothing is above 100 %, or below 0
        return items
    more = state.trials_for(step)
    one = "One more percentage point" if scale.percent else "One more per cent"
    if math.isinf(more) or more > 100 * state.n:
        items.append((f"{one} is out of reach for this search: at its present pace it would take more than a hundred times the trials.",))
    else:
        trials = max(math.ceil(more), 1)
        words = f"{number(trials, 2)} trials" if trials > 1 else "1 trial"
        if_so = "if the best value goes on improving with the logarithm of their number"
        items.append((f"{one} would take about {words} more, {if_so}.",))
    return items


def _changes(context: Context, sweep: Sweep, decision: Decision) -> list[tuple]:
    """What to change in the space of another study: only what the decision does not advise against."""
    items: list[tuple] = []
    if keys := idle(sweep):
        kept = [part for key in keys for part in (Code(key), ", ")][:-1]
        items.append((Strong("Fix:"), " ", *kept, ", which made no visible difference. Price: none."))
    if decision.action != "widen":
        return items
    for entry, low_end, *_ in at_edges(Case(sweep, context.scale)):
        when = f" (where {listing([f'{group}={option}' for group, option in entry.when])})" if entry.when else ""
        size = STRUCTURE.fullmatch(leaf(entry.key)) and not low_end
        cost = " Larger sizes cost more time and memory for each trial." if size else ""
        new = Code(to_text(widened(entry.spec, low_end, entry.key)))
        items.append((Strong("Widen:"), " ", Code(entry.key), when, " from ", Code(to_text(entry.spec)), " to ", new, f".{cost}"))
    return items
