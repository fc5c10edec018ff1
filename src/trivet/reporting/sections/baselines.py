"""Was a network the right tool? For a table, what a constant, a linear model and gradient boosting reach on the same split."""

from __future__ import annotations

import math
from statistics import fmean

from trivet.reporting.context import Context, seed_values
from trivet.reporting.model import Cell, Section, Table
from trivet.reporting.words import NOTHING

NAMES = {
    "majority": "always the most frequent class",
    "mean": "always the mean",
    "logistic": "logistic regression",
    "ridge": "ridge regression",
    "boosting": "gradient boosting",
}
SURE = 2.0  # standard errors of the difference, from which two accuracies on one test file are told apart


def build(context: Context) -> list[Section]:
    """One section, or none where neither check.yaml nor test.yaml has values of baselines for this metric."""
    name = context.last.metric.rpartition("/")[2]
    on_val, on_test = _values(context, name)
    if not on_val and not on_test:
        return []
    section = Section("baselines", "What needs no network")
    section.say(
        "The data is a table, so these models were fitted on the same training part, without tuning and in seconds. "
        "They are what a network has to beat."
    )
    ours = _networks(context)
    who = next(iter(ours), "")
    if on_test and "test" in ours.get(who, {}):
        section.say(_verdict(context, on_test, who, ours[who]["test"]))
    rows = [(NAMES.get(key, key), on_val.get(key), on_test.get(key)) for key in dict.fromkeys([*on_val, *on_test])]
    rows += [(who, found.get("val"), found.get("test")) for who, found in ours.items()]
    cells = tuple((Cell(who), *(_cell(context, value) for value in pair)) for who, *pair in rows)
    section.add(
        Table(("Model", "Validation", "Test"), cells, f"{context.scale.label}; networks are means over seeds.", ("Validation", "Test"))
    )
    return [section]


def _cell(context: Context, value: float | None) -> Cell:
    return Cell(context.scale.show(value), value) if value is not None else Cell(NOTHING)


def _values(context: Context, name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Finite values by baseline, on the validation part and on the test part; only those of the objective's own metric."""
    check = (context.results.check or {}).get("baselines") or {} if context.results else {}
    test = context.test
    val = check.get("values") if str(check.get("metric", "")).endswith(f"/{name}") else {}
    new = test.get("baselines") if str(test.get("metric", "")).endswith(f"/{name}") else {}
    return _finite(val), _finite(new)


def _finite(values: object) -> dict[str, float]:
    pairs = values.items() if isinstance(values, dict) else ()
    return {str(key): float(value) for key, value in pairs if isinstance(value, int | float) and math.isfinite(value)}


def _networks(context: Context) -> dict[str, dict[str, float]]:
    """Means over seeds of the tuned network (where it is another) and of the default, on both parts, as far as they are known."""
    test = context.test
    found: dict[str, dict[str, float]] = {}
    sides = [("winner", "tuned network"), ("default", "default network")]
    if (test.get("winner") or {}).get("finalist") == 0:
        sides = [("default", "default network")]
    for side, who in sides:
        new, val = seed_values(test.get(side)), seed_values({"seeds": (test.get("val") or {}).get(side)})
        found[who] = {part: fmean(values.values()) for part, values in (("val", val), ("test", new)) if values}
    return {who: parts for who, parts in found.items() if parts}


def _verdict(context: Context, baselines: dict[str, float], who: str, value: float) -> str:
    """Which is better on the test file, and whether its size lets one say so."""
    pick = max if context.maximize else min
    name = pick(baselines, key=baselines.__getitem__)
    best, scale = baselines[name], context.scale
    gain = (value - best) if context.maximize else (best - value)
    numbers = f"The best of them, {NAMES.get(name, name)}, reaches {scale.show(best)} on the test file, the {who} {scale.show(value)}"
    error = _standard_error(context, best, value)
    if error is not None and abs(gain) < SURE * error:
        return f"{numbers}: a test file of this size cannot tell them apart. Take the simpler one."
    chance = "" if error is not None else " How much of that is chance, a single file does not tell."
    if gain > 0:
        return f"{numbers}: the network is better by {scale.delta(gain)}.{chance}"
    if gain < 0:
        return f"{numbers}: it is better by {scale.delta(-gain)}, and no network is needed here.{chance}"
    return f"{numbers}: they are level. Take the simpler one."


def _standard_error(context: Context, one: float, other: float) -> float | None:
    """Of the difference of two accuracies, by the size of the test file; as if independent, which is on the safe side. None elsewhere."""
    n = context.test.get("n_test")
    if not context.scale.share or not isinstance(n, int) or n < 1:
        return None
    return math.sqrt((one * (1 - one) + other * (1 - other)) / n)
