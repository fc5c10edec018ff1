"""The files of a finished (or running) sweep that people and other tools read: trials.csv, curves.csv, best.yaml, study.yaml.

Everything before the column `seconds` is the same to the last digit for the same study, whoever ran it.
"""

from __future__ import annotations

import csv
import io
import math
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trivet import secrets, space, studyfile
from trivet.errors import UserError
from trivet.search import replicates
from trivet.search.constraints import Constraint
from trivet.search.weights import OBJECTIVES
from trivet.study.records import Official
from trivet.study.view import View

VARYING = ("seconds", "worker", "started", "overrun")
TIE_BREAKER = "val/loss"
VARYING_METRICS = ("seconds", "peak_gpu_mb", "latency", "train_seconds", "peak_memory")
SCHEDULE = "schedule.yaml"
TABLES = (
    *("trials.csv", "curves.csv", "runs.csv", "run_curves.csv", "best.yaml", "optimization_results.yaml", "study.yaml"),
    SCHEDULE,
)


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_yaml(path: Path, content: Any) -> None:
    """A mapping of plain values as YAML, keys in their order."""
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=140))


def cell(value: Any) -> str:
    """A value as a table cell: empty for nothing, Hydra's text for the rest."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def param_cell(value: Any) -> str:
    """A parameter's value as a cell; an inactive parameter's cell is empty, so null is written out."""
    return value if isinstance(value, str) else space.value_text(value)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def best_of(study: View, trials: Sequence[Official]) -> Official | None:
    """The completed trial with the best first value; of equals that with the lowest val/loss at its best step, then the earliest."""

    def rank(trial: Official) -> tuple[float, float]:
        sign = -1 if study.spec.maximize else 1
        return sign * trial.values[0], _losses(study, trial).get(_best_step(trial, study) or 0, math.inf)

    return min((t for t in trials if t.state == "COMPLETE"), key=rank, default=None)


def tie_losses(table: Mapping[str, Any]) -> dict[int, float]:
    """Step -> val/loss, where the app reports it beside its objective: what breaks ties, as accuracies of small data are often equal."""
    if TIE_BREAKER not in table.get("columns", ()):
        return {}
    column = 1 + table["columns"].index(TIE_BREAKER)
    return {row[0]: row[column] for row in table["rows"] if isinstance(row[column], (int, float)) and not math.isnan(row[column])}


def _losses(study: View, trial: Official) -> dict[int, float]:
    return tie_losses(study.trials[trial.number].user_attrs.get("trivet:metrics", {}))


def pareto(trials: Sequence[Official], directions: Sequence[str]) -> list[Official]:
    """The completed trials that no other beats in every objective."""
    signs = [-1 if d == "maximize" else 1 for d in directions]
    points = [(t, [s * v for s, v in zip(signs, t.values, strict=True)]) for t in trials if t.state == "COMPLETE"]
    return [
        t for t, p in points if not any(all(b <= a for a, b in zip(p, q, strict=True)) and q != p for _, q in points)
    ]  # fmt: skip


def trial_rows(study: View, trials: Sequence[Official]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of trials.csv."""
    spec = study.spec
    value_columns = ["value"] if len(spec.directions) == 1 else [f"value_{i}" for i in range(len(spec.directions))]
    labels = Labels(study, trials)
    held, runs = constrained_columns(spec.constraints, spec.params), spec.replicates.columns() if spec.replicates is not None else []
    objectives = [f"objective_{i}" for i in range(len(spec.weights.directions))] if spec.weights is not None else []
    rows = []
    for t in trials:
        stored = study.trials[t.number]
        run = stored.user_attrs.get("trivet:run") or replicates.effort(t.runs)
        values = [cell(v) for v in t.values] + [""] * (len(value_columns) - len(t.values))
        rows.append(
            [
                *(str(t.number), t.state, t.reason, *values, cell(t.step or None), cell(_best_step(t, study))),
                *(cell(v) for v in stored.user_attrs.get(OBJECTIVES) or [None] * len(objectives)),
                *_replicate_cells(replicates.values(t.runs), len(runs)),
                *(cell(v) for v in t.constrained or [None] * len(held)),
                *labels.attrs_of(t),
                *labels.params_of(t),
                *(cell(run.get("seconds")), run.get("worker", ""), run.get("started", "")),
                str(max(len(stored.intermediate_values), len(replicates.told(stored.user_attrs))) - max(len(t.curve), len(t.runs))),
            ]
        )
    header = ["number", "state", "reason", *value_columns, "step", "best_step", *objectives, *runs, *held]
    return [*header, *labels.names, *labels.keys, *VARYING], rows


