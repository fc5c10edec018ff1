"""Configurations and table cells in words; what numbers need is in diagnosis/wording.py and named here too."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from trivet.diagnosis.wording import Scale, count, duration, listing, number, share, value_text
from trivet.finalists import override
from trivet.report.model import Cell, Code, Inline

__all__ = ["Scale", "count", "duration", "listing", "number", "share", "value_text"]
NOTHING = "\u2013"  # what an empty cell shows


def money(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else f"{value:.3f}"


def plain(value: object) -> object:
    """A cell of a numeric column back to the int it was, where it was one."""
    if isinstance(value, (float, np.floating)) and math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, str):
        if value in _WORDS:
            return _WORDS[value]
        for kind in (int, float):  # a column that mixes null and numbers is text
            with contextlib.suppress(ValueError):
                return kind(value)
    return value


_WORDS = {"null": None, "None": None, "true": True, "True": True, "false": False, "False": False}


def settings(row: pd.Series, params: Sequence[str]) -> dict[str, object]:
    """The active parameters of a row: those whose cell is not empty."""
    return {key: plain(row[key]) for key in params if key in row and not pd.isna(row[key])}


def override_list(values: dict[str, object]) -> list[str]:
    """`key=value` words that Hydra reads back as these values; group choices (no dot) first."""
    order = sorted(values, key=lambda key: ("." in key, list(values).index(key)))
    return [override(key.removesuffix(" (parameter)"), values[key]) for key in order]


def configuration(values: dict[str, object], limit: int = 12) -> list[Inline]:
    """`a=1`, `b=2` as inline code, at most `limit` of them."""
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
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return empty()
    if isinstance(value, str):
        with contextlib.suppress(ValueError):  # a number in a column that holds words too
            return Cell(value_text(float(value)) if len(value) > 8 else value, float(value), code=True)
    key = float(value) if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) else None
    return Cell(value_text(value), key, code=True)


def log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Ticks of a logarithmic axis: powers of ten, at most `most` of them; also 2 and 5 times those where the axis is short."""
    if not 0 < low < high:
        return []
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    factors = (1, 2, 5) if high / low <= 100 else (1,)
    step = max(1, -(-(last - first + 1) // most)) if len(factors) == 1 else 1
    powers = range(first - 1, last + 2) if len(factors) > 1 else range(first, last + 1, step)
    return [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high]
