"""From a composed config and a command line to the space that a sweep searches: declared, complete, and checked before any trial."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trivet import space
from trivet.errors import UserError
from trivet.search.sampling import SamplerSpec
from trivet.space.probing import ends
from trivet.sweep.jobs import Composer

RESERVED = frozenset({"number", "state", "reason", "value", "step", "best_step", "seconds", "worker", "started", "overrun"})
GRID_LIMIT = 1000
"""Grid points that run without being asked for: more is usually an accident (`hydra.sweeper.sampler.limit` lifts it)."""


class Space:
    """The parameters of a sweep with what the config says of them.

    `explicit` are the parameters of `hydra.sweeper.params` and the command line; they win over `space:` nodes of the config, of which
    those that belong to an option count only where it is chosen, to any depth.
    """

    def __init__(self, composer: Composer, explicit: Sequence[space.Param], from_config: bool) -> None:
        self.composer = composer
        self._groups: dict[str, bool] = {}
        self._by_hand: list[dict[str, Any]] = []  # group choices of trials given outright
        taken = {p.key.lstrip("+") for p in explicit} | _keys(composer.fixed)
        params = list(explicit)
        groups = [p for p in explicit if self.is_group(p.key)]
        for param in groups:
            self._check_options(param)
        if from_config:
            params += self._collect(groups, taken)
        self.params = _ordered(space.check_unique(self._settled(params)))
        self.groups = tuple(p.key for p in self.params if self.is_group(p.key))
        self._check()
        self.defaults = self._defaults()

    def is_group(self, key: str) -> bool:
        """Whether a parameter chooses an option of a config group."""
        if key not in self._groups:
            name = key.lstrip("+").partition("@")[0]
            self._groups[key] = "." not in name and bool(self.composer.options(name))
        return self._groups[key]

    def _collect(self, explicit_groups: Sequence[space.Param], taken: set[str]) -> list[space.Param]:
        """Walk every option of every searched group, each with its own chain of choices, and gather the ranges found there."""
        found: dict[str, space.Param] = {}
        to_visit: list[dict[str, Any]] = [{}]
        searched = {p.key.lstrip("+") for p in explicit_groups}
        added = {p.key.lstrip("+"): p.key for p in explicit_groups}  # +group=... is how its choice is written
        branches = list(explicit_groups)
        seen: set[tuple[tuple[str, Any], ...]] = set()
        while to_visit:
            chosen = to_visit.pop(0)
            if (mark := tuple(sorted(chosen.items()))) in seen:
                continue
            seen.add(mark)
            config = self.composer.base(chosen)
            ranges = [_renamed(p, added) for p in space.collect(plain(config), choices(config), searched=searched)]
            groups = [p for p in ranges if self.is_group(p.key) and p.key not in taken]
            fresh = {p.key for p in groups} - searched
            if fresh:  # ranges below these groups must be gathered with their condition
                searched |= fresh
                to_visit.insert(0, chosen)
                seen.discard(mark)
                continue
            found.update({p.name: p for p in ranges if p.key not in taken and p.name not in found})
            for param in [*branches, *groups]:
                to_visit += [{**dict(param.when), param.key: option} for option in space.grid_points(param.spec)]
        return list(found.values())

    def _settled(self, params: Sequence[space.Param]) -> list[space.Param]:
        """The same without conditions on what is not searched: they hold, or the parameter never counts."""
        searched = {p.key for p in params}
        names = {key.lstrip("+"): key for key in searched}
        result = []
        for param in (_renamed(p, names) for p in params):
            still = tuple(pair for pair in param.when if pair[0] in searched)
            if len(still) < len(param.when):
                config = self.composer.base(dict(still))
                have = choices(config)
                if any(str(have.get(key, OmegaConf.select(config, key))) != option for key, option in param.when if key not in searched):
                    continue
                param = replace(param, when=still)
            result.append(param)
        return result

    def _check(self) -> None:
        """Every key must be in the config under its conditions, and every option composable. Raises `UserError`."""
        groups = [p for p in self.params if self.is_group(p.key)]
        for param in groups:
            self._check_options(param)
            for option in space.grid_points(param.spec):
                self.composer.base({**dict(param.when), param.key: option})
        for param in self.params:
            if param in groups or param.key.startswith("+"):
                continue
            check_key(self.composer.base(dict(param.when)), param.key)
            for group in groups:  # an option of a group around the key may lack it
                if group.key not in dict(param.when) and param.key.startswith(f"{_package(group.key)}."):
                    for option in space.grid_points(group.spec):
                        chosen = {**dict(param.when), **dict(group.when), group.key: option}
                        check_key(self.composer.base(chosen), param.key, f"with {group.key}={option}")

    def _check_options(self, param: space.Param) -> None:
        """Every option of a searched group must be there. Raises `UserError` with the nearest one that is."""
        options = self.composer.options(param.key.lstrip("+").partition("@")[0])
        for option in space.grid_points(param.spec):
            if option is not None and str(option) not in options:
                near = difflib.get_close_matches(str(option), options, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(options)}"
                raise UserError(f"{param.key}={option}: no such option; {hint}")

    def _defaults(self) -> dict[str, Any] | None:
        """The default configuration's value of every parameter that is active in it, by name; None where one has no value."""
        config = self.composer.base()
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
            if value is None and not _has(config, param.key):
                return None
            values[param.name] = _as_written(value)
        return values

    @property
    def variants(self) -> list[dict[str, Any]]:
        """The group choices beside the default's that trials may make, each searched group by itself, on the way that leads to it."""
        searched = [p for p in self.params if self.is_group(p.key)]
        return [{**dict(p.when), p.key: option} for p in searched for option in space.grid_points(p.spec)] + self._by_hand

    def given(self, overrides: Sequence[str]) -> dict[str, Any]:
        """An explicit trial: its overrides, and its parameters by name, with the default of what it leaves alone. Raises `UserError`."""
        try:
            found = OverridesParser.create().parse_overrides(list(overrides))
        except HydraException as error:
            raise UserError(f"{' '.join(overrides)}: cannot be read: {' '.join(str(error).split())}") from None
        for override in found:
            if override.is_sweep_override():
                raise UserError(f"{override.input_line}: sweeps, and stands where one configuration is given; give it one value")
        parsed = {o.get_key_element(): o.value() for o in found}
        groups = {key: value for key, value in parsed.items() if self.is_group(key)}
        config = self.composer.base(groups)
        if groups and groups not in self._by_hand:
            self._by_hand.append(groups)
        chosen = {**choices(config), **groups}
        values: dict[str, Any] = {}
        for param in self.params:
            if param.active(chosen):
                key = param.key
                default = chosen.get(key) if self.is_group(key) else _as_written(OmegaConf.select(config, key))
                given = parsed.pop(key, default)
                values[param.name] = space.grid_points(space.Fixed(given))[0]
        for key, value in parsed.items():
            if not self.is_group(key) and not key.startswith(("+", "~")):
                check_key(config, key)
            values.setdefault(key, space.grid_points(space.Fixed(value))[0])
        return {"params": values, "overrides": list(overrides)}


