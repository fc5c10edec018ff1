"""All trials: the table of everything that was run, for whoever wants to look for himself."""

from __future__ import annotations

from trivet.reporting.context import Context
from trivet.reporting.explorer import data
from trivet.reporting.model import Explorer, Section
from trivet.reporting.words import count


def build(context: Context) -> Section:
    section = Section("trials", "All trials")
    total = sum(len(sweep.trials) for sweep in context.searches)
    if not total:
        section.say("No trial has ended yet.")
        return section
    told = f"All {count(total, 'trial')} with their parameters are in report.html, to be sorted, filtered and looked at one by one."
    section.add(Explorer(data(context), told))
    return section
