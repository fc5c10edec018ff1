"""Searches whose trials follow by rule: what each tier brought, why each run of a ladder, which changes brought the gain."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from trivet.diagnosis import ablation
from trivet.diagnosis.sweep import Sweep
from trivet.reporting.commands import split_command
from trivet.reporting.context import Context
from trivet.reporting.model import Cell, Code, Command, Inline, Section, Table
from trivet.reporting.sections import population
from trivet.reporting.words import cell, code_cell, count, plain, scale_cell, value_text
from trivet.space.suggesting import around


def build(context: Context) -> list[Section]:
    """A section for each such search: of the one that is reported, and of an ablation of the pipeline's winner."""
    found = [_of(context, sweep) for sweep in context.searches]
    if context.results is not None and context.results.ablation is not None:
        found.append(_of(context, context.results.ablation))
    return [section for section in found if section is not None]


def _of(context: Context, sweep: Sweep) -> Section | None:
    name = (sweep.study.get("sampler") or {}).get("name") if isinstance(sweep.study.get("sampler"), dict) else None
    made = {"tiers": tiers, "ladder": ladder, "ablation": taken_apart, "pbt": population.build}.get(str(name))
    return made(context, sweep) if made is not None else None


# Tiers ---------------------------------------------------------------------------------------------------------------------


def tiers(context: Context, sweep: Sweep) -> Section | None:
    """One table over all tiers, and a sentence for the one that brought most and for those that brought nothing."""
    if "tier" not in sweep.trials:
        return None
    section = Section("tiers", "What each tier brought")
    best = -math.inf
    rows, gains = [], {}
    for name in dict.fromkeys(sweep.trials["tier"]):
        mine = sweep.trials[sweep.trials["tier"] == name]
        scores = sweep.score[mine.index[mine["state"] == "COMPLETE"]]
        after = max([best, *scores])
        if name:
            gain = after - best if math.isfinite(best) else math.nan
            gains[name] = gain
            spent = int(sweep.spent[mine.index].sum())
            before_cell, after_cell = (scale_cell(context.scale, sweep_value(sweep, value)) for value in (best, after))
            shown = Cell(context.scale.delta(gain), gain) if math.isfinite(gain) and gain > 0 else Cell("nothing", 0.0)
            rows.append((Cell(name), cell(len(mine)), cell(spent), before_cell, after_cell, shown))
        best = after
    section.say(*_tier_words(context, sweep, gains))
    columns = ("Tier", "Trials", "Epochs", "Best before", "Best after", "Brought")
    section.add(
        Table(
            columns,
            tuple(rows),
            "Tiers in their order, the winner of each held for the next; one that brings nothing in half of its trials ends.",
            columns[1:],
            sortable=False,
        )
    )
    return section


def sweep_value(sweep: Sweep, score: float) -> float | None:
    """A score as the objective has it."""
    return (score if sweep.maximize else -score) if math.isfinite(score) else None


def _tier_words(context: Context, sweep: Sweep, gains: dict[str, float]) -> list[Inline]:
    known = {name: gain for name, gain in gains.items() if math.isfinite(gain)}
    total = sum(known.values())
    if not known or total <= 0:
        return ["No tier found anything better than what it set out from."]
    most = max(known, key=lambda name: known[name])
    words: list[Inline] = [f"The tier {most} brought most: {context.scale.delta(known[most])} of {context.scale.delta(total)} in all. "]
    idle = [name for name, gain in known.items() if gain <= 0]
    if idle:
        words.append(f"{', '.join(idle)} brought nothing.")
    return words


# Ladder --------------------------------------------------------------------------------------------------------------------


def ladder(context: Context, sweep: Sweep) -> Section | None:
    """The runs with their reasons, and the command that searches around the result."""
    key = str((sweep.study.get("sampler") or {}).get("key"))
    if key not in sweep.trials or "why" not in sweep.trials:
        return None
    section = Section("ladder", "The ladder")
    rows = tuple(
        (cell(int(row["number"])), code_cell(row[key]), Cell(str(row["why"])), Cell(str(row["state"])), _value(context, sweep, row))
        for row in sweep.trials.to_dict("records")
    )
    best = sweep.best
    if not len(sweep.complete) or best is None:
        section.say(f"No run came to its end: begin with a smaller {key}, or look at the data and the model first.")
    else:
        rate, program = float(best[key]), split_command(sweep)[0]
        fixed = [str(word) for word in sweep.study.get("overrides") or []]
        last = sweep.trials.iloc[-1]
        section.say(
            f"{count(len(rows), 'run')} from ", Code(f"{key}={sweep.trials[key].iloc[0]:g}"), "; the best is ", Code(f"{key}={rate:g}"),
            ", a default to search around", "." if last["state"] != "FAIL" else f". At {last[key]:g} training is unstable.",
        )  # fmt: skip
        section.add(Command(shlex.join([*program, "-m", *around(key, rate, fixed)]), "To search around it:"))
    section.add(Table(("Trial", key, "Why", "State", context.scale.metric), rows, "Each run with its reason.", sortable=False))
    return section


