"""Red flags of the fit: the best trials do much better on training data than on validation data, or well on neither."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from trivet.diagnosis.flag import Case, Flag
from trivet.diagnosis.sweep import Sweep
from trivet.diagnosis.thresholds import limit
from trivet.diagnosis.training_flags import best_five, value_of
from trivet.diagnosis.wording import count, is_accuracy, is_score, listing, number

REGULARISERS = re.compile(r"dropout|weight_decay|label_smoothing|augment|noise|mixup|stochastic_depth|early_stop", re.IGNORECASE)


def pair_of(curve: pd.DataFrame) -> tuple[str, str] | None:
    """The columns of one metric on training and on validation data: accuracy or error rather than loss."""
    names = [name[6:] for name in curve.columns if name.startswith("train/") and f"val/{name[6:]}" in curve.columns]
    names = [name for name in names if curve[f"train/{name}"].notna().any() and curve[f"val/{name}"].notna().any()]
    name = next((name for name in names if name != "loss"), names[0] if names else None)
    return (f"train/{name}", f"val/{name}") if name else None


class Gap(NamedTuple):
    """Of one trial: a metric on training and on validation data at its best epoch, whether greater is better, and by what share of its
    least the validation loss has risen at the end."""

    metric: str
    greater: bool
    train: float
    val: float
    rise: float

    @property
    def wide(self) -> bool:
        """Of shares up to 1 by their difference, of errors by their ratio; of other values that are to be high nothing is known."""
        if self.greater:
            return max(self.train, self.val) <= 1 and self.train - self.val > limit("gap_accuracy")
        return self.train > 0 and self.val / self.train > limit("gap_error")


def gaps(case: Case) -> list[Gap]:
    """Of the best five trials, those with a metric on both parts."""
    out = []
    for curve in best_five(case.sweep):
        pair = pair_of(curve)
        if pair is None:
            continue
        values = value_of(curve, case.sweep)
        known = np.flatnonzero(np.isfinite(values))
        at = int(known[values[known].argmax()]) if len(known) else len(curve) - 1
        rise = 0.0
        if "val/loss" in curve and (loss := curve["val/loss"].dropna().to_numpy()).size and loss.min() > 0:
            rise = float(loss[-1] / loss.min() - 1)
        metric = pair[0].removeprefix("train/")
        train, val = (float(curve[name].iloc[at]) for name in pair)
        out.append(Gap(metric, greater_is_better(metric, case.sweep), train, val, rise))
    return [gap for gap in out if np.isfinite(gap.train) and np.isfinite(gap.val)]


def greater_is_better(metric: str, sweep: Sweep) -> bool:
    """By the study's own direction where the metric is its objective, else by its name."""
    if metric == sweep.metric.rsplit("/", 1)[-1]:
        return sweep.maximize
    return is_accuracy(metric) or is_score(metric)


def overfit(case: Case) -> Flag | None:
    rows = gaps(case)
    apart = [row for row in rows if row.wide]
    rising = [row for row in rows if row.rise > limit("val_loss_rise")]
    if len(rows) < 2 or max(len(apart), len(rising)) * 2 <= len(rows):
        return None
    words = []
    if len(apart) * 2 > len(rows):
        metric = rows[0].metric
        train, val = float(np.median([row.train for row in rows])), float(np.median([row.val for row in rows]))
        words.append(
            f"at their best epoch the best {count(len(rows), 'trial')} have a median {metric} of {_percent(metric, train)} on "
            "training data and "
            f"{_percent(metric, val)} on validation data"
        )
    if len(rising) * 2 > len(rows):
        worst = float(np.median([row.rise for row in rising]))
        who = "them" if words else f"the best {count(len(rows), 'trial')}"
        words.append(f"in {len(rising)} of {who} the validation loss ends {100 * worst:.0f} % above its lowest value")
    searched = [key for key in case.sweep.params if REGULARISERS.search(key)]
    known = (
        f"Of the means against it {listing(searched)} {'was' if len(searched) == 1 else 'were'} searched."
        if searched
        else ("No regulariser was searched.")
    )
    mend = f"Allow more of {listing(searched)}, or add another" if searched else "Search dropout, weight decay or label smoothing"
    text = " and ".join(words)
    return Flag(
        "overfit",
        "warning",
        case.where,
        "The best trials overfit",
        f"{text[:1].upper()}{text[1:]}. {known}",
        "The model learns the training samples by heart.",
        f"{mend}; more data or augmentation helps most, a smaller model or fewer epochs too.",
        ("gap_accuracy", "gap_error", "val_loss_rise"),
    )


def _percent(metric: str, value: float) -> str:
    return f"{100 * value:.1f} %" if is_accuracy(metric) and 0 <= value <= 1 else number(value)


def underfit(case: Case) -> Flag | None:
    rows = gaps(case)
    if len(rows) < 2 or any(row.wide for row in rows):
        return None
    metric = rows[0].metric
    if rows[0].greater:
        poor = max(row.train for row in rows) <= 1 and sum(row.train < limit("poor_accuracy") for row in rows) * 2 > len(rows)
        words = f"a median training {metric} of {_percent(metric, float(np.median([row.train for row in rows])))}"
    else:
        column = f"train/{metric}"
        kept = [
            float(curve[column].min() / curve[column].iloc[0])
            for curve in best_five(case.sweep)
            if column in curve and curve[column].iloc[0] > 0
        ]
        poor = len(kept) >= 2 and float(np.median(kept)) > limit("poor_loss")
        words = (
            f"a training {metric} that stays at {100 * float(np.median(kept)) if kept else 0:.0f} % of what it was after the first epoch"
        )
    if not poor:
        return None
    return Flag(
        "underfit",
        "warning",
        case.where,
        "Even the best trials underfit",
        f"The best {count(len(rows), 'trial')} have {words}, and validation is not much worse: both are poor.",
        "The model lacks capacity for the task (or the inputs lack the information); tuning cannot give what the model does not have.",
        "Try a larger or better suited model, train longer, and use less regularisation.",
        ("poor_accuracy", "poor_loss"),
    )