def task_of(config: DictConfig) -> DictConfig:
    """The app's part of a composed config."""
    return OmegaConf.masked_copy(config, [k for k in config if k != "hydra"])


def plain(config: DictConfig) -> dict[str, Any]:
    """The app's part of a composed config as a plain dict, interpolations as written."""
    container = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    assert isinstance(container, dict)
    container.pop("hydra", None)
    return container


def without_space(node: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without `space:` nodes: what is searched is told apart from what is set."""
    return {k: without_space(v) if isinstance(v, Mapping) else v for k, v in node.items() if not (k == "space" and isinstance(v, Mapping))}


def choices(config: DictConfig) -> dict[str, str]:
    """Group -> option of a composed config, Hydra's own groups left out."""
    return {k: v for k, v in config.hydra.runtime.choices.items() if isinstance(v, str) and not k.startswith("hydra/")}


def _as_written(value: Any) -> Any:
    """A config's value in plain types: enums by name and paths as text, as an override would write them."""
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, enum_to_str=True)
    return value.name if isinstance(value, Enum) else str(value) if isinstance(value, Path) else value


def _has(config: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    if OmegaConf.is_dict(node):
        return last in list(node)  # `in` says no to a key that is ???
    return OmegaConf.is_list(node) and last.isdigit() and int(last) < len(node)


def check_key(config: DictConfig, key: str, where: str = "") -> None:
    """Raise `UserError` where a composed config has no such key (`where` says under which choices), with the nearest one that it has."""
    if _has(config, key):
        return
    known = _dotted(plain(config))
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known[:8])}"
    if where:
        raise UserError(f"{key}: not in the config {where}; search it only where it is there, under group=option in hydra.sweeper.params")
    raise UserError(f"{key}: not in the config; {hint} (to add a new key write +{key}=...)")


