"""What a sweep searches and how: its settings, ranges, given trials and earlier results, read and checked together."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.types import HydraContext
from omegaconf import DictConfig

from trivet import space
from trivet.errors import UserError
from trivet.search import constraints, weights
from trivet.search.choosing import choose
from trivet.search.samplers import ENUMERATING, RULED, sampler_spec
from trivet.search.sampling import Sampler
from trivet.study import publishing, warm
from trivet.sweep import planning, ruled, rules, staged
from trivet.sweep.configs import choices
from trivet.sweep.foreign import Named
from trivet.sweep.identifying import Search
from trivet.sweep.jobs import Composer
from trivet.sweep.settings import Settings, directions_of, read_mapping
from trivet.sweep.spaces import Space
from trivet.targets import locate

log = logging.getLogger("trivet")


def searched(s: Settings, context: HydraContext, config: DictConfig, root: Path, arguments: Sequence[str]) -> Search:
    """What is searched and how, checked; `arguments`: the command line's overrides of the app's keys."""
    publishing.check_files(s.publish_files)
    if s.publish is not None:
        publishing.target_of(s.publish, root)
    with _warnings_logged():
        sampler, sampler_seed = sampler_spec(s.sampler)
    seed = next((x for x in (s.seed, sampler_seed) if x is not None), 0)
    directions = directions_of(s.direction)
    weighed = weights.read(s.weights, s.scales, directions)
    directions = directions[:1] if weighed is not None else directions
    pruner = rules.pruner_of(s.pruner, directions)
    rules.tell_varying(s.constraints)
    with _warnings_logged():
        swept, given = space.parse_overrides(list(arguments), context.config_loader)
        explicit, fixed = _apart(_over(swept, _written_out(s, config, root)), given)
        composer = Composer(context, config, fixed, ".")
        where = Space(composer, explicit, s.config_space)
    if not where.params and sampler.name not in ("list", "ladder", "ablation", "replay") and s.custom_search_space is None:
        raise UserError("nothing to search: give ranges, such as optimizer.lr='tag(log, interval(1e-4, 1e-1))', or `space:` in the config")
    if sampler.name == "auto":
        sampler, why = choose(sampler, where.params, directions, s.custom_search_space is not None)
        log.info(f"hydra.sweeper.sampler=auto: {sampler.name} ({why})")
    if sampler.name not in (*ENUMERATING, *RULED):
        Sampler(sampler, where.params, directions, seed).try_out()
    rules.refuse_beside_rule(s, sampler.name)
    if s.custom_search_space is not None:
        locate(s.custom_search_space, "hydra.sweeper.custom_search_space")
    if sampler.name == "nsgaii" and len(directions) < 2:
        log.info("nsgaii is made for several objectives; with one, tpe usually finds more")
    with _warnings_logged():
        ranges = {p.key for p in explicit}
        trials = planning.explicit_trials(where, sampler, s.baseline, s.enqueue, root, ranges, {p.key for p in swept})
    rules.refuse_secrets(where.params, [where.defaults or {}, *(trial["params"] for trial in trials)])
    known = warm.read_warm(s.warm_start, where.params, root, directions, choices(where.config))
    by_rule = None
    if sampler.name in RULED:
        by_rule = ruled.prepared(sampler, where, directions, len(trials), s.n_trials, root, seed)
        sampler = by_rule.sampler
    outright = staged.first_members(sampler, trials)
    stop = rules.stop_rules(s, sampler, by_rule.most if by_rule is not None else len(trials))
    repeated = rules.replicates_of(s, where, directions, planning.listed_replicates(sampler, root))
    rules.check_race(repeated, sampler, pruner, stop)
    rules.tell_few(pruner, stop.n_trials, len(known) if s.warm_start_prunes else 0)
    must = constraints.read(s.constraints), repeated, weighed
    return Search(sampler, seed, directions, pruner, where, composer, tuple(fixed), tuple(outright), tuple(known), stop, by_rule, *must)


def _written_out(s: Settings, config: DictConfig, root: Path) -> list[space.Param]:
    """The ranges of the settings: those of `params` over those of `params_file`."""
    params: list[space.Param] = []
    if s.params_file is not None:
        params = space.parse_params(read_mapping(root / s.params_file, "hydra.sweeper.params_file"))
        named = Named(config)
        for param in params:
            named.check_range(param, f"hydra.sweeper.params_file={s.params_file}")
    given = {k: v for k, v in (s.params or {}).items() if v is not None}  # null: not searched after all
    if given:
        if s.search_space:
            log.warning("hydra.sweeper.search_space is not read, as hydra.sweeper.params is given")
        return _over(space.parse_params(given), params)
    if s.search_space:
        log.warning("hydra.sweeper.search_space is the old form; write the ranges into hydra.sweeper.params")
        return _over(space.parse_search_space(s.search_space), params)
    return params


def _apart(params: Sequence[space.Param], given: Sequence[str]) -> tuple[list[space.Param], list[str]]:
    """What is searched, and the overrides that every trial has: those given, and ranges of one value."""
    set_outright = {text.partition("=")[0].lstrip("+~") for text in given}
    left = [p for p in params if p.key.lstrip("+") not in set_outright]
    always = {p.name: p.spec for p in left if isinstance(p.spec, space.Fixed) and not p.when}
    fixed = [*given, *(f"{key}={space.value_text(spec.value)}" for key, spec in always.items())]
    return [p for p in left if p.name not in always], fixed


def _over(strong: Sequence[space.Param], weak: Sequence[space.Param]) -> list[space.Param]:
    """Both, without the weak ones whose key the strong ones name."""
    keys = {p.key.lstrip("+") for p in strong}
    return [*(p for p in weak if p.key.lstrip("+") not in keys), *strong]


@contextlib.contextmanager
def _warnings_logged() -> Iterator[None]:
    """Tell each warning that the block gives as a line of the log, without the source that gave it."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in heard):
        log.warning(text)
