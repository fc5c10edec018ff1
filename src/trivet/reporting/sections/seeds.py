"""Phase 3: each finalist and the default over the same fresh seeds, and how much of the first score was luck."""

from __future__ import annotations

from trivet.reporting.context import PHASES, Context
from trivet.reporting.model import Axis, Cell, Chart, Layer, Panel, Section, Table
from trivet.reporting.sections.headline import strip
from trivet.reporting.words import NOTHING, Scale, cell, count, empty, scale_cell


def build(context: Context) -> Section:
    section = Section("seeds", PHASES["seeds"][0])
    seeds, scale = context.seeds, context.scale
    if seeds is None:
        section.say("The seeds stage has not been run (or no run of it finished), so how much of the best value was luck is not known.")
        return section
    section.say(f"Goal: {PHASES['seeds'][1]}.")
    runs = sum(len(values) for values in seeds.values.values())
    tuned = len(seeds.tuned)
    failed = len(context.results.seeds.trials) - runs
    section.say(
        f"{count(tuned, 'finalist')}{' and the default' if 0 in seeds.values else ''} were trained with "
        f"{count(max(len(values) for values in seeds.values.values()), 'fresh seed')} each: "
        + (f"all {count(runs, 'run')} finished." if not failed else f"{count(runs, 'run')} finished, {failed:,} did not.")
    )
    section.add(_chart(context))
    _luck(section, context)
    section.add(_table(context))
    if seeds.noise is not None:
        section.say(
            f"Between seeds of one and the same configuration the value varies with a standard deviation of {scale.delta(seeds.noise)}."
        )
    return section


def _luck(section: Section, context: Context) -> None:
    seeds, scale = context.seeds, context.scale
    first = 1 if 1 in seeds.values and 1 in seeds.shown else None
    for finalist in dict.fromkeys(part for part in (first, seeds.winner) if part):
        if finalist not in seeds.shown:
            continue
        sign = 1 if context.maximize else -1
        luck = sign * (seeds.shown[finalist] - seeds.mean(finalist))
        who = "The winner" if finalist == seeds.winner else "The trial that had looked best"
        tail = f"so {scale.delta(luck)} of the first score was luck" if luck > 0 else "so the first score was not luck"
        section.say(
            f"{who} (finalist {finalist}) had shown {scale.show(seeds.shown[finalist])} in the search and reaches "
            f"{scale.show(seeds.mean(finalist))} on average over fresh seeds, {tail}."
        )


def _chart(context: Context) -> Chart:
    seeds, scale = context.seeds, context.scale
    layers, ticks = [], []
    for place, finalist in enumerate(seeds.values):
        color = "green" if finalist == seeds.winner else "orange" if finalist == 0 else "blue"
        label = seeds.label[finalist] + (" (winner)" if finalist == seeds.winner else "")
        ticks.append((float(place), label))
        values = seeds.values[finalist]
        layers += strip(scale, place, label, list(values.values()), color, [f"seed {seed}" for seed in values])
        if finalist in seeds.shown:
            layers.append(_shown(scale, place, label, seeds.shown[finalist], named=not any(layer.symbol == "diamond" for layer in layers)))
    panel = Panel(Axis("", ticks=tuple(ticks), range=(-0.6, len(ticks) - 0.4)), Axis(scale.label), layers)
    alt = "Finalists over fresh seeds: " + "; ".join(f"{seeds.label[f]} {scale.show(seeds.mean(f))}" for f in seeds.values)
    note = "Filled dots are runs with fresh seeds, the bar is their mean; the diamond is the single value that the search had shown."
    return Chart("seeds", "Each finalist over its seeds", [panel], alt, note)


def _shown(scale: Scale, place: float, label: str, value: float, named: bool) -> Layer:
    name = "shown in the search" if named else ""
    return Layer(
        "points",
        [place + 0.32],
        scale.axis([value]),
        name=name,
        color="purple",
        symbol="diamond",
        size=9,
        hover=[f"{label}, shown in the search: {scale.show(value)}"],
    )


def _table(context: Context) -> Table:
    seeds, scale = context.seeds, context.scale
    rows = []
    for finalist in seeds.order:
        summary = seeds.summary(finalist)
        pair = seeds.paired(finalist, 0) if finalist != 0 and 0 in seeds.values else None
        versus = (
            Cell(("+" if pair.mean > 0 else "\u2212" if pair.mean < 0 else "") + scale.delta(abs(pair.mean), "points"), pair.mean)
            if pair
            else empty()
        )
        p = cell(pair.p, 2) if pair is not None and pair.p is not None else empty()
        number = seeds.number.get(finalist)
        where = f"{seeds.phase.get(finalist, '')} {'' if number is None else number}".strip() if finalist else ""
        rows.append(
            (
                Cell(seeds.label[finalist] + (" (winner)" if finalist == seeds.winner else "")),
                Cell(where or NOTHING),
                scale_cell(scale, seeds.shown.get(finalist)),
                scale_cell(scale, summary.mean),
                Cell(scale.delta(summary.std, "points"), summary.std) if summary.std is not None else empty(),
                Cell(scale.interval(summary.low, summary.high), summary.low) if summary.std is not None else empty(),
                versus,
                p,
            )
        )
    columns = ("Configuration", "From trial", "Shown value", "Mean", "Standard deviation", "95 % interval", "Against the default", "p")
    return Table(
        columns,
        tuple(rows),
        "Finalists by their mean over seeds.",
        ("Shown value", "Mean", "Standard deviation", "Against the default", "p"),
    )
