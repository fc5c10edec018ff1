"""Columns that are probably not what their owner thinks: told before anything trains. They are used all the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from trivet.data.encoding import numbers, texts
from trivet.data.kinds import Writing, is_number, is_text, markers_in, share_of_dates
from trivet.data.leaks import ENOUGH, alone
from trivet.data.mends import listed, marks
from trivet.data.texts import folded

MANY = 50  # categories that are worth a word
UNIQUE = 0.95  # share of different values that makes a name of a category
ID_NAME = re.compile(
    r"(^|[_\W])(id|ids|uuid|guid|key|index|idx|row|number|num|nr|no|serial|account|ssn|phone|tel)[.#]?$|[a-z](ID|Id|UUID|Key|Nr|No)$"
    r"|^Unnamed|^#$",
    re.IGNORECASE,
)
FEW_TARGETS = 10
THREE_DECIMALS = r"[+-]?[1-9]\d{0,2}\.\d{3}"
HOW = "only in small and capital letters or in spaces: are they one?"
DAYS = (19000101, 21001231)  # as whole numbers


def warnings(frame: pd.DataFrame, y: np.ndarray, categorical: Sequence[str], seed: int) -> list[str]:
    """A line for each column of the training rows that looks like an index, an id, a date, a constant, a code, a list of many categories,
    or like the answer itself, and for one that writes one category in two ways.
    y: class numbers (N,), or targets (N, 1)."""
    lines = []
    for name in frame:
        column = frame[name]
        line = _constant(column) or _index(column, name) or alone(column, y, seed)
        line = line or (_category(column) if name in categorical else _days(column))
        also = alike(column) if name in categorical else None
        lines += [f"column {name} {line}" for line in (line, also) if line]
        found = markers_in(column) if not is_number(column) else {}
        for text, n in found.items():
            mend = listed("data.na_values", [text], quoted=True)
            lines.append(f"column {name} holds {text!r} in {n} rows, taken as a category: {mend} makes it a missing value")
    if y.dtype.kind == "f" and len(y) >= ENOUGH and len(np.unique(y)) <= FEW_TARGETS:
        lines.append(f"the target has {len(np.unique(y))} different values only: are they classes? then set data.task=classification")
    return lines


def header(frame: pd.DataFrame) -> list[str]:
    """A line where the names of the columns are values like those below them: the file has no row of names, and its first row is lost."""
    names = list(map(str, frame.columns))
    counted = [float(name) for name in names if _numeric(name)]
    if not counted or (len(counted) == len(names) > 2 and all(low < high for low, high in pairwise(counted))):  # 0, 1, 2; or wavelengths
        return []
    if all(_numeric(str(name)) or (frame[name].astype(str) == str(name)).any() for name in frame):
        return [
            f"the names of the columns look like values ({', '.join(names[:3])}): has the file a row of names? Add one above the first row"
        ]
    return []


def _numeric(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text))


def written(frame: pd.DataFrame, values: Mapping[str, Any], separator: str) -> list[str]:
    """A line for each column of texts that reads as numbers and holds codes, all of one length and some with a nought in front; and for
    one whose points may stand between thousands. values: the table's settings. separator: of the file."""
    lines = []
    for name in frame:
        present = frame[name].dropna()
        if name in values["categorical"] or not len(present) or not is_text(present):
            continue
        if name != values["target"] and present.str.fullmatch(r"\d{3,}").all() and present.str.len().nunique() == 1:
            if (first := present[present.str.startswith("0")]).size:
                mend = f"{listed('data.categorical', [name])} makes them names, or add it to data.drop"
                lines.append(f"column {name} holds codes such as {first.iloc[0]!r}, taken as numbers: {mend}")
        elif Writing(values["decimal"], values["thousands"]) == Writing() and (cell := _thousands(present, separator)):
            mend = f"set {marks('.', ',')} where the points stand between thousands"
            lines.append(f"column {name} holds numbers such as {cell!r}, taken with decimals: {mend}")
    return lines


