"""All trials as one table that the page sorts, filters and draws as parallel lines: compact columns, and every curve in 16-bit steps.

Reads no file. `pack` gives what trials.js unpacks: JSON, compressed, as text.
"""

from __future__ import annotations

import base64
import gzip
import json

import numpy as np
import pandas as pd

from trivet import space
from trivet.diagnosis.importance import importance
from trivet.diagnosis.sweep import Entry, Sweep, drawn_from
from trivet.diagnosis.widening import ordered
from trivet.reporting.commands import command
from trivet.reporting.context import Context
from trivet.reporting.sections.curves import rungs, value_column
from trivet.reporting.words import value_text

AXES = 14  # parallel axes that are drawn, the most important parameters first
LEVELS = 65535
STATES = ("COMPLETE", "PRUNED", "INFEASIBLE", "FAIL")


def data(context: Context) -> dict:
    """What the page is given: the metric, per search its columns, axes, rungs and curves, and the command that trains a trial again."""
    scale = context.scale
    return {
        "metric": scale.label,
        "factor": scale.factor,
        "maximize": context.maximize,
        "states": STATES,
        "unit": context.unit,
        "searches": [_search(context, sweep) for sweep in context.searches],
    }


def _search(context: Context, sweep: Sweep) -> dict:
    rows = sweep.trials
    reasons = list(dict.fromkeys(rows["reason"]))
    return {
        "name": context.name(sweep),
        "number": rows["number"].astype(int).tolist(),
        "state": [STATES.index(state) if state in STATES else STATES.index("FAIL") for state in rows["state"]],
        "value": _numbers(rows[sweep.objectives[0]]),
        "others": {name: _numbers(rows[column]) for name, column in list(zip(sweep.names, sweep.objectives, strict=True))[1:]},
        "step": _numbers(rows["step"]),
        "best_step": _numbers(rows["best_step"]),
        "reasons": reasons,
        "reason": [reasons.index(reason) for reason in rows["reason"]],
        "params": {key: _cells(rows[key]) for key in sweep.params},
        "axes": axes(sweep),
        "rungs": rungs(sweep),
        "best": int(sweep.best["number"]) if sweep.best is not None else None,
        "command": _command(context, sweep),
        "curves": _curves(sweep),
    }


def _command(context: Context, sweep: Sweep) -> list[str] | None:
    """[before, after] a trial's own overrides, which the page puts between them as key=value; None where the study names no command."""
    mark = "@"
    line = command(sweep, [mark])
    return line.split(f"'{mark}'" if f"'{mark}'" in line else mark, 1) if line and line.count(mark) == 1 else None


def _numbers(column: pd.Series, digits: int = 5) -> list:
    values = column.to_numpy(dtype=float)
    return [_short(value, digits) for value in values.tolist()]


def _short(value: float, digits: int) -> float | int | None:
    if not np.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short


def _cells(column: pd.Series) -> dict | list:
    """Numbers as they are; words as {words: [...], at: [...]}, -1 where the parameter was not active."""
    if pd.api.types.is_numeric_dtype(column):
        return _numbers(column, 17)  # whole: a command that trains the trial again is made of them
    words = sorted({value_text(cell) for cell in column.dropna()})
    place = {word: index for index, word in enumerate(words)}
    return {"words": words, "at": [-1 if pd.isna(cell) else place[value_text(cell)] for cell in column]}


def axes(sweep: Sweep) -> list[dict]:
    """The parallel axes: label, what stands at their low and high end, and each trial's place, 0 to 1000, -1 where it was not active.

    A parameter whose range depends on a choice has an axis for each: rates of different optimizers share none.
    """
    found = importance(sweep)
    keys = list(found.share) if found is not None and found.trusted else []
    keys += [key for key in sweep.params if key not in keys]
    out = []
    for key in keys:
        entries: list[Entry | None] = [entry for entry in sweep.active(key) if entry.when] or [None]
        for entry in entries:
            axis = _axis(sweep, key, entry if entry is not None else next(iter(sweep.active(key)), None))
            out += [axis] if axis is not None else []
    return out[:AXES]


def _axis(sweep: Sweep, key: str, entry: Entry | None) -> dict | None:
    rows = sweep.trials
    mask = drawn_from(rows, entry) if entry is not None and entry.when else rows[key].notna()
    cells = rows[key].where(mask)
    if cells.nunique() < 2:
        return None
    spec = entry.spec if entry is not None else None
    label = key + (f" ({','.join(f'{group}={option}' for group, option in entry.when)})" if entry is not None and entry.when else "")
    numbers = pd.to_numeric(cells, errors="coerce")
    if ordered(spec) is None and not isinstance(spec, space.Choice) and numbers.notna().equals(cells.notna()):
        values = numbers.to_numpy(dtype=float)
        low, high = float(getattr(spec, "low", np.nanmin(values))), float(getattr(spec, "high", np.nanmax(values)))
        low, high = min(low, float(np.nanmin(values))), max(high, float(np.nanmax(values)))
        log = bool(getattr(spec, "log", False)) and low > 0
        ends = [value_text(low), value_text(high)]
        places = np.log(values / low) / np.log(high / low) if log else (values - low) / (high - low)
    else:
        words = cells.map(lambda cell: value_text(cell) if not pd.isna(cell) else None)
        known = [value_text(option) for option in getattr(spec, "options", ())]
        names = [name for name in known if name in set(words.dropna())] + sorted(set(words.dropna()) - set(known))
        place = {name: index / max(len(names) - 1, 1) for index, name in enumerate(names)}
        places, ends = words.map(place).to_numpy(dtype=float), [names[0], names[-1]]
    return {"label": label, "ends": ends, "at": [-1 if np.isnan(part) else round(1000 * part) for part in places]}


def _curves(sweep: Sweep) -> dict | None:
    """Values between low and high in LEVELS steps, trial after trial, as base64 of little-endian 16-bit numbers; 0: no number.

    sizes: values of each trial. None without curves. steps: the epochs, where they are not 1, 2, 3 ...
    """
    column = value_column(sweep)
    if column is None or not len(sweep.curves):
        return None
    table = sweep.curves[sweep.curves["number"].isin(sweep.trials["number"])]
    values = table[column].to_numpy(dtype=float)
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = float(known.min()), float(known.max())
    span = (high - low) or 1.0
    coded = np.where(
        np.isfinite(values), 1 + np.rint((np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / span * (LEVELS - 1)), 0
    )
    sizes = table.groupby("number").size().reindex(sweep.trials["number"], fill_value=0)
    steps = table["step"].to_numpy(dtype=float)
    even = bool((steps == np.concatenate([np.arange(1, n + 1) for n in sizes[sizes > 0]])).all()) if len(steps) else True
    return {
        "low": low,
        "high": high,
        "sizes": sizes.astype(int).tolist(),
        "values": base64.b64encode(coded.astype("<u2").tobytes()).decode(),
        "steps": None if even else [_short(step, 6) for step in steps.tolist()],
    }


def pack(content: object) -> str:
    """JSON, gzip, base64: the same content gives the same text."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return packed(text.encode())


def packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
