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

from trivet.errors import UserError

EXCEL_ERRORS = frozenset(["#n/a", "#na", "#null!", "#value!", "#div/0!", "#ref!"])
MARKERS = EXCEL_ERRORS | frozenset(
    ["?", "-", "--", "---", ".", "*", "na", "n/a", "n.a.", "nan", "null", "none", "nil", "missing", "unknown", "<na>", "\\n"]
)
DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}\S*.*)?|\d{1,2}:\d{2}(:\d{2})?"
    r"|(?i:(\d{1,2}[ .-]+)?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}[ .,-]+\d{1,4}([ ,]+\d{4})?)"
)
OTHER_WAYS = (  # numbers written in another way than with a decimal point, and the settings that read them
    (re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+"), "data.thousands=. data.decimal=','"),
    (re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+"), "data.thousands=','"),
    (re.compile(r"[+-]?\d{1,3}(,\d{3})+"), "data.thousands=',' (or data.decimal=',')"),
    (re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?"), "data.decimal=','"),
    (re.compile(r"[+-]?\d{1,3}('\d{3})+(\.\d+)?"), 'data.thousands="\'"'),
    (re.compile(r"[+-]?\d{1,3}( \d{3})+(\.\d+)?"), "data.thousands=' '"),
    (re.compile(r"[+-]?\d{1,3}(_\d{3})+(\.\d+)?"), "data.thousands=_"),
    (re.compile(r"[+-]?\d{1,3}(\.\d{3}){2,}"), "data.thousands=. data.decimal=','"),
)
NUMBER = r"[+-]?\d[\d.,'_ ]*(?:[eE][+-]?\d+)?"
DECORATED = re.compile(
    rf"(?P<before>[$\u20ac\u00a3\u00a5])\s?{NUMBER}|{NUMBER}\s?(?P<after>[$\u20ac\u00a3\u00a5%\u2030\u00b0]|[^\W\d_]{{1,3}}[\u00b2\u00b3]?)"
)
FEW_DECORATED = 3
"""Different numbers with the same sign or unit beside them, from which on they are numbers; fewer may be names, as of doors."""
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
    _refuse_mistakes(present, bad, where, numbers_only, target)
    return column


def _refuse_mistakes(present: pd.Series, bad: pd.Series, where: str, numbers_only: bool, target: bool) -> None:
    marked = bad[bad.str.lower().isin(MARKERS)]
    wrong = bad.drop(marked.index)
    n_good, n_cells = len(present) - len(bad), len(present) - len(marked)
    name = where.rpartition("column ")[2]
    for pattern, mend in OTHER_WAYS:
        alike = wrong[wrong.str.fullmatch(pattern)]
        if len(alike) and 2 * (n_good + len(alike)) >= n_cells:
            raise UserError(f"{where}: {alike.iloc[0]!r} in row {alike.index[0]} is no number as numbers are written here: set {mend}")
    if sign := _decoration(wrong):
        row, cell = wrong.index[0], wrong.iloc[0]
        mend = "write the number alone" + ("" if numbers_only or target else f", or set data.categorical=[{name}] if these are names")
        raise UserError(f"{where}: {cell!r} in row {row} is a number with {sign!r} beside it: {mend}")
    if not (numbers_only or (n_good and 2 * n_good >= n_cells)):
        return
    if len(wrong):
        more = f" (and {len(wrong) - 1} more such cells)" if len(wrong) > 1 else ""
        mend = "mend it" if numbers_only or target else f"mend it, or set data.categorical=[{name}] if its numbers are names"
        raise UserError(f"{where}: {wrong.iloc[0][:40]!r} in row {wrong.index[0]} is not a number{more}: {mend}")
    first, found = marked.iloc[0], ",".join(f'"{text}"' for text in dict.fromkeys(marked))
    raise UserError(
        f"{where}: {first!r} stands for a missing number in {len(marked)} row(s), the first is row {marked.index[0]}: "
        f"set 'data.na_values=[{found}]', and {'data.drop_missing_target=true' if target else 'data.impute=median'} to "
        f"{'leave them out' if target else 'fill them in'}"
    )


def _decoration(wrong: pd.Series) -> str | None:
    """The one sign or unit that stands beside the number in every one of these cells, where there are several numbers; else None."""
    found = [DECORATED.fullmatch(cell) for cell in wrong.unique()]
    signs = {match["before"] or match["after"] if match else None for match in found}
    return signs.pop() if len(found) >= FEW_DECORATED and len(signs) == 1 else None


def is_number(column: pd.Series) -> bool:
    """Whether the typed column is used as numbers."""
    return is_numeric_dtype(column) or is_bool_dtype(column)


def share_of_dates(column: pd.Series) -> float:
    """The share of the texts that are written like a date or a time of day."""
    present = column.dropna().astype(str)
    return float(present.str.fullmatch(DATE).mean()) if len(present) else 0.0


def markers_in(column: pd.Series) -> dict[str, int]:
    """Texts that often stand for a missing value, and how many cells hold them."""
    counts = column.dropna().astype(str).value_counts()
    return {text: int(n) for text, n in counts.items() if text.lower() in MARKERS}
