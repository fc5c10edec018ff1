"""From a composed config and ranges that were written out to the space that a sweep searches: complete, and checked before any trial."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trivet import space
from trivet.errors import UserError
from trivet.sweep.configs import as_written, check_key, choices, has
from trivet.sweep.fitting import check_override, check_values, fitted
from trivet.sweep.groups import Groups, package
from trivet.sweep.jobs import Composer
from trivet.sweep.ranges import gather, renamed


class Space:
    """The parameters of a sweep with what the config says of them.

    `explicit` are the parameters of `hydra.sweeper.params` and the command line; they win over `space:` nodes of the config, of which
    those that belong to an option count only where it is chosen, to any depth.
    """

    def __init__(self, composer: Composer, explicit: Sequence[space.Param], from_config: bool) -> None:
        self.composer = composer
        self._groups = Groups(composer, explicit)
        self._groups.check_sweeper()
        self._by_hand: list[dict[str, Any]] = []  # group choices of trials given outright
        taken = {p.key.lstrip("+") for p in explicit} | _keys(composer.fixed)
        params = [*explicit, *(gather(self._groups, taken) if from_config else [])]
        for param in explicit:
            self._check_conditions(param, params)
        settled = [p if self.is_group(p.key) else fitted(p, self._groups.config(p.when)) for p in self._settled(params)]
        self.params = _ordered(space.check_unique(settled))
        self.groups = tuple(p.key for p in self.params if self.is_group(p.key))
        self._check()
        self.defaults = self._defaults()

    def is_group(self, key: str) -> bool:
        """Whether a parameter chooses an option of a config group."""
        return self._groups.is_group(key)

    @property
    def home(self) -> dict[str, Any]:
        """The group choices that the default config needs to be composed: none, as a rule."""
        return self._groups.home

    @property
    def config(self) -> DictConfig:
        """The default config; where it leaves a searched group open, under the first option. Do not change it."""
        return self._groups.config()

    @property
    def variants(self) -> list[dict[str, Any]]:
        """The group choices beside the default's that trials may make, each searched group by itself, on the way that leads to it."""
        searched = [p for p in self.params if self.is_group(p.key)]
        return [{**self._groups.choose(p.when), p.key: option} for p in searched for option in space.grid_points(p.spec)] + self._by_hand

    def _settled(self, params: Sequence[space.Param]) -> list[space.Param]:
        """The same without conditions on what is not searched: they hold, or the parameter never counts."""
        searched = {p.key for p in params}
        names = {key.lstrip("+"): key for key in searched}
        result = []
        for param in (renamed(p, names) for p in params):
            still = tuple(pair for pair in param.when if pair[0] in searched)
            if len(still) < len(param.when):
                config = self._groups.config(still)
                have = choices(config)
                values = {key: have.get(key, as_written(_select(config, key))) for key, _ in param.when}
                if any(not space.meets(values[key], option) for key, option in param.when if key not in searched):
                    continue
                param = replace(param, when=still)
            result.append(param)
        return result

    def _check_conditions(self, param: space.Param, params: Sequence[space.Param]) -> None:
        """Raise `UserError` where a condition can never hold: no such option, no such value in the ranges, no such key."""
        for key, option in param.when:
            specs = [p.spec for p in params if p.key == key]
            value = space.condition_value(option)
            if self.is_group(key):
                self._groups.check(space.Param(key, space.Fixed(value if isinstance(value, list) or value is None else option)))
            elif not specs:
                check_key(self._groups.config(w for w in param.when if w[0] != key), key)
            if specs and not any(_offers(spec, option) for spec in specs):
                offered = " or ".join(space.to_text(spec) for spec in specs)
                raise UserError(f"{param.name}: its condition {key}={option} never holds, as {key} is one of {offered}; correct either")

    def _check(self) -> None:
        """Every key must be in the config under its conditions, and every option composable. Raises `UserError`."""
        groups = [p for p in self.params if self.is_group(p.key)]
        for param in groups:
            self._groups.check(param)
            for option in space.grid_points(param.spec):
                self._groups.config(param.when, {param.key: option})
        wide = {p.key for p in groups if self._groups.reaches(p)}
        for param in self.params:
            check_own(param.key)
            if param in groups or param.key.startswith("+"):
                continue
            for group in groups:  # an option of a group around the key may lack it, or one that changes other groups' parts
                around = group.key in wide or param.key.startswith(f"{package(group.key)}.")
                if around and group.key not in dict(param.when) and _together(param.when, group.when):
                    for option in space.grid_points(group.spec):
                        config = self._groups.config([*param.when, *group.when], {group.key: option})
                        check_key(config, param.key, f"with {group.key}={space.option_text(option)}")
            config = self._groups.config(param.when)
            check_key(config, param.key)
            check_values(self.composer, self._groups.choose(param.when), param, config)

    def _defaults(self) -> dict[str, Any] | None:
        """The default configuration's value of every parameter that is active in it, by name; None where one has no value."""
        config = self._groups.default
        if config is None:
            return None
        chosen = choices(config)
        values: dict[str, Any] = {}
        for param in self.params:
            if not param.active(chosen):
                continue
            if self.is_group(param.key):
                if param.key not in chosen:
                    return None
                values[param.name] = chosen[param.key]
                continue
            try:
                value = OmegaConf.select(config, param.key, throw_on_missing=True)
            except OmegaConfBaseException:  # ???, or an interpolation that only a job can resolve
                return None
            if value is None and not has(config, param.key):
                return None
            values[param.name] = chosen[param.key] = as_written(value)
        return values

    def valueless(self, when: Sequence[tuple[str, Any]]) -> list[space.Param]:
        """The parameters that count under these choices, and whose key has no value there (???)."""
        groups = {key: option for key, option in when if self.is_group(key)}
        config = self.composer.base(groups)
        chosen = {**choices(config), **dict(when)}
        return [p for p in self.params if p.active(chosen) and not self.is_group(p.key) and _is_missing(config, p.key)]

    def points(self, overrides: Sequence[str], keys: Collection[str], limit: int) -> list[list[str]]:
        """What to add to a configuration given as overrides for each point of those ranges of `keys` that it leaves open, in order.

        Raises `UserError` for a continuous range, and for more than `limit` points.
        """
        parsed = {o.get_key_element().lstrip("+~"): o.value() for o in _one_configuration(overrides)}
        config = self.composer.base(self.home | {key: value for key, value in parsed.items() if self.is_group(key)})
        have = choices(config)
        values = {p.key: have.get(p.key) if self.is_group(p.key) else as_written(_select(config, p.key)) for p in self.params}
        points: list[tuple[list[str], dict[str, Any]]] = [([], {**have, **values, **parsed})]
        for param in self.params:
            if param.key not in keys or param.key.lstrip("+") in parsed:
                continue
            grown = []
            for words, chosen in points:
                options = _finite(param, limit) if param.active(chosen) else None
                more = [([*words, f"{param.key}={space.value_text(o)}"], {**chosen, param.key: o}) for o in options or ()]
                grown += more if options is not None else [(words, chosen)]
                if len(grown) > limit:
                    raise UserError(f"{param.key}: a trial of the list is crossed with more than {limit} points; search less")
            points = grown
        return [words for words, _ in points]

    def given(self, overrides: Sequence[str]) -> dict[str, Any]:
        """An explicit trial: its overrides, and its parameters by name, with the default of what it leaves alone. Raises `UserError`."""
        found = _one_configuration(overrides)
        parsed = {o.get_key_element(): o.value() for o in found}
        for key in parsed:
            check_own(key)
        groups = {key: value for key, value in parsed.items() if self.is_group(key)}
        config = self.composer.base(groups)
        if groups and groups not in self._by_hand:
            self._by_hand.append(groups)
        chosen = {**choices(config), **groups}
        values: dict[str, Any] = {}
        for param in self.params:
            if param.active(chosen):
                key = param.key
                default = chosen.get(key) if self.is_group(key) else as_written(_select(config, key))
                given = space.grid_points(space.Fixed(parsed.pop(key, default)))[0]
                values[param.name] = chosen[key] = given
        for key, value in parsed.items():
            if not self.is_group(key) and not key.startswith(("+", "~")):
                check_key(config, key)
            values.setdefault(key, space.grid_points(space.Fixed(value))[0])
        for line in (o.input_line for o in found if not self.is_group(o.get_key_element())):
            check_override(self.composer, groups, line or "")
        return {"params": values, "overrides": list(overrides)}


