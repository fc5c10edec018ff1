"""Red flags, worst first, each with its evidence, likely cause, mend and threshold; or a clean bill."""

from __future__ import annotations

from trivet.diagnosis import asked
from trivet.diagnosis.flag import Flag
from trivet.reporting.context import Context
from trivet.reporting.decision import Decision
from trivet.reporting.model import Bullets, Heading, Section, Strong
from trivet.reporting.units import Quoted
from trivet.reporting.words import count, listing, number

LEVELS = {"serious": "Serious", "warning": "Warning", "hint": "Worth knowing"}
QUOTING = ("failed", "diverged")  # flags whose evidence has messages of errors in it
SEED_CHECKS = 3  # default beats tuned, other winner, seed noise


def build(context: Context, decision: Decision) -> Section:
    section = Section("flags", "Red flags")
    flags = context.flags
    checks = len(asked(context.last)) + (SEED_CHECKS if context.seeds is not None else 0)
    checks += context.seeds is not None and bool(context.tested["winner"])  # validation against test
    if not flags:
        section.say(Strong("A clean bill:"), " ", f"none of {count(checks, 'check')} found anything wrong.")
        return section
    counts = [f"{sum(flag.level == level for flag in flags)} {name.lower()}" for level, name in LEVELS.items()]
    raised = f"{count(len(flags), 'red flag')} {'was' if len(flags) == 1 else 'were'} raised"
    section.say(f"{count(checks, 'kind')} of trouble were looked for and {raised}: {listing(counts)}. The worst come first.")
    for flag in flags:
        section.add(Heading(f"{LEVELS[flag.level]}: {flag.title}{_where(context, flag)}"), _body(flag, decision))
    return section


def _where(context: Context, flag: Flag) -> str:
    return "" if context.single else f" ({flag.where})"


def _body(flag: Flag, decision: Decision) -> Bullets:
    mend = "Mend:" if decision.agrees(flag) else "In another search (the advice for this one stands under What next):"
    items = [
        (Strong("Evidence:"), " ", Quoted(flag.evidence) if flag.key in QUOTING else flag.evidence),
        (Strong("Likely cause:"), " ", flag.cause),
        (Strong(mend), " ", flag.mend),
    ]
    if flag.limits:
        words = [f"{_amount(row.value, row.unit)}: {row.meaning} (source: {row.source})" for row in flag.limits]
        items.append((Strong("Threshold:"), " ", "; ".join(words) + "."))
    return Bullets(tuple(items))


def _amount(value: float, unit: str) -> str:
    if unit.startswith("of ") and value <= 1:
        return f"{100 * value:g} % {unit}"
    return f"{number(value)} {unit}"