def _dotted(node: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys = []
    for key, value in node.items():
        if key == "space":
            continue
        keys += _dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [f"{prefix}{key}"]
    return keys


def _package(group: str) -> str:
    name, _, package = group.lstrip("+").partition("@")
    return package or name.replace("/", ".")


def _renamed(param: space.Param, names: Mapping[str, str]) -> space.Param:
    return replace(param, when=tuple((names.get(group, group), option) for group, option in param.when))


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


def _reachable(params: Sequence[space.Param]) -> list[space.Param]:
    """Those that count for some choice of the searched options: the default's own may be none of them."""
    options: dict[str, set[str]] = {}
    result = []
    for param in params:
        if all(option in options.get(group, ()) for group, option in param.when):
            result.append(param)
            if space.n_points(param.spec) is not None and not isinstance(param.spec, space.Float):
                options.setdefault(param.key, set()).update(str(o) for o in space.grid_points(param.spec))
    return result


def enumerate_grid(params: Sequence[space.Param], limit: int) -> list[dict[str, Any]]:
    """Every point of the grid in order, conditions respected, as values by name. Raises `UserError` for too many or endless points."""
    params = _reachable(params)
    for param in params:
        if space.n_points(param.spec) is None:
            raise UserError(
                f"{param.key}={space.to_text(param.spec)}: continuous, so a grid has no end; write choice(...) or range(a, b, step)"
            )
    count = space.n_configurations(list(params)) or 0
    if count > limit:
        raise UserError(
            f"hydra.sweeper.sampler=grid: {count} points; set hydra.sweeper.sampler.limit={count} to run them all, or search less"
        )
    points: list[tuple[dict[str, Any], dict[str, Any]]] = [({}, {})]
    for param in params:
        grown = []
        for values, chosen in points:
            if param.active(chosen):
                for value in space.grid_points(param.spec):
                    grown.append(({**values, param.name: value}, {**chosen, param.key: value}))
            else:
                grown.append((values, chosen))
        points = grown
    return [values for values, _ in points]


def range_ends(where: Space) -> list[list[str]]:
    """The overrides of one trial for each end of each range (see `space.probing.ends`), all else as the config has it."""
    trials = []
    for param in where.params:
        when = [f"{key}={option}" for key, option in param.when]
        trials += [[*when, f"{param.key}={space.value_text(value)}"] for value in ends(param.spec)]
    return trials


def explicit_trials(where: Space, sampler: SamplerSpec, baseline: bool | None, enqueue: Sequence[Any], root: Path) -> list[dict[str, Any]]:
    """The trials that are given outright, in their order: baseline, enqueued, then those of a grid, a list or the ends of the ranges.

    `baseline` None means: yes, but not for a grid or a list. Raises `UserError` for an entry that is no configuration.
    """
    trials: list[dict[str, Any]] = []
    if baseline is None:
        baseline = sampler.name not in ("grid", "list") and (bool(where.params) or sampler.name == "ends")
        if where.defaults is None:
            baseline = False
    if baseline:
        if where.defaults is None:
            raise UserError(
                "hydra.sweeper.baseline=true: a searched key has no default in the config; give it one, or set baseline to false"
            )
        trials.append({"params": where.defaults, "overrides": []})
    trials += [_given(where, entry, "hydra.sweeper.enqueue") for entry in enqueue]
    if sampler.name == "list":
        trials += [_given(where, entry, "hydra.sweeper.sampler.trials") for entry in _listed(sampler, root)]
    elif sampler.name == "ends":
        trials += [where.given(overrides) for overrides in range_ends(where)]
    elif sampler.name == "grid":
        limit = sampler.arguments.get("limit")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise UserError(f"hydra.sweeper.sampler.limit={limit}: must be a whole number >= 1, or null for {GRID_LIMIT}")
        points = enumerate_grid(where.params, limit or GRID_LIMIT)
        trials += [{"params": point, "overrides": None} for point in points]
    return trials


def _listed(sampler: SamplerSpec, root: Path) -> Sequence[Any]:
    trials = sampler.arguments.get("trials")
    if trials is None:
        path = sampler.arguments.get("file")
        if path is None:
            raise UserError("hydra.sweeper.sampler=list: needs `trials` (a list of configurations) or `file` (a YAML file with one)")
        try:
            trials = yaml.safe_load((root / path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"hydra.sweeper.sampler.file={path}: cannot be read ({type(error).__name__}); name a YAML list") from None
    if not isinstance(trials, Sequence) or isinstance(trials, str) or not trials:
        raise UserError(
            "hydra.sweeper.sampler=list: `trials` must be a list with at least one configuration, such as [{lr: 0.1}, [lr=0.2]]"
        )
    return trials


def _given(where: Space, entry: Any, key: str) -> dict[str, Any]:
    """An entry of a list: a configuration, or `{overrides: <configuration>, user_attrs: {name: value}}`, whose attributes become columns
    of trials.csv and change nothing of the trial. Raises `UserError` for an attribute that has the name of a parameter or column."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("overrides"), (Mapping, list, tuple)):
        return where.given(_overrides(entry, key))
    for name in entry:
        if name not in ("overrides", "user_attrs"):
            raise UserError(f"{key}: {name}: unknown; an entry with overrides takes user_attrs besides")
    attrs = entry.get("user_attrs") or {}
    if not isinstance(attrs, Mapping) or not all(isinstance(v, (str, int, float, bool, type(None))) for v in attrs.values()):
        raise UserError(f"{key}: user_attrs={attrs!r}: must be a mapping of name: plain value")
    trial = where.given(_overrides(entry["overrides"], key))
    taken = {p.name for p in where.params} | {p.key.lstrip("+") for p in where.params} | set(trial["params"]) | RESERVED
    clash = next((name for name in attrs if name in taken), None)
    if clash is not None:
        raise UserError(f"{key}: user_attrs.{clash}: is a parameter or a column of trials.csv; give the attribute another name")
    return {**trial, "attrs": {str(name): value for name, value in attrs.items()}}


def _overrides(entry: Any, key: str) -> list[str]:
    if isinstance(entry, Mapping):
        return [f"{k}={space.value_text(v)}" for k, v in entry.items()]
    if isinstance(entry, Sequence) and not isinstance(entry, str) and all(isinstance(o, str) and "=" in o for o in entry):
        return list(entry)
    raise UserError(f"{key}: {entry!r}: must be a mapping of key: value, or a list of key=value")
