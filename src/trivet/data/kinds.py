"""What a column holds: numbers, yes or no, or categories. A cell that does not fit is told with its row, and nothing is guessed.

A column of text is numbers when every cell is one. When at least half are, the others are mistakes until their owner says otherwise;
a column with fewer holds categories.
"""

from __future__ import annotations

import decimal as decimals
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from trivet.data.mends import listed, marks
from trivet.data.patterns import DATE, DECORATED, MARKERS, OTHER_WAYS, POINT
from trivet.errors import UserError

FEW_DECORATED = 3
"""Different numbers with the same sign or unit beside them, from which on they are numbers; fewer may be names, as of doors."""
MANY_DECORATED = 10
"""The same for each of two or three different signs: so few may be names, as of seats."""
MANY_NUMBERS = 10
"""Different numbers in a column, from which on its other texts are mistakes where they are half as many at most, in however many rows."""
TRUTHS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Writing:
    """How numbers are written: the mark before their decimals, and the one between thousands (None: none)."""

    decimal: str = "."
    thousands: str | None = None

    def parse(self, texts: pd.Series) -> pd.Series:
        """Numbers, NaN where a text is none. Whole numbers stay whole. A thousands mark counts only between groups of three digits."""
        if self.decimal == "." and self.thousands is None:
            return pd.to_numeric(texts, errors="coerce")
        group = "" if self.thousands is None else re.escape(self.thousands)
        whole = rf"(\d{{1,3}}({group}\d{{3}})+|\d+)" if group else r"\d+"
        fits = texts.str.fullmatch(rf"[+-]?({whole}({re.escape(self.decimal)}\d*)?|{re.escape(self.decimal)}\d+)([eE][+-]?\d+)?")
        plain = texts.where(fits)
        if self.thousands is not None:
            plain = plain.str.replace(self.thousands, "", regex=False)
        return pd.to_numeric(plain.str.replace(self.decimal, ".", regex=False), errors="coerce")


def is_text(column: pd.Series) -> bool:
    """Whether the column holds texts (as all columns of a CSV do at first)."""
    return not is_numeric_dtype(column) and column.dtype.kind not in "mM" and pd.api.types.infer_dtype(column, skipna=True) == "string"


def typed(column: pd.Series, where: str, writing: Writing, numbers_only: bool = False, target: bool = False) -> pd.Series:
    """The column as numbers (truths as 0 and 1), or as it is where it holds categories; NA stays.

    UserError, with the row, for a cell that is no number in a column of numbers; with `numbers_only` every column is one.
    target: it is to be predicted, so no missing value is filled in and no number is a name.
    """
    if pd.api.types.infer_dtype(column, skipna=True) == "decimal":
        return column.map(lambda cell: float(cell) if isinstance(cell, decimals.Decimal) else np.nan)
    if not is_text(column):
        return column
    present = column.dropna().astype(object)
    numbers = writing.parse(present)
    bad = present[numbers.isna()]
    if len(present) and present.str.lower().isin(TRUTHS).all():
        return column.astype(object).str.lower().map(TRUTHS).astype(float)
    if not len(present):
        return column.astype(float)
    if not len(bad):
        return numbers.reindex(column.index) if len(numbers) < len(column) else numbers
    marked = bad[bad.str.lower().isin(MARKERS)]
    _refuse_other_ways(len(present) - len(bad), len(present) - len(marked), bad.drop(marked.index), where, writing)
    _refuse_mistakes(present, bad, where, numbers_only, target)
    return column


def _refuse_other_ways(n_good: int, n_cells: int, wrong: pd.Series, where: str, writing: Writing) -> None:
    """UserError where most cells of a column are numbers, or would be with other marks than those of `writing`."""
    for pattern, mend in OTHER_WAYS if writing == Writing() else [*OTHER_WAYS, (POINT, "")]:
        alike = wrong[wrong.str.fullmatch(pattern)]
        if len(alike) and 2 * (n_good + len(alike)) >= n_cells:
            given = "" if writing == Writing() else f" ({marks(writing.thousands, writing.decimal)})"
            mend = mend if writing == Writing() else "write those of all columns in one way"
            raise UserError(f"{where}: {alike.iloc[0]!r} in row {alike.index[0]} is no number as numbers are written here{given}: {mend}")


def _refuse_mistakes(present: pd.Series, bad: pd.Series, where: str, numbers_only: bool, target: bool) -> None:
    marked = bad[bad.str.lower().isin(MARKERS)]
    wrong = bad.drop(marked.index)
    n_good, n_cells = len(present) - len(bad), len(present) - len(marked)
    names = "" if numbers_only or target else f", or set {listed('data.categorical', [str(present.name)])} if"
    if signs := _decoration(wrong):
        row, cell = wrong.index[0], wrong.iloc[0]
        mend = "write the number alone" + (", all in one unit" if len(signs) > 1 else "") + (names and f"{names} these are names")
        raise UserError(f"{where}: {cell!r} in row {row} is a number with {' or '.join(map(repr, signs))} beside it: {mend}")
    many = len(present) > len(bad) and present.drop(bad.index).nunique() >= max(MANY_NUMBERS, 2 * wrong.nunique())
    if not (numbers_only or many or (n_good and 2 * n_good >= n_cells)):
        return
    if len(wrong):
        more = f" (and {len(wrong) - 1} more such cells)" if len(wrong) > 1 else ""
        mark = f", or set {listed('data.na_values', wrong[:1], quoted=True)} if it is missing" if len(wrong) > wrong.nunique() == 1 else ""
        mend = "mend it" + mark + (names and f"{names} its numbers are names")
        raise UserError(f"{where}: {wrong.iloc[0][:40]!r} in row {wrong.index[0]} is not a number{more}: {mend}")
    then = "data.drop_missing_target=true to leave them out" if target else "data.impute=median to fill them in"
    raise UserError(
        f"{where}: {marked.iloc[0]!r} stands for a missing number in {len(marked)} row(s), the first is row {marked.index[0]}: "
        f"set {listed('data.na_values', dict.fromkeys(marked), quoted=True)}, and {then}"
    )


def _decoration(wrong: pd.Series) -> list[str]:
    """The signs or units, one to three, that stand beside the number in all of these cells, where there are enough numbers; else []."""
    found = [DECORATED.fullmatch(cell) for cell in wrong.unique()]
    signs = sorted({match["before"] or match["after"] if match else "" for match in found})
    enough = FEW_DECORATED if len(signs) == 1 else MANY_DECORATED * len(signs)
    return signs if len(found) >= enough and "" not in signs and len(signs) <= 3 else []


def is_number(column: pd.Series) -> bool:
    """Whether the typed column is used as numbers."""
    return is_numeric_dtype(column) or is_bool_dtype(column)


def share_of_dates(column: pd.Series) -> float:
    """The share of the texts that are written like a date or a time of day, of those that do not stand for a missing value."""
    present = column.dropna().astype(str)
    present = present[~present.str.lower().isin(MARKERS)]
    return float(present.str.fullmatch(DATE).mean()) if len(present) else 0.0


def markers_in(column: pd.Series) -> dict[str, int]:
    """Texts that often stand for a missing value, and how many cells hold them."""
    counts = column.dropna().astype(str).value_counts()
    return {text: int(n) for text, n in counts.items() if text.lower() in MARKERS}
