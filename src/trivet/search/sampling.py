"""Samplers as functions of the fixed history: trial i's parameters follow from (seed, i, the trials it may know), nothing else.

Every sampler is Optuna's, made anew for each trial with a seed of its own and shown a view of the study that holds just the
trials it may know. So it does not matter which worker samples a trial, nor how often it was begun.
"""

from __future__ import annotations

import bisect
import hashlib
import importlib.util
import inspect
import math
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from trivet import space
from trivet.errors import UserError

HISTORY_CAP = 500
"""A sampler sees at most this many trials: the best hundred and the latest of the rest. It keeps the cost of a sample
constant; TPE gives old losing trials next to no weight anyway (its default weights)."""
N_BEST_KEPT = 100

CLASSES = {
    "tpe": "TPESampler",
    "random": "RandomSampler",
    "qmc": "QMCSampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsgaii": "NSGAIISampler",
}
NEEDS = {"qmc": ["scipy"], "gp": ["scipy", "torch"], "cmaes": ["cmaes"]}
DEFAULTS: dict[str, dict[str, Any]] = {
    "tpe": {"multivariate": True, "group": True, "constant_liar": False, "n_startup_trials": 10, "n_ei_candidates": 24},
    "qmc": {"qmc_type": "sobol", "scramble": True},
}
ENUMERATING = ("grid", "list", "ends")
INDEPENDENT = ("random", "qmc", *ENUMERATING)
"""Samplers that look at no result: any number of trials may run at once."""


@dataclass(frozen=True)
class SamplerSpec:
    """Which sampler, with which arguments; `Any` values of plain types only, so that it can be hashed and sent to workers."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For study.yaml and the identity."""
        return {"name": self.name, **self.arguments}


def sampler_spec(config: Any) -> tuple[SamplerSpec, int | None]:
    """Read `hydra.sweeper.sampler`: a name, `{name: ..., <arguments>}`, or the `_target_` form of hydra-optuna-sweeper.

    Returns the spec and the seed that it names, or None. Raises `UserError` for an unknown sampler or argument, and where
    a library that the sampler needs is missing; warns of an argument of the `_target_` form that is not taken over.
    """
    if config is None:
        config = "tpe"
    if isinstance(config, str):
        config = {"name": config}
    if not isinstance(config, Mapping):
        raise UserError(f"hydra.sweeper.sampler={config!r}: must be a name or a mapping with `name`")
    arguments = {k: v for k, v in config.items() if k not in ("name", "_target_", "_partial_", "_convert_", "_recursive_", "defaults")}
    seed = arguments.pop("seed", None)
    name = _name_of_target(config["_target_"]) if config.get("_target_") else config.get("name")
    if name not in (*CLASSES, *ENUMERATING):
        raise UserError(f"hydra.sweeper.sampler={name!r}: must be one of {', '.join([*CLASSES, *ENUMERATING])}")
    for module in NEEDS.get(name, []):
        if importlib.util.find_spec(module) is None:
            raise UserError(f"hydra.sweeper.sampler={name}: needs the library {module}; install it with: pip install {module}")
    if name in ENUMERATING:
        allowed = {"list": ["trials", "file"], "grid": ["limit"], "ends": []}[name]
        if name == "grid":
            arguments.pop("search_space", None)
    else:
        allowed = list(inspect.signature(getattr(optuna.samplers, CLASSES[name]).__init__).parameters)
        if config.get("_target_"):  # what the stock plugin's schema brings along
            if "n_ehvi_candidates" in arguments:  # the MOTPE sampler's name for it
                arguments["n_ei_candidates"] = arguments.pop("n_ehvi_candidates")
            arguments = _without_noise(arguments, DEFAULTS.get(name, {}))
        arguments = {**DEFAULTS.get(name, {}), **arguments}
    unknown = sorted(set(arguments) - set(allowed))
    if unknown:
        raise UserError(
            f"hydra.sweeper.sampler.{unknown[0]}: {name} has no such argument; it takes {', '.join(sorted({*allowed} - {'self'}))}"
        )
    for key in _CODE & set(arguments):
        if arguments[key] is not None:
            raise UserError(f"hydra.sweeper.sampler.{key}={arguments[key]}: takes an object of Python, which no config gives; leave it out")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise UserError(f"hydra.sweeper.sampler.seed={seed}: must be a whole number >= 0")
    return SamplerSpec(name, arguments), seed