class Labels:
    """What a row says of how its trial was made: attributes that change nothing (`names`), and parameters (`keys`)."""

    def __init__(self, study: View, trials: Sequence[Official]) -> None:
        self._key_of = {p.name: p.key.lstrip("+") for p in study.spec.params}
        params = (self._key_of.get(n, n.lstrip("+")) for t in trials for n in t.params)
        self.keys = list(dict.fromkeys([*self._key_of.values(), *params]))
        self._attrs = {t.number: (study.given(t.number) or {}).get("attrs", {}) for t in trials}
        self.names = list(dict.fromkeys(name for given in self._attrs.values() for name in given))

    def attrs_of(self, trial: Official) -> list[str]:
        """The cells of `names`."""
        return [cell(self._attrs[trial.number].get(name)) for name in self.names]

    def params_of(self, trial: Official) -> list[str]:
        """The cells of `keys`; empty for a parameter that was not in play. Of what nobody searched, secrets are masked."""
        known, params = self._key_of, trial.params.items()
        cells = {known.get(n, n.lstrip("+")): param_cell(v if n in known else secrets.values(v, n)) for n, v in params}
        return [cells.get(key, "") for key in self.keys]


def _replicate_cells(found: Sequence[float], n_columns: int) -> list[str]:
    """Mean, standard deviation (of two or more) and each value; empty where a replicate was not run. Nothing without replicates."""
    spread = replicates.std(found) if len(found) > 1 else None
    cells = [cell(statistics.fmean(found)), cell(spread), *map(cell, found)] if found else []
    return [*cells, *[""] * n_columns][:n_columns]


def constrained_columns(constraints: Sequence[Constraint], params: Sequence[space.Param]) -> list[str]:
    """The columns of the metrics that constraints speak of; `metric/<name>` where a parameter or column has the name."""
    taken = {"number", "state", "reason", "value", "step", "best_step", *VARYING, *(p.key.lstrip("+") for p in params)}
    return [f"metric/{c.metric}" if c.metric in taken else c.metric for c in constraints]


def _best_step(trial: Official, study: View) -> int | None:
    if study.spec.replicates is not None:  # steps are replicates, and the last is what counts
        return None
    return best_step(trial.curve, _losses(study, trial), study.spec.maximize)


def best_step(curve: Iterable[Sequence[Any]], losses: Mapping[int, float], maximize: bool) -> int | None:
    """The step of [step, value] with the best value; of equals that with the lowest val/loss, then the earliest."""
    sign = -1 if maximize else 1
    found = [(sign * value, losses.get(step, math.inf), step) for step, value in curve if not math.isnan(value)]
    return min(found)[2] if found else None


