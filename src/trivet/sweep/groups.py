"""The config groups that a sweep chooses from, and the config that some of their choices make."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trivet import space
from trivet.errors import UserError
from trivet.study.identity import without
from trivet.sweep.configs import choices, plain
from trivet.sweep.jobs import Composer

MOST_COMBINATIONS = 256
"""Combinations of options that are composed to see which ranges each brings along; more would take minutes."""


class Groups:
    """`searched` are the parameters that choose options, as they were written out; more may be found in the config (`add`)."""

    def __init__(self, composer: Composer, explicit: Sequence[space.Param]) -> None:
        self.composer = composer
        self._known: dict[str, bool] = {}
        self.searched = [p for p in explicit if self.is_group(p.key)]
        for param in self.searched:
            self.check(param)
        self.default: DictConfig | None = None
        self.home: dict[str, Any] = {}
        self._settle()

    def is_group(self, key: str) -> bool:
        """Whether a key chooses an option of a config group."""
        if key not in self._known:
            name = key.lstrip("+").partition("@")[0]
            self._known[key] = "." not in name and bool(self.composer.options(name))
        return self._known[key]

    def check(self, param: space.Param) -> None:
        """Every option must be there. Raises `UserError` with the nearest one that is."""
        options = self.composer.options(param.key.lstrip("+").partition("@")[0])
        for choice in space.grid_points(param.spec):
            for option in choice if isinstance(choice, list) else [choice]:
                if option is not None and str(option) not in options:
                    near = difflib.get_close_matches(str(option), options, n=1)
                    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(options)}"
                    raise UserError(f"{param.key}={option}: no such option; {hint}")

    def _settle(self) -> None:
        """Find choices under which the config can be composed: the default's, and of a group whose default is not searched the first."""
        always = [p for p in self.searched if not p.when]
        first = {p.key: space.grid_points(p.spec)[0] for p in always}
        try:
            self.default = self.composer.base()
        except UserError:  # such as `model: ???`: the sweep itself may say which
            if not first:
                raise
            self.composer.base(first)
        chosen = {} if self.default is None else choices(self.default)
        self.home = {k: v for k, v in first.items() if k not in chosen or not _offers(always, k, chosen[k])}
        if any(self.reaches(p) for p in always):  # options of one group may change the choice of another, which the trials set
            self.home = {k: chosen[k] if _offers(always, k, chosen.get(k)) else v for k, v in first.items()}

    def choose(self, when: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """The group choices that conditions name, among those under which the config can be composed."""
        named = {
            key: space.condition_value(option) if option.startswith("[") or option == "null" else option
            for key, option in when
            if self.is_group(key)
        }
        return {**self.home, **named}

    def config(self, when: Iterable[tuple[str, str]] = (), more: Mapping[str, Any] | None = None) -> DictConfig:
        """The composed config under conditions, and `more` choices. Raises `UserError`."""
        return self.composer.base({**self.choose(when), **(more or {})})

    def reaches(self, param: space.Param) -> bool:
        """Whether options of a group differ in more than the group's own part of the config: `@package _global_`, overridden choices.

        Lists of options do: Hydra does not keep which of them were chosen.
        """
        if any(isinstance(option, list) for option in space.grid_points(param.spec)):
            return True
        own = package(param.key)
        rest = {repr(without(plain(self.config(param.when, {param.key: o})), [own])) for o in space.grid_points(param.spec)}
        return len(rest) > 1

    def check_sweeper(self) -> None:
        """The sweep's own settings hold for all trials. Raises `UserError` where an option would have ranges of its own there."""
        for param in self.searched:
            for option in space.grid_points(param.spec):
                theirs, ours = (_sweeper_params(c) for c in (self.config(param.when, {param.key: option}), self.composer.master))
                if theirs != ours:
                    name = f"{param.key.lstrip('+')}={space.option_text(option)}"
                    key = next(k for k in [*theirs, *ours] if theirs.get(k) != ours.get(k))
                    raise UserError(
                        f"{name}: hydra.sweeper.params of an option ({key}) hold for every trial or none; "
                        f"write its ranges as `space: {{...}}` in the option's file, or under {name} in hydra.sweeper.params"
                    )


def _offers(params: Sequence[space.Param], key: str, option: Any) -> bool:
    return any(p.key == key and space.meets(offered, space.option_text(option)) for p in params for offered in space.grid_points(p.spec))


def _sweeper_params(config: DictConfig) -> dict[str, Any]:
    found = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    params = found.get("params") if isinstance(found, dict) else None
    return params if isinstance(params, dict) else {}


def package(group: str) -> str:
    """The part of the config that a group's options fill, unless their files say otherwise."""
    name, _, package = group.lstrip("+").partition("@")
    return package.rpartition(":")[2] or name.replace("/", ".")
