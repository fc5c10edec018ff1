"""Searches side by side: best against cost, best configurations, what mattered, and where they agree.

trivet compare sweeps/random-1a2b3c4d sweeps/search-5e6f7a8b      # folders
trivet compare HEAD~3 HEAD                                        # runs of the pipeline, by git revision
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np

from trivet.diagnosis import agreement
from trivet.diagnosis.importance import importance
from trivet.reporting.belonging import setting_differs
from trivet.reporting.build import rendered
from trivet.reporting.contestants import Contestant, read
from trivet.reporting.files import write
from trivet.reporting.model import Axis, Cell, Chart, Code, Layer, Panel, Report, Section, Table
from trivet.reporting.palette import SERIES
from trivet.reporting.words import Scale, cell, code_cell, count, duration, empty, listing, number, scale_cell, settings

UNITS = ("trials", "epochs", "seconds")
SHARES = (0.25, 0.5, 1.0)  # of the cost that all of them spent
MOST_PARAMETERS = 12


def compare(words: list[str], out: Path, root: Path = Path()) -> tuple[Path, list[str]]:
    """Write report.md, report.html and figures/ into `out`: the HTML file, and the comparison in lines. UserError where a word names
    nothing that can be compared; nothing is written then."""
    sides = read(words, root)
    known = [one for one in sides if one.searches]
    values = [sweep.trials[sweep.objectives[0]].to_numpy(dtype=float) for one in known for sweep in one.searches]
    scale = Scale(known[0].last.metric, np.concatenate(values)) if known else Scale("objective")
    parts = [at_equal_cost(known, scale), configurations(known, scale), mattered(known), agreeing(known)] if known else []
    sections = [verdict(sides, known, scale), *([phases(sides)] if any(one.metrics for one in sides) else []), *parts]
    better = "higher is better" if known and known[0].last.maximize else "lower is better" if known else ""
    subtitle = f"{listing([one.label for one in sides])}" + (f"; objective {scale.metric} ({better})." if known else ".")
    page = write(out, rendered(Report("Comparison of searches", subtitle, sections), "report.md"))
    return page, lines(sides, known, scale)


def common(known: list[Contestant], unit: str) -> float:
    """The cost that every one of them has spent: the least of their totals."""
    return min(float(one.course()[unit].iloc[-1]) if len(one.course()) else 0.0 for one in known)


def unit_of(known: list[Contestant]) -> str:
    """What equal cost is counted in: epochs where all report them, else trials."""
    return "epochs" if common(known, "epochs") > 0 else "trials"


def lines(sides: list[Contestant], known: list[Contestant], scale: Scale) -> list[str]:
    """For a terminal: one line each, and where they agree."""
    unit = unit_of(known) if known else "trials"
    cost = common(known, unit) if known else 0
    told = []
    for one in sides:
        if one.searches:
            at = one.best_at(unit, cost)
            total = one.course().iloc[-1] if len(one.course()) else None
            spent = f"{count(total['trials'], 'trial')}, {count(total['epochs'], 'epoch')}" if total is not None else "no trial"
            told.append(
                f"{one.label}: {scale.show(at)} after {number(cost)} {unit}, {scale.show(_best(one))} at its end ({spent}; {one.method})"
            )
        told += [f"{one.label}: {why}" for why in one.missing]
    for a, b in combinations(known, 2):
        told.append("".join(part if isinstance(part, str) else part.text for part in _agreement_words(a, b)))
    return told


def _best(one: Contestant) -> float:
    return one.best[0].value(one.best[0].score[one.best[1].name]) if one.best is not None else float("nan")


def verdict(sides: list[Contestant], known: list[Contestant], scale: Scale) -> Section:
    section = Section("verdict", "Which was better")
    for one in sides:
        for why in one.missing:
            section.say(f"{one.label}: {why}.")
    for one in known[1:]:
        why = setting_differs(one.last, known[0].last)
        if why:
            section.say(f"Take care: {one.label} is not the same task as {known[0].label}: {why.replace('it was', 'its search was')}.")
    if len(known) < 2:
        section.say("Fewer than two of them have tables here, so only the published figures are compared.")
        return section
    unit, sign = unit_of(known), 1 if known[0].last.maximize else -1
    cost = common(known, unit)
    values = {one.label: one.best_at(unit, cost) for one in known}
    finite = {label: value for label, value in values.items() if np.isfinite(value)}
    if not finite:
        section.say("No trial of them reported a usable value within their common cost.")
        return section
    ahead = max(finite, key=lambda label: sign * finite[label])
    rest = [label for label, value in finite.items() if value == finite[ahead] and label != ahead]
    words = f"After {number(cost)} {unit}, which every one of them spent, "
    if rest:
        section.say(f"{words}{listing([ahead, *rest])} are level at {scale.show(finite[ahead])}.")
    else:
        behind = max((sign * value for label, value in finite.items() if label != ahead), default=None)
        lead = f", {scale.delta(sign * finite[ahead] - behind)} better than the next" if behind is not None else ""
        section.say(f"{words}{ahead} has the best value: {scale.show(finite[ahead])}{lead}.")
    section.say(
        "The best of many trials is partly luck, and a search run again with another seed ends elsewhere: compare several seeds of each, "
        "and fresh seeds of what they found, before calling one method better.",
        kind="note",
    )
    starts = {text for one in known if (text := _start(one))}
    if len(starts) == 1 and len(known) > 1 and all(_start(one) for one in known):
        section.say("All of them began with the same configuration.")
    return section


def _start(one: Contestant) -> str:
    sweep = one.searches[0]
    return repr(settings(sweep.trials.iloc[0], sweep.params)) if len(sweep.trials) else ""


def phases(sides: list[Contestant]) -> Section:
    """The figures of whole runs of the pipeline, as their committed reports have them."""
    section = Section("phases", "Runs of the pipeline")
    rows = []
    for one in sides:
        found = one.metrics or {}
        values = [(found.get(part) or {}).get(name) for part, name in FIGURES.values()]
        rows.append((Cell(one.label), *(cell(value) if isinstance(value, (int, float)) else empty() for value in values)))
    section.add(Table(("run", *FIGURES), tuple(rows), "From reports/metrics.json.", tuple(FIGURES)))
    return section


FIGURES = {
    "coarse best": ("coarse", "best"),
    "fine best": ("fine", "best"),
    "winner, fresh seeds": ("seeds", "mean"),
    "its deviation": ("seeds", "std"),
    "test": ("test", "mean"),
    "test of the default": ("test", "baseline_mean"),
    "epochs": ("cost", "epochs"),
}


def at_equal_cost(known: list[Contestant], scale: Scale) -> Section:
    section = Section("cost", "Best against cost")
    units = [unit for unit in UNITS if common(known, unit) > 0]
    panels = []
    for unit in units:
        layers = []
        for place, one in enumerate(known):
            course = one.course().dropna(subset=["best"])
            color, dash = SERIES[place % len(SERIES)], ("solid", "dash", "dot", "dashdot")[place // len(SERIES) % 4]
            layers.append(Layer("steps", course[unit], scale.axis(course["best"]), name=one.label, color=color, dash=dash))
        layers.append(Layer("vline", [common(known, unit)], name="spent by all", color="muted", dash="dot", width=1))
        panels.append(Panel(Axis(f"{unit} spent"), Axis(scale.label), layers))
    note = "Seconds are those of the trials, divided by the workers. Up to the dotted line all of them are compared at equal cost."
    alt = f"Best {scale.label} found so far against {listing(units)}, one line for each search."
    section.add(Chart("best-by-cost", "Best value so far", panels, alt, note))
    columns = [(unit, share * common(known, unit)) for unit in units for share in SHARES]
    columns = [(unit, at if unit == "seconds" else max(1.0, np.floor(at))) for unit, at in columns]
    rows = tuple((Cell(one.label), *(scale_cell(scale, one.best_at(unit, at)) for unit, at in columns)) for one in known)
    names = tuple(_cost(unit, at) for unit, at in columns)
    section.add(Table(("search", *_unique(names)), rows, "Best value at equal cost.", _unique(names)))
    return section


def _cost(unit: str, value: float) -> str:
    return duration(value) if unit == "seconds" else f"{number(value, 3)} {unit}"


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name if names.index(name) == place else f"{name} ({place})" for place, name in enumerate(names))


def configurations(known: list[Contestant], scale: Scale) -> Section:
    section = Section("best", "Best configurations")
    keys = list(dict.fromkeys(key for one in known for key in one.last.params))
    rows = []
    for one in known:
        if one.best is None:
            section.say(f"{one.label} has no completed trial.")
            continue
        sweep, row = one.best
        values = settings(row, sweep.params)
        total = one.course().iloc[-1]
        head = (Cell(one.label), Cell(one.method), cell(int(row["number"])), scale_cell(scale, _best(one)), cell(float(total["epochs"])))
        rows.append((*head, *(code_cell(values[key]) if key in values else empty() for key in keys)))
    section.add(Table(("search", "how", "trial", scale.label, "epochs in all", *keys), tuple(rows), "The best completed trial of each."))
    return section


def mattered(known: list[Contestant]) -> Section:
    section = Section("mattered", "What mattered")
    found = {one.label: importance(one.searches[0]) for one in known}
    usable = {label: one for label, one in found.items() if one is not None and not one.blind}
    for label in found:
        if label not in usable:
            section.say(f"In {label} too few trials differ in a way that a model could learn from, so nothing is said of it.")
    shares = {label: one.share for label, one in usable.items()}
    keys = sorted({key for one in shares.values() for key in one}, key=lambda key: -max(one.get(key, 0) for one in shares.values()))
    rows = tuple(
        (Cell(key, code=True), *(Cell(f"{100 * one[key]:.0f} %", one[key]) if key in one else empty() for one in shares.values()))
        for key in keys[:MOST_PARAMETERS]
    )
    if rows:
        caption = "A parameter's part in the differences between values, in the first search of each."
        section.add(Table(("parameter", *shares), rows, caption, tuple(shares)))
    return section


def agreeing(known: list[Contestant]) -> Section:
    section = Section("agree", "Where they agree")
    for a, b in combinations(known, 2):
        section.say(*_agreement_words(a, b))
    keys = [key for key in known[0].last.params if all(key in one.last.params for one in known)]
    rows = []
    for key in keys:
        ends = agreement.ends_of([one.last for one in known], key)
        found = [agreement.settled(one.last, key, ends) for one in known]
        cells = [empty() if one is None else Cell(one.text + ("" if one.fixed else ", open"), one.middle) for one in found]
        rows.append((Cell(key, code=True), *cells))
    if rows:
        caption = (
            f"What the best trials have (a tenth of the completed ones, at least {agreement.LEAST_TOP}); open: spread over more than half "
            "of the range, or over several options."
        )
        section.add(Table(("parameter", *(one.label for one in known)), tuple(rows), caption, limit=40))
    return section


def _agreement_words(a: Contestant, b: Contestant) -> list:
    """Whether two searches found the same region, in words."""
    names = f"{a.label} and {b.label}"
    if any(not len(agreement.top_of(one.last)) for one in (a, b)):
        return [f"{names}: fewer than {agreement.LEAST_TOP} completed trials in one of them, too few to say whether they agree."]
    found = agreement.agreement(a.last, b.last)
    if not found.alike and not found.apart:
        return [f"{names}: no parameter was settled by both, so they agree on nothing and contradict each other in nothing."]
    words: list = [f"{names} found the same region" if found.same_region else f"{names} found different regions"]
    for text, keys in ((": alike in ", found.alike), (", apart in " if found.alike else ": apart in ", found.apart)):
        if keys:
            words += [text, *[part for key in keys for part in (Code(key), ", ")][:-1]]
    return [*words, f"; {count(len(found.open), 'parameter')} left open by one of them." if found.open else "."]
