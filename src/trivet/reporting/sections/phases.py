"""Phases 1 to 3: goal, space, budget, what came of it; for the fine search how every range moved, for the seeds how much was luck."""

from __future__ import annotations

from trivet import space as space_of
from trivet.diagnosis.sweep import Sweep
from trivet.reporting.context import PHASES, Context
from trivet.reporting.model import Cell, Section, Table
from trivet.reporting.sections import moves, seeds, tradeoff
from trivet.reporting.words import cell, code_cell, count, duration, empty, listing, scale_cell, settings, share, value_text

STOPPED = {
    "plateau": "no more improvement was seen",
    "target": "the target was reached",
    "epochs": "the budget of epochs was spent",
    "seconds": "the time was up",
    "rule": "its rule had nothing more to try",
    "interrupted": "it was interrupted",
}


def build(context: Context) -> list[Section]:
    sections = [search(context, sweep) for sweep in context.searches]
    if not context.single:
        for name in ("coarse", "fine"):
            if getattr(context.results, name) is None:
                sections.append(_missing(name))
        sections.append(seeds.build(context))
    return sorted(sections, key=lambda section: ["coarse", "fine", "seeds"].index(section.id) if section.id in PHASES else 0)


def _missing(name: str) -> Section:
    section = Section(name, PHASES[name][0])
    section.say(f"The {name} stage has not been run, so there is nothing to say about it.")
    return section


def search(context: Context, sweep: Sweep) -> Section:
    title, goal = PHASES[sweep.name] if not context.single and sweep.name in PHASES else (f"The sweep {sweep.name}", None)
    section = Section(sweep.name if goal else "sweep", title)
    if goal:
        section.say(f"Goal: {goal}.")
    section.say(budget(sweep))
    section.add(_facts(context, sweep))
    if sweep.name == "fine" and context.results is not None:
        moves.fill(section, context, sweep)
    tradeoff.fill(section, sweep)
    section.add(_space(sweep), top(context, sweep))
    return section


def budget(sweep: Sweep) -> str:
    """One or two sentences: planned and spent, trials by state."""
    n = len(sweep.trials)
    complete, pruned, failed = (sweep.count(state) for state in ("COMPLETE", "PRUNED", "FAIL"))
    words = (
        f"{count(sweep.planned, 'trial')} {'was' if sweep.planned == 1 else 'were'} planned and {n:,} {'was' if n == 1 else 'were'} run: "
    )
    words += f"{complete:,} ran to the end, {pruned:,} {'was' if pruned == 1 else 'were'} stopped early (pruned), {failed:,} failed. "
    infeasible = sweep.count("INFEASIBLE")
    early = int(sweep.stopped.sum()) - pruned
    besides = f" ({early:,} of them stopped early)" if early else ""
    words = words.removesuffix(". ") + f", {infeasible:,} broke a constraint{besides}. " if infeasible else words
    trained = f"{count(sweep.epochs, 'epoch')} of training in " if sweep.epochs else ""
    words += f"{'They' if n != 1 else 'It'} took {trained}{duration(sweep.wall)}"
    reason = STOPPED.get(str(sweep.study.get("stopped_by")))
    return words + (f"; the search ended because {reason}." if reason else ".")


STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "INFEASIBLE": "infeasible"}


def _constraints(study: dict) -> list[tuple[str, str]]:
    """What a configuration had to hold to count, and how often it was run."""
    held, runs = study.get("constraints"), study.get("replicates")
    rows = [("Must hold (constraints)", ", ".join(f"{metric} {bound}" for metric, bound in held.items()))] if held else []
    if weights := study.get("weights"):
        parts = zip(weights["weights"], weights["directions"], weights["scales"], strict=True)
        each = "; ".join(f"{weight:g} per {scale:g} ({direction})" for weight, direction, scale in parts)
        rows.append(("Objectives made one (weights)", each))
    if runs:
        each = (
            f"one for {runs['key']}={listing([str(value) for value in runs['values']])}; the value of a trial is their {runs['aggregate']}"
        )
        rows.append(("Runs of each trial (replicates)", each))
    return rows


