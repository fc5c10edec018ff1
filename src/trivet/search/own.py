"""Strategies of one's own: any `optuna.samplers.BaseSampler`, any object with the protocol of our pruners, named by a dotted path.

    sampler: {_target_: my.module.MySampler, width: 0.2}
    pruner: {_target_: my.module.MyRule, patience: 3}

Both are made of their arguments alone, and asked about made-up trials before anything runs: one that answers otherwise to the same
question (random numbers without the seed, memory, the clock) would give another table each time, and is refused.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
import optuna

from trivet.errors import UserError
from trivet.targets import TARGET, accepts, build, first_line, locate

log = logging.getLogger("trivet")
SAMPLER, PRUNER = "hydra.sweeper.sampler", "hydra.sweeper.pruner"
N_TRIED = 8
"""Made-up trials that a sampler is asked for."""
OPTUNAS = {
    "MedianPruner": "median",
    "PercentilePruner": "percentile",
    "SuccessiveHalvingPruner": "asha",
    "HyperbandPruner": "hyperband",
    "PatientPruner": "patient",
    "NopPruner": "none",
    "ThresholdPruner": "threshold",
    "WilcoxonPruner": "median",
}


def is_own(name: Any) -> TypeGuard[str]:
    """Whether a strategy's name is a dotted path."""
    return isinstance(name, str) and "." in name


def named(config: Mapping[str, Any], key: str, known: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
    """The dotted path and the arguments of `{_target_: path, ...}`, checked as far as the path.

    Hydra merges such a mapping from a command line over what the config has: `known` are the arguments of the rule that it names
    besides, which go where the path's do not include them.
    """
    path = str(config[TARGET])
    if not is_own(path):
        raise UserError(f"{key}.{TARGET}={path}: must be a dotted path, module.Class")
    takes = accepts(locate(path, f"{key}.{TARGET}"))
    arguments = {k: v for k, v in config.items() if k not in (TARGET, "name")}
    if known is not None and takes is not None:
        arguments = {k: v for k, v in arguments.items() if k in takes or k not in known}
    return path, arguments


# Samplers ------------------------------------------------------------------------------------------------------------------------


def sampler(path: str, arguments: Mapping[str, Any], seed: int) -> optuna.samplers.BaseSampler:
    """The sampler of one trial. `seed` is the trial's; it reaches whatever takes a `seed`. Raises `UserError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # for each trial anew
        made = build(path, arguments, SAMPLER, seed)
    if not isinstance(made, optuna.samplers.BaseSampler):
        raise UserError(f"{SAMPLER}={path}: gives a {type(made).__name__}; must give an optuna.samplers.BaseSampler")
    return made


def failed(path: str, error: Exception, number: int) -> UserError:
    """What a sampler raised, as the line that ends the sweep."""
    return UserError(f"{SAMPLER}={path}: {first_line(error)} (asked for trial {number})")


def check_sampled(path: str, name: str, value: Any, distribution: optuna.distributions.BaseDistribution) -> None:
    """Raise `UserError` where a sampler gave what its range does not hold: Optuna looks at no value that is sampled by itself."""
    try:
        holds = distribution._contains(distribution.to_internal_repr(value))
    except (TypeError, ValueError):
        holds = False
    if not holds:
        raise UserError(f"{SAMPLER}={path}: gave {name}={value!r}, which is not in {distribution}")


def tell_unheard(path: str, made: optuna.samplers.BaseSampler) -> None:
    """Say where a sampler waits for news that it will not get."""
    base = optuna.samplers.BaseSampler
    ours = not type(made).__module__.startswith("optuna.")
    if ours and type(made).after_trial is not base.after_trial:
        log.warning(
            f"{SAMPLER}={path}: its after_trial is not called, as a sampler is made anew for each trial; read study.get_trials() instead"
        )


# Pruners -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """A pruner made of `arguments` by what `path` names; see pruning.py for `prune`. What it raises is one line."""

    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    rule: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rule", self._make())
        answers, n = self._answers(self.rule, _questions()), len(_questions())
        again = self._answers(self.rule, _questions()[::-1])[::-1]
        if answers != again or answers != self._answers(self._make(), _questions()):
            raise UserError(
                f"{PRUNER}={self.path}: gave other verdicts when asked the same {n} questions again; a verdict must follow from "
                "number, steps, values and peers alone, without random numbers, memory or the clock"
            )

    def _make(self) -> Any:
        made = build(self.path, self.arguments, PRUNER)
        if isinstance(made, optuna.pruners.BasePruner):
            instead = OPTUNAS.get(type(made).__name__)
            mend = f"take pruner.name={instead}" if instead else "write it with prune(number, steps, values, peers)"
            raise UserError(f"{PRUNER}={self.path}: a pruner of Optuna's looks at trials that happen to run; {mend}")
        if not callable(getattr(made, "prune", None)):
            raise UserError(f"{PRUNER}={self.path}: has no method prune(number, steps, values, peers)")
        return made

    def _answers(self, rule: Any, questions: Sequence[tuple[Any, ...]]) -> list[bool]:
        return [self._ask(rule, *question) for question in questions]

    def _ask(self, rule: Any, number: int, steps: Sequence[int], values: Sequence[float], peers: Any) -> bool:
        try:
            answer = rule.prune(number, list(steps), list(values), peers)
        except Exception as error:  # anybody's code
            raise UserError(f"{PRUNER}={self.path}: {first_line(error)} (trial {number} at step {steps[-1]})") from None
        if not isinstance(answer, (bool, np.bool_)):
            raise UserError(f"{PRUNER}={self.path}: prune gave {str(answer)[:60]!r}; must give true or false")
        return bool(answer)

    def prune(self, number: int, steps: Sequence[int], values: Sequence[float], peers: Any) -> bool:
        """See pruning.py."""
        return self._ask(self.rule, number, steps, values, peers)


def _questions() -> list[tuple[Any, ...]]:
    """Trials that a rule is asked about for nothing: none, few and more before them, some of those pruned or failed."""

    def peers_of(n: int) -> Any:
        def peers(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            i, s = np.arange(n)[:, None], np.arange(1, step + 1)[None]
            curves = np.where((s < 3) | (i % 3 > 0), np.sin(3 * i + s) + s / 4, -np.inf)
            last = curves[:, -1]
            return np.arange(n), last, np.where(np.isneginf(last), last, curves.max(axis=1))

        return peers

    questions = []
    for number in (0, 1, 4, 30):
        values = [math.cos(number + s) + s / 4 for s in range(1, 7)]
        questions += [(number, list(range(1, s + 1)), values[:s], peers_of(number)) for s in range(1, 7)]
    return questions
