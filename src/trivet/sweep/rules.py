"""The pruner and the stop rules of a sweep's settings."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trivet import secrets, space
from trivet.errors import UserError
from trivet.options import check
from trivet.search import pruning, racing, replicates
from trivet.search.replicates import Replicates
from trivet.search.samplers import ENUMERATING, RULED, STAGED, SamplerSpec
from trivet.search.stopping import StopRules
from trivet.study.tables import VARYING_METRICS
from trivet.sweep.configs import check_key
from trivet.sweep.planning import RESERVED
from trivet.sweep.settings import DEFAULT_N_TRIALS, REPLICATES, Settings
from trivet.sweep.spaces import Space

log = logging.getLogger("trivet")


def pruner_of(config: Any, directions: Sequence[str]) -> dict[str, Any] | None:
    """The pruner as a plain mapping, checked; None for no pruning."""
    rule = pruning.build(config)
    if rule is None:
        return None
    if len(directions) > 1:
        raise UserError("hydra.sweeper.pruner: pruning needs a single objective; set it to null, or give one direction")
    return pruning.plain(config)


def replicates_of(s: Settings, where: Space, directions: Sequence[str], listed: Mapping[str, Any] | None = None) -> Replicates | None:
    """The replicates of a sweep, or those that its list of trials names, checked against the config and what is searched. Raises
    `UserError`."""
    if listed is not None:
        check(REPLICATES, listed, "hydra.sweeper.sampler.file: replicates")
        if s.replicates:
            raise UserError(f"{replicates.KEY}: the list of trials names its own; leave one of them out")
    found = replicates.read(listed or s.replicates)
    if found is None:
        return None
    if len(directions) > 1:
        raise UserError(f"{replicates.KEY}: an aggregate is of a single objective; give one direction, or leave the replicates out")
    if found.column in (*RESERVED, *(p.key.lstrip("+") for p in where.params)) and found.column != found.key:
        raise UserError(f"{replicates.KEY}.name={found.column}: is a parameter or a column of trials.csv; name it otherwise")
    if found.key is None:
        return found
    check_key(where.config, found.key)
    if any(p.key.lstrip("+") == found.key for p in where.params):
        raise UserError(f"{replicates.KEY}.key={found.key}: is searched; leave it out of the ranges, or name another key")
    if where.is_group(found.key):
        raise UserError(f"{replicates.KEY}.key={found.key}: chooses a config group; name a single key, such as seed")
    return found


def refuse_beside_rule(s: Settings, sampler: str) -> None:
    """Raise `UserError` for settings that a search by rule would not hear, or that would take its checkpoints away."""
    if sampler not in RULED:
        return
    if s.custom_search_space is not None:
        raise UserError(f"hydra.sweeper.custom_search_space: {sampler} draws from given ranges alone; write them into hydra.sweeper.params")
    if sampler in STAGED and s.pruner is not None and pruning.build(s.pruner) is not None:
        raise UserError(f"hydra.sweeper.pruner: {sampler} needs the checkpoint that each trial ends with; set it to null (pruner=none)")
    if sampler in STAGED and s.replicates is not None:
        raise UserError(f"{replicates.KEY}: {sampler} goes on from one checkpoint of each trial; leave the replicates out")


def refuse_secrets(params: Iterable[space.Param], given: Iterable[Mapping[str, Any]]) -> None:
    """Raise `UserError` where a searched key whose name says secret takes the value of an environment variable: what is searched stands in
    every table. Say so of one that is written out. `given`: the default configuration and trials given outright, by parameter name."""
    known, others = {value: name for name, value in os.environ.items() if value}, list(given)
    for param in params:
        spec, key = param.spec, param.key.lstrip("+")
        if not secrets.is_secret(key) or not isinstance(spec, (space.Choice, space.Fixed)):
            continue
        values = [*(spec.options if isinstance(spec, space.Choice) else [spec.value]), *(row.get(param.name) for row in others)]
        texts = [value for value in values if isinstance(value, str) and not value.startswith("${")]
        if found := next((known[text] for text in texts if text in known), None):
            raise UserError(
                f"{key}: its name says secret, and a value of it is that of the environment variable {found}, which would stand in every "
                f"table; search a name instead, as in account=choice(a,b), and write {key}: ${{oc.env:KEY_${{account}}}} in the config"
            )
        if texts:
            log.warning(f"{key}: its name says secret; what is searched stands as it is in every table, published ones too")


def check_race(found: Replicates | None, sampler: SamplerSpec, pruner: Any, stop: StopRules) -> None:
    """Raise `UserError` where a race is of no use, or has another number of rounds than there are values."""
    if found is None or found.race is None:
        return
    key = f"{replicates.KEY}.race={found.race}"
    if sampler.name not in ENUMERATING or pruner is not None or stop.has_rules:
        raise UserError(f"{key}: is among trials that are given outright: take sampler=list or grid, and neither pruner nor stop rules")
    if found.race < stop.n_trials:
        raise UserError(f"{key}: is less than one run for each of {stop.n_trials} trials; give more")
    if (rounds := len(racing.plan(stop.n_trials, found.race))) != len(found.values):
        raise UserError(f"{key}: has {rounds} rounds with {stop.n_trials} trials, and there are {len(found.values)} values; give {rounds}")


def tell_varying(metrics: Iterable[str]) -> None:
    """Say of metrics that decide, and that are another number in each run, what they do to the table."""
    for name in metrics:
        if name.rpartition("/")[2] in VARYING_METRICS:
            log.warning(f"{name} is another number in each run, so two runs may differ in their tables; parameters and flops do not vary")


def tell_few(pruner: Mapping[str, Any] | None, n_trials: int, n_known: int) -> None:
    """Warn where hardly a trial can go on from the first rung before the search ends. `n_known`: earlier trials that judge too."""
    rule = pruning.build(pruner)
    needed = getattr(rule, "bootstrap_count", 0)
    if isinstance(rule, pruning.SuccessiveHalving) and n_known + n_trials < 2 * needed:
        key, none = "hydra.sweeper.pruner.bootstrap_count", "none" if n_known else "none but the first"
        log.warning(
            f"{key}={needed}: of {n_trials} trials {none} goes on from the first rung before {needed} were there; "
            f"with so few, give {key}=0 or more trials"
        )


def stop_rules(s: Settings, sampler: SamplerSpec, n_explicit: int) -> StopRules:
    """When the sweep ends; a grid, a list or a rule of `n_explicit` trials (at most) ends with the last of them."""
    n_trials = s.n_trials
    if sampler.name in (*ENUMERATING, *RULED):
        n_trials = n_explicit if n_trials is None else min(n_trials, n_explicit)
        if n_trials < 1:
            raise UserError(f"hydra.sweeper.sampler={sampler.name}: gives no trial to run")
    given: Mapping[str, Any] = s.stop
    return StopRules(n_trials=DEFAULT_N_TRIALS if n_trials is None else n_trials, **given)
