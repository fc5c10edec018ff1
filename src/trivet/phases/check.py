"""Stage `check`: is the search worth starting? Lints its space, tries the ends of every range, tests the learning rate, estimates the time.

    python pipelines/check.py                                         # the coarse search
    python pipelines/check.py model=mlp hparams=search epochs=10      # any search; the same overrides as src/train.py -m

Warnings name the mend and stop nothing; a value that cannot be trained at all is an error, exit status 1. Writes results/check/check.yaml
and what the trainer found besides. Milliseconds and estimates in check.yaml differ from run to run; nothing in the pipeline is computed
from them. What trains is a `Trainer`, handed in; apps that are whole programs are checked by running them (app_check.py).
"""

from __future__ import annotations

import math
import os
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trivet import secrets, space
from trivet.errors import UserError
from trivet.phases import asking
from trivet.phases.estimate import estimate, time_line, workers
from trivet.space.linting import lint
from trivet.space.probing import draw as random_value
from trivet.space.probing import ends
from trivet.study.tables import write_text
from trivet.sweep.configs import mapping, task_of
from trivet.sweep.jobs import Composer
from trivet.sweep.spaces import Space

N_POINTS = 24  # random configurations whose time is taken


class Trainer(Protocol):
    """What trains in this process, for a check: made from the default configuration, and a `UserError` where that is wrong."""

    def attempt(self, config: Mapping[str, Any]) -> tuple[float, str, bool]:
        """Train a configuration for a moment: seconds that an epoch would take (NaN: unknown), the problem ("": none), and whether
        it cannot be trained at all. Never raises."""

    def examine(
        self, config: Mapping[str, Any], searched: Mapping[str, Sequence[space.Spec | space.Fixed]]
    ) -> tuple[dict[str, Any], list[str]]:
        """Whatever else a trainer can tell of the default configuration: sections of check.yaml, and lines for a person. `searched`: the
        ranges that count in it, by key."""

    def write(self, folder: Path) -> None:
        """Put what `examine` found beside check.yaml."""


@dataclass
class Attempt:
    """One value of one parameter, tried for a few batches. `seconds` per epoch; `problem` is empty where it trains."""

    key: str
    value: Any
    when: dict[str, str]
    seconds: float = math.nan
    problem: str = ""
    fatal: bool = False

    def row(self) -> dict[str, Any]:
        """For check.yaml."""
        result = "error" if self.fatal else "warning" if self.problem else "ok"
        row = {"key": self.key, "value": self.value, "when": dict(self.when), "result": result, "message": self.problem}
        return row if math.isnan(self.seconds) else {**row, "milliseconds_per_epoch": round(1e3 * self.seconds, 1)}


