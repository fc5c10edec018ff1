"""Reads the published tables of a sweep, or of a whole run of the pipeline. The only module of the report that opens them."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from trivet import space, studyfile
from trivet.diagnosis.sweep import Entry, Sweep
from trivet.errors import UserError

HEAD = ("number", "state", "reason", "value", "step", "best_step")
TAIL = ("seconds", "worker", "started", "overrun")
LABELS = {
    **{"ladder": ("why",), "tiers": ("tier",), "ablation": ("changes",)},
    **{"pbt": ("generation", "member", "parent"), "replay": ("segment", "replayed")},
}
"""Columns by which a search by rule says what a trial is for: no parameters of it."""


@dataclass
class Results:
    """All that a run of the pipeline has published. A missing piece is None or empty; `missing` names it."""

    root: Path
    coarse: Sweep | None = None
    fine: Sweep | None = None
    seeds: Sweep | None = None
    audit: Sweep | None = None
    ablation: Sweep | None = None
    finalists: pd.DataFrame | None = None
    moves: pd.DataFrame | None = None
    check: dict | None = None
    lr_range: pd.DataFrame | None = None
    test: dict | None = None
    data: dict | None = None
    pipeline: dict | None = None
    params: dict = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)  # a sentence for each piece that belongs to another run

    @property
    def searches(self) -> list[Sweep]:
        return [sweep for sweep in (self.coarse, self.fine) if sweep is not None]


def read_yaml(path: Path) -> object:
    """The content of a YAML file, or None where there is none."""
    if not path.is_file():
        return None
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as YAML ({str(error).splitlines()[0]}); run the stage that writes it again") from None


def read_mapping(path: Path) -> dict | None:
    content = read_yaml(path)
    return content if isinstance(content, dict) else None


def read_frame(path: Path) -> pd.DataFrame | None:
    """A CSV as text columns turned to numbers where every cell is one; None where there is no such file."""
    if not path.is_file():
        return None
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as CSV ({str(error).splitlines()[0]}); run the stage that writes it again") from None
    return frame.apply(numbers) if len(frame.columns) else frame


def numbers(column: pd.Series) -> pd.Series:
    """Floats where every non-empty cell is a number, else the strings as they are; an empty column becomes floats."""
    converted = pd.to_numeric(column, errors="coerce")
    return converted.astype(float) if converted.notna().sum() == column.notna().sum() else column.astype(object)


def _header(path: Path) -> tuple[list[str], list[str]]:
    """Unique column names and, among them, those of parameters: what stands between best_step and the run-varying tail."""
    with path.open(newline="", encoding="utf-8") as file:
        names = next(csv.reader(file), [])
    if not {"number", "state", "step"} <= set(names):
        raise UserError(f"{path}: is no table of trials (needs the columns number, state, value, step); give a sweep's folder")
    end = len(names)
    for tail in reversed(TAIL):
        if end and names[end - 1] == tail:
            end -= 1
    start = names.index("best_step" if "best_step" in names else "step") + 1
    fixed = {name for place, name in enumerate(names) if not start <= place < end}
    unique = [f"{name} (parameter)" if start <= place < end and name in fixed else name for place, name in enumerate(names)]
    return unique, unique[start:end]


def read_trials(path: Path, labels: tuple[str, ...] = ()) -> tuple[pd.DataFrame, list[str]]:
    """The table of trials and the names of its parameter columns; `labels` are texts and no parameters. A missing or foreign table is a
    UserError."""
    if not path.is_file():
        raise UserError(f"{path}: no such table; give the folder of a finished sweep (the one that holds trials.csv)")
    names, params = _header(path)
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], names=names, header=0)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as CSV ({str(error).splitlines()[0]}); publish the sweep again") from None
    params = [name for name in params if name not in labels]
    for name in names:
        if name in labels:
            frame[name] = frame[name].fillna("").astype(str)
        elif name in params:
            frame[name] = numbers(frame[name])
        elif name not in ("state", "reason", "worker", "started"):
            frame[name] = pd.to_numeric(frame[name], errors="coerce").astype(float)
    for name in ("best_step", "seconds"):
        if name not in frame:
            frame[name] = np.nan
    for name in ("reason", "worker", "started"):
        frame[name] = frame[name].fillna("").astype(str) if name in frame else ""
    if not frame["number"].map(lambda number: math.isfinite(number) and number == int(number)).all():
        raise UserError(f"{path}: number must be a whole number in each row; publish the sweep again")
    frame["number"] = frame["number"].astype(int)
    return frame.sort_values("number", kind="stable").reset_index(drop=True), params


def read_curves(path: Path) -> pd.DataFrame:
    """Numbers by trial and step, in that order; what is no number becomes NaN. Empty where there is no table."""
    nothing = pd.DataFrame({"number": pd.Series(dtype=int), "step": pd.Series(dtype=float)})
    if not path.is_file():
        return nothing
    try:
        curves = pd.read_csv(path)
    except pd.errors.EmptyDataError:
        return nothing
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as CSV ({str(error).splitlines()[0]}); publish the sweep again") from None
    if not {"number", "step"} <= set(curves.columns):
        return nothing
    for column in curves.columns:
        if not pd.api.types.is_numeric_dtype(curves[column]):
            curves[column] = pd.to_numeric(curves[column], errors="coerce")
    curves = curves.dropna(subset=["number", "step"]).astype({"number": int})
    return curves.sort_values(["number", "step"], kind="stable", ignore_index=True)


def read_space(study: dict) -> list[Entry]:
    """The space that a study names; a line that cannot be read is left out (the report then says less of that parameter)."""
    entries = []
    for item in study.get("space") or []:
        if not isinstance(item, dict) or "key" not in item:
            continue
        try:
            spec = space.parse(item.get("spec"), str(item["key"]))
        except UserError:
            continue
        when = item.get("when") or {}
        entries.append(Entry(str(item["key"]), spec, tuple((str(group), str(option)) for group, option in when.items())))
    return entries


def read_sweep(folder: Path, name: str | None = None) -> Sweep:
    """A published sweep. Only trials.csv must be there; without curves or study.yaml the report has less to say. The rows of the sweep
    named seeds are its runs: what the finalists are compared by."""
    folder = Path(folder)
    study = read_mapping(folder / "study.yaml") or {}
    studyfile.check(study, folder / "study.yaml")
    sampler = study.get("sampler")
    table, curve_table = studyfile.tables_of_runs(folder) if name == "seeds" else (folder / "trials.csv", folder / "curves.csv")
    trials, params = read_trials(table, LABELS.get(str(sampler.get("name")), ()) if isinstance(sampler, dict) else ())
    taken = studyfile.measured(study, params)
    params = [name for name in params if name not in taken]
    if study.get("replicates") and table.name == "trials.csv":
        trials["epochs"] = _epochs(folder, trials, len(study["replicates"].get("values") or [None]))
    best = read_mapping(folder / "best.yaml")
    if best:
        study = {**study, "best": best}
    schedule = read_mapping(folder / "schedule.yaml")  # of a population's winner
    if schedule and isinstance(schedule.get("command"), str):
        study = {**study, "schedule": schedule}
    objectives = [column for column in trials.columns if column == "value" or (column.startswith("value_") and column[6:].isdigit())]
    objectives = [column for column in objectives if column not in params]
    if not objectives:
        raise UserError(f"{folder / 'trials.csv'}: has no column value (or value_0, value_1 ...); give a sweep's folder")
    directions = [str(direction).lower() for direction in (study.get("directions") or [])]
    directions = (directions + ["maximize"] * len(objectives))[: len(objectives)]
    curves = read_curves(curve_table)
    return Sweep(name or folder.resolve().name, trials, curves, params, objectives, directions, read_space(study), study)


def _epochs(folder: Path, trials: pd.DataFrame, n_runs: int) -> pd.Series:
    """Epochs that the runs of each trial took: to a trial that has replicates a step is one of them."""
    path = folder / "runs.csv"
    if not path.is_file():
        return pd.Series(np.nan, index=trials.index)
    runs, _ = read_trials(path)
    steps = runs["step"].fillna(0.0).groupby(runs["number"] // n_runs).sum()
    return trials["number"].map(steps).fillna(0.0)


def read_results(root: Path) -> Results:
    """Everything under root/results, with dvc.yaml and params.yaml. At least one search must be there."""
    root = Path(root)
    folder = root / "results"
    sweeps = {
        name: read_sweep(folder / name, name)
        for name in ("coarse", "fine", "seeds", "audit", "ablation")
        if (folder / name).is_dir() and (name not in ("audit", "ablation") or (folder / name / "trials.csv").is_file())
    }
    if not {"coarse", "fine"} & set(sweeps):
        raise UserError(f"{folder}: holds no sweep (coarse or fine); run `dvc repro` first")
    return Results(
        root=root,
        coarse=sweeps.get("coarse"),
        fine=sweeps.get("fine"),
        seeds=sweeps.get("seeds"),
        audit=sweeps.get("audit"),
        ablation=sweeps.get("ablation"),
        finalists=read_frame(folder / "finalists" / "finalists.csv"),
        moves=read_frame(folder / "narrow" / "moves.csv"),
        check=read_mapping(folder / "check" / "check.yaml"),
        lr_range=read_frame(folder / "check" / "lr_range.csv"),
        test=read_mapping(folder / "test" / "test.yaml"),
        data=read_mapping(root / "data" / "prepared" / "data.yaml"),
        pipeline=read_mapping(root / "dvc.yaml"),
        params=read_mapping(root / "params.yaml") or {},
    )
