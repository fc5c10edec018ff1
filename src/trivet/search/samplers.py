"""Which sampler, with which arguments: what `hydra.sweeper.sampler` may say, read and checked."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna

from trivet.errors import UserError
from trivet.search import gp, own

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
OWN = {
    **{
        "gp": ["n_startup_trials", "prior_confidence"],
        "auto": ["n_startup_trials"],
        "grid": ["limit"],
        "list": ["trials", "file"],
        "ends": [],
    },
    **{"ladder": ["key", "start", "metric", "most"], "tiers": ["tiers", "trials", "sampler"], "ablation": ["of", "seeds", "seed_key"]},
    **{"pbt": ["population", "interval", "steps", "quantile", "perturb", "resample", "change", "hold"], "replay": ["of"]},
}
"""Samplers that are not Optuna's, and the arguments that they take."""
ENUMERATING = ("grid", "list", "ends")
RULED = ("ladder", "tiers", "ablation", "pbt", "replay")
"""Searches whose next trials follow by rule from finished ones, see rounds.py."""
STAGED = ("pbt", "replay")
"""Searches whose trials go on from the checkpoints of others, for some steps each."""
REPEATING = ("ablation", *STAGED)
"""Searches that train a configuration several times on purpose."""
USES_PENDING = ("gp", *RULED)
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
    """Read `hydra.sweeper.sampler`: a name, `{name: ..., <arguments>}`, or `{_target_: ...}`.

    A `_target_` of hydra-optuna-sweeper's configs is taken over by its name; any other one, and a name with a dot in it, is a sampler of
    one's own (own.py). Returns the spec and the seed that it names, or None. Raises `UserError` for an unknown sampler or argument, and
    where a library that the sampler needs is missing; warns of an argument of a taken-over `_target_` that is not taken over.
    """
    if config is None:
        config = "auto"
    if isinstance(config, str):
        config = {"name": config}
    if not isinstance(config, Mapping):
        raise UserError(f"hydra.sweeper.sampler={config!r}: must be a name or a mapping with `name`")
    arguments = {k: v for k, v in config.items() if k not in ("name", "_target_", "_partial_", "_convert_", "_recursive_", "defaults")}
    seed = arguments.pop("seed", None)
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise UserError(f"hydra.sweeper.sampler.seed={seed}: must be a whole number >= 0")
    name = _name_of_target(config["_target_"]) if config.get("_target_") else config.get("name")
    if own.is_own(name):
        return _own_spec(name, config, arguments), seed
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
        taken = inspect.signature(getattr(optuna.samplers, CLASSES[name]).__init__).parameters
        allowed = list(taken)
        if config.get("_target_"):  # what the stock plugin's schema brings along
            if "n_ehvi_candidates" in arguments:  # the MOTPE sampler's name for it
                arguments["n_ei_candidates"] = arguments.pop("n_ehvi_candidates")
            arguments = _without_noise(arguments, DEFAULTS.get(name, {}))
    arguments = {**DEFAULTS.get(name, {}), **arguments}
    unknown = sorted(set(arguments) - set(allowed))
    if unknown:
        takes = ", ".join(sorted({*allowed} - {"self"})) or "none"
        raise UserError(f"hydra.sweeper.sampler.{unknown[0]}: {name} has no such argument; it takes {takes}")
    for key in arguments if name in CLASSES else ():
        if "bool" in str(taken[key].annotation) and not isinstance(arguments[key], bool | None):
            raise UserError(f"hydra.sweeper.sampler.{key}={arguments[key]}: must be true or false")
    for key in _CODE & set(arguments):
        if arguments[key] is not None:
            raise UserError(f"hydra.sweeper.sampler.{key}={arguments[key]}: takes an object of Python, which no config gives; leave it out")
    return SamplerSpec(name, arguments), seed


def _own_spec(path: str, config: Mapping[str, Any], arguments: Mapping[str, Any]) -> SamplerSpec:
    """A sampler of one's own; arguments of a named sampler that Hydra merged it over are left out."""
    merged = config.get("name") if config.get("_target_") else None
    known = list(OWN.get(merged, [])) if merged in OWN else None
    if merged in CLASSES:
        known = list(inspect.signature(getattr(optuna.samplers, CLASSES[merged]).__init__).parameters)
    return SamplerSpec(*own.named({"_target_": path, **arguments}, "hydra.sweeper.sampler", known))


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
    """The name of the sampler that a class of Optuna's stands for; the path itself of any other."""
    module, _, last = str(target or "").rpartition(".")
    if module.split(".")[0] not in ("", "optuna"):
        return str(target)
    if last == "MOTPESampler":
        return "tpe"
    if last == "GridSampler":
        return "grid"
    return next((name for name, cls in CLASSES.items() if cls == last), str(target) if target else None)
