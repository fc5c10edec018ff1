"""The keys of `hydra.sweeper`, and the checks of those that stand by themselves: each wrong value is one line before any trial."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from trivet.errors import UserError
from trivet.search import pruning
from trivet.search.sampling import ENUMERATING, SamplerSpec
from trivet.search.stopping import StopRules

DEFAULT_N_TRIALS = 20  # as hydra-optuna-sweeper


@dataclass
class Settings:
    """The keys of `hydra.sweeper`; the plugin's config documents each."""

    sampler: Any = None
    direction: Any = "minimize"
    storage: str | None = None
    study_name: str | None = None
    n_trials: int | None = None
    n_jobs: int | str = "auto"
    max_failure_rate: float = 0.5
    params: Mapping[str, Any] | None = None
    search_space: Mapping[str, Any] | None = None
    custom_search_space: str | None = None
    pruner: Any = None
    metric: str | None = None
    seed: int | None = None
    lag: int = 8
    baseline: bool | None = None
    enqueue: Sequence[Any] = ()
    warm_start: Sequence[str] = ()
    warm_start_prunes: bool = False
    stop: Mapping[str, Any] = field(default_factory=dict)
    trial_timeout: float | None = None
    max_restarts: int = 3
    threads: int | None = None
    trials_per_gpu: int = 1
    config_space: bool = True
    params_file: str | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    publish: str | None = None
    publish_files: Sequence[str] = ()


def directions_of(direction: Any) -> tuple[str, ...]:
    """One "minimize" or "maximize" per objective."""
    given = direction if isinstance(direction, Sequence) and not isinstance(direction, str) else [direction]
    names = tuple(str(getattr(d, "name", d)).lower() for d in given)
    for name in names:
        if name not in ("minimize", "maximize"):
            raise UserError(f"hydra.sweeper.direction={name}: must be minimize or maximize (or a list of them, one per objective)")
    if not names:
        raise UserError("hydra.sweeper.direction=[]: must name at least one direction")
    return names


def pruner_of(config: Any, directions: Sequence[str]) -> dict[str, Any] | None:
    """The pruner as a plain mapping, checked; None for no pruning."""
    config = plain(config) if isinstance(config, Mapping) else config
    rule = pruning.build(config)
    if rule is None:
        return None
    if len(directions) > 1:
        raise UserError("hydra.sweeper.pruner: pruning needs a single objective; set it to null, or give one direction")
    return {"name": config} if isinstance(config, str) else dict(config)


def stop_rules(s: Settings, sampler: SamplerSpec, n_explicit: int) -> StopRules:
    """When the sweep ends; a grid or a list of `n_explicit` trials ends with the last of them."""
    given = mapping(s.stop, "stop")
    allowed = ("seconds", "epochs", "plateau", "same_best", "target")
    for key, value in given.items():
        if key not in allowed:
            raise UserError(f"hydra.sweeper.stop.{key}: unknown; it takes {', '.join(allowed)} (n_trials stands by itself)")
        if value is None:
            continue
        if key in ("epochs", "same_best"):
            at_least(value, 1, f"stop.{key}")
        elif key == "plateau":
            whole = isinstance(value, Mapping) and set(value) == {"trials", "delta"} and all(map(_is_number, value.values()))
            if not whole or value["trials"] < 1 or value["trials"] % 1 or value["delta"] < 0:
                raise UserError(
                    f"hydra.sweeper.stop.plateau={value}: must be {{trials: k, delta: x}}: stop when k trials improve by no more than x"
                )
        elif not _is_number(value) or (key == "seconds" and value <= 0):
            raise UserError(f"hydra.sweeper.stop.{key}={value}: must be a number{' above 0' if key == 'seconds' else ''}")
    n_trials = s.n_trials
    if sampler.name in ENUMERATING:
        n_trials = n_explicit if n_trials is None else min(at_least(n_trials, 1, "n_trials"), n_explicit)
    return StopRules(n_trials=at_least(DEFAULT_N_TRIALS if n_trials is None else n_trials, 1, "n_trials"), **given)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def mapping(value: Any, key: str) -> dict[str, Any]:
    """A setting that is a mapping, as a plain dict; null is an empty one."""
    found = plain(value if value is not None else {})
    if not isinstance(found, Mapping):
        raise UserError(f"hydra.sweeper.{key}={value}: must be a mapping of key: value")
    return dict(found)


def at_least(value: Any, low: int, key: str) -> int:
    """A setting that is a whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise UserError(f"hydra.sweeper.{key}={value}: must be a whole number >= {low}")
    return value


def check(s: Settings) -> None:
    """Check the settings that stand by themselves. Raises `UserError`."""
    for key, low in (("seed", 0), ("threads", 1)):
        if getattr(s, key) is not None:
            at_least(getattr(s, key), low, key)
    at_least(s.trials_per_gpu, 1, "trials_per_gpu")
    timeout = s.trial_timeout
    if timeout is not None and not (_is_number(timeout) and timeout > 0):
        raise UserError(f"hydra.sweeper.trial_timeout={timeout}: must be a number of seconds above 0, or null")
    if s.baseline is not None and not isinstance(s.baseline, bool):
        raise UserError(f"hydra.sweeper.baseline={s.baseline}: must be true, false or null")
    for key in ("enqueue", "warm_start", "publish_files"):
        if not isinstance(getattr(s, key) or [], (list, tuple)):
            raise UserError(f"hydra.sweeper.{key}={getattr(s, key)}: must be a list")
    if s.study_name is not None and (not str(s.study_name) or "/" in str(s.study_name)):
        raise UserError(f"hydra.sweeper.study_name={s.study_name}: must be a name without '/': it names a folder")


def rate(value: float) -> float:
    """max_failure_rate."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise UserError(f"hydra.sweeper.max_failure_rate={value}: must be between 0 and 1")
    return float(value)


def plain(value: Any) -> Any:
    """Config nodes, tuples, enums and paths as what YAML knows."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, Enum):
        return value.name
    return str(value) if isinstance(value, os.PathLike) else value


def read_mapping(path: Path, key: str) -> Mapping[str, Any]:
    """A YAML file that holds a mapping."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{key}={path}: cannot be read ({type(error).__name__}); name a YAML file of ranges") from None
    if not isinstance(content, Mapping):
        raise UserError(f"{key}={path}: must hold a mapping of key: range")
    return content
