"""The trials that a sweep is given outright: the baseline, enqueued ones, a grid's points, a list's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from trivet import space
from trivet.errors import UserError
from trivet.search.samplers import SamplerSpec
from trivet.space.probing import ends, middle
from trivet.sweep.foreign import Named
from trivet.sweep.spaces import Space

RESERVED = frozenset({"number", "state", "reason", "value", "step", "best_step", "seconds", "worker", "started", "overrun"})
GRID_LIMIT = 1000
"""Grid points that run without being asked for: more is usually an accident (`hydra.sweeper.sampler={name: grid, limit: ...}` lifts it)."""


def _reachable(params: Sequence[space.Param]) -> list[space.Param]:
    """Those that count for some choice of the searched options: the default's own may be none of them."""
    options: dict[str, list[Any]] = {}
    result = []
    for param in params:
        if all(any(space.meets(value, option) for value in options.get(group, ())) for group, option in param.when):
            result.append(param)
            if space.n_points(param.spec) is not None:
                options.setdefault(param.key, []).extend(space.grid_points(param.spec))
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
        raise UserError(f"hydra.sweeper.sampler=grid: {count} points; 'hydra.sweeper.sampler={{name: grid, limit: {count}}}' runs them all")
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
    """The overrides of one trial for each end of each range (see `space.probing.ends`), all else as the config has it.

    Where it has no value (???), as a program's placeholders have none, a searched key takes the middle of its range.
    """
    trials = []
    for param in where.params:
        when = [f"{key}={option}" for key, option in param.when]
        others = [p for p in where.valueless(param.when) if p.key != param.key]
        rest = [f"{other.key}={space.value_text(middle(other.spec))}" for other in others]
        trials += [[*when, f"{param.key}={space.value_text(value)}", *rest] for value in ends(param.spec)]
    return trials


def explicit_trials(
    where: Space,
    sampler: SamplerSpec,
    baseline: bool | None,
    enqueue: Sequence[Any],
    root: Path,
    ranges: Collection[str] = (),
    swept: Collection[str] = (),
) -> list[dict[str, Any]]:
    """The trials that are given outright, in their order: baseline, enqueued, then those of a grid, a list or the ends of the ranges.

    `baseline` None means: yes, but not for a grid, a list or a replay. A list is crossed with those of the keys `ranges` that its entry
    does not give; one of `swept` (on the command line) it may not give. Raises `UserError` for an entry that is no configuration.
    """
    trials: list[dict[str, Any]] = []
    if baseline is None:
        baseline = sampler.name not in ("grid", "list", "replay") and (bool(where.params) or sampler.name == "ends")
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
        trials += _crossed(where, _listed(where, sampler, root), ranges, swept)
    elif sampler.name == "ends":
        trials += [where.given(overrides) for overrides in range_ends(where)]
    elif sampler.name == "grid":
        limit = sampler.arguments.get("limit")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise UserError(f"hydra.sweeper.sampler.limit={limit}: must be a whole number >= 1, or null for {GRID_LIMIT}")
        points = enumerate_grid(where.params, limit or GRID_LIMIT)
        trials += [{"params": point, "overrides": None} for point in points]
    return trials


def _listed(where: Space, sampler: SamplerSpec, root: Path) -> Sequence[Any]:
    trials = sampler.arguments.get("trials")
    if trials is None:
        path = sampler.arguments.get("file")
        if path is None:
            raise UserError("hydra.sweeper.sampler=list: needs `trials` (a list of configurations) or `file` (a YAML file with one)")
        content = _file(path, root)
        trials = content.get("trials") if isinstance(content, Mapping) else content
        named = Named(where.composer.master)
        for entry in trials if isinstance(trials, list) else ():
            named.check_trial(entry, f"hydra.sweeper.sampler.file={path}")
    if not isinstance(trials, Sequence) or isinstance(trials, str) or not trials:
        raise UserError(
            "hydra.sweeper.sampler=list: `trials` must be a list with at least one configuration, such as [{lr: 0.1}, [lr=0.2]]"
        )
    return trials


