"""What a population has found: the schedule of its winner, how values changed over time, and who went on from whom."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trivet.diagnosis.sweep import Sweep, multiplicative
from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Chart, Code, Command, Inline, Layer, Panel, Section, Table
from trivet.reporting.words import cell, code_cell, count, number, scale_cell, value_text

MOST = 9
"""Parameters that are drawn over time: those that changed most often on the winner's way."""


@dataclass(frozen=True)
class Tree:
    """`parents`: trial -> the one that it went on from, or None. `members`: trial -> (generation, member)."""

    parents: dict[int, int | None]
    members: dict[int, tuple[int, int]]

    @classmethod
    def of(cls, sweep: Sweep) -> Tree | None:
        """From the table's columns; None where they are not there, or not those of a population."""
        if not {"generation", "member", "parent"} <= set(sweep.trials) or not len(sweep.trials):
            return None
        rows = sweep.trials[["number", "generation", "member", "parent"]].astype(str)
        known = set(rows["number"])
        texts = [text for column in ("generation", "member") for text in rows[column]]
        if not all(text.isdecimal() for text in texts) or not all(text == "" or text in known for text in rows["parent"]):
            return None
        each = [(int(row.number), int(row.generation), int(row.member), row.parent) for row in rows.itertuples()]
        parents = {trial: int(parent) if parent else None for trial, _, _, parent in each}
        if any(parent is not None and parent >= trial for trial, parent in parents.items()):
            return None
        return cls(parents, {trial: (generation, member) for trial, generation, member, _ in each})

    def lineage(self, trial: int) -> list[int]:
        """A trial's ancestors and itself, the first of them first."""
        way = [trial]
        while (parent := self.parents[way[-1]]) is not None:
            way.append(parent)
        return way[::-1]

    @property
    def taken_over(self) -> list[int]:
        """Trials that went on from another member than the one in their own place."""
        return [n for n, parent in self.parents.items() if parent is not None and self.members[parent][1] != self.members[n][1]]


def build(context: Context, sweep: Sweep) -> Section | None:
    """The winner's way in words and as a table, its values over time, the tree of descent, and the command that trains it again."""
    tree = Tree.of(sweep)
    if tree is None:
        return None
    section = Section("population", "What the population found")
    generations = 1 + max(generation for generation, _ in tree.members.values())
    size = 1 + max(member for _, member in tree.members.values())
    n = len(tree.taken_over)
    started = sum(parent is not None for parent in tree.parents.values())
    copies = (
        f"; {n} of {count(started, 'start')} from a checkpoint took over that of another member, with other settings" if started else ""
    )
    section.say(f"{count(generations, 'generation')} of {count(size, 'member')}{copies}.")
    best = sweep.best
    if best is None or not len(sweep.complete):
        section.say("No member came to the end of its first generation, so there is no schedule.")
        return section
    way = tree.lineage(int(best["number"]))
    rows = sweep.trials.set_index("number")
    changed = changes(sweep, rows, way)
    for sentence in _told(sweep, rows, way, changed):
        section.say(*sentence)
    command = (sweep.study.get("schedule") or {}).get("command")
    if command:
        section.add(Command(str(command), "To train that schedule again, as one training:"))
    section.add(_table(context, sweep, rows, way, list(changed)))
    section.add(_over_time(sweep, rows, tree, way, list(changed)), _descent(context, sweep, rows, tree, way))
    return section


def changes(sweep: Sweep, rows: pd.DataFrame, way: list[int]) -> dict[str, int]:
    """How often each parameter changed on the way, those that did most often first."""
    counts = {}
    for key in sweep.params:
        values = [rows.loc[trial, key] for trial in way]
        n = sum(not (a == b or (pd.isna(a) and pd.isna(b))) for a, b in itertools.pairwise(values))
        if n:
            counts[key] = n
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


def _told(sweep: Sweep, rows: pd.DataFrame, way: list[int], changed: dict[str, int]) -> list[list[Inline]]:
    """Whether the best is a schedule at all, and how each parameter went."""
    best, step = way[-1], rows.loc[way[-1], "step"]
    until = f", up to step {number(float(step))}" if math.isfinite(float(step)) else ""
    if not changed:
        return [
            [f"The best, trial {best}{until}, kept its settings from the first generation on: no schedule did better than constant ones."]
        ]
    told: list[list[Inline]] = [
        [f"The best is trial {best}{until}: no single configuration but a schedule of {count(len(way), 'segment')}."]
    ]
    for key, n in list(changed.items())[:MOST]:
        first, last = (rows.loc[trial, key] for trial in (way[0], best))
        told.append([Code(key), f" changed {count(n, 'time')}, from ", Code(value_text(first)), " to ", Code(value_text(last)), "."])
    return told


