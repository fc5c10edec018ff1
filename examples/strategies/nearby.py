"""A sampler of one's own: uniform draws, and steps of one parameter or two around the best trial so far.

Any `optuna.samplers.BaseSampler` will do, and so does a function that returns one (of OptunaHub, say). What trivet promises and expects:

- A sampler is made anew for each trial: `study.get_trials()` is all that there is to know. It holds the trials that this one may know, and
  the whole of those; never one that happens to run at the time. Pruned trials are in it as PRUNED, with the reports they had; failed
  ones as FAIL. So the same trial is the same, whoever samples it and when.
- `seed` is given to it, another one for each trial. A sampler that says otherwise when it is asked again for the same trial, as one does
  that draws numbers without its seed, is refused before anything runs.
- `after_trial` is not called.
"""

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState


class Nearby(optuna.samplers.BaseSampler):
    """Every other trial is drawn from the whole space; the rest are steps away from the best one. `width`: of a step, in whole ranges."""

    def __init__(self, width: float = 0.1, seed: int | None = None) -> None:
        self.width, self.rng = width, np.random.default_rng(seed)
        self.uniform = optuna.samplers.RandomSampler(seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing is sampled jointly: `sample_independent` is asked for each parameter that counts in the trial."""
        return {}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict:
        """See above."""
        return {}

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution):
        """The best trial's value, moved or not; a uniform draw where there is no such trial or the trial's turn is to explore."""
        drawn = self.uniform.sample_independent(study, trial, param_name, param_distribution)
        known = [t for t in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]) if param_name in t.params]
        if trial.number % 2 or not known:
            return drawn
        sign = 1 if study.direction == optuna.study.StudyDirection.MINIMIZE else -1
        best = min(known, key=lambda t: sign * t.value).params[param_name]
        if isinstance(param_distribution, CategoricalDistribution):
            return best if self.rng.random() > self.width else drawn
        low, high = param_distribution.low, param_distribution.high
        if param_distribution.log:
            low, high, best = np.log([low, high, best])
        moved = np.clip(best + self.width * (high - low) * self.rng.standard_normal(), low, high)
        moved = np.exp(moved) if param_distribution.log else moved
        step = getattr(param_distribution, "step", None)  # whole numbers have one: 1 as a rule
        if step is not None:
            moved = param_distribution.low + round((moved - param_distribution.low) / step) * step
        return type(param_distribution.low)(np.clip(moved, param_distribution.low, param_distribution.high))
