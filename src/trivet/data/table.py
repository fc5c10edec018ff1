"""A CSV or Parquet file with one column to predict: numbers as they are, texts one-hot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from trivet.data.sources import Raw, existing
from trivet.errors import UserError
from trivet.options import nearest

MAX_CATEGORIES = 256  # a column with more is a text or a key, not a category
MISSING = "(missing)"


@dataclass
class TableRaw(Raw):
    """Raw with a data frame as x. What encodes it (categories, imputed values) is learnt from the training rows."""

    numeric: list[str] = field(default_factory=list)
    categorical: list[str] = field(default_factory=list)
    impute: str | None = None

    def take(self, indices: np.ndarray) -> pd.DataFrame:
        return self.x.iloc[indices]

    def fit(self, x_train: pd.DataFrame) -> tuple[Callable[[pd.DataFrame], np.ndarray], list[str]]:
        """Columns: the numeric ones, then one per category seen in training; a category not seen there is all zeros."""
        fill = {name: getattr(_numbers(x_train[name]), self.impute)() for name in self.numeric} if self.impute else {}
        empty = [name for name, value in fill.items() if not np.isfinite(value)]
        if empty:
            raise UserError(f"data: column {empty[0]} has no value in the training part to impute from: add it to data.drop")
        seen = {name: sorted(_texts(x_train[name]).unique()) for name in self.categorical}
        for name, found in seen.items():
            if len(found) > MAX_CATEGORIES:
                raise UserError(
                    f"data: column {name} has {len(found)} categories, more than {MAX_CATEGORIES}: add it to data.drop, or group them"
                )

        def encode(x: pd.DataFrame) -> np.ndarray:
            parts = [_numbers(x[name]).fillna(fill[name]) if fill else _numbers(x[name]) for name in self.numeric]
            parts += [_texts(x[name]) == value for name, found in seen.items() for value in found]
            return np.stack([part.to_numpy(dtype=np.float32) for part in parts], axis=1)

        columns = self.numeric + [f"{name}={value}" for name, found in seen.items() for value in found]
        self.scaled = np.arange(len(columns)) < len(self.numeric)
        return encode, columns


def read_table(values: dict[str, Any]) -> TableRaw:
    """Rows of `file` (and `test_file`). Columns of text, and those under `categorical`, are categories; `drop` is left out.

    A missing number is an error unless `impute` says what to fill in; then a missing text is a category of its own.
    """
    frame = _read(existing(values["file"], "data.file", "the CSV or Parquet file"), "data.file")
    if values["target"] is None:
        raise UserError(f"data.target=null: name the column to predict, one of {_names(frame)}")
    for key, names in (("target", [values["target"]]), ("categorical", values["categorical"]), ("drop", values["drop"])):
        for name in names:
            if name not in frame:
                raise UserError(f"data.{key}={name}: there is no such column; there are {_names(frame)}{nearest(name, frame)}")
    used = [name for name in frame if name != values["target"] and name not in values["drop"]]
    if not used:
        raise UserError(f"data.file={values['file']}: has no column left to predict {values['target']} from")
    categorical = [name for name in used if name in values["categorical"] or not is_numeric_dtype(frame[name])]
    numeric = [name for name in used if name not in categorical]
    _check_kinds(frame, categorical)
    raw = TableRaw(
        frame[used], _target(frame, values), task=values["task"], numeric=numeric, categorical=categorical, impute=values["impute"]
    )
    frames = {"data.file": frame}
    if values["test_file"] is not None:
        test = _read(existing(values["test_file"], "data.test_file", "the CSV or Parquet file"), "data.test_file")
        for name in [*used, values["target"]]:
            if name not in test:
                raise UserError(f"data.test_file={values['test_file']}: has no column {name}; it has {_names(test)}")
            if name in numeric and not is_numeric_dtype(test[name]):
                raise UserError(f"data.test_file={values['test_file']}: column {name} holds text where data.file holds numbers")
        raw.x_test, raw.y_test = test[used], _target(test, values)
        frames["data.test_file"] = test
    for key, rows in frames.items():
        _check_values(rows, numeric, categorical, values["impute"], f"{key}={values[key.removeprefix('data.')]}")
    return raw


def _read(path: Path, key: str) -> pd.DataFrame:
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".pq": pd.read_parquet}
    if path.suffix.lower() not in readers:
        raise UserError(f"{key}={path}: must end in .csv or .parquet")
    try:
        frame = readers[path.suffix.lower()](path)
    except (ValueError, OSError) as error:  # pandas' and pyarrow's own errors are ValueErrors or OSErrors
        raise UserError(f"{key}={path}: cannot be read ({' '.join(str(error).split())})") from error
    if frame.empty:
        raise UserError(f"{key}={path}: has no rows")
    frame.columns = frame.columns.map(str)
    return frame.reset_index(drop=True)


def _names(frame: pd.DataFrame) -> str:
    names = list(map(str, frame.columns))
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _target(frame: pd.DataFrame, values: dict[str, Any]) -> np.ndarray:
    column, name = frame[values["target"]], values["target"]
    if column.isna().any():
        raise UserError(f"data.target={name}: {int(column.isna().sum())} rows have no value: drop those rows")
    if values["task"] == "regression":
        if not is_numeric_dtype(column) or is_bool_dtype(column):
            raise UserError(f"data.target={name}: holds no numbers, which data.task=regression needs")
        return column.to_numpy(dtype=np.float64)
    return column.to_numpy() if is_numeric_dtype(column) and not is_bool_dtype(column) else column.astype(str).to_numpy(dtype=str)


def _check_kinds(frame: pd.DataFrame, categorical: list[str]) -> None:
    for name in categorical:
        if frame[name].dtype.kind in "mM":
            raise UserError(f"data: column {name} holds dates or times: turn it into numbers, or add it to data.drop")


def _check_values(frame: pd.DataFrame, numeric: list[str], categorical: list[str], impute: str | None, where: str) -> None:
    for name in numeric:
        column = _numbers(frame[name])
        if np.isinf(column.astype(np.float32)).any():
            raise UserError(f"{where}: column {name} has infinite or too large values: mend those rows, or add it to data.drop")
    for name in [*numeric, *categorical]:
        missing = int(frame[name].isna().sum())
        if missing and impute is None:
            raise UserError(f"{where}: column {name} has {missing} missing values: set data.impute=median, or add it to data.drop")


def _numbers(column: pd.Series) -> pd.Series:
    return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index)


def _texts(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), MISSING).map(str)
