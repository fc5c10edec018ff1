"""All trials: the table of everything that was run, for whoever wants to look for himself."""

from __future__ import annotations

from trivet.reporting.context import Context
from trivet.reporting.explorer import data
from trivet.reporting.model import Explorer, Section


def build(context: Context) -> Section:
    section = Section("trials", "All trials")
    total = sum(len(sweep.trials) for sweep in context.searches)
    if not total:
        section.say("No trial has ended yet.")
        return section
    which = "The one trial and its parameters" if total == 1 else f"All {total:,} trials with their parameters"
    told = f"{which} are in report.html, to be sorted, filtered and looked at one by one."
    section.add(Explorer(data(context), told))
    return section
