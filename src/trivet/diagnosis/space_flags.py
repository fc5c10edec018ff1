"""Red flags of the search space: its edges, its scales, parameters that do nothing, configurations run twice, too few trials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from trivet import space
from trivet.diagnosis.flag import Case, Flag
from trivet.diagnosis.importance import idle, importance
from trivet.diagnosis.sweep import Entry, multiplicative
from trivet.diagnosis.thresholds import limit
from trivet.diagnosis.widening import natural_end, ordered
from trivet.diagnosis.wording import count, listing, share, value_text


def position(spec: space.Spec | space.Fixed, value: Any) -> float | None:
    """Where a value stands in its range, 0 at the low end, 1 at the high end, on the range's own scale; None where that means nothing."""
    try:
        at = float(value)
    except (TypeError, ValueError):
        return None
    options = ordered(spec)
    if options is not None:
        return float(np.argmin(np.abs(np.array(options) - at))) / (len(options) - 1)
    if not isinstance(spec, (space.Float, space.Int)) or spec.high <= spec.low:
        return None
    low, high = float(spec.low), float(spec.high)
    if spec.log:
        if at <= 0 or low <= 0:
            return None
        low, high, at = np.log(low), np.log(high), np.log(at)
    return float(np.clip((at - low) / (high - low), 0, 1))


def at_edges(case: Case) -> list[tuple[Entry, bool, Any, int, int]]:
    """(entry, at the low end?, the best value, how many of the best crowd there, of how many) for each range that it sits at the edge of.

    Parameters that made no difference are none of them: a range that does nothing is not to be widened.
    """
    sweep = case.sweep
    if len(sweep.complete) < 5:
        return []
    best, found = sweep.ranked.iloc[0], []
    for key in sweep.params:
        entry = sweep.entry(key, best)
        if entry is None:
            continue
        place, near = position(entry.spec, best[key]), limit("edge_near")
        if place is None or near < place < 1 - near:
            continue
        low_end = place <= near
        if natural_end(entry.spec, entry.key, low_end):
            continue
        drawn = sweep.drawn(entry)
        values = sweep.ranked.loc[drawn[sweep.ranked.index], key].head(5)
        places = [place for value in values if (place := position(entry.spec, value)) is not None]
        crowd = sum(place <= 0.2 if low_end else place >= 0.8 for place in places)
        needed = limit("edge_crowd_choice" if isinstance(entry.spec, space.Choice) else "edge_crowd") * (len(places) - 1)
        if len(places) >= 3 and crowd >= 1 + np.ceil(needed):
            found.append((entry, low_end, best[key], crowd, len(places)))
    without = idle(sweep) if found else []  # where the best of these lie is chance
    return [edge for edge in found if edge[0].key not in without]


