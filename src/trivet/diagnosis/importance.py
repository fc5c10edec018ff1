"""How much each parameter matters, measured on what can be compared: values of all trials after the same number of epochs.

A model of boosted trees learns those values; it is then asked about configurations drawn evenly from the space, so that where the
sampler looked most does not count most (Hutter, Hoos and Leyton-Brown 2014, functional ANOVA). A parameter's part is what changes when
it alone is drawn anew (Jansen 1999, total effect). Columns of random numbers are put in beside the parameters; what does not beat them
is called idle. Nothing here is said about trials that failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from trivet.diagnosis.encoding import Encoding
from trivet.diagnosis.sweep import Sweep
from trivet.diagnosis.thresholds import limit

TREES = 120
MOST = 1000  # trials the model learns from; beyond that it learns nothing more that a share of a per cent would show
LEAST = 15
PROBES = 3
FOLDS = 4
DRAWS = 500  # configurations drawn from the space
BUDGETS = 5  # at how many numbers of epochs importance is told


@dataclass
class Importance:
    """share: parameter -> its part of the whole, summing to 1, greatest first. groups: the same for whole option groups, drawn anew as one.

    step: epochs after which the values were compared, None where they are final ones; n: trials used, of `known` with a value. r2: variance
    explained on unseen trials; noise: what a random column reaches. even: asked about draws from the space; False: about the trials
    themselves, as the study does not name its space. features: the configurations asked about, owner: parameter -> their columns.
    """

    share: dict[str, float]
    groups: dict[str, float]
    r2: float
    noise: float
    n: int
    known: int
    step: int | None
    even: bool
    features: pd.DataFrame = field(repr=False)
    owner: dict[str, list[int]] = field(repr=False)
    model: Any = field(repr=False)
    per_parameter: float = 0.0

    @property
    def trusted(self) -> bool:
        """Enough trials, and a model that predicts unseen trials: only then does the ranking mean something."""
        return self.r2 >= limit("explained") and self.per_parameter >= limit("per_parameter") / 2

    @property
    def blind(self) -> bool:
        """Whether the model predicts hardly better than the mean, so that a ranking would be noise."""
        return self.r2 < 0.1

    @property
    def idle(self) -> list[str]:
        return [key for key, value in self.share.items() if value <= self.noise]


def group_of(key: str) -> str:
    """The option group of a dotted key: `optimizer.lr` and `optimizer` belong to optimizer."""
    return key.lstrip("+").split(".", 1)[0]


def importance(sweep: Sweep) -> Importance | None:
    """At the last epoch that nearly all trials reached. None where there are too few trials with a value, no parameter that varied, or no
    difference between the values."""
    cached = sweep.__dict__.get("_importance", False)
    if cached is False:
        cached = sweep.__dict__["_importance"] = _importance(sweep, *comparable(sweep), TREES)
    return cached


def idle(sweep: Sweep) -> list[str]:
    """The parameters that make no difference, to any of the objectives; none where that cannot be said of one.

    Values from the begin of training alone do not say it: what regularises, and how long a rate holds, shows towards the end.
    """
    found = [importance(view) for view in sweep.views]
    late = [one for one in found if one is not None and one.trusted and (one.step is None or one.step >= limit("idle_from") * sweep.full)]
    known = [one.idle for one in late]
    return [key for key in known[0] if all(key in one for one in known)] if known and len(known) == len(found) else []


def by_budget(sweep: Sweep) -> list[Importance]:
    """Importance after several numbers of epochs, each among the trials that got so far; only where it says something."""
    found = []
    for step in budgets(sweep):
        one = _importance(sweep, at_step(sweep, step), step, TREES // 2, MOST // 2)
        found += [one] if one is not None and not one.blind else []
    return found


def at_step(sweep: Sweep, step: int) -> pd.Series:
    """The best score so far after `step` epochs of each trial that got so far, by its row; trials that failed are left out."""
    table = _best_so_far(sweep)
    if table is None or step not in table.columns:
        return pd.Series(dtype=float)
    last = sweep.trials.set_index("number")["step"]
    values = table[step][last.reindex(table.index) >= step].dropna()
    places = pd.Series(sweep.trials.index, index=sweep.trials["number"])
    values.index = places.reindex(values.index).to_numpy()
    return values[values.index.isin(sweep.finite.index)]


def comparable(sweep: Sweep) -> tuple[pd.Series, int | None]:
    """(scores, step): of all trials after the last step that at least the share `comparable` of them reached; final ones where all ran as
    long, or where nothing but those is known (then of completed trials alone)."""
    rows = sweep.finite
    if not len(rows) or (rows["state"] == "COMPLETE").mean() >= limit("comparable"):
        return sweep.score[sweep.complete.index], None
    table = _best_so_far(sweep)
    if table is None:
        return sweep.score[sweep.complete.index], None
    reached = [(step, (rows["step"] >= step).sum()) for step in table.columns]
    steps = [step for step, n in reached if n >= limit("comparable") * len(rows)]
    return (at_step(sweep, max(steps)), int(max(steps))) if steps else (sweep.score[sweep.complete.index], None)


def budgets(sweep: Sweep) -> list[int]:
    """Up to BUDGETS numbers of epochs, each about as many times the one before, from the first to the last that LEAST trials reached."""
    table = _best_so_far(sweep)
    if table is None:
        return []
    steps = [int(step) for step in table.columns if (sweep.finite["step"] >= step).sum() >= LEAST]
    if not steps:
        return []
    wanted = np.geomspace(max(steps[0], 1), max(steps[-1], 1), BUDGETS)
    return sorted({min(steps, key=lambda step: abs(step - place)) for place in wanted})


def _best_so_far(sweep: Sweep) -> pd.DataFrame | None:
    """number x step -> best score up to that step; None without curves of the objective."""
    cached = sweep.__dict__.get("_best_so_far", False)
    if cached is False:
        column = next((name for name in ("value", sweep.metric, "value_0") if name in sweep.curves.columns), None)
        cached = None
        if column is not None and len(sweep.curves):
            sign = 1 if sweep.maximize else -1
            values = (sign * sweep.curves.set_index(["number", "step"])[column]).replace([np.inf, -np.inf], np.nan)
            cached = values.groupby(level=[0, 1]).last().unstack("step").cummax(axis=1)
        sweep.__dict__["_best_so_far"] = cached
    return cached


def _importance(sweep: Sweep, scores: pd.Series, step: int | None, trees: int, most: int = MOST) -> Importance | None:
    scores = scores.dropna()
    if len(scores) > most:
        scores = scores.iloc[np.linspace(0, len(scores) - 1, most).astype(int)]
    if len(scores) < LEAST:
        return None
    rows, target = sweep.trials.loc[scores.index], _tamed(scores.to_numpy())
    encoding = Encoding.of(sweep, rows)
    if not encoding.owner or np.ptp(target) == 0:
        return None
    rng = np.random.default_rng(0)
    x = _probed(encoding.features(rows), rng)
    model, r2 = _grown(x, target, trees), _explained(x, target, trees)
    drawn = encoding.draws(sweep, rng, DRAWS)
    even = drawn is not None
    asked = drawn if even else rows
    features = encoding.features(asked)
    single, groups, probes = _effects(encoding, model, asked, _probed(features, rng), rng)
    total, whole = sum(single.values()) or 1.0, sum(groups.values()) or 1.0
    ranked = sorted(single, key=lambda key: -single[key])
    return Importance(
        {key: single[key] / total for key in ranked},
        {name: groups[name] / whole for name in sorted(groups, key=lambda name: -groups[name])},
        r2,
        max(max(probes) / total, 0.005),
        len(rows),
        len(sweep.finite),
        step,
        even,
        pd.DataFrame(features, columns=encoding.columns),
        encoding.owner,
        model,
        len(rows) / sweep.in_play,
    )


def _grown(x: np.ndarray, y: np.ndarray, trees: int) -> Any:
    """Boosted trees (Friedman 2002). Where few trials lie beside many, as a sampler leaves them, they follow the few better than a forest
    that averages: tests/test_diagnosis.py holds them against a known function."""
    return _grown_once(x.tobytes(), y.tobytes(), len(y), trees)


@lru_cache(maxsize=64)
def _grown_once(x: bytes, y: bytes, rows: int, trees: int) -> Any:
    """The same trees for the same float32 rows and float64 values: a page that is drawn again grows none anew."""
    from sklearn import config_context
    from sklearn.ensemble import GradientBoostingRegressor

    features, target = np.frombuffer(x, np.float32).reshape(rows, -1), np.frombuffer(y)
    model = GradientBoostingRegressor(n_estimators=trees, learning_rate=12 / trees, max_depth=3, subsample=0.7, random_state=0)
    with config_context(skip_parameter_validation=True, assume_finite=True):  # it would check each tree's: a third of the time
        return model.fit(features, target)


def _explained(x: np.ndarray, y: np.ndarray, trees: int) -> float:
    """R2 on trials that the trees have not seen: FOLDS parts, each predicted from the others."""
    part = np.arange(len(y)) % FOLDS
    error = sum(
        ((predict(_grown(x[part != fold], y[part != fold], trees), x[part == fold]) - y[part == fold]) ** 2).sum() for fold in range(FOLDS)
    )
    return 1 - float(error) / (float(((y - y.mean()) ** 2).sum()) or 1.0)


def _probed(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.column_stack([features, rng.normal(size=(len(features), PROBES))]).astype(np.float32)


def _effects(
    encoding: Encoding, model: Any, asked: pd.DataFrame, x: np.ndarray, rng: np.random.Generator
) -> tuple[dict[str, float], dict[str, float], list[float]]:
    """(parameter -> effect, option group -> effect, effect of each random column): half the mean square change of the prediction.

    A choice that brings in parameters of its own counts only for what changing it does beyond changing those.
    """
    base = predict(model, x)

    def effect(columns: list[int], values: np.ndarray) -> float:
        changed = x.copy()
        changed[:, columns] = values
        return float(((predict(model, changed) - base) ** 2).mean() / 2)

    n_own = x.shape[1] - PROBES
    shuffled = rng.permutation(len(x))
    single, groups = {}, {}
    for key, columns in encoding.owner.items():
        children = encoding.children(key)
        if children:
            below = [column for child in children for column in encoding.owner[child]]
            both = effect([*columns, *below], x[shuffled][:, [*columns, *below]])
            single[key] = max(both - effect(below, encoding.within(asked, x, children, rng)), 0.0)
        else:
            single[key] = effect(columns, encoding.within(asked, x, [key], rng))
    for name in dict.fromkeys(group_of(key) for key in encoding.owner):
        columns = [column for key, part in encoding.owner.items() if group_of(key) == name for column in part]
        groups[name] = effect(columns, x[shuffled][:, columns])
    return single, groups, [effect([n_own + place], x[shuffled][:, [n_own + place]]) for place in range(PROBES)]


def predict(model: Any, x: np.ndarray) -> np.ndarray:
    """What boosted trees say of float32 rows, without what scikit-learn's own does around them (many times the time for few rows)."""
    trees = (tree[0].tree_.predict(x)[:, 0] for tree in model.estimators_)
    return float(model.init_.constant_.ravel()[0]) + model.learning_rate * np.sum(list(trees), axis=0)


def gain_from(sweep: Sweep, quantile: float) -> dict[float, float]:
    """step -> the gain in score from that step to the end that `quantile` of the completed trials stayed below; empty without curves."""
    table = _best_so_far(sweep)
    if table is None:
        return {}
    so_far = table[table.index.isin(sweep.complete["number"])].ffill(axis=1)
    if not len(so_far):
        return {}
    gains = so_far.iloc[:, -1].to_numpy()[:, None] - so_far.to_numpy()
    known = np.isfinite(gains).any(axis=0)
    return dict(zip(so_far.columns[known].astype(float), np.nanquantile(gains[:, known], quantile, axis=0), strict=True))


def _tamed(values: np.ndarray) -> np.ndarray:
    """Values with the far low tail drawn in (at three times the worst tenth's distance from the median), so that few disasters do not rule
    the model."""
    low, middle = np.quantile(values, [0.1, 0.5])
    floor = middle - 3 * max(middle - low, 1e-12 + 0.05 * abs(middle))
    return np.maximum(values, floor)
