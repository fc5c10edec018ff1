"""What choosing the best of several means does to its value, how often it finds the truly best, and how sure a gain over the default is.

The best of k means is a maximum: where all k are equally good it lies E[max of k normals] standard errors above the truth. Where they
differ it is less. Both come from one parametric bootstrap (Efron and Tibshirani 1993) around means that are drawn together as far as
their spread is noise (Efron and Morris 1975, "Data analysis using Stein's estimator").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from trivet.phases import finalists

DRAWS = 20_000
SAME = 1e-9  # differences that differ by less than this share of the values count as one: the rest is floating point's


@dataclass(frozen=True)
class Choosing:
    """Of the best of k means of n values each. luck: how much of its mean is expected to be luck; most: the same were all k equally good.

    found: chance that the one with the best mean is the truly best (1/k where the means differ no more than noise makes them: `alike`).
    loss: how much worse than the truly best the chosen one is on average.
    """

    k: int
    n: int
    noise: float
    luck: float
    most: float
    found: float
    loss: float
    alike: bool

    @property
    def error(self) -> float:
        """Standard error of one mean."""
        return self.noise / math.sqrt(self.n)


def expected_max(k: int) -> float:
    """Expectation of the greatest of k standard normal values (David and Nagaraja 2003, Order Statistics, 3.1): 0, .564, .846, 1.029 ..."""
    if k < 2:
        return 0.0
    x = np.linspace(-10, 10, 4001)
    density = k * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * special.ndtr(x) ** (k - 1)
    return float(np.sum(x * density) * (x[1] - x[0]))


def choosing(means: Sequence[float], n: int, noise: float) -> Choosing:
    """means: of the configurations that the best was chosen from, greater is better. noise: standard deviation between runs of one."""
    values = np.asarray(means, dtype=float)
    k, error = len(values), noise / math.sqrt(n)
    most = expected_max(k) * error
    spread = float(np.var(values, ddof=1)) if k > 1 else 0.0
    kept = max(0.0, 1 - error**2 / spread) if spread > 0 else 0.0
    if k < 2 or error == 0:
        return Choosing(k, n, noise, 0.0, most, 1.0, 0.0, False)
    if kept == 0:
        return Choosing(k, n, noise, most, most, 1 / k, 0.0, True)
    truth = values.mean() + kept * (values - values.mean())
    drawn = truth + np.random.default_rng(0).normal(0, error, (DRAWS, k))
    best = drawn.argmax(axis=1)
    luck = float(np.mean(drawn.max(axis=1) - truth[best]))
    return Choosing(k, n, noise, luck, most, float(np.mean(best == truth.argmax())), float(np.mean(truth.max() - truth[best])), False)


def raced(means: Sequence[float], sizes: Sequence[int], noise: float) -> Choosing:
    """The same of a race over seeds: `sizes` of its rounds, the configurations of `means` alone. `n`: seeds of those that came to its end.

    The bootstrap runs the race: each round goes on with the best means so far. `most` is of the same race among equals.
    """
    values = np.asarray(means, dtype=float)
    k, n = len(values), len(sizes)
    spread = float(np.var(values, ddof=1)) if k > 1 else 0.0
    error = noise**2 / (sum(sizes) / k)
    kept = max(0.0, 1 - error / spread) if spread > 0 else 0.0
    if k < 2 or noise == 0:
        return Choosing(k, n, noise, 0.0, 0.0, 1.0, 0.0, False)
    most, *_ = _race(np.zeros(k), sizes, noise)
    if kept == 0:
        return Choosing(k, n, noise, most, most, 1 / k, 0.0, True)
    luck, found, loss = _race(values.mean() + kept * (values - values.mean()), sizes, noise)
    return Choosing(k, n, noise, luck, most, found, loss, False)


def _race(truth: np.ndarray, sizes: Sequence[int], noise: float) -> tuple[float, float, float]:
    """(luck of the winner's mean, chance to find the truly best, how much worse the winner is) over many races."""
    drawn = truth[None, :, None] + np.random.default_rng(0).normal(0, noise, (DRAWS // 4, len(truth), len(sizes)))
    means = np.cumsum(drawn, axis=2) / np.arange(1, len(sizes) + 1)
    within = np.ones(means.shape[:2], dtype=bool)
    for r, size in enumerate(sizes[1:]):
        ranked = np.argsort(np.argsort(-np.where(within, means[:, :, r], -np.inf), axis=1), axis=1)
        within &= ranked < size
    best = np.where(within, means[:, :, -1], -np.inf).argmax(axis=1)
    luck = means[np.arange(len(best)), best, -1] - truth[best]
    return float(luck.mean()), float(np.mean(best == truth.argmax())), float(np.mean(truth.max() - truth[best]))


def sampling_error(share: float, n: int) -> float:
    """Standard error of a share of n samples, such as an accuracy: sqrt(p (1 - p) / n)."""
    return math.sqrt(max(share * (1 - share), 0.0) / n)


def flat(values: finalists.Summary) -> bool:
    """Whether several values are one and the same, but for what floating point adds: their interval would be nothing."""
    return values.std is not None and values.std <= SAME * abs(values.mean)


@dataclass(frozen=True)
class Gain:
    """How much better one configuration is than another, seed by seed; positive is better. `pair` is corrected for `pair.comparisons`.

    low, high: 95 % interval. They and pair.p are None for one pair, and where all pairs differ by the same (`alike`): a t-test would be
    sure of everything there, though values that come in few steps (shares of a hundred samples) often agree by chance.
    samples: standard error that the finite test set adds to the difference, at most; None where the metric is no share of samples.
    """

    mean: float
    pair: finalists.Paired
    low: float | None
    high: float | None
    samples: float | None

    @property
    def alike(self) -> bool:
        """Whether several pairs all differ by the same, to the last digit, so that nothing is known of the noise between seeds."""
        return self.pair.n > 1 and self.low is None

    @property
    def whole(self) -> tuple[float, float] | None:
        """The interval with the sampling error of the test set in it; that of the seeds alone where it is not known; None without one."""
        if self.low is None or self.high is None:
            return None
        if self.samples is None:
            return self.low, self.high
        half = math.hypot((self.high - self.low) / 2, 1.96 * self.samples)
        return self.mean - half, self.mean + half

    @property
    def verdict(self) -> str:
        """equal | unknown (no interval) | noise (seeds alone could explain it) | samples (so could the finite test set) | sure."""
        if self.mean == 0:
            return "equal"
        if self.whole is None or self.low is None or self.high is None:
            return "unknown"
        if self.low <= 0 <= self.high:
            return "noise"
        return "samples" if self.whole[0] <= 0 <= self.whole[1] else "sure"


def gain(
    ours: Mapping[int, float],
    theirs: Mapping[int, float],
    maximize: bool,
    comparisons: int = 1,
    n_test: int | None = None,
) -> Gain | None:
    """Compare {seed: value} with {seed: value} over the seeds that both have; None where they share none.

    comparisons: how many configurations ours was chosen from (Bonferroni: each of them could have been the one compared).
    n_test: samples, where the values are shares of them; the two are taken to err independently, which makes the error no less than it is.
    """
    common = [seed for seed in ours if seed in theirs]
    if not common:
        return None
    sign = 1 if maximize else -1
    a, b = ([sign * side[seed] for seed in common] for side in (ours, theirs))
    pair = finalists.paired(a, b, comparisons)
    differences = np.subtract(a, b)
    if len(common) > 1 and np.ptp(differences) <= SAME * np.abs([*a, *b]).max():
        pair = replace(pair, p=None, low=None, high=None)
    samples = None
    if n_test is not None:
        samples = math.hypot(*(sampling_error(abs(float(np.mean(side))), n_test) for side in (a, b)))
    return Gain(pair.mean, pair, pair.low, pair.high, samples)
