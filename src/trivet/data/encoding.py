"""Columns as numbers: what is filled in, how categories are written. All of it is learnt from the training rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trivet.data.raw import Encoded
from trivet.errors import UserError

MISSING = "(missing)"
N_FOLDS = 5  # of target encoding


@dataclass(frozen=True)
class Rules:
    """impute: mean, median or None. many: target, frequency or None, for columns of more than max_categories. seed: of target encoding."""

    impute: str | None = None
    max_categories: int = 256
    many: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Block:
    """One column of the table as columns of numbers (N, len(names)); `train`: those of the training rows."""

    names: list[str]
    encode: Callable[[pd.DataFrame], np.ndarray]
    train: np.ndarray
    scaled: bool


def fit(frame: pd.DataFrame, y: np.ndarray, numeric: list[str], categorical: list[str], rules: Rules) -> Encoded:
    """The numeric columns, then the categories: one-hot, or as `rules.many` says. A category that training has not seen is all zeros
    one-hot, 0 as a frequency, and the mean of the targets as a target. UserError for a column that cannot be encoded."""
    blocks = [_number(frame, name, rules) for name in numeric] + [_category(frame, name, y, rules) for name in categorical]

    def encode(rows: pd.DataFrame) -> np.ndarray:
        return np.concatenate([block.encode(rows) for block in blocks], axis=1)

    names = [name for block in blocks for name in block.names]
    scaled = np.array([block.scaled for block in blocks for _ in block.names])
    return Encoded(np.concatenate([block.train for block in blocks], axis=1), encode, names, scaled)


def numbers(column: pd.Series) -> pd.Series:
    """Double precision, NaN where missing."""
    return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index)


def texts(column: pd.Series) -> pd.Series:
    """Categories by name; a missing one has a name too."""
    return column.astype(object).where(column.notna(), MISSING).map(str)


def _number(frame: pd.DataFrame, name: str, rules: Rules) -> Block:
    fill = np.nan
    if rules.impute is not None:
        fill = getattr(numbers(frame[name]), rules.impute)()
        if not np.isfinite(fill):
            raise UserError(f"data: column {name} has no value in the training part to impute from: add it to data.drop")

    def encode(rows: pd.DataFrame) -> np.ndarray:
        return numbers(rows[name]).fillna(fill).to_numpy(dtype=np.float32)[:, None]

    return Block([name], encode, encode(frame), True)


def _category(frame: pd.DataFrame, name: str, y: np.ndarray, rules: Rules) -> Block:
    found = sorted(texts(frame[name]).unique())
    if len(found) <= rules.max_categories:
        return _one_hot(frame, name, found)
    if rules.many is None:
        raise UserError(
            f"data: column {name} has {len(found)} categories, more than {rules.max_categories}: add it to data.drop, group them, "
            "or set data.many_categories=target (or frequency)"
        )
    return (_target if rules.many == "target" else _frequency)(frame, name, y, rules)


def _one_hot(frame: pd.DataFrame, name: str, found: list[str]) -> Block:
    def encode(rows: pd.DataFrame) -> np.ndarray:
        column = texts(rows[name]).to_numpy(dtype=object)
        return np.stack([column == value for value in found], axis=1).astype(np.float32)

    return Block([f"{name}={value}" for value in found], encode, encode(frame), False)


def _frequency(frame: pd.DataFrame, name: str, y: np.ndarray, rules: Rules) -> Block:
    shares = texts(frame[name]).value_counts(normalize=True)

    def encode(rows: pd.DataFrame) -> np.ndarray:
        return texts(rows[name]).map(shares).fillna(0.0).to_numpy(dtype=np.float32)[:, None]

    return Block([f"{name} (frequency)"], encode, encode(frame), True)


def _target(frame: pd.DataFrame, name: str, y: np.ndarray, rules: Rules) -> Block:
    """scikit-learn's TargetEncoder: smoothed means of the target; each training row's from the folds that it is not in."""
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    kind = "continuous" if y.dtype.kind == "f" else "binary" if y.max() < 2 else "multiclass"
    folds = KFold if kind == "continuous" else StratifiedKFold
    n_folds = min(N_FOLDS, len(y) if kind == "continuous" else np.bincount(y).max())
    if n_folds < 2:
        raise UserError(f"data.many_categories=target: {len(y)} training rows are too few for it: use frequency")
    encoder = TargetEncoder(target_type=kind, cv=folds(n_folds, shuffle=True, random_state=rules.seed))

    def cells(rows: pd.DataFrame) -> np.ndarray:
        return texts(rows[name]).to_numpy(dtype=object)[:, None]

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # a rare class is in some folds only; its mean is smoothed
        train = _float32(encoder.fit_transform(cells(frame), y.ravel()))
    of = [""] if train.shape[1] == 1 else [f" of class {label}" for label in range(train.shape[1])]
    return Block([f"{name} (target{part})" for part in of], lambda rows: _float32(encoder.transform(cells(rows))), train, True)


def _float32(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)
