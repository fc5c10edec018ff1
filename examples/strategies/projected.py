"""A pruner of one's own: stop a trial that would not catch up if it went on as it last did.

Any object with this method will do; what is in the config beside `_target_` are its arguments:

    prune(number, steps, values, peers) -> bool     # whether trial `number` is to stop after steps[-1]

- `steps` and `values` are the trial's reports so far. Values are turned so that higher is better, whatever the direction.
- `peers(step)` tells of trials 0 to number - 1 at a step: arrays of their numbers, their values there, and their best values up to there.
  A trial that was pruned or had failed before has -inf; one that had ended before keeps its last.
- The verdict must follow from these alone: it is asked for by several processes, at different times. A rule that remembers, throws dice
  or looks at the clock is refused before anything runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Projected:
    """The median of earlier trials is the bar. A trial below it may go on only if its last step, repeated, brings it there."""

    until: int  # the step of a full trial
    n_startup_trials: int = 4

    def prune(
        self, number: int, steps: Sequence[int], values: Sequence[float], peers: Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]]
    ) -> bool:
        """See the module."""
        _, _, bests = peers(steps[-1])
        if len(steps) < 2 or len(bests) < self.n_startup_trials:
            return False
        slope = max(0.0, (values[-1] - values[-2]) / (steps[-1] - steps[-2]))
        return bool(values[-1] + slope * (self.until - steps[-1]) < np.median(bests))