def _is_missing(config: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    node = _select(config, parent) if parent else config
    return OmegaConf.is_dict(node) and last in map(str, node) and OmegaConf.is_missing(node, last)


def _one_configuration(overrides: Sequence[str]) -> list[Override]:
    try:
        found = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise UserError(f"{' '.join(overrides)}: cannot be read: {' '.join(str(error).split())}") from None
    for override in found:
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: sweeps, and stands where one configuration is given; give it one value")
    return found


def _select(config: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(config, key)
    except OmegaConfBaseException:  # an interpolation that only a job can resolve
        return None


def _offers(spec: space.Spec | space.Fixed, option: str) -> bool:
    if isinstance(spec, (space.Choice, space.Fixed)):
        return any(space.meets(value, option) for value in space.grid_points(spec))
    return space.contains(spec, space.condition_value(option))


def _finite(param: space.Param, limit: int) -> list[Any]:
    n = space.n_points(param.spec)
    if n is None or n > limit:
        kind = "continuous" if n is None else f"{n} points"
        mend = f"write choice(...), give {param.key} in each trial of the list, or null for its range"
        raise UserError(f"{param.key}={space.to_text(param.spec)}: {kind}, so no list can be crossed with it; {mend}")
    return space.grid_points(param.spec)


def check_own(key: str) -> None:
    """Raise `UserError` for a key of Hydra's: it would count in no trial, or for the whole sweep."""
    if re.match(r"[+~]*hydra(?![\w-])", key):
        raise UserError(f"{key}: is Hydra's own, the same for all trials; give it on the command line or in the config")


def _together(some: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]]) -> bool:
    """Whether two sets of conditions can hold at once."""
    known = dict(some)
    return all(known.get(key, option) == option for key, option in others)


def _keys(overrides: Sequence[str]) -> set[str]:
    return {o.partition("=")[0].lstrip("+~") for o in overrides}


def _ordered(params: Sequence[space.Param]) -> list[space.Param]:
    """The same, every group before what depends on its choice."""
    rest, done, result = list(params), set(), []
    keys = {p.key for p in params}
    while rest:
        ready = [p for p in rest if all(group in done or group not in keys for group, _ in p.when)]
        if not ready:
            raise UserError(f"{rest[0].name}: its conditions depend on each other in a circle")
        result += ready
        done |= {p.key for p in ready}
        rest = [p for p in rest if p not in ready]
    return result
