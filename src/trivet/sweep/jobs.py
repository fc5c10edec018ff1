"""Trials as ordinary Hydra jobs, made cheaply.

Hydra composes each job of a sweep from its files: 20 to 80 ms. Here a job's config is composed once for each set of group choices and
copied for each trial; what is written and which callbacks run is the same as `hydra.core.utils.run_job` does.
"""

from __future__ import annotations

import errno
import functools
import logging
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, configure_log, env_override
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf._utils import get_omega_conf_dumper
from omegaconf.errors import OmegaConfBaseException

from trivet.errors import UserError
from trivet.space import sweep_text
from trivet.sweep import main_module
from trivet.sweep.repository import reading_once


class _Dumper(getattr(yaml, "CDumper", yaml.Dumper)):  # type: ignore[misc]  # PyYAML may lack the C one
    """Writes what `OmegaConf.to_yaml` writes, many times faster."""


_Dumper.add_representer(str, get_omega_conf_dumper().str_representer)  # quotes what OmegaConf would read as another type


Composed = dict[tuple[str, ...], tuple[bytes, bytes]]
"""Group choices, as overrides -> the composed config, and its app's part alone, pickled: a pickle is six times faster than deepcopy."""


class Composer:
    """Composes the configs of a sweep's jobs. `fixed` are the command line's overrides that hold for every trial.

    `composed` is what another process's composer of the same sweep has composed already.
    """

    def __init__(
        self,
        context: HydraContext,
        config: DictConfig,
        fixed: Sequence[str],
        folder: str | os.PathLike[str],
        composed: Composed | None = None,
    ) -> None:
        self._loader = reading_once(context.config_loader)
        self.master = config  # of the sweep, `hydra` in it
        self.fixed = list(fixed)
        self._folder = os.fspath(folder)
        self._parser = OverridesParser.create()
        self._parsed: dict[tuple[str, ...], list[Override]] = {}
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._options: dict[str, list[str]] = {}
        self.composed: Composed = dict(composed or {})

    def base(self, groups: Mapping[str, Any] | None = None) -> DictConfig:
        """The composed config (with `hydra`) under these group choices. Do not change it.

        Raises `UserError` in one line where Hydra cannot compose it.
        """
        chosen = _chosen(groups or {})
        if chosen not in self._bases:
            self._compose(chosen)
        return self._bases[chosen]

    def copies(self, groups: Mapping[str, Any]) -> tuple[DictConfig, DictConfig]:
        """The config under these group choices, with and without `hydra`, to change at will. Raises `UserError` as `base` does."""
        chosen = _chosen(groups)
        if chosen not in self.composed:
            self._compose(chosen)
        full, task = (pickle.loads(p) for p in self.composed[chosen])
        return full, task

    def options(self, group: str) -> list[str]:
        """The options of a config group; an empty list where there is no such group."""
        if group not in self._options:
            self._options[group] = self._loader.get_group_options(group)
        return self._options[group]

    def _compose(self, groups: tuple[str, ...]) -> None:
        given: Any = OmegaConf.to_container(self.master.hydra.overrides.hydra)
        overrides = [*given, *self.fixed, *groups]
        try:
            full = self._loader.load_configuration(self.master.hydra.job.config_name, overrides, RunMode.RUN)
        except Exception as error:  # Hydra's composition errors come in many classes, each with its explanation
            raise UserError(f"{' '.join([*self.fixed, *groups]) or 'the config'}: {_one_line(error)}") from error
        OmegaConf.copy_cache(from_config=self.master, to_config=full)
        whole = main_module.dumps(full)
        task = pickle.loads(whole)
        with open_dict(task):
            del task["hydra"]
        self._bases[groups] = full
        self.composed[groups] = whole, main_module.dumps(task)

    def job(self, number: int, groups: Mapping[str, Any], values: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        """The config of trial `number`, with and without `hydra`. `values` are overrides of single keys."""
        full, task = self.copies(groups)
        parsed = self._parser.parse_overrides(list(values))
        self._apply(parsed, full)
        self._apply(parsed, task)
        job = full.hydra
        with open_dict(job):
            job.sweep.dir = self._folder
            job.overrides.task.extend(values)
            job.job.override_dirname = _dirname(job, [*self._before(groups), *parsed])
            job.job.id = str(number)
            job.job.num = number
        return full, task

    def check(self, groups: Mapping[str, Any], values: Sequence[str]) -> None:
        """Raise `UserError` where the app's config under these group choices refuses one of these overrides."""
        self._apply(self._parser.parse_overrides(list(values)), self.copies(groups)[1])

    def _before(self, groups: Mapping[str, Any]) -> list[Override]:
        """The parsed overrides that come before a trial's values."""
        key = _chosen(groups)
        if key not in self._parsed:
            self._parsed[key] = self._parser.parse_overrides([*self.fixed, *key])
        return self._parsed[key]

    def _apply(self, parsed: list[Override], config: DictConfig) -> None:
        try:
            ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
        except Exception as error:  # as above
            raise UserError(_one_line(error)) from error


def _chosen(groups: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{group}={sweep_text(option)}" for group, option in groups.items())


def _dirname(hydra: DictConfig, overrides: list[Override]) -> str:
    how = hydra.job.config.override_dirname
    return get_overrides_dirname(overrides=overrides, kv_sep=how.kv_sep, item_sep=how.item_sep, exclude_keys=how.exclude_keys)


def _one_line(error: BaseException) -> str:
    parts = []
    seen: BaseException | None = error
    while seen is not None:
        told = str(seen).partition("Config search path:")[0]  # long, and no help to one line
        text = " ".join(line.strip() for line in told.splitlines() if line.strip() and "full_key" not in line and "object_type" not in line)
        if text and text not in parts:
            parts.append(text)
        # What lies below an error of OmegaConf's, under a debugger alone, is its template, or that error itself again without end.
        seen = None if isinstance(seen, OmegaConfBaseException) else seen.__cause__
    return "; ".join(parts) or type(error).__name__


def run_job(context: HydraContext, task_function: TaskFunction, full: DictConfig, task: DictConfig) -> JobReturn:
    """Run one trial in this process as Hydra's `run_job` would: folder, `.hydra/`, log, environment, callbacks, HydraConfig.

    Exceptions of the task are kept in the returned `JobReturn` (status FAILED), `SystemExit` and trivet's own included;
    `KeyboardInterrupt` passes.
    """
    singleton: Any = HydraConfig.instance()  # it holds the whole config, and is declared to hold the class of its schema
    old_cwd, old_config = os.getcwd(), singleton.cfg
    try:
        singleton.cfg = full
        output = Path(str(full.hydra.sweep.dir)) / str(full.hydra.sweep.subdir)
        with open_dict(full.hydra.runtime):
            full.hydra.runtime.output_dir = os.path.abspath(output)
        OmegaConf.set_readonly(full.hydra, True)
        name = JobRuntime.instance().get("name")
        result = JobReturn(overrides=list(full.hydra.overrides.task), cfg=task, hydra_cfg=full, task_name=name)
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno not in NO_SUCH_FOLDER:
                raise
            result.status, result.return_value = JobStatus.FAILED, UserError(_no_folder(full, error))
            return result
        chdir = full.hydra.job.chdir
        if chdir or (chdir is None and not version.base_at_least("1.2")):  # apps without a version_base rely on Hydra 1.1's default
            os.chdir(output)
        result.working_dir = os.getcwd()
        configure_log(full.hydra.job_logging, full.hydra.verbose)
        if full.hydra.output_subdir is not None:
            _save(full, task, output / full.hydra.output_subdir)
        with env_override(dict(full.hydra.job.env_set)):
            context.callbacks.on_job_start(config=full, task_function=task_function)
            try:
                result.return_value = task_function(task)
                result.status = JobStatus.COMPLETED
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a trial's end of any kind is a row of the table
                result.return_value = error
                result.status = JobStatus.FAILED
        for handler in logging.getLogger().handlers:
            handler.flush()
        context.callbacks.on_job_end(config=full, job_return=result)
        return result
    finally:
        singleton.cfg = old_config
        os.chdir(old_cwd)


NO_SUCH_FOLDER = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EINVAL)
"""What a system says of a folder that cannot be, whatever room the disk has: the name's fault, and so the trial's."""


def _no_folder(full: DictConfig, error: OSError) -> str:
    name = str(full.hydra.sweep.subdir)
    shown = name if len(name) <= 80 else f"{name[:60]} ... ({len(name.encode())} bytes)"
    mend = "${hydra.job.num} always can, and hydra.job.config.override_dirname.exclude_keys leaves keys out"
    return f"hydra.sweep.subdir={shown}: cannot be a folder ({error.strerror}); {mend}"


def _save(full: DictConfig, task: DictConfig, folder: Path) -> None:
    """Write what Hydra writes: config.yaml, hydra.yaml and overrides.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    hydra = OmegaConf.to_container(full.hydra, enum_to_str=True)
    assert isinstance(hydra, dict)
    texts = {
        "config": _yaml(OmegaConf.to_container(task, enum_to_str=True)),
        "hydra": "hydra:\n" + "".join(_hydra_part(key, pickle.dumps(value)) for key, value in hydra.items()),
        "overrides": _yaml(hydra["overrides"]["task"]),  # as written: read from the config, ${oc.env:...} would have its value
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def _yaml(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


@functools.lru_cache(maxsize=256)
def _hydra_part(key: str, content: bytes) -> str:
    """One key of hydra.yaml; most are the same for every trial of a sweep."""
    return "".join(f"  {line}\n" for line in _yaml({key: pickle.loads(content)}).removesuffix("\n").split("\n"))
