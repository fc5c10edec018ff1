"""Samplers as functions of the fixed history: trial i's parameters follow from (seed, i, the trials it may know), nothing else.

The Gaussian process is our own (gp.py), the other samplers are Optuna's, made anew for each trial with a seed of their own and shown a
view of the study that holds just the trials they may know. So it does not matter which worker samples a trial, nor how often it was begun.
"""

from __future__ import annotations

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
from trivet.search import gp
from trivet.search.teaching import HISTORY_CAP, Cap, blank, copied, teach

CLASSES = {
    "tpe": "TPESampler",
    "random": "RandomSampler",
    "qmc": "QMCSampler",
    "optuna_gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsgaii": "NSGAIISampler",
}
NEEDS = {"qmc": ["scipy"], "optuna_gp": ["scipy", "torch"], "cmaes": ["cmaes"]}
DEFAULTS: dict[str, dict[str, Any]] = {
    "tpe": {"multivariate": True, "group": True, "constant_liar": False, "n_startup_trials": 10, "n_ei_candidates": 24},
    "qmc": {"qmc_type": "sobol", "scramble": True},
    "gp": {"n_startup_trials": gp.N_STARTUP_TRIALS},
}
OWN = {"gp": ["n_startup_trials"], "auto": ["n_startup_trials"], "grid": ["limit"], "list": ["trials", "file"], "ends": []}
"""Samplers that are not Optuna's, and the arguments that they take."""
ENUMERATING = ("grid", "list", "ends")
USES_PENDING = ("gp",)
"""Samplers that look at the parameters of trials whose results they may not know yet."""
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
        config = "auto"
    if isinstance(config, str):
        config = {"name": config}
    if not isinstance(config, Mapping):
        raise UserError(f"hydra.sweeper.sampler={config!r}: must be a name or a mapping with `name`")
    arguments = {k: v for k, v in config.items() if k not in ("name", "_target_", "_partial_", "_convert_", "_recursive_", "defaults")}
    seed = arguments.pop("seed", None)
    name = _name_of_target(config["_target_"]) if config.get("_target_") else config.get("name")
    if name not in (*CLASSES, *OWN):
        raise UserError(f"hydra.sweeper.sampler={name!r}: must be one of {', '.join([*CLASSES, *OWN])}")
    for module in NEEDS.get(name, []):
        if importlib.util.find_spec(module) is None:
            raise UserError(f"hydra.sweeper.sampler={name}: needs the library {module}; install it with: pip install {module}")
    if name in OWN:
        allowed = OWN[name]
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
        self._specs = {p.name: p.spec for p in params if not isinstance(p.spec, space.Fixed)}
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
        view = _View([*teach(self._cap(known), self.spec.name, self.directions), *pending], number)
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

    def _ask_process(self, number: int, known: Sequence[FrozenTrial], pending: Sequence[FrozenTrial]) -> FrozenTrial:
        assert self._process is not None
        told = [t for t in teach(self._cap(known), "gp", self.directions) if t.values]
        values = self._process.ask(
            number,
            trial_seed(self.seed, number),
            [self._values(t) for t in told],
            [t.values[0] for t in told],
            [self._values(t) for t in pending],
        )
        return blank(
            number,
            params={name: internal(self._specs[name], value) for name, value in values.items()},
            distributions={name: self._distributions[name] for name in values},
        )

    def _values(self, trial: FrozenTrial) -> dict[str, Any]:
        return {name: external(self._specs[name], value) for name, value in trial.params.items() if name in self._specs}

    def _build(self, number: int) -> optuna.samplers.BaseSampler:
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


class _Qmc(optuna.samplers.QMCSampler):
    """Optuna's, with the trial's number as its place in the sequence and the whole declared space as its dimensions."""

    def __init__(self, distributions: Mapping[str, BaseDistribution], number: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._distributions, self._number = dict(distributions), number

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._distributions

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._number
