"""What each change from one configuration to a better one brought, from the table of an ablation: on the path, and when undone alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import special

from trivet.changes import Mask, mask_of, order_of, path, undone
from trivet.diagnosis.sweep import Sweep

Verdict = Literal["brings", "nothing", "unclear"]
Values = Mapping[Mask, Mapping[int, float]]
"""Changes that a configuration has -> seed -> value, higher is better."""


@dataclass(frozen=True)
class Noise:
    """The standard deviation of one run that is left when configuration and seed are taken out, from `df` degrees of freedom."""

    std: float
    df: int

    def half(self, n: int) -> float:
        """Half the 95 % interval of a mean difference over `n` seeds that both sides have."""
        return float(special.stdtrit(self.df, 0.975)) * self.std * math.sqrt(2 / n)


@dataclass(frozen=True)
class Effect:
    """How much better a configuration is with a change than without, over `n` common seeds; no interval where the noise is not known."""

    change: int
    gain: float
    n: int
    noise: Noise | None

    @property
    def interval(self) -> tuple[float, float] | None:
        if self.noise is None:
            return None
        half = self.noise.half(self.n)
        return self.gain - half, self.gain + half

    @property
    def verdict(self) -> Verdict:
        """brings: surely more than nothing. nothing: its interval reaches 0, and it is less than one run varies by itself. Else unclear."""
        if self.interval is None or self.noise is None:
            return "nothing" if self.gain <= 0 else "unclear"
        if self.interval[0] > 0:
            return "brings"
        return "nothing" if self.gain <= self.noise.std else "unclear"


@dataclass(frozen=True)
class TakenApart:
    """`changes`: their names. `path`: effects from no change to all, in its order. `undone`: of each change, with all others on.

    `total`: of all changes together. Effects whose runs failed are left out.
    """

    changes: Sequence[str]
    path: Sequence[Effect]
    undone: Sequence[Effect]
    total: Effect | None
    values: Values

    @property
    def revertible(self) -> list[Effect]:
        """Changes that bring nothing with all others on: each may be undone alone."""
        return [effect for effect in self.undone if effect.verdict == "nothing"]


def residual(table: Sequence[Sequence[float]]) -> Noise | None:
    """Of values by configuration (rows) and seed (columns), all there: what neither explains. None with fewer than two of either."""
    values = np.asarray(table, dtype=float)
    if values.ndim != 2 or min(values.shape) < 2:
        return None
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + values.mean()
    df = (values.shape[0] - 1) * (values.shape[1] - 1)
    return Noise(math.sqrt(float((rest**2).sum()) / df), df)


def noise_of(values: Mapping[Any, Mapping[int, float]]) -> Noise | None:
    """The same of {configuration: {seed: value}}, over the configurations that have all seeds."""
    seeds = sorted({seed for runs in values.values() for seed in runs})
    return residual([[runs[seed] for seed in seeds] for runs in values.values() if len(runs) == len(seeds)])


def read(sweep: Sweep, seeds: Mapping[int, Mapping[int, float]] | None = None) -> TakenApart | None:
    """From the sweep; `seeds`: finalist -> seed -> value of the seeds stage, which tells the noise where each configuration ran once.

    None where the sweep is no ablation.
    """
    changes = (sweep.study.get("sampler") or {}).get("changes")
    if not isinstance(changes, list) or "changes" not in sweep.trials:
        return None
    names, n = [str(change["name"]) for change in changes], len(changes)
    sign = 1 if sweep.maximize else -1
    values: dict[Mask, dict[int, float]] = {}
    rows = sweep.complete
    runs = pd.to_numeric(rows["seed"], errors="coerce").fillna(0) if "seed" in rows else pd.Series(0, index=rows.index)
    for text, seed, value in zip(rows["changes"], runs, rows[sweep.objectives[0]], strict=True):
        values.setdefault(mask_of(str(text), n), {})[int(seed)] = sign * float(value)
    noise = noise_of(values) or noise_of(seeds or {})

    def effect(change: int, without: Mask, having: Mask) -> Effect | None:
        before, after = values.get(without, {}), values.get(having, {})
        common = sorted(before.keys() & after.keys())
        gain = float(np.mean([after[seed] - before[seed] for seed in common])) if common else math.nan
        return Effect(change, gain, len(common), noise) if common else None

    most = max(map(len, values.values()), default=0)
    means = {mask: float(np.mean(list(runs.values()))) for mask, runs in values.items() if len(runs) == most}
    order = order_of(means, n)
    steps, without = path(order), undone(n)
    walked = [effect(change, steps[k], steps[k + 1]) for k, change in enumerate(order)]
    alone = [effect(i, without[i], steps[-1]) for i in range(n)]
    return TakenApart(names, [e for e in walked if e], [e for e in alone if e], effect(-1, steps[0], steps[-1]), values)
