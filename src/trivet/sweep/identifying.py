"""What makes a sweep this study and no other: everything that can change a result; budgets and machinery are not in it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.types import TaskFunction
from omegaconf import DictConfig, OmegaConf

import trivet
from trivet import space
from trivet.search.constraints import Constraint
from trivet.search.replicates import Replicates
from trivet.search.samplers import ENUMERATING, INDEPENDENT, SamplerSpec
from trivet.search.stopping import StopRules
from trivet.search.weights import Weights
from trivet.study import code, identity, values
from trivet.sweep.configs import plain as plain_config
from trivet.sweep.configs import strings, task_of, without_space
from trivet.sweep.jobs import Composer
from trivet.sweep.ruled import Ruled
from trivet.sweep.settings import Settings, plain
from trivet.sweep.spaces import Space
from trivet.targets import call, locate


@dataclass(frozen=True)
class Search:
    """What a sweep searches and how, checked."""

    sampler: SamplerSpec
    seed: int
    directions: tuple[str, ...]
    pruner: Mapping[str, Any] | None
    where: Space
    composer: Composer
    fixed: tuple[str, ...]
    trials: tuple[Mapping[str, Any], ...]  # given outright
    warm: tuple[Mapping[str, Any], ...]
    stop: StopRules
    ruled: Ruled | None = None  # of a search by rule
    constraints: tuple[Constraint, ...] = ()
    replicates: Replicates | None = None
    weights: Weights | None = None

    @property
    def n_runs(self) -> int:
        """Of each trial."""
        return 1 if self.replicates is None else len(self.replicates.values)


def identify(s: Settings, search: Search, task_function: TaskFunction, root: Path) -> tuple[dict[str, Any], list[str]]:
    """The identity, as study.yaml shows it, and the config keys whose value varies by itself. Raises `UserError`."""
    given = _given(s)
    script = source_of(task_function)
    project = code.project_of(script, root)
    configs = _Configs(search, project, tuple(given.get("ignore") or ()))
    sampler = search.sampler
    parts = {
        "directions": list(search.directions),
        "space": {p.name: space.to_text(p.spec) for p in search.where.params},
        "sampler": sampler.as_dict() if sampler.name not in ENUMERATING else {"name": sampler.name},
        "pruner": search.pruner,
        "seed": search.seed,
        **({"weights": search.weights.as_dict()} if search.weights is not None else {}),
        **({"replicates": search.replicates.as_dict()} if search.replicates is not None else {}),
        **({"constraints": {c.metric: str(c) for c in search.constraints}} if search.constraints else {}),
        "lag": s.lag if sampler.name not in INDEPENDENT else None,
        "trials": [t["overrides"] if t["overrides"] is not None else t["params"] for t in search.trials],
        "warm_start": identity.fingerprint({"rows": search.warm, "prunes": s.warm_start_prunes})[:16] if search.warm else None,
        "custom_search_space": s.custom_search_space,
        **configs.parts(),
        "code": _code(s, search, given, task_function, root) if given["code"] == "imported" else None,
        "files": identity.file_hashes(list(given.get("files") or ()), root),
        "duplicates": None if sampler.name in INDEPENDENT else s.duplicates,
        **({} if s.gpus_per_trial == 1 else {"gpus_per_trial": s.gpus_per_trial}),  # trainers use what they see: another batch
        "retried": None,  # see retrying.py
        "called": _called(given.get("call"), search.where.config),
    }
    return parts, configs.varying


def _given(s: Settings) -> dict[str, Any]:
    given = {"code": "imported", **s.identity}
    given["code"] = "none" if given["code"] is None else given["code"]
    return given


class _Configs:
    """What the identity says of the config: its text, and digests of what stands behind the text."""

    def __init__(self, search: Search, project: Path, ignore: tuple[str, ...]) -> None:
        self._search, self._project, self._ignore = search, project, ignore
        self.varying: list[str] = []

    def parts(self) -> dict[str, Any]:
        """The default config, what its interpolations come to, the environment of the jobs, and each other option that may be chosen."""
        composer = self._search.composer
        text, came_to = self._of(self._search.where.home)
        env = self._search.where.config.hydra.job.env_set
        environment = OmegaConf.to_container(env, resolve=False)
        prefix = "hydra.job.env_set"
        places = [("hydra", "job", "env_set", *place) for place in values.interpolated(env)]
        counted = self._values(lambda: composer.copies(self._search.where.home)[0], places)
        assert isinstance(environment, dict)
        left_out = {str(k) for k in environment if prefix in self._ignore or f"{prefix}.{k!s}" in self._ignore}
        environment = {k: v for k, v in environment.items() if str(k) not in left_out}
        options = {}
        for chosen in self._search.where.variants:
            name = ",".join(f"{group}={space.value_text(option)}" for group, option in chosen.items())
            options[name] = identity.fingerprint(dict(zip(("text", "values"), self._of(chosen), strict=True)))[:16]
        self.varying = list(dict.fromkeys(self.varying))
        return {"config": text, "values": came_to | counted, "env_set": environment, "options": options}

    def _of(self, chosen: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        config = self._search.composer.base(chosen)
        text = without_space(identity.without(plain_config(config), self._ignore))
        task = self._search.composer.copies(chosen)[1]
        return text, self._values(lambda: self._search.composer.copies(chosen)[1], values.interpolated(task))

    def _values(self, fresh: Any, places: list[values.Place]) -> dict[str, str]:
        names = {place: ".".join(map(str, place)) for place in places}
        counted = [p for p, name in names.items() if not any(name == key or name.startswith(f"{key}.") for key in self._ignore)]
        found = values.values_of(fresh, counted, self._project)
        self.varying += found.varying
        return found.digests


def _code(s: Settings, search: Search, given: Mapping[str, Any], task_function: TaskFunction, root: Path) -> dict[str, str]:
    """Digests of the code that trials run, by file: a text of the config may name a class, a function or a program."""
    script = source_of(task_function)
    scripts = [script, source_of(sys.modules.get("__main__"))]
    names = [str(name) for name in (given.get("call"), s.custom_search_space) if name is not None]
    names += strings([search.sampler.as_dict(), search.pruner])  # strategies of the project's own
    for chosen in (search.where.home, *search.where.variants):
        names += _texts(search.composer.copies(chosen)[1])
    for param in search.where.params:
        if isinstance(param.spec, space.Choice):
            names += [option for option in param.spec.options if isinstance(option, str)]
    for trial in search.trials:
        names += [value for value in trial["params"].values() if isinstance(value, str)]
    scripts += [root / word for word in dict.fromkeys(word for name in names for word in name.split()) if word.endswith(".py")]
    return code.code_hashes([file for file in scripts if file is not None], dict.fromkeys(names), code.project_of(script, root))


def _texts(config: DictConfig) -> Iterator[str]:
    """Every text of a config, and those that its interpolations come to: some name classes and functions of the project."""
    for place in values.interpolated(config):
        try:
            value = values.resolve(config, place)
        except Exception:  # what only a job can resolve; resolvers raise what they like
            continue
        yield from strings(value)
    yield from strings(OmegaConf.to_container(config, resolve=False, enum_to_str=True))


def source_of(what: Any) -> Path | None:
    """The file in which an app's task function (or a module) is written; None where there is none, as in a notebook."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(what) if callable(what) else what)
    except (TypeError, ValueError):
        file = None
    found = Path(file).resolve() if file is not None and Path(file).is_file() else None
    ours = found is not None and found.is_relative_to(Path(trivet.__file__).resolve().parent)  # it runs the app, and is not it
    return None if ours else found


def _for_a_call(config: DictConfig) -> dict[str, Any]:
    """The app's config for its own function, with the environment's values in it: the function opens files."""
    try:
        return plain(OmegaConf.to_container(task_of(config), resolve=True))
    except Exception:  # an interpolation that only a job can resolve, of any resolver
        return plain_config(config)


def _called(path: str | None, config: DictConfig) -> Any:
    """What the app's own `identity.call` says of its data; it may prepare what the trials share. None where there is none."""
    if path is None:
        return None
    key = "hydra.sweeper.identity.call"
    function = locate(path, key)
    return call(path, lambda: plain(function(_for_a_call(config))), key)
