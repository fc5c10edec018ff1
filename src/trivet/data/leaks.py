"""A column that alone gives the answer: probably the target under another name, or known only afterwards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from trivet.data.encoding import numbers, texts
from trivet.data.kinds import is_number

ENOUGH = 30  # rows: below it, chance alone looks like a rule
LEAK = 0.99  # of what the best constant leaves to explain
HOPELESS = 0.3  # of it left by the nearest neighbour, from which no tree is fitted to look closer
N_LOOKED_AT = 2000  # rows from which a leak is told, drawn at random
N_FOLDS = 3


def alone(column: pd.Series, y: np.ndarray, seed: int) -> str | None:
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
