"""Which of very many points a chart draws."""

from __future__ import annotations

import numpy as np

POINTS = 800  # points drawn of one trace; more make a page slow and show no more


def keep(size: int, important: np.ndarray, limit: int = POINTS) -> np.ndarray:
    """Indices of at most `limit` of `size` points, in order: all `important` ones first, the rest evenly thinned."""
    if size <= limit:
        return np.arange(size)
    chosen = np.unique(np.asarray(important, dtype=int))[:limit]
    rest = np.setdiff1d(np.arange(size), chosen)
    left = limit - len(chosen)
    if left > 0:
        chosen = np.union1d(chosen, rest[np.unique(np.linspace(0, len(rest) - 1, left).astype(int))])
    return chosen