def _thousands(present: pd.Series, separator: str) -> str | None:
    """A number with three decimals, where all have three or none: in files that are cut by no comma, or where some have none."""
    dotted = present[present.str.fullmatch(THREE_DECIMALS)]
    whole = present.str.fullmatch(r"[+-]?\d{1,3}")
    if dotted.nunique() < 3 or len(dotted) + whole.sum() < len(present) or (separator == "comma" and not whole.any()):
        return None
    return str(dotted.iloc[0])


def labels(target: pd.Series, task: str) -> list[str]:
    """A line for each class that stands for a missing value as it seems, and for classes that are written in two ways."""
    present = target.dropna()
    if task == "regression" or not is_text(present):
        return []
    lines = [
        f"the target holds {text!r} in {n} rows, taken as a class: {listed('data.na_values', [text], quoted=True)} and "
        "data.drop_missing_target=true leave those rows out"
        for text, n in markers_in(target).items()
    ]
    as_numbers = pd.to_numeric(present, errors="coerce")
    if as_numbers.notna().all():
        same = pd.Series(present.unique()).groupby(pd.to_numeric(present.unique())).agg(list)
        lines += [f"the classes {' and '.join(map(repr, ways))} are one number, and taken as one" for ways in same if len(ways) > 1]
    return lines + [f"the classes {names} differ {HOW}" for names in _same(present)]


def alike(column: pd.Series) -> str | None:
    """Categories that differ only in small and capital letters, or in spaces."""
    return next((f"holds {names}, which differ {HOW}" for names in _same(column.dropna().astype(str))), None)


def _same(present: pd.Series) -> list[str]:
    names = sorted(present.unique())
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(folded(name), []).append(name)
    return [" and ".join(map(repr, same[:4])) for _, same in sorted(groups.items()) if len(same) > 1]


def unseen(train: pd.DataFrame, test: pd.DataFrame, categorical: Sequence[str]) -> list[str]:
    """A line for each column with test rows whose category no training row has."""
    lines = []
    for name in categorical:
        new = texts(test[name])
        new = new[~new.isin(texts(train[name]).unique())]
        if len(new):
            lines.append(f"column {name} holds in {len(new)} of {len(test)} test rows what no training row has, such as {new.iloc[0]!r}")
    return lines


def _constant(column: pd.Series) -> str | None:
    if column.nunique(dropna=False) == 1:
        return "has the same value in every training row: add it to data.drop"
    return None


def _index(column: pd.Series, name: str) -> str | None:
    """Row numbers, or whole numbers that are all different under a name that says id. In training order they need not be without gaps."""
    if not is_number(column) or column.isna().any() or len(column) < ENOUGH:
        return None
    values = numbers(column).to_numpy()
    if not (values == np.round(values)).all() or len(np.unique(values)) < len(values):
        return None
    steps = np.diff(values) / np.diff(column.index.to_numpy())
    if len(np.unique(steps)) == 1:
        by = "" if abs(steps[0]) == 1 else f" in steps of {abs(steps[0]):g}"
        return f"counts the rows{by}, so it is probably an index or a time: add it to data.drop"
    if ID_NAME.search(name):
        return "has another whole number in every row, so it is probably an id: add it to data.drop"
    return None


def _days(column: pd.Series) -> str | None:
    """Whole numbers that are dates without marks, such as 20240531."""
    if not is_number(column) or column.isna().any() or len(column) < ENOUGH or column.nunique() < FEW_TARGETS:
        return None
    values = numbers(column).to_numpy()
    month, day = values // 100 % 100, values % 100
    if not (values == np.round(values)).all() or values.min() < DAYS[0] or values.max() > DAYS[1]:
        return None
    if month.min() < 1 or month.max() > 12 or day.min() < 1 or day.max() > 31:
        return None
    return f"holds dates such as {values[0]:.0f}, taken as numbers: turn them into numbers of days, or add it to data.drop"


def _category(column: pd.Series) -> str | None:
    present, n = column.dropna(), column.nunique()
    if share_of_dates(present) > 0.9:
        return "holds dates or times, taken as categories: turn it into numbers, or add it to data.drop"
    if len(present) >= ENOUGH and n >= UNIQUE * len(present):
        return f"has {n} different texts in {len(present)} rows, so it is probably an id or a name: add it to data.drop"
    if n > MANY:
        return f"has {n} categories: data.max_categories={MANY} data.many_categories=target (or frequency) makes one input of them"
    return None
