"""Several objectives as one: their weighted sum, each divided by its scale first, so that a weight says what one scale of it is worth.

    hydra.sweeper: {direction: [maximize, minimize], weights: [1.0, 0.5], scales: [0.1, 100000]}

The sum is sought in the direction of the first objective; an objective of the other direction counts against it. Scales are constants: were
they taken from what trials have found so far, the value of a trial would change as others end, and so would its verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trivet.errors import UserError

KEY = "hydra.sweeper.weights"
OBJECTIVES = "trivet:objectives"
"""The attribute of a trial with the objectives that its value is made of."""


@dataclass(frozen=True)
class Weights:
    """`directions` of the objectives, `weights` and `scales`, one each."""

    directions: tuple[str, ...]
    weights: tuple[float, ...]
    scales: tuple[float, ...]

    def of(self, values: Sequence[float]) -> float:
        """The value that stands for these, one per objective; NaN where one of them is."""
        parts = zip(self.directions, self.weights, self.scales, values, strict=True)
        return float(sum((w if d == self.directions[0] else -w) * v / s for d, w, s, v in parts))

    def heard(self, value: float | Sequence[float]) -> float:
        """The value of a report. Raises `UserError` where it is not one number per objective."""
        if not isinstance(value, (list, tuple)) or len(value) != len(self.directions):
            n = len(self.directions)
            raise UserError(f"trivet.report: value={value}: must be a list of {n} numbers, one per direction, as {KEY} make one of them")
        return self.of(value)

    def as_dict(self) -> dict[str, Any]:
        """For study.yaml and the identity."""
        return {"directions": list(self.directions), "weights": list(self.weights), "scales": list(self.scales)}


def read(weights: Sequence[Any] | None, scales: Sequence[Any] | None, directions: Sequence[str]) -> Weights | None:
    """The weights of a config, numbers checked already. Raises `UserError` where there are not as many of each, or none is above 0."""
    if not weights and not scales:
        return None
    n = len(directions)
    if n < 2:
        raise UserError(f"{KEY}={weights}: weigh several objectives; give as many directions, or leave them out")
    for key, given in ((KEY, weights), ("hydra.sweeper.scales", scales)):
        if not given or len(given) != n:
            what = "how much each objective counts" if key == KEY else "how much of each is worth its weight, such as [0.1, 100000]"
            raise UserError(f"{key}={list(given or [])}: must be {n} numbers, one per direction: {what}")
    assert weights is not None and scales is not None
    if not any(weights):
        raise UserError(f"{KEY}={list(weights)}: at least one must be above 0")
    return Weights(tuple(directions), tuple(map(float, weights)), tuple(map(float, scales)))
