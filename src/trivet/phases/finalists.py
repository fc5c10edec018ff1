"""From two searches to one proven winner: top-k, fresh seeds, mean and interval, paired comparison, ensemble.

    python pipelines/finalists.py      # picks the finalists that the seeds stage trains

Pure functions over published tables (trials.csv); nothing here trains or samples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special  # a third of the time that scipy.stats takes to import

from trivet import space
from trivet.errors import UserError

DIRECTIONS = ("maximize", "minimize")
TIE_BREAKER = "val/loss"
NOT_PARAMS = ("finalist", "seed")  # columns of the seeds table that say which run a row is, not how it trains


@dataclass(frozen=True)
class Finalist:
    """A configuration to be trained with fresh seeds. finalist 0 is the default, 1.. are by shown value, best first."""

    finalist: int
    phase: str  # the sweep that found it, or "default"
    number: int | None  # its trial there; None: the default was no trial of the searches
    value: float | None  # what that trial showed
    params: dict


@dataclass(frozen=True)
class Summary:
    """Of n values: mean, sample standard deviation, and the 95 % interval of the mean (Student's t). n = 1: no std, no interval."""

    mean: float
    std: float | None
    n: int
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Paired:
    """Of n pairs: mean of a - b, its 95 % interval, and p of the two-sided paired t-test. n = 1: only the mean.

    Interval and p hold for the one that is looked at of `comparisons` (Bonferroni): the interval excludes zero where p < 0.05.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    n: int
    comparisons: int = 1


def read_trials(path: Path) -> pd.DataFrame:
    """A trials.csv with every cell as the text that was written: an int stays an int, null is not a missing value.

    Where the curves.csv beside it (run_curves.csv of a runs.csv) has val/loss, it is the last column: each trial's at its best step, by
    which ties are broken.
    """
    curves = path.with_name("run_curves.csv" if path.name == "runs.csv" else "curves.csv")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if not curves.is_file() or TIE_BREAKER not in pd.read_csv(curves, nrows=0).columns:
        return table
    losses = pd.read_csv(curves, dtype=str, keep_default_na=False, usecols=["number", "step", TIE_BREAKER])
    losses = losses.rename(columns={"step": "best_step"}).drop_duplicates(["number", "best_step"])
    return table.merge(losses, "left", ["number", "best_step"]).fillna({TIE_BREAKER: ""})


def param_columns(table: pd.DataFrame) -> list[str]:
    """The parameter columns of a trials table: those between `best_step` and `seconds`, without finalist and seed."""
    columns = list(table.columns)
    inner = columns[columns.index("best_step") + 1 : columns.index("seconds")]
    return [column for column in inner if column not in NOT_PARAMS]


def cell(text: str) -> object:
    """The value that a cell of trials.csv stands for: null, a boolean, an int, a float, else the text itself."""
    words = {"null": None, "None": None, "true": True, "True": True, "false": False, "False": False}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def options_of(entries: Sequence[Mapping]) -> dict[str, dict[str, object]]:
    """The options of every choice in the `space` of a study.yaml, by parameter and by their text in trials.csv.

    They tell a list from a string that looks like one, and "1" from 1.
    """
    found: dict[str, dict[str, object]] = {}
    for entry in entries:
        spec = space.parse(entry["spec"], entry["key"])
        if isinstance(spec, space.Choice):
            found.setdefault(entry["key"].lstrip("+"), {}).update((text(option), option) for option in spec.options)
    return found


def params_of(row: Mapping[str, str], columns: Sequence[str], options: Mapping[str, Mapping[str, object]] | None = None) -> dict:
    """The active parameters of one row of `read_trials`; an empty cell means that the parameter was not in play."""
    options = options or {}
    active = [column for column in columns if row[column] != ""]
    return {column: known[row[column]] if row[column] in (known := options.get(column, {})) else cell(row[column]) for column in active}


def alike(a: Mapping, b: Mapping, tolerance: float = 0.05) -> bool:
    """Whether two configurations are materially the same: the same parameters in play, each choice equal, and each number within
    `tolerance` of the other, relative to the larger (0.05: 0.0100 and 0.0104 are alike, 0.0100 and 0.0110 are not)."""
    return a.keys() == b.keys() and all(_same(a[key], b[key], tolerance) for key in a)


def _same(a: Any, b: Any, tolerance: float) -> bool:
    numbers = [isinstance(value, (int, float)) and not isinstance(value, bool) for value in (a, b)]
    if all(numbers):
        return math.isclose(a, b, rel_tol=tolerance)
    return type(a) is type(b) and a == b


def top_k(
    tables: Mapping[str, pd.DataFrame],
    k: int,
    direction: str,
    default: Mapping | None = None,
    options: Mapping[str, Mapping[str, object]] | None = None,
    tolerance: float = 0.05,
) -> list[Finalist]:
    """The best k configurations of all phases, numbered from 1, no two of them materially alike, none alike to `default`.

    tables: phase -> table of `read_trials`, earlier phase first. Only COMPLETE trials with a finite value count: what a pruned trial
    showed was shown with less training. Ties go to the lower val/loss where the tables have it, then to the earlier phase, then to the
    lower number. Fewer than k when there are no more.
    `options`: see `options_of`.
    """
    sign = _sign(direction)
    found = []
    for phase, table in tables.items():
        columns = param_columns(table)
        for row in table.to_dict("records"):
            if row["state"] == "COMPLETE" and math.isfinite(value := float(row["value"])):
                trial = Finalist(0, phase, int(row["number"]), value, params_of(row, columns, options))
                found.append((-sign * value, tie_loss(row), trial))
    found.sort(key=lambda entry: entry[:2])  # stable: ties keep their order
    seen: list[Mapping] = [default] if default is not None else []
    best: list[Finalist] = []
    for *_, trial in found:
        if len(best) == k:
            break
        if not any(alike(trial.params, other, tolerance) for other in seen):
            seen.append(trial.params)
            best.append(Finalist(len(best) + 1, trial.phase, trial.number, trial.value, trial.params))
    return best


def tie_loss(row: Mapping[str, str]) -> float:
    """The val/loss of a row of `read_trials`; infinite where it is not known."""
    return float(row.get(TIE_BREAKER) or "inf")


def fresh_seeds(seed: int, n: int) -> list[int]:
    """n seeds that the search did not use: 1000 x seed + 101, + 102, ... (modulo 2^31, which every library takes).

    Same search seed, same fresh seeds; searches with neighbouring seeds share none (for n < 1000).
    """
    seeds = ((1000 * seed + 100 + i) % 2**31 for i in range(1, n + 2))
    return [candidate for candidate in seeds if candidate != seed][:n]


def summary(values: Sequence[float], comparisons: int = 1) -> Summary:
    """Mean, sample standard deviation and 95 % Student-t interval, wider for one of several `comparisons` (Bonferroni).

    ValueError: no values, or one that is not finite.
    """
    sample = _finite(values)
    n, mean = len(sample), float(np.mean(sample))
    if n == 1:
        return Summary(mean, None, 1, None, None)
    std = float(np.std(sample, ddof=1))
    half = float(special.stdtrit(n - 1, 1 - 0.025 / comparisons)) * std / math.sqrt(n)
    return Summary(mean, std, n, mean - half, mean + half)


def paired(a: Sequence[float], b: Sequence[float], comparisons: int = 1) -> Paired:
    """How much a is above b, pair by pair (the same seed on both sides). Differences that are all equal have p = 1 at zero, else 0.

    comparisons: of how many such pairs of configurations this one was picked; p is that many times greater, the interval as much wider.
    ValueError: unequal lengths, no values, or one that is not finite.
    """
    if len(a) != len(b):
        raise ValueError(f"paired values differ in number: {len(a)} and {len(b)}")
    difference = summary(_finite(a) - _finite(b), comparisons)
    if difference.std is None:
        return Paired(difference.mean, None, None, None, 1, comparisons)
    if difference.std == 0:
        p = 1.0 if difference.mean == 0 else 0.0
    else:
        t = difference.mean / (difference.std / math.sqrt(difference.n))
        p = float(2 * special.stdtr(difference.n - 1, -abs(t)))
    return Paired(difference.mean, difference.low, difference.high, min(1.0, comparisons * p), difference.n, comparisons)


def winner(table: pd.DataFrame, direction: str) -> int:
    """The finalist with the best mean value over its seeds, in a table of runs (columns finalist, state, value).

    A finalist of which a run failed does not compete with those that finished more seeds. Ties go to the lower number, so the default
    (0) wins unless something is better. UserError: no run is COMPLETE.
    """
    sign = _sign(direction)
    complete = table[table["state"] == "COMPLETE"]
    runs = complete.assign(finalist=complete["finalist"].astype(int), value=complete["value"].astype(float)).groupby("finalist")["value"]
    if complete.empty:
        raise UserError("no finalist finished a run with any seed: see the reason column of the seeds table")
    counts, means = runs.count(), runs.mean()
    full = means[counts == counts.max()].sort_index()
    return int((sign * full).idxmax())


def ensemble(predictions: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of several models' predictions (class probabilities or regression outputs), all of one shape."""
    shapes = {np.shape(prediction) for prediction in predictions}
    if len(shapes) != 1:
        raise ValueError(f"predictions of one ensemble must have one shape, got {sorted(shapes)}")
    return np.mean(np.stack(predictions), axis=0)


def text(value: object) -> str:
    """The text of a value as trials.csv has it; `cell` reads it back (a string stays bare)."""
    return value if isinstance(value, str) else space.value_text(value)


def override(key: str, value: object) -> str:
    """`key=value` such that Hydra reads exactly this value back (strings quoted where they need it, floats in full)."""
    return f"{key}={space.value_text(value)}"


def overrides(finalist: Finalist, groups: Sequence[str]) -> list[str]:
    """What to train but for the seed: the choices of `groups`, then the values."""
    params = finalist.params
    order = [key for key in params if key in groups] + [key for key in params if key not in groups]
    return [override(key, params[key]) for key in order]


def _finite(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"expected one or more finite values, got {array.tolist()}")
    return array


def _sign(direction: str) -> int:
    if direction not in DIRECTIONS:
        raise UserError(f"direction={direction!r} is not one of {', '.join(DIRECTIONS)}")
    return 1 if direction == "maximize" else -1
