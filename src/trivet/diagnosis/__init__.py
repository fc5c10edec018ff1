"""What went wrong with a search, and why: red flags from published tables. Pure functions; no file is read.

>>> flags = diagnose([coarse, fine], seeds, test)      # worst first; empty: a clean bill
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from trivet.diagnosis import fit_flags, search_flags, space_flags, training_flags
from trivet.diagnosis.flag import LEVELS, Case, Flag
from trivet.diagnosis.seeds import Seeds
from trivet.diagnosis.sweep import Entry, Sweep
from trivet.diagnosis.thresholds import THRESHOLDS, Threshold, limit
from trivet.diagnosis.wording import Scale, listing

__all__ = ["EVERY", "LAST", "THRESHOLDS", "Case", "Entry", "Flag", "Scale", "Seeds", "Sweep", "Threshold", "asked", "diagnose", "limit"]

Check = Callable[[Case], Flag | None]
EVERY: tuple[Check, ...] = (  # asked of every search
    space_flags.alike, training_flags.failed, training_flags.diverged, search_flags.pruned_most, search_flags.pruned_none,
    training_flags.one_epoch, space_flags.linear, space_flags.no_effect, space_flags.duplicates, space_flags.too_few,
)  # fmt: skip
LAST: tuple[Check, ...] = (  # asked only of the last search: what the next one looks at again cannot be wrong yet
    search_flags.default_best, space_flags.edge, fit_flags.overfit, fit_flags.underfit, training_flags.best_last,
    training_flags.best_early, training_flags.noisy, training_flags.slow, search_flags.improving, search_flags.flat,
)  # fmt: skip


ONE_BEST = {search_flags.default_best, space_flags.edge, search_flags.improving, search_flags.flat}  # of several objectives there is none


def asked(sweep: Sweep, last: bool = True) -> tuple[Check, ...]:
    """What is asked of a search."""
    checks = (*EVERY, *LAST) if last else EVERY
    return tuple(check for check in checks if not (sweep.several and check in ONE_BEST))


def diagnose(searches: Sequence[Sweep], seeds: Seeds | None = None, test: dict | None = None) -> list[Flag]:
    """All red flags, worst first. test: {winner: {seed: value}, default: {seed: value}, n_test: int}."""
    flags: list[Flag | None] = []
    for sweep in searches:
        case = Case(sweep, _scale(sweep), seeds.noise if seeds is not None else None)
        flags += [check(case) for check in asked(sweep, sweep is searches[-1])]
    if seeds is not None:
        values = [value for runs in seeds.values.values() for value in runs.values()]
        scale = Scale(searches[-1].metric, values)
        flags += [
            search_flags.default_beats(seeds, scale),
            search_flags.winner_differs(seeds, scale),
            search_flags.seeds_alike(seeds, scale),
            search_flags.seed_noise(seeds, scale),
        ]
        flags += [search_flags.val_test(seeds, scale, test)] if test else []
    raised = merged([flag for flag in flags if flag is not None])
    return sorted(raised, key=lambda flag: LEVELS.index(flag.level))


def merged(flags: list[Flag]) -> list[Flag]:
    """The same flag of several searches as one, with the evidence of each; the worst level, and the last one's cause and mend."""
    groups: dict[str, list[Flag]] = {}
    for flag in flags:
        groups.setdefault(flag.key, []).append(flag)
    out = []
    for group in groups.values():
        last = group[-1]
        if len(group) > 1:
            evidence = " ".join(f"In {flag.where}: {flag.evidence}" for flag in group)
            level = min((flag.level for flag in group), key=LEVELS.index)
            last = replace(last, level=level, where=listing([flag.where for flag in group]), evidence=evidence)
        out.append(last)
    return out


def _scale(sweep: Sweep) -> Scale:
    return Scale(sweep.metric, np.asarray(sweep.trials[sweep.objectives[0]], dtype=float))
