"""Samplers as functions of the fixed history: trial i's parameters follow from (seed, i, the trials it may know), nothing else.

The Gaussian process is our own (gp.py), the other samplers are Optuna's, made anew for each trial with a seed of their own and shown a
view of the study that holds just the trials they may know. So it does not matter which worker samples a trial, nor how often it was begun.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Container, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from trivet import space
from trivet.errors import UserError
from trivet.search import gp, own
from trivet.search.constraints import is_infeasible
from trivet.search.samplers import CLASSES, SamplerSpec
from trivet.search.teaching import HISTORY_CAP, Cap, blank, copied, teach


def distribution(spec: space.Spec) -> BaseDistribution:
    """The Optuna distribution of a range. Options go by their labels, see `internal`."""
    if isinstance(spec, space.Float):
        return FloatDistribution(spec.low, spec.high, log=spec.log, step=spec.step)
    if isinstance(spec, space.Int):
        return IntDistribution(spec.low, spec.high, log=spec.log, step=spec.step)
    return CategoricalDistribution(_labels(spec))


def _labels(choice: space.Choice) -> list[Any]:
    """What Optuna knows options by: themselves, or their text where it cannot hold them (lists) or tell them apart (1 and true)."""
    plain = [option if option is None or isinstance(option, (bool, int, float, str)) else repr(option) for option in choice.options]
    clash = any(a == b for i, a in enumerate(plain) for b in plain[:i])
    return [repr(option) for option in choice.options] if clash else plain


def internal(spec: space.Spec, value: Any) -> Any:
    """What Optuna calls a value that lies in the range."""
    if isinstance(spec, space.Choice):
        options = zip(_labels(spec), spec.options, strict=True)
        return next(label for label, option in options if space.contains(space.Fixed(option), value))
    return value


def external(spec: space.Spec, value: Any) -> Any:
    """The value that a range means by what Optuna suggested."""
    if isinstance(spec, space.Choice):
        options = zip(_labels(spec), spec.options, strict=True)
        return next(option for label, option in options if label == value or (label != label and value != value))
    return value


def configuration(params: Sequence[space.Param], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The values by name of the parameters that are active, from what a sampler `asked` for (Optuna's form); fixed ones are their own."""
    chosen: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for param in params:
        if param.active(chosen):
            value = param.spec.value if isinstance(param.spec, space.Fixed) else external(param.spec, asked[param.name])
            chosen[param.key] = values[param.name] = value
    return values


