"""Phase 3: each finalist and the default over the same fresh seeds, and how much of the first score was luck."""

from __future__ import annotations

import math

from trivet.diagnosis.choosing import Choosing, flat
from trivet.diagnosis.seeds import Seeds
from trivet.reporting.context import PHASES, Context
from trivet.reporting.model import Axis, Cell, Chart, Layer, Panel, Section, Table
from trivet.reporting.sections.headline import strip
from trivet.reporting.words import NOTHING, Scale, cell, count, empty, listing, scale_cell

BETTER = "Better than the default by"


def build(context: Context) -> Section:
    section = Section("seeds", PHASES["seeds"][0])
    seeds, scale = context.seeds, context.scale
    if seeds is None:
        section.say("The seeds stage has not been run (or no run of it finished), so how much of the best value was luck is not known.")
        return section
    section.say(f"Goal: {PHASES['seeds'][1]}.")
    runs = sum(len(values) for values in seeds.values.values())
    tuned = len(seeds.tuned)
    failed = (len(context.run.seeds.trials) if context.run.seeds is not None else runs) - runs
    most = count(max(len(values) for values in seeds.values.values()), "fresh seed")
    who = [count(tuned, "finalist")] * (tuned > 0) + ["the default"] * (0 in seeds.values)
    section.say(
        f"{listing(who).capitalize()} {'were' if len(seeds.values) > 1 else 'was'} trained with "
        f"{f'up to {most}' if seeds.raced else f'{most} each'}: "
        + (f"all {count(runs, 'run')} finished." if not failed else f"{count(runs, 'run')} finished, {failed:,} did not.")
    )
    if seeds.raced:
        section.say(_of_the_race(context, seeds))
    section.add(_chart(context, seeds))
    _luck(section, context, seeds)
    section.add(_table(context, seeds))
    if seeds.noise is not None:
        section.say(
            f"Between seeds of one and the same configuration the value varies with a standard deviation of {scale.delta(seeds.noise)}."
        )
    return section


def _luck(section: Section, context: Context, seeds: Seeds) -> None:
    """How much of what was seen is luck: of the search's best, of the winner, and of the choice between them."""
    if 1 in seeds.values and 1 in seeds.shown and seeds.winner != 1:
        section.say(_of_the_first(context, seeds, 1))
    if seeds.winner == 0:
        return
    if seeds.choosing is None:
        section.say("With one seed each nothing is known of the noise between seeds, nor of how much of the winner's lead is luck.")
        return
    section.say(_of_the_winner(context, seeds, seeds.choosing))
    if seeds.choosing.k > 1:
        section.say(_of_the_choice(context, seeds.choosing, seeds.raced))


def _of_the_race(context: Context, seeds: Seeds) -> str:
    """How the runs were spent, and what that bought beside equal shares of as many."""
    scale, even, found = context.scale, seeds.even, seeds.choosing
    rounds = ", ".join(map(str, seeds.rounds))
    words = (
        f"They ran a race, the default along with them: of the finalists {rounds} had a first seed, a second and so on, each time those "
        "that were better by their mean so far. "
    )
    if even is None or found is None or not found.k > 1:
        return words + "What that bought beside equal shares cannot be told, as nothing tells the noise."
    n = len(seeds.values[seeds.winner])
    words += (
        f"In equal shares the same runs are {count(even.n, 'seed')} each. What the race bought: the winner's mean rests on "
        f"{count(n, 'seed')} (standard error {scale.delta(found.noise / math.sqrt(n))}, in equal shares {scale.delta(even.error)})"
    )
    if found.alike or even.alike:
        return words + "; that the right one won is as uncertain as before, as the finalists differ no more than noise makes them."
    return words + f", and it finds the truly best in about {100 * found.found:.0f} of 100 cases, equal shares in {100 * even.found:.0f}."


def _of_the_first(context: Context, seeds: Seeds, finalist: int) -> str:
    scale = context.scale
    luck = (seeds.shown[finalist] - seeds.mean(finalist)) * (1 if context.maximize else -1)
    shown, mean = scale.show(seeds.shown[finalist]), scale.show(seeds.mean(finalist))
    words = f"The trial that had looked best (finalist {finalist}) had shown {shown} in the search and reaches {mean} over fresh seeds"
    return words + _verdict(scale, luck, seeds.noise, len(seeds.values[finalist]))


def _verdict(scale: Scale, luck: float, noise: float | None, n: int) -> str:
    """How far a first score was luck, against what n seeds can tell (two standard errors of their mean)."""
    if noise is None:
        return "; with one seed nobody can say whether the first value was luck."
    error = noise / math.sqrt(n)
    if luck > 2 * error:
        return f": {scale.delta(luck)} of the first value was luck (standard error {scale.delta(error)})."
    if luck >= 0:
        return f": {scale.delta(luck)} worse, no more than {count(n, 'seed')} can tell from none (standard error {scale.delta(error)})."
    return f": nothing says that the first value was luck (standard error {scale.delta(error)})."


