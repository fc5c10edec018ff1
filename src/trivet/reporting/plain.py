"""The report without the libraries of the report extra: the tables in short, as Markdown, read with Python's own csv.

What it leaves out (figures, diagnosis, importance, advice) needs pandas, scipy and scikit-learn; the page and the figures need plotly,
jinja2 and matplotlib.
"""

from __future__ import annotations

import csv
import importlib.util
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trivet import studyfile
from trivet.errors import UserError
from trivet.reporting.files import write
from trivet.reporting.markdown import render
from trivet.reporting.model import Cell, Paragraph, Report, Section, Table

TABLES = ("pandas", "scipy", "sklearn")
"""Without one of these no table is diagnosed."""
DRAWING = ("matplotlib", "plotly", "jinja2")
"""Without one of these the report is Markdown alone, without figures."""
SHOWN = 5  # trials of each search

Row = Mapping[str, str]


def lacking(libraries: Sequence[str]) -> list[str]:
    """Those that are not installed."""
    return [name for name in libraries if importlib.util.find_spec(name) is None]


def why() -> str | None:
    """What the report leaves out for want of a library, and the mend; None where nothing is lacking."""
    tables, drawing = lacking(TABLES), lacking(DRAWING)
    if not tables and not drawing:
        return None
    what = "all but the tables in short is left out" if tables else "there are no figures and no HTML page"
    return f"{what}, for want of {', '.join([*tables, *drawing])}: pip install 'trivet[report]'"


def build(folders: Mapping[str, Path], out: Path, name: str, title: str) -> Path:
    """The report of the sweeps in these folders, by their headings, as `out/name`; returns its path. UserError for what is no table."""
    parts = [_section(heading, folder) for heading, folder in folders.items()]
    return write(out, {name: render(Report(title, f"In short: {why()}", parts)).encode()})


def _section(heading: str, folder: Path) -> Section:
    columns, rows = _read(folder / "trials.csv")
    study = _study(folder / "study.yaml")
    values = [column for column in columns if column == "value" or (column.startswith("value_") and column[6:].isdigit())]
    maximize = (study.get("directions") or ["maximize"])[0] == "maximize"
    states = ", ".join(f"{n} {state.lower()}" for state, n in Counter(row["state"] for row in rows).items())
    aim = "maximize" if maximize else "minimize"
    said = Paragraph((f"{len(rows)} trial{'' if len(rows) == 1 else 's'}: {states}. Objective: {study.get('metric') or 'value'} ({aim}).",))
    if "finalist" in columns:
        runs = _read(folder / "runs.csv")[1] if (folder / "runs.csv").is_file() else rows
        return Section(heading.lower(), heading, [said, _seeds(_known(runs, values), values[0])])
    known = _known(rows, values)
    sign = -1 if maximize else 1  # a pruned trial's value is of a training that was not ended: after all others
    best = sorted(known, key=lambda row: (row["state"] != "COMPLETE", sign * _number(row, values[0])))[:SHOWN]
    end = columns.index("seconds") if "seconds" in columns else len(columns)
    shown = ("number", "state", *values, "step", *columns[columns.index("step") + 1 : end])
    cells = tuple(tuple(Cell(row[name] or "") for name in shown) for row in best)
    return Section(heading.lower(), heading, [said, Table(shown, cells, "The best trials")])


def _known(rows: Sequence[Row], values: Sequence[str]) -> list[Row]:
    """Those that have a value."""
    return [row for row in rows if values and row["state"] in ("COMPLETE", "PRUNED") and math.isfinite(_number(row, values[0]))]


def _seeds(rows: Sequence[Row], value: str) -> Table:
    """Mean and standard deviation of each finalist over its seeds."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(row["finalist"], []).append(_number(row, value))
    spread = {name: f"{statistics.stdev(found):.2g}" if len(found) > 1 else "" for name, found in groups.items()}
    cells = tuple((Cell(n), Cell(f"{statistics.mean(v):.6g}"), Cell(spread[n]), Cell(str(len(v)))) for n, v in groups.items())
    return Table(("finalist", "mean", "standard deviation", "seeds"), cells, "Finalists over fresh seeds")


def _number(row: Row, column: str) -> float:
    try:
        return float(row[column])
    except (TypeError, ValueError):
        return math.nan


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            rows, columns = list(table), list(table.fieldnames or ())
    except FileNotFoundError:
        raise UserError(f"{path}: no such table; give the folder of a finished sweep (the one that holds trials.csv)") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV ({error}); publish the sweep again") from None
    if not {"number", "state", "step"} <= set(columns):
        raise UserError(f"{path}: is no table of trials (needs the columns number, state, value, step); give a sweep's folder")
    return columns, rows


def _study(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not readable as YAML ({str(error).splitlines()[0]}); publish the sweep again") from None
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: must be a mapping; publish the sweep again")
    studyfile.check(content, path)
    return content
