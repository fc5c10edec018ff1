"""Configurations and table cells in words; what numbers need is in diagnosis/wording.py and named here too."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from trivet.diagnosis.wording import Scale, count, duration, listing, number, share, value_text
from trivet.phases import finalists
from trivet.reporting.model import Cell, Code, Inline

__all__ = ["Scale", "count", "duration", "listing", "number", "share", "value_text"]
NOTHING = "\u2013"  # what an empty cell shows


def money(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else f"{value:.3f}"


def plain(value: Any, options: Mapping[str, object] | None = None) -> object:
    """What a cell stands for: one of a choice's `options` (by its text), else a number, null or boolean that reads as one, else its text.

    Whole numbers become ints again: a numeric column holds floats.
    """
    if isinstance(value, str):
        return options[value] if options and value in options else finalists.cell(value)
    value = float(value)
    return int(value) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else value


def settings(row: pd.Series, params: Sequence[str], options: Mapping[str, Mapping[str, object]] | None = None) -> dict[str, object]:
    """The active parameters of a row: those whose cell is not empty. options: of each choice, its options by their text in the table."""
    known = options or {}
    return {key: plain(row[key], known.get(key)) for key in params if key in row and not pd.isna(row[key])}


def override_list(values: dict[str, object]) -> list[str]:
    """`key=value` words that Hydra reads back as these values; group choices (no dot) first."""
    order = sorted(values, key=lambda key: ("." in key, list(values).index(key)))
    return [finalists.override(key.removesuffix(" (parameter)"), values[key]) for key in order]


def configuration(values: dict[str, object], limit: int | None = 12) -> list[Inline]:
    """`a=1`, `b=2` as inline code, at most `limit` of them (None: all)."""
    parts: list[Inline] = []
    for place, (key, value) in enumerate(values.items()):
        if place == limit:
            parts.append(f" and {len(values) - limit} more")
            break
        parts += [", "] if parts else []
        parts.append(Code(f"{key}={value_text(value)}"))
    return parts or ["no searched parameters"]


def empty() -> Cell:
    return Cell(NOTHING, None)


def cell(value: object, digits: int = 4) -> Cell:
    """A cell for a number or text; empty where the value is missing."""
    if value is None or (isinstance(value, (float, np.floating)) and not math.isfinite(value)):
        return empty()
    if isinstance(value, (bool, np.bool_)):
        return Cell("yes" if value else "no", int(value))
    if isinstance(value, (int, float, np.number)):
        return Cell(number(float(value), digits), float(value))
    return Cell(str(value))


def scale_cell(scale: Scale, value: float | None) -> Cell:
    """A value of the objective."""
    return empty() if value is None or not math.isfinite(value) else Cell(scale.show(value), float(value))


def code_cell(value: object) -> Cell:
    if isinstance(value, float) and math.isnan(value):
        return empty()
    if isinstance(value, str):
        with contextlib.suppress(ValueError):  # a number in a column that holds words too
            return Cell(value_text(float(value)) if len(value) > 8 else value, float(value), code=True)
    key = float(value) if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) else None
    return Cell(value_text(value), key, code=True)


def log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Ticks of a logarithmic axis: powers of ten, at most `most` of them; on short axes also 2 and 5 times those, or all whole "
    "multiples."""
    if not 0 < low < high:
        return []
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    if high / low > 100:
        return [10.0**power for power in range(first, last + 1, max(1, -(-(last - first + 1) // most)))]
    factors = (1, 2, 5) if high / low > 5 else range(1, 10)
    ticks = [factor * 10.0**power for power in range(first - 1, last + 2) for factor in factors]
    ticks = [tick for tick in ticks if low <= tick <= high]
    return ticks if len(ticks) > 1 else [float(f"{low + (high - low) * part:.2g}") for part in (0.1, 0.5, 0.9)]
