"""Hydra's view of trivet's sweeper: `hydra/sweeper=trivet`. The work is in `trivet.sweep.sweep`, imported when a sweep begins."""

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import MISSING, DictConfig, OmegaConf


def _open(**content: Any) -> DictConfig:
    """A mapping that takes any key on the command line; trivet checks them, and says what is allowed."""
    return OmegaConf.create(content, flags={"struct": False})


@dataclass
class TrivetSweeperConf:
    """Keys of `hydra.sweeper`. The first block is hydra-optuna-sweeper's, with its meaning."""

    _target_: str = "hydra_plugins.trivet_sweeper.TrivetSweeper"
    _recursive_: bool = False  # a sampler that the stock plugin's schema names by class is read, not built
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "default"}])

    sampler: Any = MISSING  # tpe random qmc gp cmaes nsgaii grid list ends, or {name: ..., <arguments>}
    direction: Any = "minimize"  # or maximize, or a list of them
    storage: Any = None  # null: a journal in the sweep's folder; or a database URL
    study_name: Any = None  # null: the job's name
    n_trials: Any = None  # total, over all resumes; null: 20, or all of a grid or list
    n_jobs: Any = "auto"  # workers; auto: GPUs x trials_per_gpu, or cores / threads
    max_failure_rate: float = 0.5  # of all finished trials, from 10 on
    params: Any = None  # {key: range}
    search_space: Any = None  # the old form of params
    custom_search_space: Any = None  # module.function(config, trial)

    pruner: Any = None  # median percentile asha hyperband threshold patient, or {name: ..., <arguments>}; null: none
    metric: Any = None  # what the objective is, for the report
    seed: Any = None  # of the sampler; null: sampler.seed, or 0
    lag: int = 8  # trial i is sampled knowing trials 0..i-lag-1; lag + 1 trials may run at once
    baseline: Any = None  # whether trial 0 is the default configuration; null: yes, but not for grid and list
    enqueue: Any = field(default_factory=list)  # configurations to run first
    warm_start: Any = field(default_factory=list)  # folders of earlier sweeps, as knowledge
    warm_start_prunes: bool = False  # whether their curves count for the pruner (same steps mean the same there)
    stop: Any = field(default_factory=_open)  # seconds, epochs, plateau: {trials, delta}, same_best, target
    trial_timeout: Any = None  # seconds
    max_restarts: int = 3  # of a trial whose worker dies again and again without a new step
    threads: Any = None  # per worker; null: as the environment has it
    trials_per_gpu: int = 1
    config_space: bool = True  # whether `space:` nodes of the config count
    params_file: Any = None  # a YAML file of params
    # code: imported (the script and the project's modules that it imports) or none, files: [globs of data that decides results],
    # ignore: [config keys that do not decide], call: module.function(config) -> {name: value}
    identity: Any = field(default_factory=_open)
    publish: Any = None  # folder for the finished sweep's tables, put there in one rename
    publish_files: Any = field(default_factory=list)  # files of each trial's folder that go along


store = ConfigStore.instance()
store.store(group="hydra/sweeper", name="trivet", node=TrivetSweeperConf, provider="trivet")
store.store(group="hydra/sweeper/sampler", name="default", node=_open(name="tpe"), provider="trivet")
if importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is None:
    # What an app written for the stock plugin overrides (`override hydra/sweeper/sampler: tpe`); with it installed, its own are read.
    for option, name in {"tpe": "tpe", "random": "random", "cmaes": "cmaes", "nsgaii": "nsgaii", "motpe": "tpe", "grid": "grid"}.items():
        store.store(group="hydra/sweeper/sampler", name=option, node=_open(name=name, seed=None), provider="trivet")


class TrivetSweeper(Sweeper):
    """Hands the sweep to `trivet.sweep.sweep.Sweep`; an error of the user's ends as one line and exit code 2."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: Sequence[str]) -> Any:
        """Run the sweep and return the best value; `arguments` are the command line's overrides."""
        from trivet import secrets
        from trivet.errors import UserError
        from trivet.sweep.sweep import Settings, Sweep

        plain = {k: OmegaConf.to_container(v, resolve=True) if OmegaConf.is_config(v) else v for k, v in self._settings.items()}
        try:
            return Sweep(Settings(**plain), self.hydra_context, self.config, self.task_function).run(list(arguments))
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        except OSError as error:  # a full disk, a folder that became unreadable: what was written before is whole
            place = f"{error.filename}: " if error.filename else ""
            print(
                f"error: {place}{secrets.line(error.strerror or error)}; mend that, and the same command continues this sweep",
                file=sys.stderr,
            )
            raise SystemExit(2) from None
        except KeyboardInterrupt:
            print("interrupted: the same command continues this sweep", file=sys.stderr)
            raise SystemExit(130) from None
