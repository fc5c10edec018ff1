"""What the run would have cost on a machine that may be taken away, interruptions counted."""

from __future__ import annotations

import math

from trivet.diagnosis.sweep import Sweep
from trivet.reporting.context import Context
from trivet.reporting.model import Inline, Section
from trivet.reporting.words import count, duration, money


def fill(section: Section, context: Context) -> None:
    """Adds what `words` says, if anything."""
    said = words(context)
    if said:
        section.say(*said)


def words(context: Context) -> list[Inline]:
    """Nothing where params.yaml has no spot price. An interruption costs at most the epoch that each worker was in, as a checkpoint is
    written after every epoch; so many of them eat up what the lower price saves."""
    spot, price = context.spot_price_per_hour, context.price_per_hour
    if spot is None:
        return []
    hours = sum(sweep.wall for sweep in context.trained) / 3600
    epoch = max((longest_epoch(sweep) for sweep in context.trained), default=math.nan)
    text = f"On spot machines, at {money(spot)} per hour, it would have cost {money(hours * spot)}"
    text += f" instead of {money(hours * price)}" if price else ""
    if not math.isfinite(epoch):
        return [f"{text}, and no epoch's time is known that an interruption would repeat."]
    text += f". An interruption repeats at most one epoch of each worker, {duration(epoch)} of the machine or {money(epoch / 3600 * spot)}"
    if not price or hours == 0:
        return [f"{text}."]
    if price <= spot:
        return [f"{text}; at this price spot machines save nothing."]
    most = math.floor(hours * (price - spot) / (epoch / 3600 * spot)) if epoch > 0 else 0
    return [f"{text}; up to {count(most, 'interruption')} spot machines are cheaper." if most else f"{text}, which is more than they save."]


def longest_epoch(sweep: Sweep) -> float:
    """Seconds of an epoch in the slowest trial of a sweep; NaN where no trial tells."""
    each = (sweep.trials["seconds"] / sweep.spent).where(sweep.spent > 0).dropna()
    return float(each.max()) if len(each) else math.nan