def _value(context: Context, sweep: Sweep, row: dict) -> Cell:
    return scale_cell(context.scale, float(row[sweep.objectives[0]]) if row["state"] == "COMPLETE" else None)


# Ablation ------------------------------------------------------------------------------------------------------------------


def taken_apart(context: Context, sweep: Sweep) -> Section | None:
    """The path of single changes, what undoing each alone loses, and which may be reverted."""
    sign = 1 if sweep.maximize else -1
    seeds = {f: {s: sign * v for s, v in runs.items()} for f, runs in context.seeds.values.items()} if context.seeds is not None else None
    found = ablation.read(sweep, seeds)
    if found is None:
        return None
    section = Section("ablation", "Which changes brought the gain")
    for sentence in ablation_words(context, found):
        section.say(*sentence)
    path = {effect.change: effect for effect in found.path}
    undone = {effect.change: effect for effect in found.undone}
    order = [effect.change for effect in found.path] + [i for i in range(len(found.changes)) if i not in path]
    rows = tuple(
        (
            Cell(_named(found, i).text, code=True),
            *_cells(context, path.get(i)),
            *_cells(context, undone.get(i)),
            Cell(_advice(undone.get(i))),
        )
        for i in order
    )
    columns = ("Change", "Gain on the path", "95 % interval", "Loss when undone alone", "95 % interval ", "So")
    caption = "Changes from the default to the winner in the order of the path, and each undone alone with all others on."
    section.add(Table(columns, rows, caption, columns[1:5], limit=40, sortable=False))
    return section


def ablation_words(context: Context, found: ablation.TakenApart) -> list[list[Inline]]:
    """One sentence each: the whole gain, the change that brought most, those that may be reverted, those that few seeds leave open."""
    told: list[list[Inline]] = []
    if found.total is not None:
        told.append([f"All {count(len(found.changes), 'change')} together bring {_span(context, found.total)}."])
    sure = [effect for effect in found.path if effect.verdict == "brings"]
    if sure:
        most = max(sure, key=lambda effect: effect.gain)
        told.append([_named(found, most.change), f" brought most on the way: {_span(context, most)}."])
    if found.revertible:
        one = len(found.revertible) == 1
        says = (
            "brings nothing beside the others and can be reverted safely" if one else "bring nothing: each can be reverted safely by itself"
        )
        told.append([*_listed(found, [effect.change for effect in found.revertible]), f" {says}."])
    unclear = [effect.change for effect in found.undone if effect.verdict == "unclear"]
    if unclear:
        told.append(["Not to be told from noise with so few seeds, and better kept: ", *_listed(found, unclear), "."])
    if any(effect.noise is None for effect in found.undone):
        told.append(["Each configuration ran once and there is no seeds stage, so nothing tells the noise: no intervals."])
    return told


def _named(found: ablation.TakenApart, change: int) -> Code:
    """A change's name, its number short enough to read."""
    key, equals, value = found.changes[change].partition("=")
    return Code(f"{key}{equals}{value_text(plain(value))}")


def _listed(found: ablation.TakenApart, changes: Sequence[int]) -> list[Inline]:
    return [part for place, change in enumerate(changes) for part in ([", "] if place else []) + [_named(found, change)]]


def _span(context: Context, effect: ablation.Effect) -> str:
    text = _signed(context, effect.gain)
    if effect.interval is None:
        return text
    low, high = effect.interval
    return f"{text} (95 % interval {_signed(context, low)} to {_signed(context, high)})"


def _signed(context: Context, value: float) -> str:
    return f"{'-' if value < 0 else ''}{context.scale.delta(abs(value))}"


def _cells(context: Context, effect: ablation.Effect | None) -> tuple[Cell, Cell]:
    if effect is None:
        return Cell("failed"), Cell("")
    span = effect.interval
    interval = "" if span is None else f"{_signed(context, span[0])} to {_signed(context, span[1])}"
    return Cell(_signed(context, effect.gain), effect.gain), Cell(interval)


def _advice(effect: ablation.Effect | None) -> str:
    if effect is None:
        return "keep: without it training fails"
    return {"brings": "keep", "nothing": "can be reverted", "unclear": "keep, unclear"}[effect.verdict]
