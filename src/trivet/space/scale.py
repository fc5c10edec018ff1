"""How a range is laid out from 0 to 1, written back in round numbers, and how far it may be widened."""

import math
from collections.abc import Callable

from trivet.space import limits
from trivet.space.specs import Float, Int


class Scale:
    """A range laid out from 0 (low) to 1 (high), evenly in the logarithm where the range is."""

    def __init__(self, coarse: Float | Int) -> None:
        self.coarse = coarse
        self.low, self.high = self._to(coarse.low), self._to(coarse.high)

    def _to(self, value: float) -> float:
        return math.log(value) if self.coarse.log else float(value)

    def unit(self, value: float) -> float:
        """Where a value lies; outside [0, 1] for values outside the range."""
        return (self._to(value) - self.low) / (self.high - self.low)

    def spec(self, low: float, high: float, least: float, most: float) -> Float | Int:
        """The range from `low` to `high` (in units), rounded outwards to numbers that people write; an end at 0 or 1 stays exact.

        Never beyond [least, most]; an end that moved inwards stays inside the old range.
        """
        coarse, step = self.coarse, self.coarse.step
        new_low = coarse.low if low == 0 else max(self._rounded(low, math.floor), coarse.low if low > 0 else least)
        new_high = coarse.high if high == 1 else min(self._rounded(high, math.ceil), coarse.high if high < 1 else most)
        if step is None:
            return Float(new_low, new_high, log=coarse.log)
        new_low, new_high = self._on_grid(new_low, step, math.floor), self._on_grid(new_high, step, math.ceil)
        new_low += step if new_low < least else 0
        new_high -= step if new_high > most else 0
        if isinstance(coarse, Int):
            return Int(int(new_low), int(new_high), log=coarse.log, step=coarse.step)
        return Float(new_low, new_high, log=coarse.log, step=step)

    def _rounded(self, unit: float, way: Callable[[float], int]) -> float:
        """The value at `unit`, rounded to two digits, of itself on a log scale and of the width on a linear one.

        Powers of two where a range over whole numbers runs from one to another.
        """
        coarse, position = self.coarse, self.low + unit * (self.high - self.low)
        if isinstance(coarse, Int) and coarse.log and all(math.log2(end).is_integer() for end in (coarse.low, coarse.high)):
            return 2 ** max(0, way(round(position / math.log(2), 6)))
        value = math.exp(position) if coarse.log else position
        digits = 1 - math.floor(math.log10(value if coarse.log else self.high - self.low))
        digits = min(digits, 0) if isinstance(coarse, Int) else digits
        return float(f"{way(round(value * 10.0**digits, 6)) / 10.0**digits:.12g}")

    def _on_grid(self, value: float, step: float, way: Callable[[float], int]) -> float:
        coarse = self.coarse
        moved = coarse.low + way(round((value - coarse.low) / step, 6)) * step
        return moved if isinstance(coarse, Int) else float(f"{moved:.12g}")


def widest(key: str, low: float, high: float, whole: bool) -> tuple[float, float, str]:
    """(lowest, highest, reason): how far the range may be widened by what is known of its name; never less than the range itself.

    Of unknown names the sign stays, and a range within 0 and 1 stays there. Averaging factors (momentum) at most halve their distance
    from 1. What makes a training longer is left to a person: sizes are not widened at all, batches become no smaller.
    """
    known = limits.hard_limits(key)
    if limits.STRUCTURE.fullmatch(limits.leaf(key)):
        least, most, reason = low, high, "sizes cost time and must fit together, so only a person widens them"
    elif limits.BATCH_SIZE.fullmatch(limits.leaf(key)):
        least, most = low, 4096.0
        reason = "a smaller batch makes every epoch longer, so only a person goes below; above 4096 it has too few steps"
    elif known is not None:
        least, most, reason = known
        if limits.AVERAGE.fullmatch(limits.leaf(key)):
            most = min(most, float(f"{1 - (1 - high) / 2:.12g}"))
    elif not whole and low >= 0 and high <= 1:
        least, most, reason = low * 1e-3, 1.0, "it seems to be a fraction"
    else:
        least, most, reason = (-math.inf if low < 0 else 1 if whole and low > 0 else low * 1e-3), math.inf, "its sign does not change"
    if whole:
        least, most = (round_(end) if math.isfinite(end) else end for round_, end in ((math.ceil, least), (math.floor, most)))
    return min(least, low), max(most, high), reason
