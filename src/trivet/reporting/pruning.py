"""What is known of pruning: what it saved, what it may have lost, and what an audit (pruned trials trained to the end) found."""

from __future__ import annotations

from dataclasses import dataclass

from trivet.diagnosis.importance import gain_from
from trivet.diagnosis.sweep import Sweep
from trivet.reporting.context import Context


@dataclass(frozen=True)
class Audit:
    """Of n audited trials: how many beat the best of the search, and how many by more than one configuration varies from seed to seed."""

    n: int
    better: int
    clearly: int
    best: float  # score of the best of them


def audited(context: Context) -> Audit | None:
    """None where there is no audit with a completed trial, or no best trial to compare with."""
    sweep = context.results.audit if context.results is not None else None
    if sweep is None or not len(sweep.complete) or context.best is None:
        return None
    origin, row = context.best
    scores, best = sweep.score[sweep.complete.index], origin.score[row.name]
    noise = context.seeds.noise if context.seeds is not None else None
    return Audit(len(scores), int((scores > best).sum()), int((scores > best + (noise or 0.0)).sum()), float(scores.max()))


@dataclass(frozen=True)
class Regret:
    """Of `n` pruned trials, `could` would have passed the best had each finished like the luckiest tenth of the completed ones."""

    n: int
    could: int


def regret(sweep: Sweep) -> Regret | None:
    """What pruning may have cost; None where that cannot be said (no pruned trial, fewer than ten completed ones, no curves).

    A pruned trial is granted, from its last epoch on, the gain that only one in ten of the completed trials had from that epoch to its end.
    """
    pruned = sweep.trials[(sweep.trials["state"] == "PRUNED") & sweep.score.notna()]
    if not len(pruned) or len(sweep.complete) < 10 or not len(sweep.curves) or sweep.best is None:
        return None
    reach = sweep.score[pruned.index] + pruned["step"].map(gain_from(sweep, 0.9))
    return Regret(len(pruned), int((reach > sweep.score[sweep.best.name]).sum()))
