"""The pruner and the stop rules of a sweep's settings."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trivet.errors import UserError
from trivet.search import pruning
from trivet.search.samplers import ENUMERATING, RULED, SamplerSpec
from trivet.search.stopping import StopRules
from trivet.study.tables import VARYING_METRICS
from trivet.sweep.settings import DEFAULT_N_TRIALS, Settings

log = logging.getLogger("trivet")


def pruner_of(config: Any, directions: Sequence[str]) -> dict[str, Any] | None:
    """The pruner as a plain mapping, checked; None for no pruning."""
    rule = pruning.build(config)
    if rule is None:
        return None
    if len(directions) > 1:
        raise UserError("hydra.sweeper.pruner: pruning needs a single objective; set it to null, or give one direction")
    return pruning.plain(config)


def tell_varying(metrics: Iterable[str]) -> None:
    """Say of metrics that decide, and that are another number in each run, what they do to the table."""
    for name in metrics:
        if name.rpartition("/")[2] in VARYING_METRICS:
            log.warning(f"{name} is another number in each run, so two runs may differ in their tables; parameters and flops do not vary")


def stop_rules(s: Settings, sampler: SamplerSpec, n_explicit: int) -> StopRules:
    """When the sweep ends; a grid, a list or a rule of `n_explicit` trials (at most) ends with the last of them."""
    n_trials = s.n_trials
    if sampler.name in (*ENUMERATING, *RULED):
        n_trials = n_explicit if n_trials is None else min(n_trials, n_explicit)
        if n_trials < 1:
            raise UserError(f"hydra.sweeper.sampler={sampler.name}: gives no trial to run")
    given: Mapping[str, Any] = s.stop
    return StopRules(n_trials=DEFAULT_N_TRIALS if n_trials is None else n_trials, **given)
