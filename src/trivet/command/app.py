"""The Hydra app that runs a command: each of its parameters is a key of the config, so every sweeper and override works on it.

    python -m trivet.command lr=0.1                                                    # one run
    python -m trivet.command -m hydra/sweeper=trivet 'lr=tag(log, interval(1e-5, 1))'     # a search

It reads `trivet.yaml` in the present folder: `command:` says how to run the program and where its metrics are, `parameters:` what stands
where nothing else is said. Hydra's own words (`-m`, overrides, `--cfg job`) work as in any app.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

import trivet
from trivet import ranks
from trivet.command.extraction import Definitions, Extractor
from trivet.command.process import CommandFailed, Limits, run
from trivet.command.template import Template
from trivet.errors import UserError
from trivet.options import Either, Flag, ListOf, MapOf, Maybe, OneOf, Real, Text, read

FILE = "trivet.yaml"
CONFIG = "trivet_command"
FIELDS = {
    "line": Either((Text(), ListOf(Text()))),
    "shell": Flag(default=False),
    "objective": Text(default="objective"),
    "metrics": MapOf(Either((Text(), MapOf(Text()))), default={}),
    "step": Maybe(Text()),
    "result": OneOf(("last", "best"), default="last"),
    "silence_seconds": Maybe(Real(0, open="low")),
    "grace_seconds": Real(0, default=10.0),
    "files": ListOf(Text(), low=0, default=[]),
}


@dataclass(frozen=True)
class Command:
    """How a program is run and heard; see `command:` in trivet.yaml.

    `line`: text or list with {placeholders}. `shell`: hand the line to `sh -c`. `objective`, `metrics`, `step`: see `Definitions`.
    `result`: the objective's last value or its best. `silence_seconds`: a run that prints nothing for so long has hung.
    `grace_seconds`: between SIGTERM and SIGKILL. `files`: what decides results besides the files that the line names (globs).
    """

    line: Any
    shell: bool = False
    objective: str = "objective"
    metrics: Mapping[str, Any] = field(default_factory=dict)
    step: str | None = None
    result: str = "last"
    silence_seconds: float | None = None
    grace_seconds: float = 10.0
    files: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, config: Any) -> Command:
        """From plain values. Raises `UserError` for what is wrong in any of them, before anything runs."""
        if not isinstance(config, Mapping):
            raise UserError(f"{FILE}: command={config}: must be a mapping with line, such as line: python train.py --lr {{lr}}")
        command = cls(**read(config, "command", FIELDS))
        Template.read(command.line, command.shell)
        Definitions.read(command.objective, command.metrics, command.step)
        return command

    @property
    def template(self) -> Template:
        """The line, read."""
        return Template.read(self.line, self.shell)

    @property
    def definitions(self) -> Definitions:
        """Where the metrics are, read."""
        return Definitions.read(self.objective, self.metrics, self.step)

    def named_files(self, folder: Path) -> list[str]:
        """The files that decide results: `files`, and the words of the line that are files in `folder`; an interpreter is none of them."""
        words = [word for word in self.template.words if not self.shell and not Path(word).is_absolute() and (folder / word).is_file()]
        return [*dict.fromkeys([*words, *self.files])]


def load(path: Path) -> tuple[Command, dict[str, Any]]:
    """`command:` and `parameters:` of a trivet.yaml. Raises `UserError` for a file that has none or is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({str(error).splitlines()[0]}); trivet init --command '...' writes one") from None
    if not isinstance(content, Mapping) or "command" not in content:
        raise UserError(f"{path}: has no command; trivet init --command 'python train.py --lr {{lr}}' writes it")
    parameters = content.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise UserError(f"{path}: parameters={parameters}: must be a mapping from placeholders to values")
    given = content["command"]
    if isinstance(given, Mapping) and "objective" in content:  # the phases' name for it serves here too
        given = {"objective": content["objective"], **given}
    command = Command.read(given)
    unknown = [name for name in parameters if name not in command.template.parameters]
    if unknown:
        raise UserError(
            f"{path}: parameters.{unknown[0]}: is no placeholder of command.line, which has {', '.join(command.template.parameters)}"
        )
    return command, dict(parameters)


def register(path: Path) -> None:
    """Make the app's config known to Hydra: the parameters (??? where there is no value), `seed`, and the command itself."""
    command, parameters = load(path)
    content = OmegaConf.create({"seed": 0, "command": dataclasses.asdict(command)})
    for name in command.template.parameters:
        OmegaConf.update(content, name, parameters.get(name, "???"), force_add=True)
    files = command.named_files(path.parent)
    name = Path(next(iter(files), command.template.words[0].split()[0])).stem
    machinery = {"job": {"name": name}, "sweeper": {"identity": {"files": files}}}
    node = {"defaults": ["_self_", {"override hydra/sweeper": "trivet"}], "hydra": machinery}
    ConfigStore.instance().store(CONFIG, OmegaConf.merge(content, node))


def task(config: DictConfig) -> float:
    """One run: start it, report what it prints, return the objective. Alone, it ends with one line in place of an error."""
    try:
        value, name = execute(config), config.command.objective
    except (UserError, CommandFailed) as error:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UserError) else 1)
    if HydraConfig.get().mode == RunMode.RUN:
        print(f"{name}={value:g}")
    return value


def execute(config: DictConfig) -> float:
    """Fill in, run, report; returns the objective."""
    command = Command.read(OmegaConf.to_container(config.command, resolve=True))
    folder = Path(HydraConfig.get().runtime.output_dir)
    values = {name: _value(config, name) for name in command.template.parameters} | _given(config, folder)
    seen: list[float] = []

    def report(value: float, step: int, metrics: dict[str, float]) -> None:
        seen.append(value)
        trivet.report(value, step, metrics)

    limits = Limits(command.silence_seconds, command.grace_seconds)
    last = run(command.template.fill(values), Extractor(command.definitions, report), folder, ports(), limits)
    if command.result == "last":
        return last
    hydra: Any = HydraConfig.get()
    maximize = OmegaConf.select(hydra, "sweeper.direction", default="minimize") == "maximize"
    return (max if maximize else min)([*seen, last])


def _given(config: DictConfig, folder: Path) -> dict[str, Any]:
    """The placeholders that need no parameter, see `template.GIVEN`."""
    job, gpus = HydraConfig.get().job, os.environ.get("CUDA_VISIBLE_DEVICES", "")
    number = 0 if OmegaConf.is_missing(job, "num") else job.num
    n_gpus = len([gpu for gpu in gpus.split(",") if gpu])
    return {"folder": str(folder), "seed": config.seed, "trial": number, "gpus": gpus, "n_gpus": n_gpus}


def ports() -> dict[str, str]:
    """Where the processes of one run meet (torchrun reads PET_...)."""
    place = ranks.meeting_point()
    return {**place, "PET_MASTER_PORT": place["MASTER_PORT"]}


def _value(config: DictConfig, name: str) -> Any:
    try:
        value = OmegaConf.select(config, name, throw_on_missing=True)
    except MissingMandatoryValue:
        raise UserError(f"{name} has no value: give one, as in {name}=0.1, or under parameters in {FILE}") from None
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