def _named(part: object) -> str:
    if isinstance(part, dict):
        rest = [
            f"{key}={value_text(value)}"
            for key, value in part.items()
            if key not in ("name", "_target_") and not isinstance(value, (dict, list))
        ]
        name = part.get("name") or str(part.get("_target_", "")).rsplit(".", 1)[-1] or "not named"
        return f"{name} ({', '.join(rest)})" if rest else str(name)
    return str(part) if part else "none"


def _facts(context: Context, sweep: Sweep) -> Table:
    study, n = sweep.study, len(sweep.trials)
    best = sweep.best
    shown = context.scale.show(sweep.value(sweep.score[best.name])) if best is not None else "no trial has a value"
    goals = listing([f"{name} ({direction})" for name, direction in zip(sweep.names, sweep.directions, strict=False)])
    states = [state for state in STATES if state != "INFEASIBLE" or study.get("constraints")]
    rows = [
        ("Objective", goals if len(sweep.objectives) > 1 else f"{sweep.metric} ({sweep.directions[0]})"),
        (
            f"Best {sweep.names[0]}" if sweep.several else "Best value",
            shown + (f" (trial {int(best['number'])})" if best is not None else ""),
        ),
        ("How trials were chosen (sampler)", _named(study.get("sampler")) if "sampler" in study else "not recorded"),
        ("How bad ones were stopped (pruner)", _named(study.get("pruner")) if "pruner" in study else "not recorded"),
        ("Trials planned / run", f"{sweep.planned:,} / {n:,}"),
        (
            " / ".join(STATES[state] for state in states).capitalize(),
            " / ".join(f"{sweep.count(state):,} ({share(sweep.count(state), n)})" for state in states),
        ),
        *_constraints(study),
        *([("Epochs spent / without pruning", f"{sweep.epochs:,} / {sweep.epochs_unpruned:,}")] if sweep.epochs else []),
        ("Time", f"{duration(sweep.wall)} with {count(sweep.jobs, 'worker')}"),
    ]
    return Table(("What", "Value"), tuple((Cell(key), Cell(value)) for key, value in rows), sortable=False)


def _space(sweep: Sweep) -> Table | None:
    if not sweep.space:
        return None
    defaults = sweep.study.get("defaults") or {}
    rows = []
    for entry in sweep.space:
        when = listing([f"{group}={option}" for group, option in entry.when]) or "always"
        default = code_cell(value_text(defaults[entry.name])) if entry.name in defaults else empty()
        rows.append((Cell(entry.key, code=True), Cell(space_of.to_text(entry.spec), code=True), Cell(when), default))
    return Table(("Parameter", "Range", "Applies when", "Default"), tuple(rows), "What was searched.", limit=40, folded=len(rows) > 4)


def top(context: Context, sweep: Sweep, n: int = 5) -> Table | None:
    """The best n trials with their parameters; parameters that none of them has are left out."""
    rows = sweep.ranked.head(n)
    if not len(rows):
        return None
    keys = [key for key in sweep.params if rows[key].notna().any()]
    others = dict(zip(sweep.names[1:], sweep.objectives[1:], strict=True))
    body = []
    for _, row in rows.iterrows():
        values = settings(row, keys)
        extra = [cell(row[column]) for column in others.values()]
        cells = [cell(int(row["number"])), scale_cell(context.scale, sweep.value(sweep.score[row.name])), *extra]
        cells += [cell(row["best_step"])] if rows["best_step"].notna().any() else []
        body.append((*cells, *(code_cell(values[key]) if key in values else empty() for key in keys)))
    many, by = count(len(rows), "trial") if len(rows) > 1 else "trial", f" by {sweep.names[0]}" if sweep.several else ""
    reported = ("Best epoch",) if rows["best_step"].notna().any() else ()
    columns = ("Trial", context.scale.metric, *others, *reported, *keys)
    numeric = ("Trial", context.scale.metric, *reported, *others)
    return Table(columns, tuple(body), f"The best {many}{by}.", numeric)
