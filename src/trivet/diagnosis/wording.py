"""Numbers in words: how values, differences, times and counts read in a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

ACCURACY = re.compile(
    r"(?<![A-Za-z])(val|valid|test|train|dev|eval)?[Aa]cc(uracy)?(?![a-z])|(?<=[a-z0-9])Acc(uracy)?(?![a-z])|(?<![A-Z])ACC(URACY)?(?![A-Z])"
)
SCORE = re.compile(r"(?<![a-z])(m?ap|iou|dice|jaccard|kappa|mcc|bleu|rouge|auc|auroc|roc|f1|precision|recall|r2|r2score|ndcg)(?![a-z])")
AVERAGED = re.compile(r"balanced|macro|(mean|per)_?class", re.IGNORECASE)  # an accuracy that is no share of all samples


def is_accuracy(metric: str) -> bool:
    """Whether a metric's name says so in a word of its own: val_acc, topAccuracy, acc@5; not `acceleration` or `jaccard`."""
    return bool(ACCURACY.search(metric))


def is_score(metric: str) -> bool:
    """Whether a metric's name says that greater is better, up to 1: f1_macro, val/auc, mAP; not `perplexity` or `brier_score`."""
    return bool(SCORE.search(metric.lower()))


class Scale:
    """How the objective reads: accuracies within 0..1 as per cent, their differences as percentage points, all else as plain numbers."""

    def __init__(self, metric: str, values: Sequence[float] | np.ndarray = ()) -> None:
        known = np.asarray(values, dtype=float)
        known = known[np.isfinite(known)]
        self.metric = metric
        self.percent = is_accuracy(metric) and bool(len(known)) and known.min() >= 0 and known.max() <= 1
        self.most_one = is_score(metric) and bool(len(known)) and known.max() <= 1
        self.factor = 100 if self.percent else 1
        self.share = self.percent and not AVERAGED.search(metric)  # of the samples that are right: its error follows from their number

    @property
    def label(self) -> str:
        return f"{self.metric} (%)" if self.percent else self.metric

    def axis(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Values as a chart shows them."""
        return np.asarray(values, dtype=float) * self.factor

    def show(self, value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return "not known"
        return f"{100 * value:z.2f} %" if self.percent else number(value)

    def delta(self, value: float | None, unit: str = "percentage points") -> str:
        if value is None or not math.isfinite(value):
            return "not known"
        return f"{100 * value:z.2f} {unit}" if self.percent else number(value)

    def interval(self, low: float, high: float) -> str:
        if not self.percent:
            return f"{number(low)} to {number(min(high, 1.0) if self.most_one else high)}"
        return f"{100 * max(low, 0.0):.2f} % to {100 * min(high, 1.0):.2f} %"


def number(value: float, digits: int = 4) -> str:
    """Up to `digits` significant digits, thousands apart, exponents only where they are needed."""
    value = float(value)
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("infinite" if value > 0 else "minus infinite")
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e7:
        if abs(value) >= 10**digits:
            return f"{value:,.0f}"
        places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
        text = f"{value:,.{places}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{value:.{digits - 2}e}".split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 trial`, `1,200 trials`."""
    return f"{int(n):,} {one if n == 1 else many or one + 's'}"


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"


def duration(seconds: float | None) -> str:
    if seconds is None or not math.isfinite(seconds):
        return "not known"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def listing(items: Sequence[str], last: str = "and") -> str:
    items = list(items)
    return f" {last} ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def value_text(value: object) -> str:
    """A configuration value as a table shows it."""
    if value is None:
        return "null"
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (int, float, np.number)):
        return number(float(value)).replace(",", "") if math.isfinite(float(value)) else str(value)
    return str(value)
