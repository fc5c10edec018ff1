"""Numbers and configurations in words: how values, differences, times and counts read in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from trivet.finalists import override
from trivet.report.model import Cell, Code, Inline

NOTHING = "\u2013"  # what an empty cell shows


class Scale:
    """How the objective reads: accuracies within 0..1 as per cent, their differences as percentage points, all else as plain numbers."""

    def __init__(self, metric: str, values: Sequence[float] = ()) -> None:
        known = np.asarray(values, dtype=float)
        known = known[np.isfinite(known)]
        self.metric = metric
        self.percent = "acc" in metric.lower() and bool(len(known)) and known.min() >= 0 and known.max() <= 1
        self.factor = 100 if self.percent else 1

    @property
    def label(self) -> str:
        return f"{self.metric} (%)" if self.percent else self.metric

    def axis(self, values: Sequence[float]) -> np.ndarray:
        """Values as a chart shows them."""
        return np.asarray(values, dtype=float) * self.factor

    def show(self, value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return "not known"
        return f"{100 * value:.2f} %" if self.percent else number(value)

    def delta(self, value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return "not known"
        return f"{100 * value:.2f} percentage points" if self.percent else number(value)

    def cell(self, value: float | None) -> Cell:
        return empty() if value is None or not math.isfinite(value) else Cell(self.show(value), float(value))

    def interval(self, low: float | None, high: float | None) -> str:
        if low is None or high is None:
            return "no interval (one value)"
        if not self.percent:
            return f"{number(low)} to {number(high)}"
        if 100 * (high - low) >= 0 and (low < 0 or high > 1):
            low, high = max(low, 0.0), min(high, 1.0)
        return f"{100 * low:.2f} % to {100 * high:.2f} %"


def number(value: float, digits: int = 4) -> str:
    """Up to `digits` significant digits, thousands apart, exponents only where they are needed."""
    value = float(value)
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("infinite" if value > 0 else "minus infinite")
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e7:
        if abs(value) >= 10**digits:
            return f"{value:,.0f}"
        places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
        text = f"{value:,.{places}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{value:.{digits - 2}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def signed(value: float, digits: int = 3) -> str:
    return ("+" if value > 0 else "") + number(value, digits)


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 trial`, `1,200 trials`."""
    return f"{int(n):,} {one if n == 1 else many or one + 's'}"


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"


def duration(seconds: float | None) -> str:
    if seconds is None or not math.isfinite(seconds):
        return "not known"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def money(value: float) -> str:
    return f"{value:,.2f}" if value >= 0.005 else f"{value:.4f}"


def listing(items: Sequence[str], last: str = "and") -> str:
    items = list(items)
    return f" {last} ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def value_text(value: object) -> str:
    """A configuration value as a table shows it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float, np.number)):
        return number(float(value)).replace(",", "") if math.isfinite(float(value)) else str(value)
    return str(value)


def plain(value: object) -> object:
    """A cell of a numeric column back to the int it was, where it was one."""
    if isinstance(value, (float, np.floating)) and math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, str):
        return {"null": None, "None": None, "true": True, "True": True, "false": False, "False": False}.get(value, value)
    return value


def settings(row: pd.Series, params: Sequence[str]) -> dict[str, object]:
    """The active parameters of a row: those whose cell is not empty."""
    return {key: plain(row[key]) for key in params if key in row and not pd.isna(row[key])}


def override_list(values: dict[str, object]) -> list[str]:
    """`key=value` words that Hydra reads back as these values; group choices (no dot) first."""
    order = sorted(values, key=lambda key: ("." in key, list(values).index(key)))
    return [override(key, values[key]) for key in order]


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


def code_cell(value: object) -> Cell:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return empty()
    key = float(value) if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) else None
    return Cell(value_text(value), key, code=True)
