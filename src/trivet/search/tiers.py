"""Parameters in their order of importance: a search over each tier's own, the winners of the earlier tiers held fixed.

A tier gets its share of the trials that are left; when the first half of them brings nothing, the other half goes to those after it. A
choice that a later tier makes anew (another optimizer) brings its own parameters along, whatever tier they are of: nobody has tuned them.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from trivet import space
from trivet.search.rounds import Done, Given, Plan, Round, Searched, best, score
from trivet.search.samplers import SamplerSpec
from trivet.search.sampling import Sampler, configuration, distribution, internal, trial_seed
from trivet.search.teaching import blank, copied


@dataclass(frozen=True)
class Tier:
    """`keys`: patterns of parameters' keys, as a shell's (`optimizer.lr`, `schedule*`). `share`: of the trials, relative to the others."""

    name: str
    keys: tuple[str, ...]
    share: float


def tiers_of(arguments: Mapping[str, Any]) -> list[Tier]:
    """The tiers in their order."""
    return [Tier(str(tier["name"]), tuple(tier["keys"]), float(tier["share"])) for tier in arguments["tiers"]]


def level(key: str, tiers: Sequence[Tier]) -> int | None:
    """The place of the first tier with a pattern for this key; None where there is none."""
    bare = key.lstrip("+")
    return next((i for i, tier in enumerate(tiers) if any(fnmatch.fnmatchcase(bare, pattern) for pattern in tier.keys)), None)


def subspace(params: Sequence[space.Param], tiers: Sequence[Tier], tier: int, incumbent: Mapping[str, Any]) -> list[space.Param]:
    """What a tier searches, and what it holds fixed: the incumbent's values by name. Parameters of later tiers that the incumbent has no
    value for stand at their option's own default, and are left out."""
    result: list[space.Param] = []
    for param in params:
        at = level(param.key, tiers)
        held = {p.key: p.spec.value for p in result if isinstance(p.spec, space.Fixed)}
        if any(group in held and not space.meets(held[group], option) for group, option in param.when):
            continue  # its option is not the one that is held fixed
        if at == tier or (at is not None and at < tier and param.name not in incumbent):
            result.append(param)
        elif param.name in incumbent:
            result.append(space.Param(param.key, space.Fixed(incumbent[param.name]), param.when))
    return result


class Tiers:
    """`arguments`: tiers (name, keys, share), trials (in all, those before the first tier included), sampler (of each tier)."""

    def __init__(self, arguments: Mapping[str, Any], searched: Searched) -> None:
        self.tiers, self.n_trials = tiers_of(arguments), int(arguments["trials"])
        self.sampler = SamplerSpec(str(arguments["sampler"]), {})
        self.searched = searched

    def plan(self, done: Sequence[Done]) -> Plan:
        """Two rounds a tier, the second one where the first has found something better."""
        for i, tier in enumerate(self.tiers):
            incumbent = best(done, self.searched.maximize)
            values = incumbent.params if incumbent is not None else self.searched.defaults
            params = subspace(self.searched.params, self.tiers, i, values)
            if all(space.n_points(p.spec) == 1 for p in params):
                continue  # nothing of this tier is searched
            left = self.n_trials - len(done)
            n = round(left * tier.share / sum(t.share for t in self.tiers[i:])) if i + 1 < len(self.tiers) else left
            if n < 1:
                continue
            own = Searched(params, values, self.searched.directions, trial_seed(self.searched.seed, i))
            asked = _Asked(self.sampler, tier.name, own, incumbent, len(done))
            first = (n + 1) // 2
            done = yield Round(first, asked.propose)
            found = best(done, self.searched.maximize)
            bar = float("-inf") if incumbent is None else score(incumbent, self.searched.maximize)
            if found is not None and score(found, self.searched.maximize) > bar and n > first:
                done = yield Round(n - first, functools.partial(asked.propose, first=first))


class _Asked:
    """The sampler of one tier, which knows the tier's own trials and the one that it set out from."""

    def __init__(self, sampler: SamplerSpec, name: str, searched: Searched, incumbent: Done | None, begin: int) -> None:
        self.name, self.params, self.incumbent, self.begin = name, searched.params, incumbent, begin
        self.specs = space.searched(searched.params)
        self.sampler = Sampler(sampler, searched.params, searched.directions, searched.seed, searched.defaults)

    def propose(self, place: int, known: Sequence[Done], pending: Sequence[Mapping[str, Any]], first: int = 0) -> Given:
        """Trial `first + place` of the tier."""
        seen = [self.incumbent] if self.incumbent is not None else []
        told = [self._told(trial.trial, trial.params) for trial in [*seen, *known[self.begin :]]]
        running = [self._told(blank(0, {}, {}), params) for params in pending]
        asked = self.sampler.ask(first + place, told, None, running)
        return {"params": configuration(self.params, asked.params), "overrides": None, "attrs": {"tier": self.name}}

    def _told(self, trial: FrozenTrial, params: Mapping[str, Any]) -> FrozenTrial:
        """A trial as one of this tier's space."""
        inside = {name: value for name, value in params.items() if name in self.specs and space.contains(self.specs[name], value)}
        return copied(
            trial,
            params={name: internal(self.specs[name], value) for name, value in inside.items()},
            distributions={name: distribution(self.specs[name]) for name in inside},
        )
