"""Population-based training, and a winner's schedule again, before the first trial: arguments checked and completed.

`schedule.yaml`, in the folder of a population that has trained, is the way of its winner: which overrides until which step.
"""

from __future__ import annotations

import fnmatch
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trivet import space
from trivet.errors import UserError
from trivet.options import ListOf, Maybe, Real, Section, Text, Whole, check
from trivet.search import population
from trivet.search.samplers import SamplerSpec
from trivet.study import tables
from trivet.sweep.settings import read_mapping
from trivet.sweep.spaces import Space

log = logging.getLogger("trivet")
KEY = "hydra.sweeper.sampler"
FIELDS: dict[str, dict[str, Any]] = {
    "pbt": {
        "population": Whole(2, 1000, default=8),
        "interval": Whole(1),
        "steps": Maybe(Whole(1)),
        "quantile": Real(0, 0.5, default=0.25, open="low"),
        "perturb": ListOf(Real(0, open="low"), default=(0.8, 1.25)),
        "resample": Real(0, 1, default=0.25),
        "change": ListOf(Text(), default=("*",)),
        "hold": ListOf(Text(), 0, default=()),
    },
    "replay": {"of": Text()},
}
_SEGMENTS = ListOf(Section({"trial": Whole(), "until": Whole(1), "overrides": ListOf(Text(), 0)}))


def prepared(spec: SamplerSpec, where: Space, n_before: int, n_trials: int | None, root: Path) -> tuple[int, SamplerSpec]:
    """(trials at most, the sampler with complete arguments), from arguments of the right kinds. Raises `UserError`."""
    if spec.name == "replay":
        return _replay(spec, where, n_before, root)
    given = spec.arguments
    size, steps = int(given["population"]), given["steps"]
    if n_before > size:
        raise UserError(f"{KEY}.population={size}: {n_before} trials are given outright, and each is a member; enqueue fewer of them")
    if steps is None and n_trials is None:
        raise UserError(f"{KEY}.steps: is missing, and so is hydra.sweeper.n_trials: give the steps of a whole training, or the trials")
    groups = {p.key for p in where.params if where.is_group(p.key)}
    held = sorted(groups | {key for p in where.params for key, _ in p.when})
    shaped = next((p.key for p in where.params if population.may_change(p, given["change"], held) and _named(p.key, given["hold"])), None)
    if shaped is not None:
        mend = f"take it out of {KEY}.change, and it is drawn once and handed on"
        raise UserError(f"{shaped}: may not change on the way, as checkpoints belong to its value ({KEY}.hold); {mend}")
    searched = [p for p in where.params if not isinstance(p.spec, space.Fixed)]
    free = {p.key.lstrip("+"): population.may_change(p, given["change"], held) for p in searched}
    if not any(free.values()):
        raise UserError(f"{KEY}.change={list(given['change'])}: nothing that is searched may change on the way; name keys of ranges")
    fast = [key for key, may in free.items() if not may]
    if fast:
        log.info(f"pbt: {', '.join(fast)}: drawn once, and handed on with the checkpoint ({KEY}.change names what changes)")
    most = size * math.ceil(steps / int(given["interval"])) if steps is not None else int(n_trials or 0)
    return most, replace(spec, arguments={**given, "held": held})


def _named(key: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(key.lstrip("+"), pattern) for pattern in patterns)


def first_members(sampler: SamplerSpec, trials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The trials that were given outright, in a population as members of its first generation."""
    if sampler.name != "pbt":
        return list(trials)
    members = [population.member(sampler.arguments, number, None) for number in range(len(trials))]
    return [{**trial, **made, "attrs": {**trial.get("attrs", {}), **made["attrs"]}} for trial, made in zip(trials, members, strict=True)]


def _replay(spec: SamplerSpec, where: Space, n_before: int, root: Path) -> tuple[int, SamplerSpec]:
    path = root / str(spec.arguments["of"]) / tables.SCHEDULE
    segments = read_mapping(path, f"{KEY}.of").get("segments")
    check(_SEGMENTS, segments, f"{path}: segments")
    assert isinstance(segments, list)
    steps = [segment["until"] for segment in segments]
    if steps != sorted(set(steps)):
        raise UserError(f"{path}: segments must end one after the other, and end at {', '.join(map(str, steps))}; run its search again")
    if n_before:
        raise UserError(f"{KEY}=replay: trains one schedule alone; leave hydra.sweeper.enqueue and baseline out")
    made = [{**segment, "params": where.given(segment["overrides"])["params"]} for segment in segments]
    return len(made), replace(spec, arguments={"of": str(spec.arguments["of"]), "segments": made})