@dataclass
class Search:
    """A composed search: its space, its settings, and `config(groups, values)` for any point of it."""

    where: Space
    settings: DictConfig
    cache: dict[tuple, dict] = field(default_factory=dict)

    def config(self, groups: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """The resolved app config with these options chosen and these values set."""
        mark = tuple(groups.items())
        if mark not in self.cache:
            full = self.where.composer.base(groups)
            self.cache[mark] = mapping(task_of(full), resolve=True)
        config = OmegaConf.create(self.cache[mark])
        for key, value in values.items():
            OmegaConf.update(config, key.lstrip("+"), value, force_add=True)
        return mapping(config)

    @property
    def defaults(self) -> dict[str, Any]:
        """Default value of every parameter that is active in the default configuration, by key."""
        values = self.where.defaults or {}
        return {p.key: values[p.name] for p in self.where.params if p.name in values}


def compose(arguments: Sequence[str], root: Path) -> Search:
    """The search that `python src/train.py -m <arguments>` would make. UserError where Hydra refuses it."""
    if not any(argument.startswith("hparams=") for argument in arguments):
        arguments = ["hparams=coarse", *arguments]
    try:
        with initialize_config_dir(str((root / "conf").resolve()), version_base="1.3", job_name="train"):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            loader = hydra.config_loader
            task = [a for a in arguments if not a.lstrip("+~").startswith("hydra")]
            swept, fixed = space.parse_overrides(task, loader)
            others = [a for a in arguments if a not in task]
            config = hydra.compose_config("config", [*others, *fixed], RunMode.MULTIRUN, from_shell=False)
            given = mapping(config.hydra.sweeper.get("params") or OmegaConf.create({}), resolve=True)
            named = {a.partition("=")[0].lstrip("+~") for a in task}
            explicit = [p for p in space.parse_params({k: v for k, v in given.items() if v is not None}) if p.key not in named]
            composer = Composer(HydraContext(config_loader=loader, callbacks=Callbacks()), config, fixed, ".")
            return Search(Space(composer, [*swept, *explicit], bool(config.hydra.sweeper.get("config_space", True))), config)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(" ".join(str(error).partition("Config search path")[0].split())) from error


def attempt(trainer: Trainer, config: Mapping[str, Any], key: str, value: Any, when: Mapping[str, str]) -> Attempt:
    """What a trainer says of one configuration, with what it stands for."""
    return Attempt(key, value, dict(when), *trainer.attempt(config))


def try_all(search: Search, trainer: Trainer) -> tuple[Attempt, list[Attempt]]:
    """The default configuration, every end of every range alone, and all the slowest ends of the default's branch at once."""
    trainer.attempt(search.config({}, {}))  # the first one of a process is slow
    default = attempt(trainer, search.config({}, {}), "", None, {})
    attempts, slowest = [], {}
    for param in search.where.params:
        when, group = dict(param.when), search.where.is_group(param.key)
        tried = []
        for value in ends(param.spec):
            groups, values = ({**when, param.key: value}, {}) if group else (when, {param.key: value})
            tried.append(attempt(trainer, search.config(groups, values), param.key, value, when))
        attempts += tried
        good = [a for a in tried if not a.fatal]
        if good and param.name in (search.where.defaults or {}) and not group:
            slowest[param.key] = max(good, key=lambda a: a.seconds).value
    if slowest:
        attempts.append(attempt(trainer, search.config({}, slowest), "(the slowest ends together)", slowest, {}))
    return default, attempts


def draw(search: Search, rng: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """A random point of the space: chosen options and values."""
    groups: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for param in search.where.params:  # groups come before what depends on them
        if param.active({**search.defaults, **groups}):
            value = random_value(param.spec, rng)
            (groups if search.where.is_group(param.key) else values)[param.key] = value
    return groups, values


def check(
    arguments: Sequence[str], root: Path, trainer_of: Callable[[dict[str, Any], Path], Trainer]
) -> tuple[dict[str, Any], Trainer, list[str]]:
    """Everything: what check.yaml holds, the trainer with what it found, and the lines for a person."""
    search = compose(arguments, root)
    config, sweeper = search.config({}, {}), search.settings.hydra.sweeper
    trainer = trainer_of(config, root)
    params = search.where.params
    findings = lint(params, search.defaults, n_trials=sweeper.get("n_trials"))
    default, attempts = try_all(search, trainer)
    if default.fatal:
        raise UserError(f"the default configuration cannot be trained: {default.problem}")
    if any(a.fatal for a in attempts):
        return {"extremes": [a.row() for a in attempts]}, trainer, describe(params, findings, attempts, [])
    rng = random.Random(config["seed"])
    drawn = [draw(search, rng) for _ in range(N_POINTS)]
    points = [attempt(trainer, search.config(*point), "(random point)", {**point[0], **point[1]}, {}) for point in drawn]
    n_trials = sweeper.get("n_trials") or space.n_configurations(params) or 0
    shared, several = (int(sweeper.get(key, 1)) for key in ("trials_per_gpu", "gpus_per_trial"))
    n_workers = workers(sweeper.get("n_jobs", 1), shared, config["threads"], several)
    times = estimate(n_trials, config["epochs"], default.seconds, [p.seconds for p in points], n_workers, config.get("pruner") or {})
    searched: dict[str, list[space.Spec | space.Fixed]] = {}
    for param in params:
        if param.active(search.defaults):
            searched.setdefault(param.key, []).append(param.spec)
    more, told = trainer.examine(config, searched)
    result = {
        "findings": [{"key": f.key, "message": f.message, "mend": f.mend} for f in findings],
        "space": {p.name: space.to_text(p.spec) for p in params},
        "extremes": [a.row() for a in attempts],
        **more,
        "estimate": times,
    }
    n_val = result.get("validation", {}).get("n_val")
    verdict, said = asking.of_check(params, times, root, n_val)
    return {**result, "advice": verdict}, trainer, [*describe(params, findings, attempts, points), *told, time_line(times), *said]


def describe(params: Sequence[space.Param], findings: Sequence[Any], attempts: Sequence[Attempt], points: Sequence[Attempt]) -> list[str]:
    """What was found, a line each."""
    warned = [a for a in attempts if a.problem]
    lines = [f"space: {len(params)} parameters; {len(attempts)} ends of ranges tried, {len(warned)} with a problem"]
    lines += [f"warning: {finding}" for finding in findings]
    lines += [f"{'error' if a.fatal else 'warning'}: {a.key}={a.value}: {a.problem}" for a in warned]
    bad = [p for p in points if p.problem]
    if bad:
        lines.append(f"warning: {len(bad)} of {len(points)} random points have a problem; the first: {bad[0].value}: {bad[0].problem}")
    return lines


def main(arguments: Sequence[str], trainer_of: Callable[[dict[str, Any], Path], Trainer], root: Path = Path()) -> int:
    """Print the findings and write the files; the exit status."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        result, trainer, lines = check(arguments, root, trainer_of)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(secrets.lines("\n".join(lines)))
    fatal = [row for row in result["extremes"] if row["result"] == "error"]
    if fatal:
        names = ", ".join(f"{row['key']}={row['value']}" for row in fatal)
        print(secrets.line(f"error: cannot be trained: {names}; take these values out of the search"), file=sys.stderr)
        return 1
    folder = root / "results" / "check"
    folder.mkdir(parents=True, exist_ok=True)
    trainer.write(folder)
    write_text(folder / "check.yaml", yaml.safe_dump(result, sort_keys=False, allow_unicode=True))
    return 0
