"""The headline: what was reached, against what, whether it is more than seed noise, and the command that trains it."""

from __future__ import annotations

import numpy as np

from trivet.phases import finalists
from trivet.reporting.context import Context, seed_values
from trivet.reporting.model import Axis, Chart, Code, Command, Layer, Panel, Section, Strong
from trivet.reporting.words import Scale, configuration, count, listing, number


def build(context: Context) -> Section:
    section = Section("headline", "Headline")
    test = context.results.test if context.results else None
    if test and context.seeds is not None:
        _tested(section, context, test)
    elif context.seeds is not None:
        _proved(section, context)
    else:
        _searched(section, context)
    if context.best is not None:
        _configuration(section, context)
    return section


def _tested(section: Section, context: Context, test: dict) -> None:
    winner, default = seed_values(test.get("winner")), seed_values(test.get("default"))
    metric = str(test.get("metric") or "test/" + context.scale.metric.rsplit("/", 1)[-1])
    scale = Scale(metric, [*winner.values(), *default.values()])
    if not winner:
        section.say("The test stage has published no value for the winner, so the figures below are from the validation data.")
        _proved(section, context)
        return
    summary = finalists.summary(list(winner.values()))
    section.say(
        "On test data that no search ever saw, the tuned configuration reaches ",
        Code(metric),
        " ",
        Strong(scale.show(summary.mean)),
        spread(scale, summary),
        ".",
        kind="lead",
    )
    if default:
        _against_default(section, context, scale, winner, default)
    _ensembles(section, scale, test, summary.mean, context.maximize)
    published = _published(context, scale)
    if published:
        best = [f"{label}: {scale.show(value)}" for label, value in published.items()]
        section.say("Published figures for this data, for comparison: " + "; ".join(best) + ".")
    section.add(_chart(context, scale, winner, default, test, published))


def spread(scale: Scale, summary: finalists.Summary) -> str:
    if summary.std is None:
        return " (one seed, so nothing is known of its spread)"
    interval = scale.interval(summary.low, summary.high)
    return f" (mean of {summary.n} seeds, standard deviation {scale.delta(summary.std)}, 95 % interval of the mean {interval})"


def _against_default(section: Section, context: Context, scale: Scale, winner: dict, default: dict) -> None:
    base = finalists.summary(list(default.values()))
    common = [seed for seed in winner if seed in default]
    say = [f"The default configuration reaches {scale.show(base.mean)}", spread(scale, base), ". "]
    if context.seeds.winner == 0:
        section.say(*say, "No tuned configuration beat it over fresh seeds, so the default is the winner.")
        return
    if not common:
        section.say(*say, "The two share no seed, so they cannot be compared pair by pair.")
        return
    pair = finalists.paired([winner[seed] for seed in common], [default[seed] for seed in common])
    gain = pair.mean if context.maximize else -pair.mean
    word = "better" if gain > 0 else "worse"
    section.say(*say, *verdict(scale, pair, gain, word))


def verdict(scale: Scale, pair: finalists.Paired, gain: float, word: str) -> list:
    """Sentences on a paired difference: its size, interval, p, and whether it is more than the noise between seeds."""
    if gain == 0:
        return ["Seed by seed the two are equal."]
    first = f"Seed by seed the tuned one is {scale.delta(abs(gain))} {word}"
    if pair.low is None:
        return [first + "; with one pair of runs nothing can be said about seed noise."]
    low, high = sorted((abs(gain) - (pair.high - pair.low) / 2, abs(gain) + (pair.high - pair.low) / 2))
    if scale.percent:
        interval = f"95 % interval {100 * low:.2f} to {100 * high:.2f} points"
    else:
        interval = f"95 % interval {number(low)} to {number(high)}"
    certain = low > 0
    tail = "more than seed noise" if certain else "which seed noise alone could explain"
    p = "p below 0.001" if pair.p is not None and pair.p < 0.001 else f"p = {pair.p:.3f}"
    return [f"{first} ({interval}, paired t-test {p}, {count(pair.n, 'pair')}): ", Strong(tail), "."]


def _ensembles(section: Section, scale: Scale, test: dict, mean: float, maximize: bool) -> None:
    names = {"ensemble_winner": "the winner's seeds", "ensemble_finalists": "all finalists"}
    known = {name: test[key] for key, name in names.items() if isinstance(test.get(key), (int, float))}
    if known:
        gain = max(known.values()) - mean if maximize else mean - min(known.values())
        tail = f", {scale.delta(gain)} better than one model" if gain > 0 else ", no better than one model"
        parts = [f"{scale.show(value)} for {name}" for name, value in known.items()]
        section.say("Averaging the predictions of several models (an ensemble) gives " + listing(parts) + tail + ".")


def _published(context: Context, scale: Scale) -> dict[str, float]:
    data = context.results.data or {}
    published = data.get("published") or ((context.last.study.get("config") or {}).get("data") or {}).get("published") or {}
    known = {str(label): float(value) for label, value in published.items() if isinstance(value, (int, float))}
    if scale.percent:
        known = {label: value / 100 if value > 1 else value for label, value in known.items()}
    return known


