"""What mattered: importance of parameters and option groups, the value against each parameter, and parameters that act together."""

from __future__ import annotations

from trivet.diagnosis.importance import Importance, importance
from trivet.diagnosis.sweep import Sweep
from trivet.diagnosis.thresholds import limit
from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Chart, Heading, Layer, Panel, Section
from trivet.reporting.sections import dependence, together
from trivet.reporting.words import Code, count, listing

MOST_BARS = 15


def build(context: Context) -> Section:
    section = Section("mattered", "What mattered")
    if not any(len(sweep.finite) > 1 and sweep.params for sweep in context.searches):
        section.say("There are not two trials with a value and a searched parameter, so nothing can be said about what mattered.")
        return section
    known = {sweep.name: importance(sweep) for sweep in context.searches}
    for sweep in context.searches:
        section.say(*verdict(context, sweep, known[sweep.name]))
    section.add(bars(context, known))
    for sweep in context.searches:
        if len(sweep.finite) and sweep.params:
            section.add(Heading(f"Value against each parameter, {context.name(sweep)}"))
            section.add(*dependence.charts(context, sweep, known[sweep.name]))
    section.add(Heading("Parameters that act together"))
    together.fill(section, context, known)
    return section


def verdict(context: Context, sweep: Sweep, found: Importance | None) -> list:
    """What the importance says in words, or why it says nothing."""
    name = context.name(sweep)
    if len(sweep.params) < 2:
        return [f"In the {name} only {count(len(sweep.params), 'parameter')} was searched, so there is nothing to rank."]
    if found is None:
        return [f"In the {name} there are too few trials with different values ({len(sweep.finite):,}) to say which parameters matter."]
    if found.blind:
        return [
            f"In the {name} nothing can be said about what mattered: from {count(found.n, 'trial')} a random forest learns to "
            "predict hardly "
            "better than by their mean."
        ]
    top = [key for key in found.share if found.share[key] > found.noise][:3]
    words: list = [f"In the {name} "]
    if not found.trusted:
        words = [
            f"There are too few trials to be sure of what mattered in the {name}: from {count(found.n, 'trial')} with about "
            f"{sweep.in_play:.0f} parameters in play a random forest explains {100 * max(found.r2, 0):.0f} % of the differences (it takes "
            f"{limit('per_parameter') / 2:.0f} trials per parameter and {100 * limit('explained'):.0f} %). Take the bars as a hint only. "
        ]
    if not top:
        return [*words, "no parameter stands out." if found.trusted else ""]
    lead = f"{100 * found.share[top[0]]:.0f} % of the explained differences come from " if found.trusted else "What leads is "
    words += [lead, Code(top[0])]
    if len(top) > 1:
        words += [", then ", *[part for key in top[1:] for part in (Code(key), " and ")][:-1]]
    groups = [group for group, value in found.groups.items() if value > 0.05][:3]
    return [*words, f". By whole option groups: {listing([f'{g} {100 * found.groups[g]:.0f} %' for g in groups])}." if groups else "."]


def bars(context: Context, known: dict[str, Importance | None]) -> Chart | None:
    panels = []
    for sweep in context.searches:
        found = known[sweep.name]
        if found is None or found.blind or len(sweep.params) < 2:
            continue
        title = context.name(sweep)
        panels.append(_bars(f"{title}: parameters", found.share, found.noise, "blue"))
        if len(found.groups) > 1:
            panels.append(_bars(f"{title}: option groups", found.groups, None, "green"))
    if not panels:
        return None
    note = "Share of the differences between trials that a parameter explains. Dotted: what a column of random numbers reaches."
    return Chart("importance", "Importance", panels, "Importance of parameters and option groups in each search.", note, height=300)


def _bars(title: str, shares: dict[str, float], noise: float | None, color: str) -> Panel:
    items = list(shares.items())[:MOST_BARS]
    places = list(range(len(items)))
    hover = [f"{key}: {100 * value:.1f} %" for key, value in items]
    layers = [Layer("bars", [100 * value for _, value in items], places, color=color, hover=hover)]
    if noise is not None and noise < max(value for _, value in items):
        layers.append(Layer("vline", x=[100 * noise], color="red", dash="dot", width=1.5))
    y = Axis("", ticks=tuple((float(place), key) for place, (key, _) in enumerate(items)), range=(len(items) - 0.4, -0.6))
    return Panel(Axis("importance (%)"), y, layers, title)
