"""From the first space to the second: how every range moved, read from the spaces that were searched, and whether the second phase paid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from trivet import space
from trivet.diagnosis.sweep import Sweep
from trivet.reporting.belonging import condition
from trivet.reporting.context import Context
from trivet.reporting.model import Cell, Section, Table
from trivet.reporting.words import NOTHING, count, duration, listing, plain, value_text

CHANGES = {  # what a move is called -> in a sentence
    "kept": "kept",
    "narrowed": "narrowed",
    "widened": "widened",
    "changed": "changed",
    "fixed": "fixed to one value",
    "dropped": "dropped",
    "added": "added",
}


@dataclass(frozen=True)
class Move:
    """One line of the space: its range in both searches (None: not there), what became of it, and why."""

    key: str
    when: str
    coarse: str | None
    fine: str | None
    change: str
    why: str


def moves(coarse: Sweep, fine: Sweep, proposed: pd.DataFrame | None) -> list[Move]:
    """Every line of both spaces, coarse first. `proposed`: the table of the narrow stage, which knows the reasons of what it proposed."""
    before: dict[tuple[str, str], space.Spec | space.Fixed] = {(entry.key, condition(entry)): entry.spec for entry in coarse.space}
    after: dict[tuple[str, str], space.Spec | space.Fixed] = {(entry.key, condition(entry)): entry.spec for entry in fine.space}
    after |= {place: space.Fixed(value) for place, value in _fixed(fine).items() if place in before and place not in after}
    reasons = {(_text(row["key"]).lstrip("+"), _text(row["when"])): row for row in _rows(proposed)}
    found = []
    for place in dict.fromkeys([*before, *after]):
        old, new = before.get(place), after.get(place)
        was, now = (space.to_text(spec) if spec is not None else None for spec in (old, new))
        found.append(Move(*place, was, now, change(old, new), _why(reasons.get(place), now)))
    return found


def _rows(table: pd.DataFrame | None) -> list[dict]:
    return table.to_dict("records") if table is not None and {"key", "when", "fine", "why"} <= set(table.columns) else []


def _text(value: object) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value_text(value)


def _fixed(sweep: Sweep) -> dict[tuple[str, str], object]:
    """(key, "") -> value, of what the study set for all of its trials: a range of one value takes its parameter out of the search."""
    words = [str(word).partition("=") for word in sweep.study.get("overrides") or []]
    return {(key.lstrip("+"), ""): plain(value) for key, _, value in words if value}


def _why(row: dict | None, fine: str | None) -> str:
    """The reason that the narrow stage gave, where what it proposed is what was searched."""
    if row is None:
        return ""
    proposed = _text(row["fine"])
    if proposed == (fine or ""):
        return _text(row["why"])
    return f"Not as the narrow stage had proposed ({proposed or 'to drop it'}): it was edited."


def change(old: space.Spec | space.Fixed | None, new: space.Spec | space.Fixed | None) -> str:
    """kept | narrowed | widened | changed (neither holds the other) | fixed | dropped | added."""
    if old is None or new is None:
        return "added" if old is None else "dropped"
    if old == new or space.to_text(old) == space.to_text(new):
        return "kept"
    if isinstance(new, space.Fixed) or space.n_points(new) == 1:
        return "fixed"
    if isinstance(old, space.Choice) and isinstance(new, space.Choice):
        ours, theirs = ({value_text(option) for option in spec.options} for spec in (old, new))
        return "narrowed" if theirs < ours else "widened" if theirs > ours else "changed"
    if not (isinstance(old, (space.Float, space.Int)) and isinstance(new, (space.Float, space.Int))):
        return "changed"
    if new.low < old.low or new.high > old.high:
        return "widened" if new.low <= old.high and new.high >= old.low else "changed"
    return "narrowed" if new.low > old.low or new.high < old.high else "changed"


def fill(section: Section, context: Context, fine: Sweep) -> None:
    """Says how the ranges moved, and whether the second search paid."""
    coarse = context.run.coarse
    if coarse is None:
        section.say("The coarse search is not here, so how the ranges moved is not known.")
        return
    if not coarse.space or not fine.space:
        section.say("The studies do not name the spaces that they searched, so how the ranges moved is not known.")
    else:
        _moved(section, moves(coarse, fine, context.run.moves))
    section.say(*paid(context, coarse, fine))


def _moved(section: Section, found: list[Move]) -> None:
    counts = {name: sum(move.change == name for move in found) for name in CHANGES}
    words = [f"{n} {CHANGES[name]}" for name, n in sorted(counts.items(), key=lambda item: -item[1]) if n]
    edited = sum("it was edited" in move.why for move in found)
    tail = f" {count(edited, 'range')} {'is' if edited == 1 else 'are'} not what the narrow stage had proposed." if edited else ""
    section.say(f"Between the two searches, of {count(len(found), 'range')}: {listing(words)}.{tail}")
    rows = [
        (
            Cell(move.key, code=True),
            Cell(move.when or "always"),
            Cell(move.coarse or NOTHING, code=move.coarse is not None),
            Cell(move.fine or NOTHING, code=move.fine is not None),
            Cell(move.change),
            Cell(move.why or NOTHING),
        )
        for move in found
    ]
    columns = ("Parameter", "Applies when", "Coarse range", "Fine range", "Change", "Why")
    section.add(Table(columns, tuple(rows), "How the ranges moved.", limit=40, folded=len(rows) > 4))


def paid(context: Context, coarse: Sweep, fine: Sweep) -> list:
    """Whether the second search brought what noise would not: the best of each, their finalists over seeds, and what it cost."""
    scale = context.scale
    trained = f"{count(fine.epochs, 'epoch')} and " if fine.epochs else ""
    cost = f"It cost {trained}{duration(fine.wall)}."
    values = [sweep.value(sweep.score[best.name]) for sweep in (coarse, fine) if (best := sweep.best) is not None]
    if len(values) < 2:
        return ["One of the searches has no trial with a value, so whether the second paid is not known. ", cost]
    first = f"The best single run of the coarse search shows {scale.show(values[0])}, that of the fine search {scale.show(values[1])}"
    return [f"{first}. ", _over_seeds(context) or _by_single_runs(context, values), " ", cost]


def _by_single_runs(context: Context, values: list[float]) -> str:
    gain = (values[1] - values[0]) * (1 if context.maximize else -1)
    if gain <= 0:
        return "By that the fine search brought nothing."
    return f"Whether those {context.scale.delta(gain)} are more than luck, single runs cannot tell: the seeds would."


def _over_seeds(context: Context) -> str:
    """The verdict from the finalists of both searches; empty where no seeds tell."""
    seeds, scale = context.seeds, context.scale
    if seeds is None or not seeds.phase:
        return ""
    by_phase = {phase: [one for one in seeds.tuned if seeds.phase.get(one) == phase] for phase in ("coarse", "fine")}
    n_coarse, n_fine = map(len, by_phase.values())
    counts = f"Of the finalists {n_coarse} {'comes' if n_coarse == 1 else 'come'} from the coarse search and {n_fine} from the fine one"
    if not by_phase["fine"]:
        return f"{counts}, so the second search did not pay: none of its trials was good enough to be tried again."
    if not by_phase["coarse"]:
        return f"{counts}, so there is no mean over seeds to hold its gain against."
    ours, theirs = by_phase["fine"][0], by_phase["coarse"][0]
    gain = (seeds.mean(ours) - seeds.mean(theirs)) * (1 if context.maximize else -1)
    means = f"{counts}; over fresh seeds the best of the fine ones reaches {scale.show(seeds.mean(ours))}, the best of the coarse ones "
    means += scale.show(seeds.mean(theirs))
    if seeds.noise is None:
        return f"{means}. With one seed each nobody can say whether that is more than noise."
    error = seeds.noise * math.sqrt(1 / len(seeds.values[ours]) + 1 / len(seeds.values[theirs]))
    limit = f"two standard errors of such a difference are {scale.delta(2 * error)}"
    if gain > 2 * error:
        return f"{means}, {scale.delta(gain)} better ({limit}): the second search paid."
    if gain < -2 * error:
        return f"{means}, so the fine search ended {scale.delta(-gain)} worse ({limit}): the second search did not pay."
    apart = f"a difference of {scale.delta(abs(gain))}, which noise between seeds would make ({limit})"
    return f"{means}: {apart}. The second search did not pay."