def _chart(context: Context, scale: Scale, winner: dict, default: dict, test: dict, published: dict) -> Chart:
    groups = [("Default", default, "orange"), ("Tuned", winner, "blue")]
    groups = [group for group in groups if group[1]]
    layers, ticks = [], []
    for place, (label, runs, color) in enumerate(groups):
        ticks.append((float(place), label))
        layers += strip(scale, place, label, list(runs.values()), color, [f"seed {seed}" for seed in runs])
    place = len(groups)
    for key, label in (("ensemble_winner", "Ensemble of the winner's seeds"), ("ensemble_finalists", "Ensemble of all finalists")):
        if isinstance(test.get(key), (int, float)):
            ticks.append((float(place), label))
            layers.append(Layer("points", [place], scale.axis([test[key]]), color="green", symbol="diamond", size=10, hover=[label]))
            place += 1
    shown = scale.axis([*winner.values(), *default.values()])
    near = {label: value for label, value in published.items() if _near(scale.factor * value, shown)}
    for (label, value), dash in zip(near.items(), ("dash", "dot", "dashdot"), strict=False):
        layers.append(Layer("hline", y=[scale.factor * value], name=f"published: {label}", color="muted", dash=dash, width=1.5))
    note = (
        "Dots are single runs, each with its own seed; the bar is their mean. Dashed lines are published figures."
        if near
        else ("Dots are single runs, each with its own seed; the bar is their mean.")
    )
    x = Axis("", ticks=tuple(ticks), range=(-0.6, place - 0.4))
    alt = f"{scale.label} on the test data: " + "; ".join(
        f"{label} {scale.show(np.mean(list(runs.values())))}" for label, runs, _ in groups
    )
    return Chart("test", "Result on the test data", [Panel(x, Axis(scale.label), layers)], alt, note)


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


def _proved(section: Section, context: Context) -> None:
    seeds, scale = context.seeds, context.scale
    summary = seeds.summary(seeds.winner)
    name = "default configuration" if seeds.winner == 0 else "tuned configuration"
    section.say(
        f"Over fresh seeds the {name} reaches ",
        Code(scale.metric),
        " ",
        Strong(scale.show(summary.mean)),
        spread(scale, summary),
        " on the validation data. The test stage has not run, so nothing is said about new data.",
        kind="lead",
    )
    pair = seeds.paired(seeds.winner, 0) if seeds.winner != 0 and 0 in seeds.values else None
    if pair is not None:
        gain = pair.mean if context.maximize else -pair.mean
        section.say(f"The default reaches {scale.show(seeds.mean(0))}. ", *verdict(scale, pair, gain, "better" if gain > 0 else "worse"))


def _searched(section: Section, context: Context) -> None:
    total = sum(len(sweep.trials) for sweep in context.searches)
    if context.best is None:
        failed = sum(sweep.count("FAIL") for sweep in context.searches)
        section.say(f"None of {count(total, 'trial')} reported a usable value ({failed:,} failed), so there is no best one.", kind="lead")
        return
    sweep, row = context.best
    value = sweep.value(sweep.score[row.name])
    words = "" if row["state"] == "COMPLETE" else ", although it was pruned (no trial ran to its end)"
    section.say(
        f"The best of {count(total, 'trial')} reaches ",
        Code(context.scale.metric),
        " ",
        Strong(context.scale.show(value)),
        f" (trial {int(row['number'])}, {context.better}){words}.",
        kind="lead",
    )
    if len(sweep.objectives) > 1:
        others = [f"{name} = {number(row[name])}" for name in sweep.objectives[1:]]
        section.say(f"The study has {len(sweep.objectives)} objectives; this is the best by the first of them ({listing(others)}).")
    default = sweep.default_number
    if default is not None and len(sweep.trials) > 1:
        base = sweep.score[sweep.trials.index[0]]
        if np.isfinite(base) and int(row["number"]) != default:
            gain = sweep.score[row.name] - base
            section.say(
                f"The default configuration (trial 0) reached {context.scale.show(sweep.value(base))}; the best is "
                f"{context.scale.delta(gain)} better."
            )
        elif int(row["number"]) == default:
            section.say("That is the default configuration: no trial of the search was better.")
    section.say(
        "This is what one run with one seed showed, and the best of many such values is partly luck: train it again with other seeds "
        "before you rely on it.",
        kind="note",
    )


def _configuration(section: Section, context: Context) -> None:
    which = "The winning configuration" if context.seeds is not None else "Its configuration"
    if context.seeds is not None and context.seeds.winner == 0:
        section.say("The winner is the default configuration, as it stands in conf/.")
    else:
        section.say(which, ": ", *configuration(context.winner_settings), ".")
    if context.retrain:
        section.add(Command(context.retrain, "This command trains it again:"))