def _file(path: Any, root: Path) -> Any:
    """A YAML file of trials: a list, or a mapping of the list, `trials`, and `replicates` of each."""
    key = f"hydra.sweeper.sampler.file={path!r}"
    if not isinstance(path, str) or "\0" in path:
        raise UserError(f"{key}: must be the path of a YAML list")
    try:
        content = space.read_yaml_file(root / path)
    except UserError as error:
        raise UserError(f"hydra.sweeper.sampler.file={error}; name a YAML list") from None
    unknown = next((k for k in content if k not in ("trials", "replicates")), None) if isinstance(content, Mapping) else None
    if unknown is not None:
        raise UserError(f"{key}: {unknown}: unknown; must be a list of configurations, or a mapping of trials (such a list) and replicates")
    return content


def listed_replicates(sampler: SamplerSpec, root: Path) -> Mapping[str, Any] | None:
    """The replicates that the file of a list names, as `hydra.sweeper.replicates` has them; None where it names none."""
    path = sampler.arguments.get("file") if sampler.name == "list" and sampler.arguments.get("trials") is None else None
    content = _file(path, root) if path is not None else None
    return content.get("replicates") if isinstance(content, Mapping) else None


def _crossed(where: Space, entries: Sequence[Any], keys: Collection[str], swept: Collection[str]) -> list[dict[str, Any]]:
    """Each entry of a list with each point of the ranges of `keys` that it leaves open: `seed=1,2,3` gives three trials for each."""
    key = "hydra.sweeper.sampler.trials"
    return [_given(where, entry, key, point) for entry in entries for point in where.points(_stated(entry, key, swept), keys, GRID_LIMIT)]


def _stated(entry: Any, key: str, swept: Collection[str]) -> list[str]:
    """What an entry says of its configuration. Raises `UserError` where it names what the command line sweeps."""
    overrides = _overrides(entry["overrides"] if _has_attributes(entry) else entry, key)
    given = {o.partition("=")[0].lstrip("+~") for o in overrides}
    twice = next((name for name in swept if name.lstrip("+") in given), None)
    if twice is not None:
        raise UserError(f"{twice}: swept, and given in the list of trials; give it in one place")
    return overrides


def _given(where: Space, entry: Any, key: str, more: Sequence[str] = ()) -> dict[str, Any]:
    """An entry of a list: a configuration, or `{overrides: <configuration>, user_attrs: {name: value}}`, whose attributes become columns
    of trials.csv and change nothing of the trial. Raises `UserError` for an attribute that has the name of a parameter or column."""
    if not _has_attributes(entry):
        return where.given([*_overrides(entry, key), *more])
    for name in entry:
        if name not in ("overrides", "user_attrs"):
            raise UserError(f"{key}: {name}: unknown; an entry with overrides takes user_attrs besides")
    attrs = entry.get("user_attrs") or {}
    if not isinstance(attrs, Mapping) or not all(isinstance(v, (str, int, float, bool, type(None))) for v in attrs.values()):
        raise UserError(f"{key}: user_attrs={attrs!r}: must be a mapping of name: plain value")
    trial = where.given([*_overrides(entry["overrides"], key), *more])
    taken = {p.name for p in where.params} | {p.key.lstrip("+") for p in where.params} | set(trial["params"]) | RESERVED
    clash = next((name for name in attrs if name in taken), None)
    if clash is not None:
        raise UserError(f"{key}: user_attrs.{clash}: is a parameter or a column of trials.csv; give the attribute another name")
    return {**trial, "attrs": {str(name): value for name, value in attrs.items()}}


def _has_attributes(entry: Any) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("overrides"), (Mapping, list, tuple))


def _overrides(entry: Any, key: str) -> list[str]:
    if isinstance(entry, Mapping):
        return [f"{k}={space.value_text(v)}" for k, v in entry.items()]
    if isinstance(entry, Sequence) and not isinstance(entry, str) and all(isinstance(o, str) and "=" in o for o in entry):
        return list(entry)
    raise UserError(f"{key}: {entry!r}: must be a mapping of key: value, or a list of key=value")