_CODE = frozenset(
    {
        *("gamma", "weights", "constraints_func", "categorical_distance_func", "independent_sampler", "source_trials"),
        *("mutation", "crossover", "child_generation_strategy", "after_trial_strategy", "elite_population_selection_strategy"),
    }
)
"""Arguments that are functions or other objects of Python; some samplers accept anything there, and never look at it."""

_STOCK_NOISE: dict[str, Any] = {
    **{"consider_prior": True, "prior_weight": 1.0, "consider_magic_clip": True, "consider_endpoints": False, "multivariate": False},
    **{"warn_independent_sampling": True, "restart_strategy": None, "inc_popsize": 2, "gamma": None, "weights": None},
}
"""Arguments that hydra-optuna-sweeper 1.3's schemas pass and Optuna 5 has dropped, deprecated or turned off, with its defaults."""


def _without_noise(arguments: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in arguments.items():
        if key in _STOCK_NOISE and value not in (None, _STOCK_NOISE[key], ours.get(key)):
            warnings.warn(
                f"hydra.sweeper.sampler.{key}={value}: not taken over, as Optuna {optuna.__version__} knows no such choice", stacklevel=3
            )
    return {k: v for k, v in arguments.items() if v is not None and k not in _STOCK_NOISE}


def _name_of_target(target: Any) -> str | None:
    last = str(target or "").rsplit(".", 1)[-1]
    if last == "MOTPESampler":
        return "tpe"
    if last == "GridSampler":
        return "grid"
    return next((name for name, cls in CLASSES.items() if cls == last), str(target) if target else None)


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
    """Samples trials of one study. `seed` is the study's; `directions` are "minimize" or "maximize", one per objective."""

    def __init__(self, spec: SamplerSpec, params: Sequence[space.Param], directions: Sequence[str], seed: int) -> None:
        self.spec, self.params, self.directions, self.seed = spec, list(params), list(directions), seed
        self._distributions = {p.name: distribution(p.spec) for p in params if not isinstance(p.spec, space.Fixed)}
        self._cap = _Cap(directions)

    def ask(self, number: int, known: Sequence[FrozenTrial], extend: Any = None) -> FrozenTrial:
        """Sample trial `number` knowing the finished trials `known`; returns it with params, distributions and attributes.

        `known` is the beginning of the study's history: the same trials in the same order at each call, more or fewer of them.
        `extend(trial)` may suggest more with Optuna's own calls (hydra-optuna-sweeper's custom_search_space).
        """
        view = _View(_teach(self._cap(known), self.spec.name, self.directions), number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = self._build(number)
            study = optuna.create_study(storage=view, sampler=sampler, directions=self.directions, study_name="view")
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

    def _build(self, number: int) -> optuna.samplers.BaseSampler:
        arguments = dict(self.spec.arguments)
        if self.spec.name == "qmc":
            return _Qmc(self._distributions, number, seed=self.seed, warn_independent_sampling=False, **arguments)
        arguments["seed"] = trial_seed(self.seed, number)
        if self.spec.name in ("tpe", "gp", "cmaes"):
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._build(0)  # as it is given, before it is made to learn sooner
        given = self.spec.arguments
        sooner = {k: min(v, 4) for k, v in given.items() if k == "n_startup_trials" and isinstance(v, int)}
        default = {"n_startup_trials": 4} if self.spec.name == "gp" else {}
        trying = Sampler(SamplerSpec(self.spec.name, {**default, **given, **sooner}), self.params, self.directions, self.seed)
        size = given.get("population_size", 50) if self.spec.name == "nsgaii" else 6
        known: list[FrozenTrial] = []
        try:
            for number in range(min(size, 100) + 2):
                values = [math.sin(number + i) for i in range(len(self.directions))]
                known.append(_copy(trying.ask(number, known), state=TrialState.COMPLETE, values=values))
        except UserError:
            raise
        except Exception as error:  # Optuna checks few of its arguments: the rest ends wherever it is used first
            raise self._wrong(error) from None


class _Qmc(optuna.samplers.QMCSampler):
    """Optuna's, with the trial's number as its place in the sequence and the whole declared space as its dimensions."""

    def __init__(self, distributions: Mapping[str, BaseDistribution], number: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._distributions, self._number = dict(distributions), number

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._distributions

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._number


class _Cap:
    """Cuts a history to what a sampler sees: the best of the older trials and all of the latest, in their order.

    Histories come one longer than the other, as a rule, so the order of the older trials is kept from call to call: a cut
    costs the same however long the study is.
    """

    def __init__(self, directions: Sequence[str]) -> None:
        self._sign = -1.0 if directions[0] == "maximize" else 1.0
        self._ranked: list[tuple[float, int]] = []  # of the older trials: the first objective, lower is better, and the place

    def __call__(self, known: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
        """`known` is the beginning of one growing history: calls differ in its length alone."""
        n_older = len(known) - (HISTORY_CAP - N_BEST_KEPT)
        if len(known) <= HISTORY_CAP:
            return known
        if n_older < len(self._ranked):
            self._ranked.clear()
        for place in range(len(self._ranked), n_older):
            bisect.insort(self._ranked, (self._rank(known[place]), place))
        return [*(known[place] for place in sorted(place for _, place in self._ranked[:N_BEST_KEPT])), *known[n_older:]]

    def _rank(self, trial: FrozenTrial) -> float:
        return self._sign * trial.values[0] if trial.state == TrialState.COMPLETE and trial.values else math.inf


def _teach(known: Sequence[FrozenTrial], name: str, directions: Sequence[str]) -> Sequence[FrozenTrial]:
    """Show failed trials as bad ones, so that the sampler stays away; and pruned ones to samplers that know no pruning.

    TPE ranks a pruned trial without a value behind all others. GP, CMA-ES and NSGA-II look at completed trials only: a
    pruned one comes with its last value, a failed one with the worst value seen.
    """
    untold = [t.state == TrialState.FAIL or (t.state == TrialState.PRUNED and name != "tpe") for t in known]
    if not any(untold):
        return known
    pruned_tpe = name == "tpe" and len(directions) == 1
    worst = None if pruned_tpe else _worst(known, directions)
    taught = []
    for trial, to_tell in zip(known, untold, strict=True):
        if not to_tell:
            taught.append(trial)
        elif pruned_tpe:
            taught.append(_copy(trial, state=TrialState.PRUNED, values=None, intermediate_values={}))
        elif trial.values or worst is not None:
            values = list(trial.values or worst or [])
            taught.append(_copy(trial, state=TrialState.COMPLETE, values=values, intermediate_values={}))
    return taught


def _worst(known: Sequence[FrozenTrial], directions: Sequence[str]) -> list[float] | None:
    rows = [t.values for t in known if t.state == TrialState.COMPLETE and t.values]
    if not rows:
        return None
    return [
        min(column) if direction == "maximize" else max(column)
        for column, direction in zip(zip(*rows, strict=True), directions, strict=True)
    ]


def _copy(trial: FrozenTrial, **changes: Any) -> FrozenTrial:
    given = {
        "number": trial.number,
        "state": trial.state,
        "value": None,
        "values": trial.values,
        "datetime_start": trial.datetime_start,
        "datetime_complete": trial.datetime_complete,
        "params": trial.params,
        "distributions": trial.distributions,
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "intermediate_values": trial.intermediate_values,
        "trial_id": trial._trial_id,
    }
    return FrozenTrial(**{**given, **changes})