def edge(case: Case) -> Flag | None:
    found = at_edges(case)
    if not found:
        return None
    words = []
    for entry, low_end, value, crowd, n in found:
        end = "lower" if low_end else "upper"
        when = f" (with {listing([f'{group}={option}' for group, option in entry.when])})" if entry.when else ""
        words.append(
            f"the best has {entry.key}={value_text(value)}{when}, at the {end} end of {space.to_text(entry.spec)}, "
            f"and {crowd} of the best {n} crowd at that end"
        )
    keys = listing([entry.key for entry, *_ in found])
    return Flag(
        "edge",
        "warning",
        case.where,
        "The best value is at the edge of its range",
        _sentence("; ".join(words)),
        "The range ends before the good region does, so a better value may lie outside.",
        f"Widen the range of {keys} beyond that end and search on.",
        ("edge_near", "edge_crowd", "edge_crowd_choice"),
        asks="widen",
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def alike(case: Case) -> Flag | None:
    values = case.sweep.score[case.sweep.finite.index].to_numpy()
    if len(values) < limit("enough") / 2 or len(case.sweep.params) == 0:
        return None
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    relative = (high - low) <= limit("alike") * abs(middle)
    within_noise = case.noise is not None and len(case.sweep.complete) >= 10 and float(np.std(values, ddof=1)) < 0.75 * case.noise
    if not (relative or within_noise):
        return None
    evidence = f"Nine tenths of {count(len(values), 'trial')} lie between {_range(case, low, high)}."
    if within_noise:
        evidence += f" They differ by less than seeds of one and the same configuration do ({case.scale.delta(case.noise)})."
    return Flag(
        "alike",
        "serious",
        case.where,
        "All trials are alike",
        evidence,
        "The ranges are so narrow that nothing in them matters, or the searched parameters are not used by the training at all.",
        "Check that the training reads every searched parameter (print the composed configuration of two trials), then widen the ranges.",
        ("alike",),
        asks="mend",
    )


def _range(case: Case, low: float, high: float) -> str:
    ends = sorted((case.sweep.value(low), case.sweep.value(high)))
    return f"{case.scale.show(ends[0])} and {case.scale.show(ends[1])}"


def linear(case: Case) -> Flag | None:
    words, keys = [], []
    for entry in case.sweep.space:
        spec = entry.spec
        if not isinstance(spec, space.Float) or spec.log or not multiplicative(entry.key):
            continue
        ratio = spec.high / spec.low if spec.low > 0 else np.inf
        if ratio >= limit("linear_ratio"):
            span = "from zero" if np.isinf(ratio) else f"over a factor of {ratio:,.0f}"
            words.append(f"the range of {entry.key}, {space.to_text(spec)}, is drawn evenly, {span}")
            keys.append(entry.key)
    if not words:
        return None
    return Flag(
        "linear",
        "warning",
        case.where,
        "A multiplicative range is sampled linearly",
        _sentence("; ".join(words)),
        "On a linear scale nine in ten values fall into the top decade, so the small values are hardly ever tried.",
        f"Write the range of {listing(keys)} as tag(log, interval(low, high)) with a low end above zero.",
        ("linear_ratio",),
    )


def too_few(case: Case) -> Flag | None:
    sweep = case.sweep
    n, searched = len(sweep.trials), round(sweep.in_play)
    if not sweep.params or n >= limit("per_parameter") * searched:
        return None
    need = int(limit("per_parameter") * searched)
    return Flag(
        "too_few",
        "hint",
        case.where,
        "Too few trials for so many parameters",
        f"{count(n, 'trial')} for {count(searched, 'parameter')} in play at a time: {n / searched:.1f} per parameter.",
        "With so few trials the search cannot tell which parameters matter, and the best is more luck than it need be.",
        f"Run about {count(need, 'trial')}, or fix the parameters that matter least.",
        ("per_parameter",),
        asks="more",
    )


def repeats(case: Case) -> tuple[int, int]:
    """(trials that repeat an earlier configuration, how many of those gave the very same value as the first)."""
    sweep = case.sweep
    if not sweep.params or len(sweep.trials) < 2:
        return 0, 0
    keys = sweep.trials[sweep.params].astype(object).where(sweep.trials[sweep.params].notna(), "")
    groups = pd.util.hash_pandas_object(keys.astype(str), index=False)
    again = groups.duplicated()
    first = sweep.score.groupby(groups.to_numpy()).transform("first")
    return int(again.sum()), int((again & (sweep.score == first)).sum())


def duplicates(case: Case) -> Flag | None:
    n, equal = repeats(case)
    if n < 2 or n <= limit("duplicates") * len(case.sweep.trials):
        return None
    gave = f", and {equal:,} of those gave the very same value" if equal else ""
    return Flag(
        "duplicates",
        "hint",
        case.where,
        "Configurations were run more than once",
        f"{count(n, 'trial')} of {len(case.sweep.trials):,} ({share(n, len(case.sweep.trials))}) repeat a configuration that "
        f"had been run{gave}.",
        "The space has few distinct configurations, or the sampler has settled on one of them.",
        "Add options or a continuous parameter; to measure seed noise use the seeds phase.",
        ("duplicates",),
        asks="stop",
    )


def no_effect(case: Case) -> Flag | None:
    """Parameters that a boosted model with some grip on the values does not find more useful than random numbers."""
    found = importance(case.sweep)
    if found is None or not found.trusted or found.per_parameter < limit("per_parameter") or len(case.sweep.params) < 2:
        return None
    keys = idle(case.sweep)
    if not keys:
        return None
    after = f" after epoch {found.step}" if found.step is not None else ""
    return Flag(
        "no_effect",
        "hint",
        case.where,
        "A parameter changed nothing" if len(keys) == 1 else "Some parameters changed nothing",
        f"{listing(keys)}: to a boosted model that explains {100 * found.r2:.0f} % of the differences between "
        f"{count(found.n, 'trial')}{after}, "
        f"{'it is' if len(keys) == 1 else 'they are'} worth no more than a column of random numbers"
        f"{', and so for the other objectives' if case.sweep.several else ''}.",
        "Within its range it does not matter, it is not used, or other parameters drown it.",
        f"Fix {listing(keys)} to the default{'' if len(keys) == 1 else 's'} and give the trials to the others.",
        ("explained", "idle_from"),
    )
