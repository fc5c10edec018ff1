"""Provenance: what a reader needs to get the same result again, or to see why it differs."""

from __future__ import annotations

from trivet.diagnosis.sweep import Sweep
from trivet.reporting.commands import words_of
from trivet.reporting.context import Context
from trivet.reporting.model import Cell, Section, Table
from trivet.reporting.words import count, duration, listing, value_text

AS_CODE = ("identity (fingerprint)", "command", "data hash", "commit")


def build(context: Context) -> Section:
    section = Section("provenance", "Provenance")
    sweeps = list(context.searches)
    if context.results is not None and context.results.seeds is not None:
        sweeps.append(context.results.seeds)
    if not any(sweep.study for sweep in sweeps):
        section.say("The sweep has no study.yaml, so where it comes from is not recorded.")
        return section
    section.say(*_commit(sweeps))
    if context.results is not None:
        for line in context.results.left_out:
            section.say(line)
    facts = {sweep.name: _facts(sweep) for sweep in sweeps}
    first, *others = facts.values()
    shared = {what: value for what, value in first.items() if others and all(other.get(what) == value for other in others)}
    rows = [_row("all", what, value) for what, value in shared.items()]
    rows += [_row(name, what, value) for name, part in facts.items() for what, value in part.items() if what not in shared]
    section.add(Table(("Study", "What", "Value"), tuple(rows), "Where each study comes from.", limit=60, sortable=False, folded=True))
    return section


def _row(study: str, what: str, value: str) -> tuple[Cell, ...]:
    return Cell(study), Cell(what), Cell(value, code=what in AS_CODE)


def _commit(sweeps: list[Sweep]) -> list:
    marks = {(str(git.get("commit")), bool(git.get("dirty"))) for sweep in sweeps if (git := sweep.study.get("git")) and git.get("commit")}
    if not marks:
        return ["No git commit is recorded."]
    if len(marks) > 1:
        return [
            "The phases were run from different commits or states of the tree: " + listing([_mark(mark) for mark in sorted(marks)]) + "."
        ]
    commit, dirty = next(iter(marks))
    words = f"Everything was run from commit {commit[:12]}"
    return [words + (", with changes that were not committed." if dirty else ", with a clean tree.")]


def _mark(mark: tuple[str, bool]) -> str:
    return mark[0][:12] + (" (with changes)" if mark[1] else "")


def _facts(sweep: Sweep) -> dict[str, str]:
    study = sweep.study
    hardware = study.get("hardware") or {}
    gpus = [str(gpu) for gpu in hardware.get("gpus") or []]
    machine = [str(hardware["cpu"])] if hardware.get("cpu") else []
    machine += [str(hardware["model"])] if hardware.get("model") else []
    vectors = hardware.get("vector_flags") or []
    machine += [count(hardware["cores"], "core")] if isinstance(hardware.get("cores"), int) else []
    machine += [listing(gpus)] if gpus else ["no GPU"] if hardware else []
    git = study.get("git") or {}
    identity = study.get("identity") or {}
    files = identity.get("files") or {}
    data = [f"{name} {mark}" for name, mark in ((identity.get("called") or {}) | files).items() if not str(name).endswith(".py")]
    facts = [
        ("name", study.get("name")),
        ("identity (fingerprint)", study.get("fingerprint")),
        ("command", " ".join(words_of(sweep)) if isinstance(study.get("command"), list) else study.get("command")),
        ("commit", _mark((str(git["commit"]), bool(git.get("dirty")))) if git.get("commit") else None),
        ("study seed", study.get("seed")),
        ("data hash", listing(data) or None),
        ("code hashed into the identity", count(sum(str(name).endswith(".py") for name in files), "file") if files else None),
        ("versions", listing([f"{name} {version}" for name, version in (study.get("versions") or {}).items()]) or None),
        ("hardware", ", ".join(machine) or None),
        ("vector flags of the processor", " ".join(map(str, vectors)) or None),
        ("started", study.get("started")),
        ("finished", study.get("finished")),
        ("time", duration(study["seconds"]) if isinstance(study.get("seconds"), (int, float)) else None),
    ]
    return {what: value_text(value) for what, value in facts if value is not None}
