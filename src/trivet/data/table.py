"""A CSV, TSV or Parquet file with one column to predict: numbers as they are, categories one-hot or by target or frequency."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from trivet.data import encoding, suspicious
from trivet.data.kinds import Writing, is_number, share_of_dates, typed
from trivet.data.mends import listed
from trivet.data.raw import Encoded, Raw, existing, narrow
from trivet.data.reading import read_frame
from trivet.data.sentinels import sentinel, targets
from trivet.data.texts import nearest
from trivet.errors import UserError

WHAT = "the CSV or Parquet file"


@dataclass
class TableRaw(Raw):
    """Raw with a data frame as x, its columns typed. What encodes it is learnt from the training rows."""

    numeric: list[str] = field(default_factory=list)
    categorical: list[str] = field(default_factory=list)
    rules: encoding.Rules = field(default_factory=encoding.Rules)
    summary: dict[str, Any] = field(default_factory=dict)

    def take(self, indices: np.ndarray) -> pd.DataFrame:
        return self.x.iloc[indices]

    def fit(self, train: np.ndarray, y: np.ndarray) -> Encoded:
        frame = self.take(train)
        encoded = encoding.fit(frame, y, self.numeric, self.categorical, self.rules)
        told = suspicious.warnings(frame, y, self.categorical, self.rules.seed)
        unseen = [] if self.x_test is None else suspicious.unseen(frame, self.x_test, self.categorical)
        self.summary["warnings"] = [*self.summary["warnings"], *told, *unseen]
        return encoded


@dataclass(frozen=True)
class Reader:
    """One of the two files: the key and path that errors name, and the settings."""

    key: str
    values: dict[str, Any]

    @property
    def where(self) -> str:
        return f"{self.key}={self.values[self.key.removeprefix('data.')]}"

    @property
    def writing(self) -> Writing:
        return Writing(self.values["decimal"], self.values["thousands"])

    def read(self) -> tuple[pd.DataFrame, dict[str, Any]]:
        """The file's rows; those without a target are left out where that is asked for, and counted."""
        frame, facts = read_frame(existing(self.values[self.key.removeprefix("data.")], self.key, WHAT), self.key, self.values)
        target = self.values["target"]
        facts["rows"] = len(frame)
        if target in frame and self.values["drop_missing_target"]:
            frame = frame[frame[target].notna()]
            facts["rows_without_target"] = facts["rows"] - len(frame)
            if frame.empty:
                raise UserError(f"{self.where}: no row has a value of {target}, the target: name another data.target")
        return frame, facts

    def typed(self, frame: pd.DataFrame, name: str, numbers_only: bool = False) -> pd.Series:
        return typed(frame[name], f"{self.where}: column {name}", self.writing, numbers_only, name == self.values["target"])

    def target(self, frame: pd.DataFrame) -> np.ndarray:
        """Classes as whole numbers or texts, or targets as numbers. UserError where they are missing or of the other task."""
        name, regression = self.values["target"], self.values["task"] == "regression"
        missing = frame[name].isna()
        if missing.any():
            raise UserError(
                f"{self.where}: data.target={name}: {int(missing.sum())} rows have no value, the first is row {frame.index[missing][0]}: "
                "drop those rows, or set data.drop_missing_target=true"
            )
        raw = frame[name]
        truths = bool(raw.astype(str).str.lower().isin(("true", "false")).all())
        if regression:
            column = raw if truths else self.typed(frame, name)
            if truths or not is_number(column):
                raise UserError(f"data.target={name}: holds no numbers, which data.task=regression needs")
            numbers = encoding.numbers(column)
            if not np.isfinite(numbers).all():
                row = numbers.index[~np.isfinite(numbers)][0]
                raise UserError(f"{self.where}: data.target={name}: is {column[row]} in row {row}: mend that row, or leave it out")
            narrow(_wide(column), f"{self.where}: data.target={name}")
            return numbers.to_numpy()
        try:
            column = self.typed(frame, name)
        except UserError:
            column = raw  # classes of which some are written like numbers
        if truths or not is_number(column):
            return raw.astype(str).to_numpy(dtype=str)
        return column.to_numpy()


def read_table(values: dict[str, Any]) -> TableRaw:
    """Rows of `file` (and `test_file`). Columns of text, and those under `categorical`, are categories; `drop` is left out.

    A missing number is an error unless `impute` says what to fill in; then a missing text is a category of its own.
    """
    reader = Reader("data.file", values)
    frame, facts = reader.read()
    used = _used(frame, values)
    told = [*suspicious.header(frame), *suspicious.written(frame[[*used, values["target"]]], values, facts.get("separator", ""))]
    told += suspicious.labels(frame[values["target"]], values["task"])
    frame = _replaced(frame, {name: reader.typed(frame, name) for name in used if name not in values["categorical"]})
    numeric = [name for name in used if name not in values["categorical"] and is_number(frame[name])]
    categorical = [name for name in used if name not in numeric]
    _refuse_dates(frame, categorical, values["categorical"])
    y = reader.target(frame)
    told += [f"column {name} {line}" for name in numeric if (line := sentinel(encoding.numbers(frame[name]).to_numpy(), name))]
    told += targets(y, values["task"], values["target"])
    _check_values(frame, numeric, categorical, values["impute"], reader.where)
    rules = encoding.Rules(values["impute"], values["max_categories"], values["many_categories"], values["seed"])
    shown = frame.assign(**{values["target"]: y}) if values["task"] == "regression" else frame
    summary = _summary(shown, values, facts, numeric, categorical) | {"warnings": told}
    raw = TableRaw(frame[used], y, task=values["task"], numeric=numeric, categorical=categorical, rules=rules, summary=summary)
    if values["test_file"] is not None:
        _add_test(raw, Reader("data.test_file", values))
    return raw