def _table(context: Context, sweep: Sweep, rows: pd.DataFrame, way: list[int], keys: list[str]) -> Table:
    columns = ("Trial", "Until step", *keys, context.scale.metric)
    objective = sweep.objectives[0]
    lines = tuple(
        (
            cell(trial),
            cell(rows.loc[trial, "step"]),
            *(code_cell(rows.loc[trial, key]) for key in keys),
            scale_cell(context.scale, rows.loc[trial, objective]),
        )
        for trial in way
    )
    return Table(columns, lines, "The winner's schedule, segment by segment.", columns[:2], limit=40, sortable=False)


def _over_time(sweep: Sweep, rows: pd.DataFrame, tree: Tree, way: list[int], keys: list[str]) -> Chart | None:
    """A panel for each parameter of numbers that changed on the winner's way: pale for all members, a strong line for the winner."""
    panels = []
    for key in [key for key in keys if pd.api.types.is_numeric_dtype(rows[key])][:MOST]:
        log = multiplicative(key) and bool((rows[key].dropna() > 0).all())
        everyone = Layer("line", *_segments(sweep, rows, list(tree.parents), key), name="all members", color="pale", width=1.2)
        winner = Layer("line", *_segments(sweep, rows, way, key), name="the winner's way", color="green", width=3)
        panels.append(Panel(Axis("step"), Axis(key, log=log), [everyone, winner], key))
    if not panels:
        return None
    alt = f"{', '.join(panel.title for panel in panels)} against the step, for all members and on the way of the winner."
    return Chart("population-schedule", "Settings over time", panels, alt, many=True)


def _segments(sweep: Sweep, rows: pd.DataFrame, trials: list[int], key: str) -> tuple[list[float], list[float]]:
    """The value of each trial over its own steps, as one line with gaps."""
    x: list[float] = []
    y: list[float] = []
    begins = pd.Series(sweep.begins.to_numpy(), index=rows.index)
    for trial in trials:
        value, end = float(rows.loc[trial, key]), float(rows.loc[trial, "step"])
        if math.isfinite(value) and math.isfinite(end):
            x += [float(begins[trial]), end, math.nan]
            y += [value, value, math.nan]
    return x, y


def _descent(context: Context, sweep: Sweep, rows: pd.DataFrame, tree: Tree, way: list[int]) -> Chart:
    """Generations from left to right, members from top to bottom, a line from each parent; failed ones are crossed out."""

    def lines(trials: list[int]) -> tuple[list[float], list[float]]:
        x: list[float] = []
        y: list[float] = []
        for trial in trials:
            if (parent := tree.parents[trial]) is not None:
                x += [tree.members[parent][0], tree.members[trial][0], math.nan]
                y += [tree.members[parent][1], tree.members[trial][1], math.nan]
        return x, y

    done = [n for n in tree.members if rows.loc[n, "state"] == "COMPLETE"]
    lost = [n for n in tree.members if n not in set(done)]
    values = context.scale.axis(rows.loc[done, sweep.objectives[0]].to_numpy(dtype=float)) if done else np.array([])
    hover = [f"trial {n}: {context.scale.show(float(rows.loc[n, sweep.objectives[0]]))}" for n in done]
    layers = [Layer("line", *lines(list(tree.members)), name="went on from", color="pale", width=1)]
    layers += [Layer("line", *lines(way), name="the winner's way", color="green", width=3)]
    places = [tree.members[n] for n in done]
    layers += [
        Layer("points", [g for g, _ in places], [m for _, m in places], values=values, values_label=context.scale.label, hover=hover)
    ]
    if lost:
        gone = [tree.members[n] for n in lost]
        layers += [Layer("points", [g for g, _ in gone], [m for _, m in gone], name="failed", color="red", symbol="x")]
    alt = "Each member of each generation, and whose checkpoint it went on from."
    return Chart("population-tree", "The tree of descent", [Panel(Axis("generation"), Axis("member"), layers)], alt)
