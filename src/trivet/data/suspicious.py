"""Columns that are probably not what their owner thinks: told before anything trains. They are used all the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from trivet.data.encoding import numbers, texts
from trivet.data.kinds import is_number, is_text, markers_in, share_of_dates

ENOUGH = 30  # rows: below it, chance alone looks like a rule
LEAK = 0.99  # of what the best constant leaves to explain
HOPELESS = 0.3  # of it left by the nearest neighbour, from which no tree is fitted to look closer
N_LOOKED_AT = 2000  # rows from which a leak is told, drawn at random
N_FOLDS = 3
MANY = 50  # categories that are worth a word
UNIQUE = 0.95  # share of different values that makes a name of a category
ID_NAME = re.compile(r"(^|[_\W])(id|ids|uuid|guid|key|index|idx|row|number|nr|no)$|[a-z](ID|Id|UUID|Key)$|^Unnamed", re.IGNORECASE)
FEW_TARGETS = 10


def warnings(frame: pd.DataFrame, y: np.ndarray, categorical: Sequence[str], seed: int) -> list[str]:
    """A line for each column of the training rows that looks like an index, an id, a date, a constant, a code, a list of many categories,
    or like the answer itself. y: class numbers (N,), or targets (N, 1)."""
    lines = []
    for name in frame:
        column = frame[name]
        line = _constant(column) or _index(column, name) or _alone(column, y, seed)
        line = line or (_category(column) if name in categorical else None)
        if line:
            lines.append(f"column {name} {line}")
        found = markers_in(column) if not is_number(column) else {}
        for text, n in found.items():
            lines.append(
                f"column {name} holds {text!r} in {n} rows, taken as a category: 'data.na_values=[\"{text}\"]' makes it a missing value"
            )
    if y.dtype.kind == "f" and len(y) >= ENOUGH and len(np.unique(y)) <= FEW_TARGETS:
        lines.append(f"the target has {len(np.unique(y))} different values only: are they classes? then set data.task=classification")
    return lines


def written(frame: pd.DataFrame, categorical: Sequence[str]) -> list[str]:
    """A line for each column of texts that reads as numbers and holds codes: all of one length, some with a nought in front."""
    lines = []
    for name in frame:
        present = frame[name].dropna()
        if name in categorical or not len(present) or not is_text(present) or not present.str.fullmatch(r"\d{3,}").all():
            continue
        if present.str.len().nunique() == 1 and (first := present[present.str.startswith("0")]).size:
            codes = f"column {name} holds codes such as {first.iloc[0]!r}, taken as numbers"
            lines.append(f"{codes}: data.categorical=[{name}] makes them names, or add it to data.drop")
    return lines


def labels(target: pd.Series, task: str) -> list[str]:
    """A line for each class that stands for a missing value as it seems, and for classes that differ only in small and capital letters."""
    if task == "regression" or not is_text(target.dropna()):
        return []
    lines = [
        f"the target holds {text!r} in {n} rows, taken as a class: 'data.na_values=[\"{text}\"]' and data.drop_missing_target=true leave "
        "those rows out"
        for text, n in markers_in(target).items()
    ]
    names = sorted(target.dropna().unique())
    for small in sorted({name.casefold() for name in names}):
        if len(same := [name for name in names if name.casefold() == small]) > 1:
            lines.append(f"the classes {' and '.join(map(repr, same))} differ only in small and capital letters: are they one?")
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
    steps = np.diff(column.index.to_numpy()), np.diff(values)
    if np.array_equal(*steps):
        return "counts the rows, so it is probably an index: add it to data.drop"
    if ID_NAME.search(name):
        return "has another whole number in every row, so it is probably an id: add it to data.drop"
    return None


def _category(column: pd.Series) -> str | None:
    present, n = column.dropna(), column.nunique()
    if share_of_dates(present) > 0.9:
        return "holds dates or times, taken as categories: turn it into numbers, or add it to data.drop"
    if len(present) >= ENOUGH and n >= UNIQUE * len(present):
        return f"has {n} different texts in {len(present)} rows, so it is probably an id or a name: add it to data.drop"
    if n > MANY:
        return f"has {n} categories: data.max_categories={MANY} data.many_categories=target (or frequency) makes one input of them"
    return None


def _alone(column: pd.Series, y: np.ndarray, seed: int) -> str | None:
    """Whether the column alone gives the target on rows that were not used to learn how (three folds)."""
    rows = np.random.default_rng(seed).permutation(len(column))[:N_LOOKED_AT]
    if len(rows) < ENOUGH:
        return None
    share = explained(column.iloc[rows], y[rows].ravel())
    if share < LEAK:
        return None
    return f"alone predicts the target ({share:.1%} of what can be explained): would it be known beforehand? If not, add it to data.drop"


def explained(column: pd.Series, y: np.ndarray) -> float:
    """Of the errors (or the variance) that the best constant leaves, the share that this column alone takes away, out of fold.

    0 where its neighbours in the column say little of a row's target: most columns, told in a hundredth of the time.
    """
    classes = y.dtype.kind != "f"
    x = numbers(column).to_numpy() if is_number(column) else texts(column)
    base = len(y) - np.bincount(y).max() if classes else ((y - y.mean()) ** 2).sum()
    if base <= 0 or (is_number(column) and _errors_of_neighbours(x, y, classes) > HOPELESS * base):
        return 0.0
    ways = [_by_group] if not is_number(column) else [_by_tree] if classes else [_by_tree, _by_line]
    wrong = min(_errors(guess, x, y, classes) for guess in ways)
    return 1 - float(wrong / base)


def _errors_of_neighbours(x: np.ndarray, y: np.ndarray, classes: bool) -> float:
    """Wrong classes, or squared errors, when each row is given the target of the row that is nearest to it in x. Quick, to rule out."""
    x = np.nan_to_num(x, nan=np.nanmin(x) - 1 if not np.isnan(x).all() else 0.0)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    gaps = np.diff(x)
    nearer_left = np.concatenate([[False], gaps[:-1] <= gaps[1:], [True]])
    guessed = np.where(nearer_left, np.roll(y, 1), np.roll(y, -1))
    return float((guessed != y).sum() if classes else ((guessed - y) ** 2).sum())


def _errors(guess: Callable, x: np.ndarray | pd.Series, y: np.ndarray, classes: bool) -> float:
    """Wrong classes, or squared errors, of what is guessed of each third from the other two."""
    fold = np.arange(len(y)) % N_FOLDS
    guessed = np.empty(len(y), dtype=np.float64)
    for held in range(N_FOLDS):
        train, test = fold != held, fold == held
        guessed[test] = guess(x[train], y[train], x[test], classes)
    return float((guessed != y).sum() if classes else ((guessed - y) ** 2).sum())


def _by_tree(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, classes: bool) -> np.ndarray:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    tree = (DecisionTreeClassifier if classes else DecisionTreeRegressor)(min_samples_leaf=2, random_state=0)
    return tree.fit(x[:, None], y).predict(x_test[:, None])


def _by_line(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, classes: bool) -> np.ndarray:
    x, x_test = (np.where(np.isnan(part), np.nanmean(x), part) for part in (x, x_test))
    slope = np.cov(x, y)[0, 1] / x.var(ddof=1) if x.std() > 0 else 0.0
    return y.mean() + slope * (x_test - x.mean())


def _by_group(x: pd.Series, y: np.ndarray, x_test: pd.Series, classes: bool) -> np.ndarray:
    groups = pd.Series(y).groupby(x.to_numpy())
    answer = groups.agg(lambda part: np.bincount(part).argmax()) if classes else groups.mean()
    return x_test.map(answer).fillna(np.bincount(y).argmax() if classes else y.mean()).to_numpy(dtype=np.float64)
