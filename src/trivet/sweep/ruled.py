"""A search by rule before its first trial: arguments checked, and completed to plain values that workers and identity read.

ladder: the rate to begin with. tiers: how many trials there are to share. ablation: the changes, from a search's winner and the default.
pbt and replay: see staged.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trivet import changes as changing
from trivet import space, studyfile
from trivet.errors import UserError
from trivet.options import REQUIRED, ListOf, Maybe, Real, Section, Text, Whole, check
from trivet.search import ladder
from trivet.search.choosing import choose
from trivet.search.samplers import ENUMERATING, RULED, STAGED, SamplerSpec
from trivet.search.sampling import trial_seed
from trivet.search.tiers import level, tiers_of
from trivet.study import tables
from trivet.sweep import staged
from trivet.sweep.configs import as_written, choices
from trivet.sweep.groups import package
from trivet.sweep.settings import DEFAULT_N_TRIALS, plain
from trivet.sweep.spaces import Space

KEY = "hydra.sweeper.sampler"
LABELS = {
    **{"ladder": ("why",), "tiers": ("tier",), "ablation": ("changes", "seed")},
    **{"pbt": ("generation", "member", "parent"), "replay": ("segment", "replayed")},
}
"""Columns of trials.csv that say what a trial is for."""
_FIELDS: dict[str, dict[str, Any]] = {
    "ladder": {
        "key": Text(),
        "start": Maybe(Real(0, open="low")),
        "metric": Maybe(Text()),
        "most": Whole(1, 100, default=ladder.MOST),
    },
    "tiers": {
        "tiers": ListOf(Section({"name": Text(), "keys": ListOf(Text()), "share": Real(0, open="low")})),
        "trials": Maybe(Whole(1)),
        "sampler": Text(default="auto"),
    },
    "ablation": {"of": Text(default="results/seeds"), "seeds": Whole(1, 1000, default=1), "seed_key": Maybe(Text())},
    **staged.FIELDS,
}


@dataclass(frozen=True)
class Ruled:
    """`sampler`: with complete arguments. `most`: trials, those that come before the rule's own included. `prospects`: overrides of which
    trials may be made. `told`: of the number of workers, what the user hears before the first trial."""

    sampler: SamplerSpec
    most: int
    prospects: tuple[tuple[str, ...], ...] = ()
    told: Callable[[int], list[str]] = lambda workers: []


def prepared(
    sampler: SamplerSpec, where: Space, directions: Sequence[str], n_before: int, n_trials: int | None, root: Path, seed: int
) -> Ruled:
    """The search with all that it needs. Raises `UserError` for arguments, files and keys that are of no use."""
    if len(directions) > 1:
        raise UserError(f"{KEY}={sampler.name}: takes a single objective; give one direction")
    clash = next((p.key for p in where.params if p.key.lstrip("+") in LABELS[sampler.name]), None)
    if clash is not None:
        raise UserError(f"{KEY}={sampler.name}: writes a column {clash}, which is a parameter here; name that parameter otherwise")
    given = _checked(sampler)
    spec = replace(sampler, arguments=given)
    if sampler.name in STAGED:
        most, complete = staged.prepared(spec, where, n_before, n_trials, root)
        return Ruled(complete, most, tuple(tuple(s["overrides"]) for s in complete.arguments.get("segments", ())))
    if sampler.name == "ladder":
        return _ladder(spec, where, n_before, n_trials)
    if sampler.name == "ablation":
        return _ablation(spec, where, n_before, root, seed)
    return _tiers(spec, where, directions, n_before, n_trials)


def _checked(sampler: SamplerSpec) -> dict[str, Any]:
    values = {}
    for name, field in _FIELDS[sampler.name].items():
        value = sampler.arguments.get(name)
        if value is None and getattr(field, "default", REQUIRED) is not REQUIRED:
            value = plain(field.default)
        if value is None and not isinstance(field, Maybe):
            raise UserError(f"{KEY}.{name}: is missing ({sampler.name} needs it): give {field.allowed()}")
        check(field, value, f"{KEY}.{name}")
        values[name] = value
    return values


def _ladder(spec: SamplerSpec, where: Space, n_before: int, n_trials: int | None) -> Ruled:
    key, start = str(spec.arguments["key"]), spec.arguments["start"]
    where.given([f"{key}=1"])
    if start is None:
        default = _select(where, key)
        if isinstance(default, bool) or not isinstance(default, (int, float)) or not default > 0 or not math.isfinite(default):
            raise UserError(f"{KEY}.key={key}: is {default} in the config, no rate to begin with; give {KEY}.start")
        start = float(f"{default * ladder.SMALL:.3g}")
    most = min(spec.arguments["most"], n_trials or spec.arguments["most"])
    complete = replace(spec, arguments={**spec.arguments, "start": float(start), "most": most})
    return Ruled(complete, n_before + most, ((f"{key}=1",),))


def _tiers(spec: SamplerSpec, where: Space, directions: Sequence[str], n_before: int, n_trials: int | None) -> Ruled:
    tiers = tiers_of(spec.arguments)
    for param in where.params:
        if level(param.key, tiers) is None:
            raise UserError(f"{KEY}.tiers: {param.key} is searched, and no tier has a pattern for it; add '*' to the keys of the last")
    inner = SamplerSpec(str(spec.arguments["sampler"]))
    if inner.name == "auto":
        inner, _ = choose(inner, where.params, directions, False)
    if inner.name in (*ENUMERATING, *RULED, "nsgaii"):
        raise UserError(f"{KEY}.sampler={inner.name}: does not choose trials one by one; give auto, gp, tpe or random")
    trials = spec.arguments["trials"] or n_trials or DEFAULT_N_TRIALS
    complete = replace(spec, arguments={**spec.arguments, "trials": trials, "sampler": inner.name})
    return Ruled(complete, max(trials, n_before))


# Ablation ------------------------------------------------------------------------------------------------------------------


def _ablation(spec: SamplerSpec, where: Space, n_before: int, root: Path, seed: int) -> Ruled:
    folder, seed_key = root / str(spec.arguments["of"]), spec.arguments["seed_key"]
    study, rows = tables.load_study(folder), tables.read_csv(studyfile.tables_of_runs(folder)[0])
    labelled = bool(rows) and "finalist" in rows[0]
    overrides, known = _of_seeds(study, rows, seed_key) if labelled else (_of_search(folder, study), [])
    changes = changes_of(where, overrides)
    if not changes:
        raise UserError(f"{KEY}.of={spec.arguments['of']}: its winner is the default configuration, so there is no change to take apart")
    n = int(spec.arguments["seeds"])
    fresh = (trial_seed(seed, i) for i in range(10**6, 10**6 + n + len(known)))
    seeds = [*known, *(s for s in fresh if s not in known)][:n]
    arguments = {"of": str(spec.arguments["of"]), "changes": changes, "seeds": seeds, "seed_key": seed_key}
    most = changing.most(len(changes), n)
    seconds = [float(row["seconds"]) for row in rows if row["state"] == "COMPLETE" and row.get("seconds")]
    each = sum(seconds) / len(seconds) if seconds else None
    whole = tuple(text for change in changes for text in change["overrides"])
    price = _price(root)

    def told(workers: int) -> list[str]:
        return plan_lines(changes, n, most, each, workers, price)

    return Ruled(SamplerSpec("ablation", arguments), n_before + most, (whole,), told)


def _of_seeds(study: Mapping[str, Any], rows: Sequence[Mapping[str, str]], seed_key: str | None) -> tuple[list[str], list[int]]:
    """The winner's overrides without the seed, and the seeds, of a published table of finalists; 0 is the default."""
    sign = 1 if study["directions"][0] == "maximize" else -1
    values: dict[str, list[float]] = {}
    for row in rows:
        if row["state"] == "COMPLETE":
            values.setdefault(row["finalist"], []).append(sign * float(row["value"]))
    if not values:
        raise UserError(f"{study['name']}: no finalist finished a run, so there is no winner to take apart")
    full = max(map(len, values.values()))
    winner = max((f for f in values if len(values[f]) == full), key=lambda f: (sum(values[f]) / full, -int(f)))
    mine = [row for row in rows if row["finalist"] == winner]
    n_runs = len((study.get("replicates") or {}).get("values") or [None])
    given = ((study.get("identity") or {}).get("trials") or [])[int(mine[0]["number"]) // n_runs]
    if not isinstance(given, list):
        raise UserError(f"{study['name']}: its study.yaml does not say how finalist {winner} was trained; run the seeds stage again")
    column = "seed" if "seed" in rows[0] else seed_key
    seeds = [int(row[column]) for row in mine if column is not None and row.get(column)]
    return [text for text in given if text.partition("=")[0] != seed_key], seeds


def _of_search(folder: Path, study: Mapping[str, Any]) -> list[str]:
    """The best trial's overrides without what the search's command fixed for all."""
    try:
        found = yaml.safe_load((folder / "best.yaml").read_text(encoding="utf-8"))["overrides"]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{folder / 'best.yaml'}: names no best trial ({type(error).__name__}); name a sweep that has one") from None
    fixed = set(study.get("overrides") or [])
    return [text for text in found if text not in fixed]


def changes_of(where: Space, overrides: Sequence[str]) -> list[dict[str, Any]]:
    """How a configuration differs from the default, change by change: {name, overrides}.

    Another option of a group is one change with all that is set in it, as the default knows no such values.
    """
    parsed = [(o.get_key_element(), o.value(), text) for o, text in zip(_read(overrides), overrides, strict=True)]
    default = choices(where.config)
    groups = {key: text for key, value, text in parsed if where.is_group(key) and str(value) != default.get(key)}
    changes = []
    for group, text in groups.items():
        inside = [t for key, _, t in parsed if key.startswith(f"{package(group)}.")]
        changes.append({"name": text, "overrides": [text, *inside]})
    held = {text for change in changes for text in change["overrides"]}
    for key, value, text in parsed:
        if text not in held and not where.is_group(key) and not space.contains(space.Fixed(_select(where, key)), value):
            changes.append({"name": text, "overrides": [text]})
    if changes:
        where.given([text for change in changes for text in change["overrides"]])
    return changes


def _read(overrides: Sequence[str]) -> Sequence[Any]:
    return OverridesParser.create().parse_overrides(list(overrides))


def _select(where: Space, key: str) -> Any:
    try:
        return as_written(OmegaConf.select(where.config, key))
    except OmegaConfBaseException:  # an interpolation that only a job can resolve
        return None


def _price(root: Path) -> float:
    """What an hour of the machine costs, by the pipeline's knobs; 0 where they do not say."""
    try:
        found = (yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8")).get("report") or {}).get("price_per_hour")
    except (OSError, UnicodeDecodeError, AttributeError, yaml.YAMLError):
        return 0.0
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else 0.0


def plan_lines(
    changes: Sequence[Mapping[str, Any]], n_seeds: int, most: int, seconds: float | None, workers: int, price: float
) -> list[str]:
    """What an ablation will train and cost. `seconds`: of a training; `price`: of an hour of the machine, 0 where it is not known."""
    names = ", ".join(str(change["name"]) for change in changes)
    line = f"ablation: {len(changes)} changes ({names}); at most {most} trainings, {n_seeds} seed{'s' * (n_seeds > 1)} each"
    if seconds is None:
        return [line]
    hours = most * seconds / max(1, workers) / 3600
    cost = f", {hours * price:.2f} at {price:g} an hour" if price else ""
    return [f"{line}; about {hours * 60:.3g} minutes with {max(1, workers)} worker{'s' * (workers > 1)}{cost}"]
