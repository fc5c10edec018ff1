"""The ranges that a config holds beside its values, each with the options under which it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trivet import space
from trivet.errors import UserError
from trivet.sweep.configs import choices, plain
from trivet.sweep.groups import MOST_COMBINATIONS, Groups

Combination = dict[str, Any]
"""Group -> option, of the groups whose options reach beyond their own part of the config."""


def gather(groups: Groups, taken: set[str]) -> list[space.Param]:
    """The ranges of `space:` nodes in every option of every searched group, to any depth; keys in `taken` are left out.

    A range belongs to the options that bring it along. For a group that fills a part of the config of its own, the part says so. Of
    groups whose options reach further all combinations are composed, and a range counts in those that have it.
    """
    wide = [p for p in groups.searched if groups.reaches(p)]
    while True:
        walks = [(combination, _Walk(groups, taken, wide, combination)) for combination in _combinations(wide)]
        found = {p.key: p for _, walk in walks for p in walk.groups if p.key not in {w.key for w in wide} and groups.reaches(p)}
        if not found:
            return _merged([(combination, walk.ranges) for combination, walk in walks], wide)
        wide += found.values()
        inner = {key for p in wide for key, _ in p.when} - {p.key for p in wide}
        wide += [p for p in groups.searched if p.key in inner]


def _combinations(wide: Sequence[space.Param]) -> list[Combination]:
    made: list[Combination] = [{}]
    for param in sorted(wide, key=lambda p: len(p.when)):
        made = [
            new for old in made for new in ([{**old, param.key: o} for o in space.grid_points(param.spec)] if param.active(old) else [old])
        ]
        if len(made) > MOST_COMBINATIONS:
            names = ", ".join(p.key for p in wide)
            raise UserError(
                f"{names}: their options change each other's part of the config, in more than {MOST_COMBINATIONS} combinations; "
                "give the ranges in hydra.sweeper.params, with hydra.sweeper.config_space=false"
            )
    return made


class _Walk:
    """Visits every option of the other searched groups under one combination. `ranges`: what was found; `groups`: those that choose."""

    def __init__(self, groups: Groups, taken: set[str], wide: Sequence[space.Param], combination: Combination) -> None:
        self._of, self._taken, self._combination = groups, taken, combination
        self.ranges: list[space.Param] = []
        self.groups: list[space.Param] = []
        self._wide = {p.key for p in wide}
        self._searched = {p.key.lstrip("+") for p in groups.searched}
        self._added = {p.key.lstrip("+"): p.key for p in groups.searched}  # +group=... is how its choice is written
        self._go()

    def _go(self) -> None:
        found: dict[str, space.Param] = {}
        to_visit: list[dict[str, Any]] = [{}]
        seen: set[str] = set()
        while to_visit:
            chosen = to_visit.pop(0)
            if (mark := repr(sorted(chosen.items(), key=repr))) in seen:
                continue
            seen.add(mark)
            ranges = self._ranges(chosen)
            groups = [p for p in ranges if self._of.is_group(p.key) and p.key not in self._taken]
            fresh = {p.key for p in groups} - self._searched
            if fresh:  # ranges below these groups must be gathered with their condition
                self._searched |= fresh
                to_visit.insert(0, chosen)
                seen.discard(mark)
                continue
            found.update({p.name: p for p in ranges if p.key not in self._taken and p.name not in found})
            for param in (p for p in [*self._of.searched, *groups] if p.key not in self._wide):
                for option in space.grid_points(param.spec):
                    to_visit.append({**self._of.choose(param.when), param.key: option})
        self.ranges = list(found.values())
        self.groups = [p for p in self.ranges if self._of.is_group(p.key)]

    def _ranges(self, chosen: Mapping[str, Any]) -> list[space.Param]:
        config = self._of.config((), {**chosen, **self._combination})
        return [renamed(p, self._added) for p in space.collect(plain(config), choices(config), searched=self._searched)]


def _merged(tables: Sequence[tuple[Combination, Sequence[space.Param]]], wide: Sequence[space.Param]) -> list[space.Param]:
    """The ranges of all combinations as one list: what not all of them have alike, under the choices that decide on it."""
    keys = [p.key for p in wide]
    order: dict[tuple[Any, ...], None] = {}
    specs: list[dict[tuple[Any, ...], space.Param]] = []
    for _, ranges in tables:
        specs.append({(p.key, tuple(pair for pair in p.when if pair[0] not in keys)): p for p in ranges})
        order.update(dict.fromkeys(specs[-1]))
    combinations = [combination for combination, _ in tables]
    merged = []
    for mark in order:
        column = [found.get(mark) for found in specs]
        deciding = list(keys)
        for key in reversed(keys):  # leave out each group without which the others still decide
            fewer = [k for k in deciding if k != key]
            if _decided(combinations, column, fewer):
                deciding = fewer
        for combination, param in zip(combinations, column, strict=True):
            if param is not None:
                when = tuple((k, space.option_text(combination[k])) for k in deciding if k in combination)
                merged.append(replace(param, when=(*when, *mark[1])))
    return list({p.name: p for p in merged}.values())


def _decided(combinations: Sequence[Combination], column: Sequence[space.Param | None], keys: Sequence[str]) -> bool:
    """Whether the options of these groups alone say which range counts."""
    seen: dict[str, str] = {}
    for combination, param in zip(combinations, column, strict=True):
        spec = "" if param is None else space.to_text(param.spec)
        if seen.setdefault(repr([combination.get(k) for k in keys]), spec) != spec:
            return False
    return True


def renamed(param: space.Param, names: Mapping[str, str]) -> space.Param:
    """The same with its conditions' groups as they are written in this sweep."""
    return replace(param, when=tuple((names.get(group, group), option) for group, option in param.when))
