"""The runs of a study whose trials have replicates: runs.csv and run_curves.csv, which are to runs what trials.csv and curves.csv are to
trials. A run's number is its trial's times the number of replicates, plus its place among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trivet.search import replicates
from trivet.study import copies, tables
from trivet.study.records import Official
from trivet.study.tables import cell
from trivet.study.view import View


def run_rows(study: View, trials: Sequence[Official]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of runs.csv."""
    spec, labels = study.spec, tables.Labels(study, trials)
    assert spec.replicates is not None
    held = tables.constrained_columns(spec.constraints, spec.params)
    rows = []
    for t, i, run in _runs(trials):
        curve, effort = run.get("curve", []), run.get("run") or {}
        losses = tables.tie_losses(run.get("metrics", {}))
        best = tables.best_step(curve, losses, spec.maximize)
        rows.append(
            [
                *(str(spec.run_of(t.number, i)), run.get("state", "COMPLETE"), run.get("reason") or _copied(study, t)),
                *(cell(run.get("value")), cell(curve[-1][0] if curve else None), cell(best)),
                *(cell(v) for v in run.get("held") or [None] * len(held)),
                *labels.attrs_of(t),
                tables.param_cell(spec.replicates.values[i]),
                *labels.params_of(t),
                *(cell(effort.get("seconds")), effort.get("worker", ""), effort.get("started", ""), "0"),
            ]
        )
    header = ["number", "state", "reason", "value", "step", "best_step", *held, *labels.names, spec.replicates.column]
    return [*header, *labels.keys, *tables.VARYING], rows


def _runs(trials: Sequence[Official]) -> Iterator[tuple[Official, int, Mapping[str, Any]]]:
    for trial in trials:
        for i, run in enumerate(trial.runs):
            yield trial, i, run


def _copied(study: View, trial: Official) -> str:
    """Why a run of this trial cost nothing, if it did."""
    return study.trials[trial.number].user_attrs.get(copies.COPIED, "")


def run_curve_rows(study: View, trials: Sequence[Official]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of run_curves.csv."""
    columns = tables.varying_last(c for _, _, run in _runs(trials) for c in run.get("metrics", {}).get("columns", ()))
    rows = []
    for t, i, run in _runs(trials):
        metrics = run.get("metrics") or {"columns": [], "rows": []}
        by_step = {row[0]: dict(zip(metrics["columns"], row[1:], strict=True)) for row in metrics["rows"]}
        number = str(study.spec.run_of(t.number, i))
        rows += [
            [number, str(step), cell(value), *(cell(by_step.get(step, {}).get(c)) for c in columns)] for step, value in run.get("curve", [])
        ]
    return ["number", "step", "value", *columns], rows


def write(study: View, folder: Path) -> None:
    """Write both, where trials have replicates."""
    if study.spec.replicates is not None:
        trials = study.finished()
        tables.write_text(folder / "runs.csv", tables.csv_text(*run_rows(study, trials)))
        tables.write_text(folder / "run_curves.csv", tables.csv_text(*run_curve_rows(study, trials)))


def completed(study: View) -> list[int]:
    """The numbers of the runs that completed, in trials that did; those of the trials where each has one."""
    complete = [trial for trial in study.finished() if trial.state == "COMPLETE"]
    if study.spec.replicates is None:
        return [trial.number for trial in complete]
    return [study.spec.run_of(t.number, i) for t, i, run in _runs(complete) if replicates.is_complete(run)]


def folders(study: View) -> dict[int, Path]:
    """Where the files of each run are, by its number, where that is not the number's own folder."""
    if study.spec.replicates is None:
        return study.folders()
    place = Path(study.spec.folder)
    found = _runs(study.finished())
    return {run: place / one.get("folder", study.spec.place_of(run)) for t, i, one in found for run in [study.spec.run_of(t.number, i)]}
