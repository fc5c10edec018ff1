"""Earlier searches as knowledge for a new one: tables of sweeps, and studies that Optuna or its Hydra plugin keeps in a database."""

from __future__ import annotations

import logging
import math
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from trivet import secrets, space
from trivet.errors import UserError
from trivet.search.sampling import distribution, external
from trivet.study.records import GIVEN_PARAMS, LAST_STEP
from trivet.study.storage import close, from_root, open_optunas, open_storage
from trivet.study.tables import cell, from_cell, param_cell, read_csv

log = logging.getLogger("trivet")
KEY = "hydra.sweeper.warm_start"
Table = tuple[list[dict[str, str]], dict[str, list[list[float]]]]
"""Rows of trials by column, and curves by trial number: [[step, value], ...]."""


def read_warm(
    sources: Sequence[str],
    params: Sequence[space.Param],
    root: Path,
    directions: Sequence[str] = ("minimize",),
    chosen: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Earlier trials as knowledge for `params`: those whose every parameter lies in the present ranges, re-declared in them.

    A source is the folder of a sweep, or a database and a study in it, `sqlite:///study.db?study=name`. A parameter that a source does
    not have is left out of its rows. FAIL rows teach nothing about values and are left out, and so are
    INFEASIBLE ones, and so are rows that chose another option of
    a config group than `chosen` (group -> option), where it is not searched now: their other parameters mean something else. Raises
    `UserError` for what is no table of a sweep and no study, or one of another number of objectives.
    """
    fixed = {k: v for k, v in (chosen or {}).items() if k not in {p.key.lstrip("+") for p in params}}
    warm: list[dict[str, Any]] = []
    for source in sources:
        shown = secrets.text(source) if "://" in source else str(root / source)
        try:
            rows, curves = _of_optuna(source, root, directions, params) if "://" in source else _of_folder(root / source)
            if not rows:
                raise UserError(f"{KEY}: {shown} holds no trials; name sweeps that have some, or leave it out")
            before = len(warm)
            columns = [c for c in rows[0] if c == "value" or re.fullmatch(r"value_\d+", c)]
            if len(columns) != len(directions):
                raise UserError(f"{KEY}: {shown} has {len(columns)} objectives, this sweep {len(directions)}; name sweeps of as many")
            for row in rows:
                values = _redeclare(row, params)
                if (
                    row["state"] in ("FAIL", "INFEASIBLE")
                    or values is None
                    or any(row.get(group, "") not in ("", option) for group, option in fixed.items())
                ):
                    continue
                result = [float(row[c]) for c in columns if row[c]]
                warm.append({"params": values, "state": row["state"], "values": result, "curve": curves.get(row["number"], [])})
            if len(warm) == before:
                log.warning(f"{KEY}: none of the {len(rows)} trials of {shown} lies in the present ranges")
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{KEY}: {shown} holds no tables of a sweep ({type(error).__name__}: {error})") from None
    return warm


def address(url: str, name: str) -> str:
    """A study of a database, as `warm_start` names it."""
    return f"{url}{'&' if '?' in url else '?'}study={urllib.parse.quote(name)}"


def _of_folder(path: Path) -> Table:
    curves: dict[str, list[list[float]]] = {}
    for row in read_csv(path / "curves.csv"):
        curves.setdefault(row["number"], []).append([int(row["step"]), float(row["value"] or "nan")])
    return read_csv(path / "trials.csv"), curves


def _of_optuna(source: str, root: Path, directions: Sequence[str], params: Sequence[space.Param]) -> Table:
    """A study's finished trials as a sweep's tables have them; a pruned trial's value is its last."""
    name, url = _name_in(source)
    url = from_root(url, root)
    storage, name = _open(url, name, source)
    study_id = storage.get_study_id_from_name(name)
    found = tuple("maximize" if d == StudyDirection.MAXIMIZE else "minimize" for d in storage.get_study_directions(study_id))
    trials = storage.get_all_trials(study_id)
    close(storage)
    if found != tuple(directions):
        has, wants = (", ".join(names) for names in (found, directions))
        raise UserError(f"{KEY}: {secrets.text(source)}: its direction is {has}, this sweep's {wants}; name a study that seeks the same")
    columns = ["value"] if len(found) == 1 else [f"value_{i}" for i in range(len(found))]
    rows, curves, specs = [], {}, {param.name: param.spec for param in params}
    for trial in trials:
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
            continue
        curve = _curve(trial)
        last = trial.state == TrialState.PRUNED and curve and len(found) == 1 and not math.isnan(curve[-1][1])
        values = trial.values or ([curve[-1][1]] if last else [])
        cells = [*map(cell, values), *[""] * len(columns)]
        taken = trial.user_attrs.get(GIVEN_PARAMS, trial.params)  # of one of our own trials that lies outside its study's ranges
        meant = {name: _meant(specs.get(name), value, trial.distributions.get(name)) for name, value in taken.items()}
        named = {name.partition(" [")[0].lstrip("+"): param_cell(value) for name, value in meant.items()}
        rows.append({"number": str(trial.number), "state": trial.state.name, **dict(zip(columns, cells, strict=False)), **named})
        curves[str(trial.number)] = [[step, value] for step, value in curve]
    return rows, curves


def _curve(trial: FrozenTrial) -> list[tuple[int, float]]:
    """The reported values that count: a trial of ours that was pruned may have gone on for a step or two before it heard of it."""
    last = trial.user_attrs.get(LAST_STEP, math.inf) if trial.state == TrialState.PRUNED else math.inf
    return [(step, value) for step, value in sorted(trial.intermediate_values.items()) if step <= last]


def _name_in(source: str) -> tuple[str | None, str]:
    """The study that a source names, None for none, and the database's URL alone."""
    base, _, query = source.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    name = next((urllib.parse.unquote(pair.removeprefix("study=")) for pair in pairs if pair.startswith("study=")), None)
    rest = "&".join(pair for pair in pairs if not pair.startswith("study="))
    return name, f"{base}?{rest}" if rest else base


def _open(url: str, name: str | None, source: str) -> tuple[BaseStorage, str]:
    """The storage at the URL and the study in it; without a name, the only one. Raises `UserError` where there is none such."""
    file = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]*)(\?.*)?", url)
    if file is not None and not file[1].startswith("file:") and not Path(file[1]).is_file():  # to open it would make it
        raise UserError(f"{KEY}: {source}: there is no file {file[1]}; name a database that is there")
    try:
        storage = open_storage(url, ".", name or "", make=False)
        names = optuna.get_all_study_names(storage)
    except UserError as error:
        raise UserError(str(error).replace("hydra.sweeper.storage=", f"{KEY}: ", 1).partition("; give")[0]) from None
    except KeyError:  # it may be one of Optuna's own, or a copy of one of ours
        storage = open_optunas(url)
        names = optuna.get_all_study_names(storage)
    if name is None and len(names) == 1:
        return storage, names[0]
    if name not in names:
        there = f"there are {', '.join(names[:8])}" if names else "there is none"
        raise UserError(f"{KEY}: {secrets.text(source)}: name the study, as in {secrets.text(address(url, 'name'))}; {there}")
    return storage, name


def _meant(spec: space.Spec | space.Fixed | None, value: Any, declared: BaseDistribution | None) -> Any:
    """The value that Optuna's stands for: ours may be the labels of options, and the stock plugin keeps a quoted option with its quotes."""
    if isinstance(spec, space.Choice):
        if declared == distribution(spec):
            return external(spec, value)
        if isinstance(value, str) and value not in spec.options:  # a label of other options than today's
            value = next((option for option in spec.options if repr(option) == value), value)
    return value[1:-1] if isinstance(value, str) and re.fullmatch(r"'.*'|\".*\"", value) else value


def _redeclare(row: Mapping[str, str], params: Sequence[space.Param]) -> dict[str, Any] | None:
    values: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for param in params:
        key = param.key.lstrip("+")
        if not param.active(chosen) or key not in row:
            continue
        try:
            value = from_cell(param.spec, row[key])
        except ValueError:
            return None
        if not space.contains(param.spec, value):
            return None
        chosen[param.key] = value
        if not isinstance(param.spec, space.Fixed):
            values[param.name] = value
    return values
