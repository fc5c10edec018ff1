"""The default configuration as a belief: a search that starts around it, and leaves it the sooner the less is found there.

The first points are spread by the belief instead of evenly; after them the acquisition is weighed by its density to the power of BETA by
the number of trials (Hvarfner et al. 2022, piBO), so that a wrong belief is forgotten. Now and then a trial knows nothing of it, see gp.py.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from trivet.errors import UserError
from trivet.search.whole import Dimension

BETA = 6.0
"""A tenth of the trials of a search, as its authors take it, for 60 trials."""
CONFIDENCE = {"low": (0.5, 0.25), "medium": (0.25, 0.5), "high": (0.125, 0.75)}
"""Of a belief: the standard deviation as a share of the range (that of its logarithm where it is searched so), and how much of the
probability of the other options goes to the default one. Words and deviations are those of NePS."""


class Prior:
    """Where the best is believed to be: around the default, in each dimension by itself. Raises `UserError` for an unknown confidence."""

    def __init__(self, dimensions: list[Dimension], confidence: Any) -> None:
        if not isinstance(confidence, str) or confidence not in CONFIDENCE:
            allowed = ", ".join(["none", *CONFIDENCE])
            raise UserError(f"hydra.sweeper.sampler.prior_confidence={confidence}: must be one of {allowed} (sampler gp)")
        self._dimensions = dimensions
        self._deviation, self._extra = CONFIDENCE[confidence]

    def _chances(self, dimension: Dimension) -> np.ndarray:
        """The probability of each option."""
        n = dimension.n or 1
        chances = np.full(n, (1 - self._extra) / n)
        chances[int(dimension.default)] += self._extra
        return chances

    def spread(self, shares: np.ndarray) -> np.ndarray:
        """The places that so much of the belief lies below; one share from 0 to 1 for each dimension."""
        places = np.empty(len(shares))
        for j, (dimension, share) in enumerate(zip(self._dimensions, shares, strict=True)):
            if dimension.is_options:
                places[j] = min(int(np.searchsorted(self._chances(dimension).cumsum(), share, side="right")), (dimension.n or 1) - 1)
            else:
                belief = NormalDist(dimension.default, self._deviation)
                below, above = belief.cdf(0.0), belief.cdf(1.0)
                places[j] = min(max(belief.inv_cdf(min(max(below + share * (above - below), 1e-12), 1 - 1e-12)), 0.0), 1.0)
        return places

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Logarithm of how likely points (by dimension) are the best, up to a constant."""
        total = np.zeros(len(points))
        for j, dimension in enumerate(self._dimensions):
            if dimension.is_options:
                total += np.log(self._chances(dimension))[points[:, j].astype(int)]
            else:
                total -= 0.5 * ((points[:, j] - dimension.default) / self._deviation) ** 2
        return total