def trial_seed(seed: int, number: int) -> int:
    """A seed of 31 bits for trial `number`."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4]) >> 1


class _View(InMemoryStorage):
    """A study that holds given finished trials and the one being sampled."""

    def __init__(self, known: Sequence[FrozenTrial], number: int) -> None:
        super().__init__()
        self._known = known
        self._number = number

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        self._get_trial(trial_id).number = self._number
        return trial_id

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        own = super().get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [*(t for t in self._known if states is None or t.state in states), *own]


class Sampler:
    """Samples trials of one study. `seed` is the study's; `directions` are "minimize" or "maximize", one per objective.

    `defaults` is the default configuration, values by parameter name. Raises `UserError` for several objectives where a sampler
    takes one.
    """

    def __init__(
        self,
        spec: SamplerSpec,
        params: Sequence[space.Param],
        directions: Sequence[str],
        seed: int,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.spec, self.params, self.directions, self.seed = spec, list(params), list(directions), seed
        self._specs = space.searched(params)
        self._distributions = {name: distribution(s) for name, s in self._specs.items()}
        self._process = None
        if spec.name == "gp":
            if len(directions) > 1:
                raise UserError("hydra.sweeper.sampler=gp: takes a single objective; use tpe, nsgaii or optuna_gp, or give one direction")
            self._process = gp.Process(params, defaults or {}, self.directions[0] == "maximize", seed, **spec.arguments)
        self._cap = Cap(directions, HISTORY_CAP if self._process is None else gp.HISTORY_CAP)

    def ask(self, number: int, known: Sequence[FrozenTrial], extend: Any = None, pending: Sequence[FrozenTrial] = ()) -> FrozenTrial:
        """Sample trial `number` knowing the finished trials `known`; returns it with params, distributions and attributes.

        `known` is the beginning of the study's history: the same trials in the same order at each call, more or fewer of them.
        `pending` are the trials between it and `number`, of which a sampler may use the parameters.
        `extend(trial)` may suggest more with Optuna's own calls (hydra-optuna-sweeper's custom_search_space).
        """
        if self._process is not None and extend is None:
            return self._ask_process(number, known, pending)
        if own.is_own(self.spec.name):
            return self._ask_own(number, known, extend)
        return self._ask_optuna(number, [*teach(self._cap(known), self.spec.name, self.directions), *pending], extend)

    def _ask_own(self, number: int, known: Sequence[FrozenTrial], extend: Any) -> FrozenTrial:
        """Ask a sampler of one's own, which is shown its fixed history as it is, the whole of it."""
        try:
            trial = self._ask_optuna(number, known, extend)
        except UserError:
            raise
        except Exception as error:  # anybody's code
            raise own.failed(self.spec.name, error, number) from None
        for name, distribution in self._distributions.items():
            if name in trial.params:
                own.check_sampled(self.spec.name, name, trial.params[name], distribution)
        return trial

    def _ask_optuna(self, number: int, shown: Sequence[FrozenTrial], extend: Any) -> FrozenTrial:
        view = _View(shown, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = self._build(number)
            towards = [StudyDirection[direction.upper()] for direction in self.directions]
            study = optuna.create_study(storage=view, sampler=sampler, directions=towards, study_name="view")
            trial = study.ask()
            chosen: dict[str, Any] = {}
            for param in self.params:
                if not param.active(chosen):
                    continue
                if isinstance(param.spec, space.Fixed):
                    chosen[param.key] = param.spec.value
                else:
                    chosen[param.key] = external(param.spec, trial._suggest(param.name, self._distributions[param.name]))
            if extend is not None:
                extend(trial)
        return view._get_trial(trial._trial_id)

    def _ask_process(self, number: int, known: Sequence[FrozenTrial], pending: Sequence[FrozenTrial]) -> FrozenTrial:
        assert self._process is not None
        seen = self._cap(known)
        told_as = {t.number: t for t in teach(seen, "gp", self.directions) if t.values}
        told = [self._told(trial, told_as[trial.number].values[0]) for trial in seen if trial.number in told_as]
        values = self._process.ask(number, trial_seed(self.seed, number), told, [self._values(t) for t in pending])
        return blank(
            number,
            params={name: internal(self._specs[name], value) for name, value in values.items()},
            distributions={name: self._distributions[name] for name in values},
        )

    def _told(self, trial: FrozenTrial, result: float) -> gp.Told:
        """A trial with what is made of its result; the way of one that failed or broke a constraint says nothing."""
        counts = trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and not is_infeasible(trial)
        curve = sorted(trial.intermediate_values.items()) if counts else []
        return gp.Told(self._values(trial), result, curve, trial.state == TrialState.COMPLETE)

    def _values(self, trial: FrozenTrial) -> dict[str, Any]:
        return {name: external(self._specs[name], value) for name, value in trial.params.items() if name in self._specs}

    def _build(self, number: int) -> optuna.samplers.BaseSampler:
        if own.is_own(self.spec.name):
            return own.sampler(self.spec.name, self.spec.arguments, trial_seed(self.seed, number))
        arguments = dict(self.spec.arguments)
        if self.spec.name == "qmc":
            try:
                return _Qmc(self._distributions, number, seed=self.seed, warn_independent_sampling=False, **arguments)
            except (ValueError, TypeError) as error:
                raise self._wrong(error) from None
        arguments["seed"] = trial_seed(self.seed, number)
        if self.spec.name in ("tpe", "optuna_gp", "cmaes"):
            arguments.setdefault("warn_independent_sampling", False)
        try:
            return getattr(optuna.samplers, CLASSES[self.spec.name])(**arguments)
        except (ValueError, TypeError) as error:
            raise self._wrong(error) from None

    def _wrong(self, error: Exception) -> UserError:
        return UserError(f"hydra.sweeper.sampler={self.spec.as_dict()}: {error}")

    def try_out(self) -> None:
        """Sample a few trials for nothing, each told a made-up result: many arguments are read only once there is something to learn from.

        Raises `UserError` where the sampler's arguments are of no use.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if own.is_own(self.spec.name):
            return self._try_own()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._process is None:
                self._build(0)  # as it is given, before it is made to learn sooner
        given = self.spec.arguments
        sooner = {k: min(v, 4) for k, v in given.items() if k == "n_startup_trials" and isinstance(v, int)}
        default = {"n_startup_trials": 4} if self.spec.name == "optuna_gp" else {}
        trying = Sampler(SamplerSpec(self.spec.name, {**default, **given, **sooner}), self.params, self.directions, self.seed)
        size = given.get("population_size", 50) if self.spec.name == "nsgaii" else 6
        known: list[FrozenTrial] = []
        try:
            for number in range(min(size, 100) + 2):
                values = [math.sin(number + i) for i in range(len(self.directions))]
                known.append(copied(trying.ask(number, known), state=TrialState.COMPLETE, values=values))
        except UserError:
            raise
        except Exception as error:  # Optuna checks few of its arguments: the rest ends wherever it is used first
            raise self._wrong(error) from None

    def _try_own(self) -> None:
        """Ask a sampler of one's own the same twice: what it says must follow from its arguments, its seed and what it is shown."""
        own.tell_unheard(self.spec.name, self._build(0))
        known: list[FrozenTrial] = []
        for number in range(own.N_TRIED):
            first, second = (self.ask(number, known) for _ in range(2))
            if first.params != second.params:
                what = f"proposed {first.params}, then {second.params} for the same trial and history"
                raise UserError(
                    f"hydra.sweeper.sampler={self.spec.name}: {what}; let it take a `seed`, and draw every random number from that"
                )
            values = [math.sin(number + i) for i in range(len(self.directions))]
            known.append(copied(first, state=TrialState.COMPLETE, values=values))


class _Qmc(optuna.samplers.QMCSampler):
    """Optuna's, with the trial's number as its place in the sequence and the whole declared space as its dimensions."""

    def __init__(self, distributions: Mapping[str, BaseDistribution], number: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._distributions, self._number = dict(distributions), number

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._distributions

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._number
