"""Mean and deviation of the training part, by which inputs and targets are scaled."""

from __future__ import annotations

import numpy as np


def statistics(x: np.ndarray, scaled: np.ndarray | None = None) -> tuple[list[float], list[float]]:
    """Mean and deviation per channel or column (axis 1); deviation 1 where nothing varies. Where `scaled` is False: 0 and 1."""
    mean, std = [], []
    for column in range(x.shape[1]):
        part = x[:, column]
        deviation = float(part.std(dtype=np.float64))
        mean.append(float(part.mean(dtype=np.float64)))
        std.append(deviation if deviation > 1e-12 * max(1.0, abs(mean[-1])) else 1.0)
    if scaled is not None:
        mean = [value if use else 0.0 for value, use in zip(mean, scaled, strict=True)]
        std = [value if use else 1.0 for value, use in zip(std, scaled, strict=True)]
    return mean, std
