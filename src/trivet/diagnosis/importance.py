"""How much each parameter matters: permutation importance on a random forest, measured on trials that each tree has not seen.

Breiman 2001 ("Random Forests"): shuffle a column, see how much worse the out-of-bag predictions become. Columns of random numbers are put
in beside the parameters; what does not beat them is called idle. A pruned trial is credited with the median gain that completed trials made
from its last epoch on, so that trials of unequal length can be compared. Nothing here is said about trials that failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from trivet.diagnosis.sweep import Sweep
from trivet.diagnosis.thresholds import limit

TREES = 100
MOST = 2000  # trials the forest is grown on; beyond that it learns nothing more that a share of a per cent would show
LEAST = 15
PROBES = 3


@dataclass
class Importance:
    """share: parameter -> its part of the whole, summing to 1, greatest first. groups: the same for whole option groups, shuffled as one.

    r2: variance explained on unseen trials; noise: what a random column reaches; n: trials used. owner: parameter -> feature columns.
    """

    share: dict[str, float]
    groups: dict[str, float]
    r2: float
    noise: float
    n: int
    features: pd.DataFrame = field(repr=False)
    owner: dict[str, list[int]] = field(repr=False)
    forest: object = field(repr=False)
    per_parameter: float = 0.0

    @property
    def trusted(self) -> bool:
        """Enough trials, and a forest that predicts unseen trials: only then does the ranking mean something."""
        return self.r2 >= limit("explained") and self.per_parameter >= limit("per_parameter") / 2

    @property
    def blind(self) -> bool:
        """Whether the forest predicts hardly better than the mean, so that a ranking would be noise."""
        return self.r2 < 0.1

    @property
    def idle(self) -> list[str]:
        return [key for key, value in self.share.items() if value <= self.noise]


def group_of(key: str) -> str:
    """The option group of a dotted key: `optimizer.lr` and `optimizer` belong to optimizer."""
    return key.lstrip("+").split(".", 1)[0]


def encode(sweep: Sweep, rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    """Numbers for a forest, and which columns belong to which parameter. Logarithms where the range is on a log scale; a cell that is not
    active gets a value below all others; choices that are no numbers get a column per option, ordered by name."""
    parts: dict[str, np.ndarray] = {}
    owner: dict[str, list[int]] = {}
    for key in sweep.params:
        column = rows[key]
        if column.nunique(dropna=False) < 2:
            continue
        if pd.api.types.is_numeric_dtype(column):
            values = column.to_numpy(dtype=float)
            log = any(getattr(entry.spec, "log", False) for entry in sweep.active(key)) and np.nanmin(values) > 0
            values = np.log(values) if log else values
            new = {key: np.where(np.isnan(values), np.nanmin(values) - 1, values)}
        elif (mixed := pd.to_numeric(column, errors="coerce")).nunique() > 2:  # null or 0.02 or 0.05
            values = mixed.to_numpy(dtype=float)
            words = column.where(mixed.isna() & column.notna(), "").astype(str)
            new = {key: np.where(np.isnan(values), np.nanmin(values) - 1, values)}
            new |= {f"{key}={word}": (words == word).to_numpy(dtype=float) for word in sorted(set(words) - {""})[:30]}
        else:
            text = column.astype(object).where(column.notna(), "").astype(str)
            options = sorted(text.unique())
            kept = options if len(options) > 2 else options[1:]
            new = {f"{key}={option}": (text == option).to_numpy(dtype=float) for option in kept[:30]}
        owner[key] = list(range(len(parts), len(parts) + len(new)))
        parts |= new
    return pd.DataFrame(parts), owner


def importance(sweep: Sweep) -> Importance | None:
    """None where there are too few trials with a value, no parameter that varied, or no difference between the values."""
    cached = sweep.__dict__.get("_importance", False)
    if cached is False:
        cached = sweep.__dict__["_importance"] = _importance(sweep)
    return cached


def thin(sweep: Sweep) -> pd.DataFrame:
    """The trials that the forest learns from: all with a finite value, evenly thinned beyond MOST."""
    rows = sweep.finite
    return rows.iloc[np.linspace(0, len(rows) - 1, MOST).astype(int)] if len(rows) > MOST else rows


def _importance(sweep: Sweep) -> Importance | None:
    rows = thin(sweep)
    if len(rows) < LEAST:
        return None
    features, owner = encode(sweep, rows)
    target = _tamed(credited(sweep)[rows.index].to_numpy())
    if not owner or np.ptp(target) == 0:
        return None
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    x = np.column_stack([features.to_numpy(dtype=np.float32), rng.normal(size=(len(rows), PROBES)).astype(np.float32)])
    forest = RandomForestRegressor(TREES, min_samples_leaf=2, max_features=max(0.5, 1 / x.shape[1]), random_state=0, n_jobs=1).fit(
        x, target
    )
    single = {key: columns for key, columns in owner.items()}
    grouped: dict[str, list[int]] = {}
    for key, columns in owner.items():
        grouped.setdefault(group_of(key), []).extend(columns)
    probes = [[features.shape[1] + i] for i in range(PROBES)]
    sets = [*single.values(), *grouped.values(), *probes]
    base, worse = _out_of_bag(forest, x, target, sets, rng)
    raw = np.maximum(worse, 0)
    parts, together = raw[: len(single)], raw[len(single) : len(single) + len(grouped)]
    total, whole = parts.sum() or 1.0, together.sum() or 1.0
    noise = float(max(np.abs(worse[-PROBES:]).max() / total, 0.005))
    order = np.argsort(-parts, kind="stable")
    keys, names = list(single), list(grouped)
    return Importance(
        {keys[i]: float(parts[i] / total) for i in order},
        {names[i]: float(together[i] / whole) for i in np.argsort(-together, kind="stable")},
        base,
        noise,
        len(rows),
        features,
        owner,
        forest,
        len(rows) / sweep.in_play,
    )


def gain_from(sweep: Sweep, quantile: float) -> dict[float, float]:
    """step -> the gain in score from that step to the end that `quantile` of the completed trials stayed below; empty without curves."""
    curves = sweep.curves[sweep.curves["number"].isin(sweep.complete["number"])] if len(sweep.curves) else sweep.curves
    column = next((name for name in ("value", sweep.metric, "value_0") if name in curves.columns), None)
    if column is None or not len(curves):
        return {}
    sign = 1 if sweep.maximize else -1
    table = (sign * curves.set_index(["number", "step"])[column]).groupby(level=[0, 1]).last().unstack("step")
    so_far = table.cummax(axis=1).ffill(axis=1)
    gains = so_far.iloc[:, -1].to_numpy()[:, None] - so_far.to_numpy()
    known = np.isfinite(gains).any(axis=0)
    return dict(zip(table.columns[known].astype(float), np.nanquantile(gains[:, known], quantile, axis=0), strict=True))


def credited(sweep: Sweep) -> pd.Series:
    """Scores in which a pruned trial is credited with the median gain of completed ones from its last step on."""
    gains = gain_from(sweep, 0.5)
    pruned = sweep.trials["state"] == "PRUNED"
    return sweep.score + sweep.trials["step"].where(pruned).map(gains).fillna(0.0)


def _tamed(values: np.ndarray) -> np.ndarray:
    """Values with the far low tail drawn in (at three quartile ranges below the median), so that a few disasters do not rule the forest."""
    low, middle = np.quantile(values, [0.25, 0.5])
    floor = middle - 3 * max(middle - low, 1e-12 + 0.05 * abs(middle))
    return np.maximum(values, floor)


def _out_of_bag(forest: object, x: np.ndarray, y: np.ndarray, sets: list[list[int]], rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """(R2 of the out-of-bag predictions, rise of the squared error when each set of columns is shuffled, over the variance of y)."""
    shuffles = [rng.permutation(len(y)) for _ in sets]
    sums = np.zeros((len(sets) + 1, len(y)))
    seen = np.zeros(len(y))
    for tree, drawn in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        out = np.setdiff1d(np.arange(len(y)), drawn)
        if not len(out):
            continue
        blocks = np.repeat(x[out][None], len(sets) + 1, axis=0)
        for place, (columns, shuffle) in enumerate(zip(sets, shuffles, strict=True), 1):
            blocks[place][:, columns] = x[shuffle[out]][:, columns]
        sums[:, out] += tree.predict(blocks.reshape(-1, x.shape[1])).reshape(len(sets) + 1, -1)
        seen[out] += 1
    known = seen > 0
    error = ((sums[:, known] / seen[known] - y[known]) ** 2).mean(axis=1)
    variance = float(y[known].var()) or 1.0
    return float(1 - error[0] / variance), (error[1:] - error[0]) / variance