def _of_the_winner(context: Context, seeds: Seeds, found: Choosing) -> str:
    scale = context.scale
    words = f"The winner (finalist {seeds.winner}) reaches {scale.show(seeds.mean(seeds.winner))} over {count(found.n, 'fresh seed')}. "
    true = seeds.corrected(seeds.winner)
    if found.k > 1 and seeds.raced:
        words += (
            f"It came first of {found.k} in a race, and the first of several is partly luck: {scale.delta(found.luck)} of it by a "
            f"parametric bootstrap of the race, at most {scale.delta(found.most)} (were all equally good). Corrected for that it reaches "
            f"{scale.show(true)}"
        )
    elif found.k > 1:
        words += (
            f"It was chosen as the best of {found.k} means, and the best of several is partly luck: {scale.delta(found.luck)} of it "
            f"by a parametric bootstrap, at most {scale.delta(found.most)} (the expected maximum of {found.k} equally good means). "
            f"Corrected for that it reaches {scale.show(true)}"
        )
    else:
        words += f"It was the only finalist, so there was nothing to choose: {scale.show(true)}"
    if seeds.winner not in seeds.shown:
        return words + "."
    luck = (seeds.shown[seeds.winner] - true) * (1 if context.maximize else -1)
    return words + f"; in the search it had shown {scale.show(seeds.shown[seeds.winner])}" + _verdict(scale, luck, seeds.noise, found.n)


def _of_the_choice(context: Context, found: Choosing, raced: bool) -> str:
    if found.alike:
        return (
            f"The means of these {found.k} finalists differ no more than those of one configuration would, so which of them is "
            f"truly best is not known: for all that these runs tell, the choice is no better than drawing lots (1 in {found.k})."
        )
    how = f"a race up to {count(found.n, 'seed')} picks" if raced else f"{count(found.n, 'seed')} each pick"
    return (
        f"At this noise {how} the truly best of these {found.k} finalists in about "
        f"{100 * found.found:.0f} of 100 cases (same bootstrap); on average "
        f"the one that is picked is {context.scale.delta(found.loss)} worse than the truly best."
    )


def _chart(context: Context, seeds: Seeds) -> Chart:
    scale = context.scale
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
    note = "Filled dots are runs with fresh seeds, the bar is their mean"
    note += "; the diamond is the single value that the search had shown." if panel.draws("points", "purple") else "."
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


def _p(value: float) -> Cell:
    """As the headline has it: no p is nought."""
    return Cell("below 0.001", value) if value < 0.001 else cell(value, 2)


def _table(context: Context, seeds: Seeds) -> Table:
    scale = context.scale
    rows = []
    for finalist in seeds.order:
        summary = seeds.summary(finalist)
        gained = seeds.gain(finalist)
        sign = "" if gained is None or gained.mean == 0 else "+" if gained.mean > 0 else "\u2212"
        versus = Cell(sign + scale.delta(abs(gained.mean), "points"), gained.mean) if gained else empty()
        p = _p(gained.pair.p) if gained is not None and gained.pair.p is not None else empty()
        number = seeds.number.get(finalist)
        where = f"{seeds.phase.get(finalist, '')} {'' if number is None else number}".strip() if finalist else ""
        rows.append(
            (
                Cell(seeds.label[finalist] + (" (winner)" if finalist == seeds.winner else "")),
                Cell(where or NOTHING),
                scale_cell(scale, seeds.shown.get(finalist)),
                scale_cell(scale, summary.mean),
                Cell(scale.delta(summary.std, "points"), summary.std) if summary.std is not None else empty(),
                empty()
                if summary.low is None or summary.high is None or flat(summary)
                else Cell(scale.interval(summary.low, summary.high), summary.low),
                versus,
                p,
            )
        )
    columns = (
        "Configuration",
        "From trial",
        "Shown value",
        "Mean",
        "Standard deviation",
        "95 % interval",
        BETTER,
        "p",
    )
    n = len(seeds.tuned)
    caption = "Finalists by their mean over seeds."
    if 0 in seeds.values and n > 1:
        caption += f" p: paired t-test against the default, times {n} because {n} finalists were compared (Bonferroni)."
    elif 0 in seeds.values:
        caption += " p: paired t-test against the default."
    numeric = ("Shown value", "Mean", "Standard deviation", BETTER, "p")
    return Table(columns, tuple(rows), caption, numeric)
