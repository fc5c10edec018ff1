"""The Gaussian process as a sampler: from trials told and pending to the values of the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trivet import space
from trivet.errors import UserError
from trivet.search.fidelity import Told, evidence
from trivet.search.gaussian import Features, Model, propose
from trivet.search.prior import BETA, Prior
from trivet.search.whole import Whole

N_STARTUP_TRIALS = 6
"""Trials with a result before the model has a say; until then they fill the space evenly."""
EXPLORE_EVERY = 8
"""Each so-many-th trial fills the space evenly whatever the model says: a model that has never seen a good trial of an option leaves it."""
HISTORY_CAP = 250
"""Trials that the model sees: its cost grows with their cube, to about half a second on one core."""
MOST_BEHIND = 3.0
"""How far behind the best a value counts, in units of how far the worst fifth is: a loss of 1e9 tells no more than a poor one. The even
points are about as many, so that the unit is that of the space and not of the corner where a search ends."""


class AtEnd:
    """A model of configurations and of how far a trial was, asked about the end alone."""

    def __init__(self, x: np.ndarray, depths: np.ndarray, y: np.ndarray, owner: np.ndarray) -> None:
        self._is_deep = bool((depths < 1).any())  # else there is nothing to learn of the way
        columns = np.column_stack([x, depths]) if self._is_deep else x
        self._model = Model(columns, y, np.append(owner, owner.max(initial=-1) + 1) if self._is_deep else owner)

    def _columns(self, x: np.ndarray) -> np.ndarray:
        return np.column_stack([x, np.ones(len(x))]) if self._is_deep else x

    def believe(self, x: np.ndarray) -> None:
        """See `Model`: the trials are expected to go on to the end."""
        self._model.believe(self._columns(x))

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Model`."""
        return self._model.predict(self._columns(x))


class Process:
    """Samples trials of one study by a Gaussian process over its whole space, see whole.py and gaussian.py. Raises `UserError`."""

    def __init__(
        self,
        params: Sequence[space.Param],
        defaults: Mapping[str, Any],
        maximize: bool,
        seed: int,
        n_startup_trials: int = N_STARTUP_TRIALS,
        prior_confidence: str | None = None,
    ) -> None:
        if isinstance(n_startup_trials, bool) or not isinstance(n_startup_trials, int) or n_startup_trials < 0:
            raise UserError(f"hydra.sweeper.sampler.n_startup_trials={n_startup_trials}: must be a whole number >= 0 (sampler gp)")
        self._whole, self._n_startup_trials = Whole(params, defaults), n_startup_trials
        self._sign = 1.0 if maximize else -1.0
        self._features = Features(
            np.array([d.is_options for d in self._whole.dimensions], dtype=bool),
            np.array([d.n if d.is_options else 1 for d in self._whole.dimensions], dtype=int),
        )
        self._prior = None if prior_confidence in (None, "none") else Prior(self._whole.dimensions, prior_confidence)
        self._shift = np.random.default_rng([seed, 5]).random(len(self._whole.dimensions))

    def ask(self, number: int, seed: int, known: Sequence[Told], pending: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The values of trial `number` by parameter name, given known trials and the values of pending ones."""
        explores = number % EXPLORE_EVERY == EXPLORE_EVERY - 1
        if explores or len(known) < max(2, self._n_startup_trials) or not self._whole.dimensions:
            return self._whole.values(self._evenly(number, None if explores else self._prior))
        points = np.array([self._whole.point(trial.values) for trial in known])
        rows = evidence(known, self._sign)
        x = self._features.columns(points[rows.places])
        model = AtEnd(x, rows.depths, self._scores(rows.scores), self._features.owner)
        if pending:
            model.believe(self._features.columns(np.array([self._whole.point(values) for values in pending])))
        rng = np.random.default_rng([seed, 3])
        if self._prior is None:
            return self._whole.values(propose(model, self._features, self._whole.settled, points, rng))
        prior, weight = self._prior, BETA / len(known)

        def belief(places: np.ndarray) -> np.ndarray:
            return weight * prior.log_density(places)

        return self._whole.values(propose(model, self._features, self._whole.settled, points, rng, belief))

    def _evenly(self, number: int, prior: Prior | None = None) -> np.ndarray:
        """The `number`-th of points that fill the space evenly, or a belief, from the first on: Roberts' R-sequence, moved by the seed."""
        n = len(self._shift)
        root = 2.0
        for _ in range(40):
            root = (1 + root) ** (1 / (n + 1))
        share = (self._shift + (number + 1) * root ** -np.arange(1.0, n + 1)) % 1.0
        if prior is not None:
            return self._whole.settled(prior.spread(share)[None])[0]
        options = np.floor(share * self._features.n_options)
        return self._whole.settled(np.where(self._features.is_options, options, share)[None])[0]

    def _scores(self, scores: np.ndarray) -> np.ndarray:
        """Scores as the model has them: mean 0, deviation 1, those far behind drawn in."""
        finite = scores[np.isfinite(scores)]
        if not len(finite):
            return np.zeros(len(scores))
        scores = np.clip(np.where(np.isnan(scores), -np.inf, scores), finite.min(), finite.max())
        best, poor = scores.max(), np.quantile(scores, 0.2, method="higher")
        scores = np.maximum(scores, best - MOST_BEHIND * (best - poor)) if best > poor else scores
        return (scores - scores.mean()) / max(scores.std(), 1e-12)
