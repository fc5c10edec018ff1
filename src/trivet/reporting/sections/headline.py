"""The headline: the whole story in one screen (result, by how much, sure or not, what to do, the command), then what stands behind it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trivet.diagnosis.choosing import Gain, flat, sampling_error
from trivet.diagnosis.front import beaten, between, candidates, front
from trivet.diagnosis.seeds import Seeds
from trivet.diagnosis.sweep import Sweep
from trivet.phases import finalists
from trivet.reporting.context import Context
from trivet.reporting.decision import Decision
from trivet.reporting.model import Axis, Chart, Code, Command, Facts, Inline, Layer, Panel, Section, Strong
from trivet.reporting.words import Scale, configuration, count, listing, number

LIKE = tuple[Inline, ...]
DOUBT = (
    " this is what one run with one seed showed, and the best of many such values is partly luck. "
    "Before you rely on it, train it with other seeds."
)


def build(context: Context, decision: Decision) -> Section:
    section = Section("headline", "Headline")
    if context.best is None:
        _nothing(section, context)
    rows = [*story(context), ("What to do", (Strong(decision.title), " ", decision.reason, " ", decision.price))]
    section.add(Facts(tuple(rows)))
    if context.retrain and context.best is not None:
        section.add(Command(context.retrain, "Train the one in between again:" if context.last.several else "Train it again:"))
    if context.best is not None:
        _configuration(section, context)
    if context.results is not None:
        for line in context.results.left_out:
            section.say(line, kind="note")
    if context.tested["winner"] and context.seeds is not None:
        _tested(section, context, context.seeds)
    return section


def _nothing(section: Section, context: Context) -> None:
    total = sum(len(sweep.trials) for sweep in context.searches)
    failed = sum(sweep.count("FAIL") for sweep in context.searches)
    who = f"None of {total:,} trials" if total > 1 else ("The one trial never" if total else "No trial")
    section.say(f"{who} reported a usable value ({failed:,} failed), so there is no best one.", kind="lead")


def story(context: Context) -> list[tuple[str, LIKE]]:
    """(label, sentence) rows: result, against the default, sure or not."""
    if context.best is None:
        return []
    if context.seeds is None:
        return _searched(context, *context.best)
    return _default_won(context, context.seeds) if context.default_won else _proved(context, context.seeds)


def _proved(context: Context, seeds: Seeds) -> list[tuple[str, LIKE]]:
    scale, runs, where = _side(context, seeds, "winner")
    summary = finalists.summary(list(runs.values()))
    name = "The default configuration, the only one that was trained," if seeds.winner == 0 else "The tuned configuration"
    value = (Code(scale.metric), " ", Strong(scale.show(summary.mean)))
    rows: list[tuple[str, LIKE]] = [("Result", (f"{name} reaches ", *value, f" on {where}{spread(scale, summary)}."))]
    gained = context.gain
    if gained is None:
        return rows
    others = _side(context, seeds, "default")[1]
    base = float(np.mean(list(others.values())))
    rows.append(("Against the default", (by_how_much(scale, gained), f" The default configuration reaches {scale.show(base)}.")))
    if all(len(side) > 1 and len(set(side.values())) == 1 for side in (runs, others)):
        doubt = " each configuration gave the same with every seed, to the last digit, so nothing is known of the noise between seeds."
        return [*rows, ("Sure?", (Strong("Not known:"), doubt))]
    return [*rows, ("Sure?", sure(scale, gained, context.n_test))]


def _default_won(context: Context, seeds: Seeds) -> list[tuple[str, LIKE]]:
    scale, runs, where = _side(context, seeds, "default")
    summary = finalists.summary(list(runs.values()))
    rival = seeds.tuned[0]
    behind = abs(seeds.mean(rival) - seeds.mean(0))
    result = ("The default configuration reaches ", Code(scale.metric), " ", Strong(scale.show(summary.mean)))
    lead = "equal to it" if behind == 0 else f"{context.scale.delta(behind)} behind it"
    best = f"The best of {count(len(seeds.tuned), 'tuned finalist')} is {lead} over fresh seeds (validation data)."
    rows: list[tuple[str, LIKE]] = [
        ("Result", (Strong("Tuning brought nothing here."), " ", *result, f" on {where}{spread(scale, summary)}.")),
        ("Against the default", (best,)),
    ]
    return [*rows, ("Worth knowing", (_worth(context, seeds, rival),))]


def _worth(context: Context, seeds: Seeds, rival: int) -> str:
    """What a search that found nothing better says of the default."""
    trials = sum(len(sweep.trials) for sweep in context.searches)
    words = f"{count(trials, 'configuration')} were tried within these ranges and none held up against the default: it is no weak baseline"
    gained = seeds.gain(rival)
    if gained is None or gained.high is None:
        why = "as each seed differs by the same" if gained is not None and gained.alike else "with one seed each"
        return words + f"; {why}, a small gain could have been missed."
    return words + f"; a gain of more than {context.scale.delta(max(gained.high, 0.0))} by the best of them is ruled out at 95 %."


def _side(context: Context, seeds: Seeds, side: str) -> tuple[Scale, dict[int, float], str]:
    """(scale, values by seed, where they were measured): test data where the side was tested, else validation data over fresh seeds."""
    if context.tested[side]:
        return context.test_scale, context.tested[side], "test data that no search ever saw"
    finalist = seeds.winner if side == "winner" else 0
    return context.scale, seeds.values.get(finalist, {}), "validation data over fresh seeds (no test was made)"


def spread(scale: Scale, summary: finalists.Summary) -> str:
    if summary.low is None or summary.high is None:
        return " (one seed, so nothing is known of its spread)"
    if flat(summary):
        return f" (the same with each of {summary.n} seeds, so no interval can be told)"
    interval = scale.interval(summary.low, summary.high)
    return f" (mean of {summary.n} seeds, standard deviation {scale.delta(summary.std)}, 95 % interval of the mean {interval})"


def by_how_much(scale: Scale, gained: Gain) -> str:
    if gained.mean == 0:
        return "Seed by seed the two are equal."
    word = "better" if gained.mean > 0 else "worse"
    return f"Seed by seed the tuned one is {scale.delta(abs(gained.mean))} {word}."


def bounds(scale: Scale, low: float, high: float) -> str:
    """An interval of a difference: `0.30 to 4.16 points`."""
    return f"{100 * low:z.2f} to {100 * high:z.2f} points" if scale.percent else f"{number(low)} to {number(high)}"


def sure(scale: Scale, gained: Gain, n_test: int | None) -> LIKE:
    """Whether the difference is more than the noise between seeds, the choosing and the finite test set; with the intervals."""
    if gained.verdict == "equal":
        return (Strong("No difference"), " was seen.")
    pair, whole = gained.pair, gained.whole
    if gained.alike:
        return (
            Strong("Not known:"),
            f" each of {pair.n} pairs of seeds differs by the same, so nothing is known of the noise between seeds.",
        )
    if whole is None or pair.p is None or gained.low is None or gained.high is None:
        return (Strong("Not known:"), " with one pair of runs nothing can be said about seed noise.")
    chosen = f", corrected for choosing the best of {pair.comparisons} (Bonferroni)" if pair.comparisons > 1 else ""
    p = "below 0.001" if pair.p < 0.001 else f"= {pair.p:.3f}"
    interval = bounds(scale, gained.low, gained.high)
    over_seeds = f"95 % interval {interval} over {count(pair.n, 'pair')} of seeds{chosen}, paired t-test p {p}"
    if gained.verdict == "noise":
        return (Strong("No:"), f" seed noise alone could explain it ({over_seeds}).")
    if gained.samples is None:
        return (Strong("Yes, it is more than seed noise:"), f" {over_seeds}.")
    wider = bounds(scale, *whole)
    samples = f"the {n_test:,} test samples add a standard error of up to {scale.delta(gained.samples)}; with it the interval is {wider}"
    if gained.verdict == "samples":
        return (Strong("Not quite:"), f" more than seed noise ({over_seeds}), but {samples}.")
    return (Strong("Yes:"), f" more than seed noise ({over_seeds}), and {samples}.")


def _searched(context: Context, sweep: Sweep, row: pd.Series) -> list[tuple[str, LIKE]]:
    if sweep.several and (of_front := _front(sweep)):
        return of_front
    total = sum(len(sweep.trials) for sweep in context.searches)
    value, trial = sweep.value(sweep.score[row.name]), int(row["number"])
    pruned = "" if row["state"] == "COMPLETE" else ", although it was pruned (no trial ran to its end)"
    best = (Code(context.scale.metric), " ", Strong(context.scale.show(value)), f" (trial {trial}, {context.better}){pruned}.")
    rows: list[tuple[str, LIKE]] = [("Result", (f"The best of {count(total, 'trial')} reaches ", *best))]
    default = sweep.default_number
    if default is not None and trial == default and total > 1:
        rows.append(("Against the default", ("That is the default configuration: no trial of the search was better.",)))
    elif default is not None and np.isfinite(base := sweep.score[sweep.trials.index[0]]):
        delta = context.scale.delta(sweep.score[row.name] - base)
        words = f"{delta} better than the default configuration (trial 0, {context.scale.show(sweep.value(base))})."
        rows.append(("Against the default", (words,)))
    return [*rows, ("Sure?", (Strong("No:"), DOUBT))]


def _front(sweep: Sweep) -> list[tuple[str, LIKE]]:
    """Of several objectives: how many trials are beaten by none, the best by each objective, the one in between, and the default."""
    middle = between(sweep)
    if middle is None:
        return []
    n, known = len(front(sweep)), len(candidates(sweep))
    which = f"{n:,} of {count(known, 'completed trial')} {'is' if n == 1 else 'are'} beaten by no other in every one."
    bests = [(view.names[0], view.objectives[0], best) for view in sweep.views if (best := view.best) is not None]
    each = [f"{name} {number(best[column])} (trial {int(best['number'])})" for name, column, best in bests]
    values = [f"{name} {number(middle[column])}" for name, column in zip(sweep.names, sweep.objectives, strict=True)]
    told: list[tuple[str, LIKE]] = [
        ("Result", (f"With {len(sweep.objectives)} objectives, {which}",)),
        ("Best by each", (listing(each) + ".",)),
        ("In between", (f"Trial {int(middle['number'])}, the knee of the front: {listing(values)}.",)),
    ]
    default = sweep.default_number
    if default is not None and (ahead := beaten(sweep, default)) is not None:
        who = f"{count(ahead, 'trial')} {'is' if ahead == 1 else 'are'}" if ahead else "no trial is"
        told.append(("Against the default", (f"The default configuration is trial {default}: {who} better than it in every objective.",)))
    return [*told, ("Sure?", (Strong("No:"), DOUBT))]


def _configuration(section: Section, context: Context) -> None:
    if context.seeds is not None and context.seeds.winner == 0:
        section.say("The winner is the default configuration, as the app's own config has it.")
    else:
        which = "The winning configuration" if context.seeds is not None else "Its configuration"
        section.say(which, ": ", *configuration(context.winner_settings, limit=None), ".")


def _tested(section: Section, context: Context, seeds: Seeds) -> None:
    """What else the test stage found: the ensembles, published figures, the error of the test set itself, and the chart."""
    scale, test = context.test_scale, context.test
    mean = float(np.mean(list(context.tested["winner"].values())))
    if scale.share and context.n_test is not None:
        error = sampling_error(mean, context.n_test)
        section.say(
            f"The test set has {context.n_test:,} samples, so {scale.show(mean)} itself has a sampling error of {scale.delta(error)} "
            "(standard error of a share), which no number of seeds makes smaller."
        )
    _ensembles(section, scale, test, mean, context.maximize)
    published = _published(context, scale)
    if published:
        best = [f"{label}: {scale.show(value)}" for label, value in published.items()]
        section.say("Published figures for this data, for comparison: " + "; ".join(best) + ".")
    section.add(_chart(context, seeds, test, published))


def _ensembles(section: Section, scale: Scale, test: dict, mean: float, maximize: bool) -> None:
    names = {"ensemble_winner": "the winner's seeds", "ensemble_finalists": "all finalists"}
    known = {name: test[key] for key, name in names.items() if isinstance(test.get(key), (int, float))}
    if known:
        better = max(known.values()) - mean if maximize else mean - min(known.values())
        tail = f"{scale.delta(better)} better than one model" if better > 0 else "no better than one model"
        tail = f"; the better of the two is {tail}" if len(known) > 1 else f", {tail}"
        parts = [f"{scale.show(value)} for {name}" for name, value in known.items()]
        section.say("Averaging the predictions of several models (an ensemble) gives " + listing(parts) + tail + ".")


def _published(context: Context, scale: Scale) -> dict[str, float]:
    data = context.run.data or {}
    published = data.get("published") or ((context.last.study.get("config") or {}).get("data") or {}).get("published") or {}
    known = {str(label): float(value) for label, value in published.items() if isinstance(value, (int, float))}
    if scale.percent:
        known = {label: value / 100 if value > 1 else value for label, value in known.items()}
    return known


def _chart(context: Context, seeds: Seeds, test: dict, published: dict) -> Chart:
    scale, winner, default = context.test_scale, context.tested["winner"], context.tested["default"]
    groups = [("Default", default, "orange"), ("Tuned", winner, "blue")]
    if seeds.winner == 0:
        groups = [("Default (winner)", default or winner, "orange")]
    groups = [group for group in groups if group[1]]
    layers, ticks = [], []
    for place, (label, runs, color) in enumerate(groups):
        ticks.append((float(place), label))
        layers += strip(scale, place, label, list(runs.values()), color, [f"seed {seed}" for seed in runs])
    place = len(groups)
    for key, label in (("ensemble_winner", "Ensemble: its seeds"), ("ensemble_finalists", "Ensemble: all finalists")):
        if isinstance(test.get(key), (int, float)):
            ticks.append((float(place), label))
            layers.append(Layer("points", [place], scale.axis([test[key]]), color="green", symbol="diamond", size=10, hover=[label]))
            place += 1
    shown = scale.axis([*winner.values(), *default.values()])
    near = {label: value for label, value in published.items() if _near(scale.factor * value, shown)}
    for (label, value), dash in zip(near.items(), ("dash", "dot", "dashdot"), strict=False):
        layers.append(Layer("hline", y=[scale.factor * value], name=f"published: {label}", color="muted", dash=dash, width=1.5))
    note = "Dots are single runs, each with its own seed; the bar is their mean." + (" Dashed lines are published figures." if near else "")
    x = Axis("", ticks=tuple(ticks), range=(-0.6, place - 0.4))
    means = [f"{label} {scale.show(float(np.mean(list(runs.values()))))}" for label, runs, _ in groups]
    alt = f"{scale.label} on the test data: " + "; ".join(means)
    return Chart("test", "Result on the test data", [Panel(x, Axis(scale.label), layers)], alt, note, height=260)


def _near(value: float, shown: np.ndarray) -> bool:
    span = max(shown.max() - shown.min(), 0.02 * abs(shown.mean()))
    return shown.min() - 2 * span <= value <= shown.max() + 2 * span


def strip(scale: Scale, place: float, label: str, values: list[float], color: str, hover: list[str]) -> list[Layer]:
    """One column of a strip chart: every value as a dot, their mean as a bar."""
    spread_x = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0.0]
    mean = float(np.mean(values)) * scale.factor
    return [
        Layer("line", [place - 0.25, place + 0.25], [mean, mean], color=color, width=3),
        Layer(
            "points",
            [place + dx for dx in spread_x],
            scale.axis(values),
            color=color,
            size=8,
            opacity=0.85,
            hover=[f"{label}, {text}: {scale.show(value)}" for text, value in zip(hover, values, strict=True)],
        ),
    ]