def _replaced(frame: pd.DataFrame, columns: dict[str, pd.Series]) -> pd.DataFrame:
    """The frame with these columns in the place of its own, made at once: one by one is slow where there are thousands."""
    return pd.DataFrame({name: columns.get(name, frame[name]) for name in frame}, index=frame.index)


def _used(frame: pd.DataFrame, values: dict[str, Any]) -> list[str]:
    """The columns to learn from. UserError for a name that is no column."""
    if values["target"] is None:
        raise UserError(f"data.target=null: name the column to predict, one of {_names(frame)}")
    if values["target"] in values["drop"]:
        raise UserError(f"data.drop={values['target']}: is the target: name another data.target, or keep it")
    for key, names in (("target", [values["target"]]), ("categorical", values["categorical"]), ("drop", values["drop"])):
        for name in names:
            if name not in frame:
                raise UserError(
                    f"data.{key}={name}: there is no such column; there are {_names(frame)}{nearest(name, frame)}{_no_header(frame)}"
                )
    used = [name for name in frame if name != values["target"] and name not in values["drop"]]
    if not used:
        raise UserError(f"data.file={values['file']}: has no column left to predict {values['target']} from")
    return used


def _add_test(raw: TableRaw, reader: Reader) -> None:
    frame, facts = reader.read()
    target = reader.values["target"]
    for name in [*raw.x, target]:
        if name not in frame:
            raise UserError(f"{reader.where}: has no column {name}; it has {_names(frame)}{nearest(name, frame)}")
    frame = _replaced(frame, {name: reader.typed(frame, name, numbers_only=True) for name in raw.numeric})
    for name in raw.numeric:
        if not is_number(frame[name]):
            raise UserError(f"{reader.where}: column {name} holds text where data.file holds numbers")
    _check_values(frame, raw.numeric, raw.categorical, reader.values["impute"], reader.where)
    raw.x_test, raw.y_test = frame[list(raw.x)], reader.target(frame)
    raw.summary["test_file"] = facts


def _names(frame: pd.DataFrame) -> str:
    names = list(map(str, frame.columns))
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _wide(column: pd.Series) -> np.ndarray:
    """Its numbers that are there, whole ones of 64 bits as such."""
    present = column.dropna()
    return present.to_numpy(dtype=np.float64 if present.dtype.kind not in "iu" else None)


def _no_header(frame: pd.DataFrame) -> str:
    """A word for a file whose first row holds values instead of names."""
    written = pd.to_numeric(pd.Series(list(map(str, frame.columns))), errors="coerce").notna().mean()
    return "; its first row seems to hold values: add a row of names above it" if written >= 0.5 else ""


def _refuse_dates(frame: pd.DataFrame, categorical: list[str], accepted: list[str]) -> None:
    for name in categorical:
        if frame[name].dtype.kind in "mM" or (name not in accepted and share_of_dates(frame[name]) > 0.9):
            names = "" if frame[name].dtype.kind in "mM" else f", or set {listed('data.categorical', [name])} to take them for names"
            raise UserError(f"data: column {name} holds dates or times: turn it into numbers, or add it to data.drop{names}")


def _check_values(frame: pd.DataFrame, numeric: list[str], categorical: list[str], impute: str | None, where: str) -> None:
    for name in numeric:
        with np.errstate(over="ignore"):
            infinite = np.isinf(encoding.numbers(frame[name]).astype(np.float32))
        if infinite.any():
            row = frame.index[infinite][0]
            raise UserError(
                f"{where}: column {name} has infinite or too large values, the first in row {row}: mend those rows, or add it to data.drop"
            )
        narrow(_wide(frame[name]), f"{where}: column {name}", ", or add it to data.drop")
    for name in [*numeric, *categorical]:
        missing = frame[name].isna()
        if missing.any() and impute is None:
            raise UserError(
                f"{where}: column {name} has {int(missing.sum())} missing values, the first in row {frame.index[missing][0]}: "
                "set data.impute=median, or add it to data.drop"
            )


def _summary(
    frame: pd.DataFrame, values: dict[str, Any], facts: dict[str, Any], numeric: list[str], categorical: list[str]
) -> dict[str, Any]:
    """What was understood of the file, for data.yaml: a row per column in the file's order."""
    kinds = {**dict.fromkeys(numeric, "number"), **dict.fromkeys(categorical, "category"), values["target"]: "target"}
    columns = [_described(frame[name], name, kinds.get(name, "dropped"), values["task"]) for name in frame]
    return {"file": facts, "columns": columns, "warnings": []}


def _described(column: pd.Series, name: str, kind: str, task: str) -> dict[str, Any]:
    """A row of the summary. values: the range of numbers, or the three most frequent texts (by name among equals), of classes each with
    its rows."""
    row = {"column": name, "kind": kind, "missing": int(column.isna().sum())}
    if (kind == "number" or (kind == "target" and is_number(column) and task == "regression")) and column.notna().any():
        found = encoding.numbers(column)
        return {**row, "distinct": int(found.nunique()), "values": f"{found.min():g} to {found.max():g}"}
    counts = column.dropna().astype(str).value_counts()
    row["distinct"] = len(counts)
    common = sorted(counts.index, key=lambda text: (-counts[text], text))[:3]
    n = {text: f" ({counts[text]})" if kind == "target" else "" for text in common}
    return {**row, "values": ", ".join(text[:30] + n[text] for text in common) + (", ..." if len(counts) > 3 else "")}