def curve_rows(study: View, trials: Sequence[Official]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of curves.csv."""
    metrics = {t.number: study.trials[t.number].user_attrs.get("trivet:metrics", {"columns": [], "rows": []}) for t in trials}
    columns = varying_last(c for m in metrics.values() for c in m["columns"])
    rows = []
    for t in trials:
        table = metrics[t.number]
        by_step = {row[0]: dict(zip(table["columns"], row[1:], strict=True)) for row in table["rows"]}
        rows += [[str(t.number), str(step), cell(value), *(cell(by_step.get(step, {}).get(c)) for c in columns)] for step, value in t.curve]
    return ["number", "step", "value", *columns], rows


def varying_last(columns: Iterable[str]) -> list[str]:
    """Each name of a metric once, in order, those last that are another number in each run."""
    names = list(dict.fromkeys(columns))
    return [c for c in names if c not in VARYING_METRICS] + [c for c in VARYING_METRICS if c in names]


def write_tables(study: View, folder: Path, fixed: Sequence[str]) -> None:
    """Write trials.csv, curves.csv, and best.yaml and optimization_results.yaml where a trial completed."""
    trials = study.finished()
    write_text(folder / "trials.csv", csv_text(*trial_rows(study, trials)))
    write_text(folder / "curves.csv", csv_text(*curve_rows(study, trials)))
    best = best_of(study, trials)
    if best is None:
        return
    if len(study.spec.directions) == 1:
        overrides = overrides_of(study, best.number, fixed)
        where = {"schedule": SCHEDULE} if study.spec.sampler.name == "pbt" else {}  # its overrides alone are the end of it
        write_yaml(folder / "best.yaml", {"number": best.number, "value": best.values[0], "overrides": overrides, **where})
        write_yaml(
            folder / "optimization_results.yaml", {"name": "optuna", "best_params": _by_key(study, best), "best_value": best.values[0]}
        )
    else:
        front = pareto(trials, study.spec.directions)
        solutions = [{"number": t.number, "values": t.values, "overrides": overrides_of(study, t.number, fixed)} for t in front]
        write_yaml(folder / "best.yaml", {"solutions": solutions})
        front_results = [{"params": _by_key(study, t), "values": t.values} for t in front]
        write_yaml(folder / "optimization_results.yaml", {"name": "optuna", "solutions": front_results})


def _by_key(study: View, trial: Official) -> dict[str, Any]:
    key_of = {p.name: p.key.lstrip("+") for p in study.spec.params}
    return {key_of.get(n, n): v for n, v in trial.params.items()}


def overrides_of(study: View, number: int, fixed: Sequence[str]) -> list[str]:
    """The overrides that make this trial's config: what the command fixed (not trivet's own group, which is about the sweep alone), group
    choices, values. Secrets are masked, where they are not what is searched."""
    groups, values = study.overrides_of(number)
    lasting = [override for override in fixed if not override.startswith("+trivet=")]
    searched = {param.key for param in study.spec.params}
    shown = [text if text.partition("=")[0] in searched else secrets.argument(text) for text in values]  # a trial may be given outright
    return [*map(secrets.argument, lasting), *(f"{g}={space.sweep_text(v)}" for g, v in groups.items()), *shown]


# Reading ---------------------------------------------------------------------------------------------------------------


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a table as text. Raises `UserError` where it cannot be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); name the folder of a sweep that has finished") from None


def from_cell(spec: space.Spec | space.Fixed, text: str) -> Any:
    """The value that a cell of trials.csv means for a range; None of the cell's meaning is lost. Raises ValueError where it has none."""
    if isinstance(spec, (space.Choice, space.Fixed)):
        options = spec.options if isinstance(spec, space.Choice) else (spec.value,)
        for option in options:
            if param_cell(option) == text:
                return option
        for option in options:
            if isinstance(option, (int, float)) and not isinstance(option, bool) and float(text) == option:
                return option
        raise ValueError(text)
    return int(float(text)) if isinstance(spec, space.Int) and float(text).is_integer() else float(text)


def load_study(folder: Path, needed: Sequence[str] = ()) -> dict[str, Any]:
    """study.yaml of a sweep folder, its values checked. Raises `UserError` where there is none, or a key of `needed` is not in it."""
    path = folder / "study.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, Mapping):
            raise TypeError
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        why = "it holds no study.yaml" if isinstance(error, FileNotFoundError) else f"study.yaml: {type(error).__name__}"
        if not folder.is_dir():
            why = "it is a file" if folder.exists() else "there is none"
        raise UserError(f"{folder}: is not a sweep's folder ({why}); name the folder that a sweep printed") from None
    studyfile.check(content, path, needed)
    return dict(content)
