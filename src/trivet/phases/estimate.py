"""How long a search will take, from what a few trainings took."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from trivet.study import identity

SHARE_TRAINED = {"asha": 0.35, "hyperband": 0.4, "threshold": 0.5, "patient": 0.9}
"""Of all epochs, the share that a search of some 100 trials trains under each pruner: a rule of thumb from our own coarse searches."""


def share_trained(rule: Mapping[str, Any]) -> float:
    """The share for a pruner's config. A percentile keeps more than it says, as trials get better while a search learns:
    24, 31 and 45 % of the epochs of our coarse search under percentile 10, 15 and 25."""
    if rule.get("name") in ("percentile", "median"):
        return min(1.0, 0.1 + 1.4 * float(rule.get("percentile", 50)) / 100)
    return SHARE_TRAINED.get(str(rule.get("name")), 1.0)


def workers(n_jobs: Any, trials_per_gpu: int, threads: int, gpus_per_trial: int = 1) -> int:
    """How many trials run at once under these keys of `hydra.sweeper`."""
    if isinstance(n_jobs, int) and n_jobs > 0:
        return n_jobs
    gpus = len(identity.gpu_ids()) // gpus_per_trial
    return gpus * trials_per_gpu if gpus else max(1, identity.cores() // threads)


def estimate(
    n_trials: int, epochs: int, default: float, others: Sequence[float], n_workers: int, rule: Mapping[str, Any]
) -> dict[str, Any]:
    """Seconds that a search takes: trials x epochs x mean seconds per epoch / workers, without and with pruning.

    `default`: seconds of an epoch of the default configuration; `others`: of random ones, NaN where one could not be timed. `rule`: the
    pruner's config.
    """
    share = share_trained(rule)
    mean = statistics.fmean([seconds for seconds in others if not math.isnan(seconds)] or [default])
    full = n_trials * epochs * mean / n_workers
    return {
        "n_trials": n_trials,
        "epochs": epochs,
        "workers": n_workers,
        "seconds_per_epoch_default": round(default, 4),
        "seconds_per_epoch_mean": round(mean, 4),
        "pruner": rule.get("name"),
        "share_trained_assumed": share,
        "seconds_unpruned": round(full, 1),
        "seconds": round(full * share, 1),
    }


def clock(seconds: float) -> str:
    """90 -> 1.5 min"""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def time_line(times: Mapping[str, Any]) -> str:
    """The estimate in words."""
    pruner, share = times["pruner"] or "null", times["share_trained_assumed"]
    return (
        f"time: {times['n_trials']} trials x up to {times['epochs']} epochs x {times['seconds_per_epoch_mean']:.2g} s (default "
        f"{times['seconds_per_epoch_default']:.2g} s) / {times['workers']} workers = {clock(times['seconds_unpruned'])} without pruning, "
        f"about {clock(times['seconds'])} with pruner={pruner} (taken to train {share:.0%} of the epochs)"
    )
