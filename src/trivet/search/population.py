"""Population-based training (Jaderberg et al. 2017): members train side by side, and now and then the worst go on from the best.

A round is a generation. A member trains `interval` steps; then the worst `quantile` of the generation take over the checkpoints of the best
(exploit) with other values of what may change (explore), and the others go on as they are. What each starts from is a function of the
generation before, which is complete by then. `Lineage` trains the way of one winner again, segment after segment.
"""

from __future__ import annotations

import fnmatch
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from trivet import space
from trivet.search.rounds import Done, Given, Plan, Round, Searched, score
from trivet.search.samplers import SamplerSpec
from trivet.search.sampling import Sampler, configuration, trial_seed


def may_change(param: space.Param, patterns: Sequence[str], held: Sequence[str]) -> bool:
    """Whether a parameter may change on the way. `held`: keys of groups, and others that decide which parameters there are: a checkpoint
    belongs to the choice that it was trained with."""
    return param.key not in held and any(fnmatch.fnmatchcase(param.key.lstrip("+"), pattern) for pattern in patterns)


def until(arguments: Mapping[str, Any], generation: int) -> int:
    """The step at which a member of this generation (from 0) ends."""
    end = (generation + 1) * int(arguments["interval"])
    return end if arguments.get("steps") is None else min(end, int(arguments["steps"]))


def member(arguments: Mapping[str, Any], number: int, parent: Done | None) -> dict[str, Any]:
    """What a member is besides its parameters: columns of the table, from whose checkpoint after which step it goes on, and until when."""
    generation, place = divmod(number, int(arguments["population"]))
    attrs = {"generation": generation, "member": place, "parent": None if parent is None else parent.number}
    start = {} if parent is None else {"start": {"trial": parent.number, "step": last_step(parent)}}
    return {"attrs": attrs, "until": until(arguments, generation), **start}


def last_step(trial: Done) -> int:
    """The last step that a trial reported; 0 where it reported none."""
    return trial.curve[-1][0] if trial.curve else 0


def truncated(before: Sequence[Done], quantile: float, maximize: bool) -> tuple[list[Done], set[int]]:
    """(the best of a generation, the numbers of those that are replaced by them): at least one each, those that did not complete among the
    replaced. The earlier of equals is the better one. Both are empty where no member completed."""
    ranked = sorted(before, key=lambda trial: (-score(trial, maximize), trial.number))
    n_alive = sum(score(trial, maximize) > -math.inf for trial in ranked)
    n = max(1, int(quantile * len(ranked)))
    best = ranked[: min(n, n_alive)]
    worst = {trial.number for trial in ranked[len(ranked) - max(n, len(ranked) - n_alive) :]}
    return best, (worst - {trial.number for trial in best} if best else set())


def perturbed(spec: space.Spec, value: Any, factor: float) -> Any:
    """A value times `factor`, within its range: the next one up or down where the range has points, and none where that says nothing."""
    if isinstance(spec, space.Choice):
        return _neighbour(spec.options, value, up=factor > 1) if factor != 1 else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value  # of another kind than the range, as a configuration that was given outright may have
    if spec.step is None:
        return min(max(value * factor, spec.low), spec.high)
    places = (value * factor - spec.low) / spec.step
    before = (value - spec.low) / spec.step
    place = round(places)
    if place == round(before) and places != before:
        place += 1 if places > before else -1
    last = round((spec.high - spec.low) / spec.step)
    found = spec.low + min(max(place, 0), last) * spec.step
    return found if isinstance(spec, space.Int) else min(found, spec.high)


def _neighbour(options: Sequence[Any], value: Any, up: bool) -> Any:
    """The next larger or smaller option of numbers; the same at the end of them, and for what is no number."""
    if any(isinstance(option, bool) or not isinstance(option, (int, float)) for option in [*options, value]):
        return value
    there = sorted(option for option in options if (option > value if up else option < value))
    return (there[0] if up else there[-1]) if there else value


class Population:
    """`arguments`: population, interval, steps (of a whole training, or None), quantile, perturb, resample, change, held."""

    def __init__(self, arguments: Mapping[str, Any], searched: Searched) -> None:
        self.arguments, self.searched, self.params = arguments, searched, list(searched.params)
        self.size = int(arguments["population"])

    def plan(self, done: Sequence[Done]) -> Plan:
        """A generation a round; trials that were given outright are the first members."""
        if len(done) < self.size:
            done = yield Round.of([self._newcomer(number) for number in range(len(done), self.size)])
        steps, interval = self.arguments.get("steps"), int(self.arguments["interval"])
        while steps is None or len(done) < self.size * math.ceil(int(steps) / interval):
            before = done[len(done) - self.size :]
            best, replaced = truncated(before, float(self.arguments["quantile"]), self.searched.maximize)
            if not best:
                return
            done = yield Round.of([self._child(len(done) + place, trial, best, replaced) for place, trial in enumerate(before)])

    def _newcomer(self, number: int) -> Given:
        return {"params": self._drawn(number, self.params), "overrides": None, **member(self.arguments, number, None)}

    def _child(self, number: int, before: Done, best: Sequence[Done], replaced: set[int]) -> Given:
        """The member's own training, gone on with; or one of the best, with other values."""
        if before.number not in replaced:
            return {"params": dict(before.params), "overrides": None, **member(self.arguments, number, before)}
        rng = random.Random(trial_seed(self.searched.seed, number))
        parent = rng.choice(best)
        return {"params": self.explored(parent.params, number, rng), "overrides": None, **member(self.arguments, number, parent)}

    def explored(self, values: Mapping[str, Any], number: int, rng: random.Random) -> dict[str, Any]:
        """The parent's parameters, each that may change drawn anew (with probability `resample`) or times one of `perturb`."""
        fresh = self._drawn(number, self._held(values))
        found = dict(values)
        for param in self.params:
            if param.name in values and self._may_change(param) and not isinstance(param.spec, space.Fixed):
                anew, factor = rng.random() < float(self.arguments["resample"]), rng.choice(list(self.arguments["perturb"]))
                found[param.name] = fresh[param.name] if anew else perturbed(param.spec, values[param.name], float(factor))
        return found

    def _may_change(self, param: space.Param) -> bool:
        return may_change(param, self.arguments["change"], self.arguments["held"])

    def _held(self, values: Mapping[str, Any]) -> list[space.Param]:
        """The parameters of a configuration; those that may not change have but its own value."""
        of = [param for param in self.params if param.name in values]
        return [p if self._may_change(p) else space.Param(p.key, space.Fixed(values[p.name]), p.when) for p in of]

    def _drawn(self, number: int, params: Sequence[space.Param]) -> dict[str, Any]:
        """A configuration drawn from these ranges, by name."""
        asked = Sampler(SamplerSpec("random"), params, self.searched.directions, self.searched.seed, self.searched.defaults).ask(number, [])
        return configuration(params, asked.params)


class Lineage:
    """`arguments`: segments, each {trial, until, params, overrides}, in the order in which they were trained."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.segments = list(arguments["segments"])

    def plan(self, done: Sequence[Done]) -> Plan:
        """A round a segment, from the checkpoint of the one before; it ends where one fails."""
        for place, segment in enumerate(self.segments):
            parent = done[-1] if place else None
            if parent is not None and parent.state != "COMPLETE":
                return
            start = {} if parent is None else {"start": {"trial": parent.number, "step": last_step(parent)}}
            attrs = {"segment": place, "replayed": segment["trial"]}
            given = {name: segment[name] for name in ("params", "overrides", "until")}
            done = yield Round.of([{**given, "attrs": attrs, **start}])
