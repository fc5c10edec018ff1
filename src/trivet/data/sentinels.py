"""Numbers that stand for a missing value, such as -999 or 1e30, and targets that are other than their owner says; without pandas."""

from __future__ import annotations

import re

import numpy as np

from trivet.data.mends import missing

SENTINELS = re.compile(r"-?9{2,9}(\.0|\.9+)?|-?8{2,9}(\.0)?|-1(\.0)?|-?1e\+?\d{2}|9\.96920\d*e\+36|-?2147483648(\.0)?|-?32768(\.0)?")
FAR = 2.0  # times the range of all other values that such a number lies away from them
MANY_CLASSES = 20  # whole numbers as classes, from which on they may be measurements


def sentinel(values: np.ndarray, column: str | None = None) -> str | None:
    """What to say of one of these numbers (N,), NaN where there is none, that lies far from all others or alone below 0; None without one.

    column: of a table.
    """
    values = values.astype(np.float64)
    found, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    if len(found) < 3:
        return None
    for place, others in ((0, found[1:]), (-1, found[:-1])):
        value = float(found[place])
        far = np.abs(others - value).min() > FAR * np.ptp(others)
        alone_below = value <= -9 and others[0] >= 0 and counts[place] > 1
        if SENTINELS.fullmatch(repr(value)) and (far or alone_below):
            mend = "leave them out" if column is None else f"set {missing(column, f'{value:g}')}"
            within = f"{others[0]:g} to {others[-1]:g}"
            return f"is {value:g} in {counts[place]} row(s), else {within}: does that stand for a missing value? Then {mend}"
    return None


def targets(y: np.ndarray, task: str, column: str | None = None) -> list[str]:
    """A line for a number among them that stands for a missing value as it seems, and for classes that may be measurements.

    column: the target's, in a table.
    """
    if y.dtype.kind not in "iuf" or y.size != len(y):
        return []
    y = y.ravel()
    lines = [f"the target {found}"] if (found := sentinel(y, column)) else []
    classes = np.unique(y)
    if task == "classification" and len(classes) > MANY_CLASSES and (classes[0] not in (0, 1) or np.ptp(classes) >= len(classes)):
        what = f"the target has {len(classes)} different whole numbers from {classes[0]:g} to {classes[-1]:g}, each taken as a class"
        lines.append(f"{what}: are they measurements? then set data.task=regression")
    return lines
