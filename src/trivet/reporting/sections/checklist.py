"""Good practice, ticked from evidence. Nothing is ticked on trust: what the tables do not show is said to be not known."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trivet import space
from trivet.diagnosis.fit_flags import REGULARISERS
from trivet.diagnosis.flag import Case
from trivet.diagnosis.space_flags import too_few
from trivet.diagnosis.sweep import Sweep, is_batch_size, is_lr
from trivet.reporting.context import Context
from trivet.reporting.decision import Decision
from trivet.reporting.model import Cell, Section, Table
from trivet.reporting.pruning import audited
from trivet.reporting.words import count, listing

SIZES = re.compile(r"width|depth|channels|hidden|layers|units|size$|heads|dim|kernel", re.IGNORECASE)
SCHEDULE = re.compile(r"^(lr_)?schedul", re.IGNORECASE)
MARKS = {True: ("yes", "0"), False: ("no", "2"), None: ("not known", "1")}


@dataclass(frozen=True)
class Item:
    what: str
    done: bool | None
    evidence: str


def build(context: Context, decision: Decision) -> Section:
    section = Section("checklist", "Checklist of good practice")
    items = [*(item(context) for item in ITEMS), finished(decision)]
    done = sum(item.done is True for item in items)
    section.say(f"{done} of {len(items)} points are met, by the evidence beside them.")
    rows = [(Cell(MARKS[item.done][0], MARKS[item.done][1]), Cell(item.what), Cell(item.evidence)) for item in items]
    section.add(Table(("Met", "Practice", "Evidence"), tuple(rows), limit=40))
    return section


def _keys(context: Context, test) -> list[str]:
    return list(dict.fromkeys(key for sweep in context.searches for key in sweep.params if test(key)))


def _searched(context: Context, test, what: str, none: str) -> Item:
    keys = _keys(context, test)
    return Item(what, bool(keys), f"searched: {listing(keys)}" if keys else none)


def lr_first(context: Context) -> Item:
    what = "Learning rate found first"
    if context.results is not None and context.results.lr_range is not None and len(context.results.lr_range):
        return Item(what, True, "a learning-rate range test ran in the check stage, before any search")
    return Item(what, None if context.single else False, "no learning-rate range test is published")


def lr_log(context: Context) -> Item:
    what = "Learning rate searched on a log scale"
    entries = [entry for sweep in context.searches for entry in sweep.space if is_lr(entry.key)]
    ranges = [(entry.key, entry.spec) for entry in entries if isinstance(entry.spec, (space.Float, space.Int))]
    if not ranges:
        return Item(what, None if _keys(context, is_lr) else False, "no range of a learning rate is recorded")
    bad = sorted({key for key, spec in ranges if not spec.log})
    return Item(what, not bad, f"linear range: {listing(bad)}" if bad else "every range of a learning rate is logarithmic")


def schedule(context: Context) -> Item:
    return _searched(context, lambda key: bool(SCHEDULE.search(key)), "Schedules of the learning rate tried", "no schedule was searched")


def sizes(context: Context) -> Item:
    return _searched(
        context,
        lambda key: bool(SIZES.search(key.rsplit(".", 1)[-1])) and not is_batch_size(key),
        "Sizes of the model tried",
        "no size was searched",
    )


def batch(context: Context) -> Item:
    what = "Batch size searched together with the learning rate"
    both = [sweep for sweep in context.searches if any(map(is_batch_size, sweep.params)) and any(map(is_lr, sweep.params))]
    if both:
        return Item(what, True, f"both are parameters of the {context.name(both[0])}")
    alone = _keys(context, is_batch_size)
    return Item(what, False, "batch size was searched with a fixed learning rate" if alone else "batch size was not searched")


def regularisation(context: Context) -> Item:
    return _searched(context, lambda key: bool(REGULARISERS.search(key)), "Regularisation searched", "no regulariser was searched")


def seeds(context: Context) -> Item:
    what = "Several seeds for the finalists"
    if context.seeds is None:
        return Item(what, False, "every configuration was run with one seed")
    n = min(len(runs) for runs in context.seeds.values.values())
    if context.seeds.raced:
        n = len(context.seeds.values[context.seeds.winner])
        return Item(what, n >= 2, f"a race of {count(len(context.seeds.values), 'configuration')}, up to {count(n, 'fresh seed')} each")
    return Item(what, n >= 2, f"{count(n, 'fresh seed')} for each of {count(len(context.seeds.values), 'configuration')}")


def readers(pipeline: dict) -> list[str]:
    """Stages of a dvc.yaml that depend on the test file, or on a folder that holds it."""
    names = []
    for name, stage in (pipeline.get("stages") or {}).items():
        stage = stage.get("do", stage) if isinstance(stage, dict) else {}
        deps = [next(iter(dep)) if isinstance(dep, dict) else str(dep) for dep in (stage or {}).get("deps") or []]
        if any(dep.rstrip("/").endswith("test.npz") or dep.rstrip("/") in ("data", "data/prepared", ".") for dep in deps):
            names.append(name)
    return names


def test_once(context: Context) -> Item:
    what = "Test set touched once"
    if context.results is None or context.results.pipeline is None:
        return Item(what, None, "a single sweep; there is no pipeline graph to prove it from")
    names = readers(context.results.pipeline)
    if names == ["test"]:
        return Item(what, True, "in the pipeline graph (dvc.yaml) the stage test alone depends on the test file")
    if not names:
        return Item(what, None, "no stage of the pipeline graph (dvc.yaml) depends on the test file")
    return Item(what, False, f"in the pipeline graph (dvc.yaml) {listing(names)} depend on the test file or its folder")


def baseline(context: Context) -> Item:
    what = "Baseline included"
    found = [sweep for sweep in context.searches if sweep.default_number is not None]
    if context.seeds is not None and 0 in context.seeds.values:
        return Item(what, True, "the default configuration ran with the same seeds as the finalists")
    return Item(what, bool(found), "trial 0 is the default configuration" if found else "the default configuration was not run")


def logged(context: Context) -> Item:
    what = "Everything logged"
    lacking = []
    for sweep in context.searches:
        need = ("fingerprint", "command", "seed", "versions", "space", "config")
        lacking += [f"{key} ({sweep.name})" for key in need if not _has(sweep, key)]
        lacking += [f"learning curves ({sweep.name})"] if not len(sweep.curves) else []
    return Item(
        what,
        not lacking,
        f"missing: {listing(lacking)}" if lacking else "command, seed, versions, space, configuration and curves are kept",
    )


def committed(context: Context) -> Item:
    what = "Run from a clean commit"
    marks = [sweep.study.get("git") or {} for sweep in context.searches]
    if not all(mark.get("commit") for mark in marks):
        return Item(what, None, "no commit is recorded")
    dirty = any(mark.get("dirty") for mark in marks)
    return Item(what, not dirty, "there were changes that were not committed" if dirty else "the tree was clean")


def enough(context: Context) -> Item:
    what = "Enough trials for the space"
    few = [sweep for sweep in context.searches if too_few(Case(sweep, context.scale)) is not None]
    per = listing([f"{len(sweep.trials) / sweep.in_play:,.1f} trials per parameter in play ({sweep.name})" for sweep in context.searches])
    return Item(what, not few, per)


def pruning_checked(context: Context) -> Item:
    what = "Pruning checked"
    if not any(sweep.stopped.any() for sweep in context.searches):
        return Item(what, True, "nothing was pruned")
    found = audited(context)
    if found is None:
        return Item(what, False, "no pruned trial was trained to the end, so what pruning lost is not known")
    return Item(what, found.clearly == 0, f"{found.better} of {count(found.n, 'audited trial')} came out better than the best")


def healthy(context: Context) -> Item:
    what = "No serious red flag and no warning"
    bad = [flag for flag in context.flags if flag.level in ("serious", "warning")]
    return Item(what, not bad, "; ".join(flag.title for flag in bad) if bad else "see Red flags")


def finished(decision: Decision) -> Item:
    what = "Nothing left to do first"
    done = decision.action in ("stop", "keep", "ended")
    return Item(what, done, f"{decision.title} {decision.reason}")


def _has(sweep: Sweep, key: str) -> bool:
    return sweep.study.get(key) not in (None, {}, [], "")


ITEMS = (
    lr_first, lr_log, schedule, sizes, batch, regularisation, enough, seeds, test_once, baseline, pruning_checked, healthy, logged,
    committed,
)  # fmt: skip
