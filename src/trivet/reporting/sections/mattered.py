"""What mattered: importance of parameters and option groups, the value against each parameter, and parameters that act together."""

from __future__ import annotations

from trivet.diagnosis.importance import Importance, by_budget, importance
from trivet.diagnosis.sweep import Sweep
from trivet.diagnosis.thresholds import limit
from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Chart, Heading, Layer, Panel, Section
from trivet.reporting.palette import SERIES
from trivet.reporting.sections import dependence, together
from trivet.reporting.sections.curves import slug
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
        section.add(budgets(context, sweep))
    for sweep in context.searches:
        if len(sweep.finite) and sweep.params:
            section.add(Heading(f"Value against each parameter, {context.name(sweep)}"))
            section.add(*dependence.charts(context, sweep, known[sweep.name], folded=sweep is not context.last))
    section.add(Heading("Parameters that act together"))
    together.fill(section, context, known)
    return section


def verdict(context: Context, sweep: Sweep, found: Importance | None) -> list:
    """What the importance says in words, from which values and how well it explains them; or why it says nothing."""
    name = context.name(sweep) + (f", by {sweep.names[0]} alone" if sweep.several else "")
    if len(sweep.params) < 2:
        return [f"In the {name} only {count(len(sweep.params), 'parameter')} was searched, so there is nothing to rank."]
    if found is None:
        return [f"In the {name} there are too few trials with comparable, different values to say which parameters matter."]
    basis = _basis(found)
    if found.blind:
        return [
            f"In the {name} nothing can be said about what mattered: from {basis} a boosted model learns to predict hardly better than by "
            f"their mean (R2 {found.r2:z.2f})."
        ]
    top = [key for key in found.share if found.share[key] > found.noise][:3]
    words: list = [
        f"In the {name}, judged by {basis} (a boosted model explains {_explained(found)} of their differences, R2 {found.r2:z.2f}), "
    ]
    if not found.trusted:
        words = [
            f"There are too few trials to be sure of what mattered in the {name}: judged by {basis}, with about {sweep.in_play:.0f} "
            f"parameters in play, a boosted model explains {_explained(found)} of the differences (R2 {found.r2:z.2f}; it takes "
            f"{limit('per_parameter') / 2:.0f} trials per parameter and {100 * limit('explained'):.0f} %). Take the bars as a hint only. "
        ]
    if not top:
        return [*words, "no parameter stands out." if found.trusted else ""]
    lead = f"{100 * found.share[top[0]]:.0f} % of what the space lets differ comes from " if found.trusted else "What leads is "
    words += [lead, Code(top[0])]
    if len(top) > 1:
        words += [", then ", *[part for key in top[1:] for part in (Code(key), " and ")][:-1]]
    return [*words, _groups(found), _caution(sweep, found)]


def _explained(found: Importance) -> str:
    return f"{100 * max(found.r2, 0):.0f} %"


def _basis(found: Importance) -> str:
    """From which values: `the values of 100 trials after epoch 1`."""
    if found.step is not None:
        return f"the values of {count(found.n, 'trial')} after epoch {found.step}"
    return f"the final values of {count(found.n, 'completed trial')}"


def _groups(found: Importance) -> str:
    groups = [group for group, value in found.groups.items() if value > 0.05][:3]
    if len(found.groups) < 2 or not groups:
        return "."
    return f". Whole option groups, each drawn anew as one: {listing([f'{group} {100 * found.groups[group]:.0f} %' for group in groups])}."


def _caution(sweep: Sweep, found: Importance) -> str:
    """What the figures cannot say."""
    words = []
    if found.step is not None and found.step < sweep.full:
        words.append(
            f"that is epoch {found.step} of {sweep.full}, the last that {100 * limit('comparable'):.0f} % of the trials reached; what "
            "matters at the end may be something else"
        )
    elif found.step is None and found.n < found.known:
        left = found.known - found.n
        words.append(
            f"{count(left, 'trial')} that {'was' if left == 1 else 'were'} stopped early cannot be compared with them and were left out"
        )
    if not found.even:
        words.append("the study does not name its space, so the shares are those among the trials, which lie where the sampler looked")
    return f" Caution: {'; '.join(words)}." if words else ""


def budgets(context: Context, sweep: Sweep) -> Chart | None:
    """Importance after several numbers of epochs, each among the trials that got so far (as DeepCAVE's budget-wise importance)."""
    found = by_budget(sweep) if len(sweep.params) > 1 else []
    if len(found) < 2:
        return None
    keys = sorted({key for one in found for key in one.share}, key=lambda key: -max(one.share.get(key, 0.0) for one in found))[
        : len(SERIES)
    ]
    steps = [one.step for one in found if one.step is not None]
    layers = []
    for key, color in zip(keys, SERIES, strict=False):
        shares = [100 * one.share.get(key, 0.0) for one in found]
        hover = [
            f"{key}: {share:.0f} % after epoch {one.step} ({one.n} trials, R2 {one.r2:z.2f})"
            for share, one in zip(shares, found, strict=True)
        ]
        layers.append(Layer("line", steps, shares, name=key, color=color))
        layers.append(Layer("points", steps, shares, color=color, size=7, hover=hover))
    x = Axis("epoch", log=steps[-1] > 8 * steps[0], range=(steps[0] / 1.15, steps[-1] * 1.15))
    reached = listing([f"{one.n} after epoch {one.step} (R2 {one.r2:z.2f})" for one in found])
    note = f"Each among the trials that got so far: {reached}. Later ones are those that the pruner kept, so less is left to differ."
    title = f"Importance epoch by epoch, {context.name(sweep)}"
    alt = f"Share of each parameter in the {context.name(sweep)} after several numbers of epochs."
    return Chart(f"budgets-{slug(sweep.name)}", title, [Panel(x, Axis("importance (%)"), layers)], alt, note, brief=False, folded=True)


def bars(context: Context, known: dict[str, Importance | None]) -> Chart | None:
    panels, shown = [], []
    for sweep in context.searches:
        found = known[sweep.name]
        if found is None or found.blind or len(sweep.params) < 2:
            continue
        title = context.name(sweep)
        shown.append(f"{title}: R2 {found.r2:z.2f}")
        panels.append(_bars(f"{title}: parameters", found.share, found.noise, "blue"))
        if len(found.groups) > 1:
            panels.append(_bars(f"{title}: option groups", found.groups, None, "green"))
    if not panels:
        return None
    note = "What would change if a parameter alone were drawn anew within its range, as part of the whole. "
    note += "Dotted: what a column of random numbers reaches. " if any(panel.draws("vline") for panel in panels) else ""
    note += "; ".join(shown) + "."
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
