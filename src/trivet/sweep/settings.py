"""The keys of `hydra.sweeper`: one declaration, which checks every value and makes Hydra's schema and the documentation.

    python -m trivet.sweep.settings        # the keys, their defaults and what they take

Imports nothing heavy: Hydra loads the plugin, and with it this, whenever any of its apps starts.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from os import PathLike
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from trivet.errors import UserError
from trivet.options import Anything, Described, Either, Flag, ListOf, MapOf, Matching, Maybe, OneOf, Real, Section, Text, Whole, check
from trivet.space import read_yaml_file

DEFAULT_N_TRIALS = 20  # as hydra-optuna-sweeper
MOST = 10**9  # of anything that is counted

_FUNCTION = Matching(r"[A-Za-z_][\w.-]*\.[A-Za-z_]\w*", "a dotted path, module.function")
_NAME = Described(
    Either((Matching(r"(?!\.{1,2}$)[^/\x00-\x1f\x7f]{1,200}", ""), Whole())),
    "a name (at most 200 characters) without '/': it names a folder",
)
_ANYTHINGS = MapOf(Anything())
_PLATEAU = Described(
    Maybe(Section({"trials": Whole(1, MOST), "delta": Real(0)})),
    "null or {trials: k, delta: x}: stop when k trials improve by no more than x",
)
_STOP = Section(
    {
        "seconds": Maybe(Described(Real(0, open="low"), "a number above 0")),
        "epochs": Maybe(Whole(1, 10**15)),
        "plateau": dataclasses.replace(_PLATEAU, default=None),
        "same_best": Maybe(Whole(1, MOST)),
        "target": Maybe(Real()),
    }
)
_IDENTITY = Section(
    {
        "files": Maybe(ListOf(Text(), 0)),
        "code": Described(Maybe(OneOf(("imported", "none"))), "imported (the script and what it imports of its project), or none", None),
        "ignore": Maybe(ListOf(Text(), 0)),
        "call": Maybe(_FUNCTION),
    }
)
REPLICATES = Maybe(
    Section(
        {
            "key": Maybe(Text()),
            "values": ListOf(Anything()),
            "aggregate": OneOf(("mean", "median", "mean_minus_std", "worst"), default="mean"),
            "name": Maybe(Text()),
            "race": Maybe(Whole(1, MOST)),
        }
    )
)
_N_JOBS = Described(Either((OneOf(("auto", None, -1)), Whole(0))), "auto or a whole number >= 0")
_DIRECTION = Described(Either((Text(), ListOf(Text()))), "minimize or maximize, or a list of them, one per objective")


def _takes(field: Any, text: str) -> dict[str, Any]:
    """What a key takes, and its documentation."""
    return {"field": field, "text": text}


@dataclass
class Settings:
    """The keys of `hydra.sweeper`, checked: making one raises `UserError` for a wrong value. The first block is hydra-optuna-sweeper's."""

    sampler: Any = field(
        default=None,
        metadata=_takes(
            Maybe(Described(Either((Text(), _ANYTHINGS)), "a name or a mapping with `name`")),
            "auto gp tpe random qmc cmaes nsgaii optuna_gp grid list ends ladder tiers ablation pbt replay, "
            "{name: ..., <arguments>}, or {_target_: my.Class, ...}",
        ),
    )
    direction: Any = field(default="minimize", metadata=_takes(_DIRECTION, "or maximize, or a list of them, one per objective"))
    storage: str | None = field(
        default=None,
        metadata=_takes(Maybe(Text()), "null: a journal in the folder; or a database URL, with any password as ${oc.env:NAME}"),
    )
    study_name: str | None = field(default=None, metadata=_takes(Maybe(_NAME), "null: the job's name"))
    n_trials: int | None = field(
        default=None, metadata=_takes(Maybe(Whole(1, MOST)), "total, over all resumes; null: 20, or all of a grid or list")
    )
    n_jobs: int | str | None = field(
        default="auto",
        metadata=_takes(_N_JOBS, "workers; auto: one per core or per trial on a GPU; 0: this process"),
    )
    max_failure_rate: float = field(
        default=0.5, metadata=_takes(Described(Real(0, 1), "a number between 0 and 1"), "of all finished trials, from 10 on")
    )
    params: Mapping[str, Any] | None = field(default=None, metadata=_takes(Maybe(_ANYTHINGS), "{key: range}"))
    search_space: Mapping[str, Any] | None = field(default=None, metadata=_takes(Maybe(_ANYTHINGS), "the old form of params"))
    custom_search_space: str | None = field(default=None, metadata=_takes(Maybe(_FUNCTION), "module.function(config, trial)"))

    pruner: Any = field(
        default=None,
        metadata=_takes(
            Maybe(Described(Either((Text(), _ANYTHINGS)), "a name or a mapping with `name`")),
            "median percentile asha hyperband threshold patient, {name: ..., <arguments>}, or {_target_: my.Class, ...}; null: none",
        ),
    )
    weights: Sequence[float] | None = field(
        default=None, metadata=_takes(Maybe(ListOf(Real(0), 0)), "make one objective of several: their weighted sum, each by its scale")
    )
    scales: Sequence[float] | None = field(
        default=None, metadata=_takes(Maybe(ListOf(Real(0, open="low"), 0)), "with weights: how much of each objective is worth its weight")
    )
    constraints: Mapping[str, Any] = field(
        default_factory=dict,
        metadata=_takes(_ANYTHINGS, "bounds on metrics that trials report or return: {parameters: '<= 200000'}; who breaks one never wins"),
    )
    replicates: Mapping[str, Any] | None = field(
        default=None,
        metadata=_takes(
            REPLICATES, "runs of each trial: {key: seed, values: [0, 1, 2], aggregate: mean}; or median, mean_minus_std, worst"
        ),
    )
    metric: str | None = field(default=None, metadata=_takes(Maybe(Text()), "what the objective is, for the report"))
    seed: int | None = field(default=None, metadata=_takes(Maybe(Whole(0, 2**63 - 1)), "of the sampler; null: sampler.seed, or 0"))
    lag: int = field(
        default=3, metadata=_takes(Whole(1, MOST), "trial i is sampled knowing trials 0..i-lag-1; lag + 1 trials may run at once")
    )
    baseline: bool | None = field(
        default=None,
        metadata=_takes(
            Described(Maybe(Flag()), "true, false or null"), "whether trial 0 is the default; null: yes, but not for grid and list"
        ),
    )
    enqueue: Sequence[Any] = field(default_factory=list, metadata=_takes(ListOf(Anything(), 0), "configurations to run first"))
    warm_start: Sequence[str] = field(
        default_factory=list, metadata=_takes(ListOf(Text(), 0), "knowledge: folders of sweeps, or studies, sqlite:///study.db?study=name")
    )
    warm_start_prunes: bool = field(
        default=False, metadata=_takes(Flag(), "whether their curves count for the pruner (same steps mean the same there)")
    )
    stop: Mapping[str, Any] = field(
        default_factory=dict, metadata=_takes(_STOP, "seconds, epochs, plateau: {trials, delta}, same_best, target")
    )
    trial_timeout: float | None = field(
        default=None,
        metadata=_takes(Described(Maybe(Real(0, open="low")), "a number of seconds above 0, or null"), "seconds that a trial may take"),
    )
    max_restarts: int = field(default=3, metadata=_takes(Whole(0, MOST), "of a trial whose worker dies again and again without a new step"))
    threads: int | None = field(default=None, metadata=_takes(Maybe(Whole(1, 1024)), "per worker; null: as the environment has it"))
    trials_per_gpu: int = field(default=1, metadata=_takes(Whole(1, 1024), "trials that share a GPU"))
    gpus_per_trial: int = field(default=1, metadata=_takes(Whole(1, 1024), "GPUs that a trial has to itself (CUDA_VISIBLE_DEVICES)"))
    config_space: bool = field(default=True, metadata=_takes(Flag(), "whether `space:` nodes of the config count"))
    params_file: str | None = field(default=None, metadata=_takes(Maybe(Text()), "a YAML file of params"))
    identity: Mapping[str, Any] = field(
        default_factory=dict,
        metadata=_takes(
            _IDENTITY,
            "what decides results besides space, sampler and config: files: [globs of data], code: imported or none, ignore: [config keys "
            "that do not], call: module.function(config) -> {name: value}",
        ),
    )
    duplicates: str = field(
        default="copy",
        metadata=_takes(
            OneOf(("copy", "train")),
            "of a configuration whose result a sampler that learns knows: copy it (no training), or train (for noisy objectives)",
        ),
    )
    retry: str = field(
        default="none",
        metadata=_takes(
            OneOf(("none", "failed")),
            "failed: a new study takes over this one's trials and runs again those that failed, though not those that diverged",
        ),
    )
    publish: str | None = field(
        default=None,
        metadata=_takes(
            Maybe(Text()), "folder for the finished sweep's tables, put there in one rename; missing, empty or published before"
        ),
    )
    publish_files: Sequence[str] = field(
        default_factory=list, metadata=_takes(ListOf(Text(), 0), "files of each trial's folder that go along")
    )
    storage_timeout: float = field(
        default=60.0, metadata=_takes(Real(0, 10**9), "seconds for which a database that is gone is tried again")
    )

    def __post_init__(self) -> None:
        for key in dataclasses.fields(self):
            value = plain(getattr(self, key.name))
            if value is None and key.default_factory is not dataclasses.MISSING:
                value = key.default_factory()
            if value == "???":
                raise UserError(f"hydra.sweeper.{key.name}=???: has no value; give it one: {key.metadata['field'].allowed()}")
            check(key.metadata["field"], value, f"hydra.sweeper.{key.name}")
            setattr(self, key.name, value)
        directions_of(self.direction)
        if self.study_name is not None:
            self.study_name = str(self.study_name)
        if self.storage is not None and re.fullmatch(r"sqlite(\+\w+)?://(/?(:memory:)?(\?.*)?)?", self.storage):
            raise UserError(f"hydra.sweeper.storage={self.storage}: lives in one process alone; name a file, sqlite:///study.db, or null")


def defaults() -> dict[str, Any]:
    """Each key with its default, in their order."""
    made = Settings()
    return {key.name: getattr(made, key.name) for key in dataclasses.fields(Settings)}


def documentation() -> str:
    """The keys as lines: name, default, what each is, and what it takes."""
    lines = []
    for key in dataclasses.fields(Settings):
        given = defaults()[key.name]
        default = yaml.safe_dump(given, default_flow_style=True).replace("\n...", "").strip()
        lines += [
            f"hydra.sweeper.{key.name}={default}",
            f"    {key.metadata['text']}",
            f"    takes {key.metadata['field'].allowed()}",
        ]
    return "\n".join(lines)


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
    return str(value) if isinstance(value, PathLike) else value


def read_mapping(path: Path, key: str) -> Mapping[str, Any]:
    """A YAML file that holds a mapping."""
    try:
        content = read_yaml_file(path)
    except UserError as error:
        raise UserError(f"{key}={error}; name a YAML file of ranges") from None
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise UserError(f"{key}={path}: must hold a mapping of key: range")
    return content


if __name__ == "__main__":
    print(documentation())
