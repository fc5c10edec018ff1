"""Hydra's view of trivet's sweeper: `hydra/sweeper=trivet`. The work is in `trivet.sweep.sweep`, imported when a sweep begins.

The keys are declared in `trivet.sweep.settings`; the schema that Hydra knows is made of them.
"""

import importlib.util
import logging
import sys
from collections.abc import Sequence
from dataclasses import field, make_dataclass
from typing import Any, NoReturn

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.experimental.callback import Callback
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import MISSING, DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from trivet.errors import UserError
from trivet.sweep import settings

SWEEPER = "hydra_plugins.trivet_sweeper.TrivetSweeper"
CALLBACK = {"hydra": {"callbacks": {"trivet": {"_target_": "hydra_plugins.trivet_sweeper.Takeover"}}}}


def _open(**content: Any) -> DictConfig:
    """A mapping that takes any key on the command line; trivet checks them, and says what is allowed."""
    return OmegaConf.create(content, flags={"struct": False})


def _field(name: str, default: Any) -> tuple[str, Any, Any]:
    """A key in Hydra's schema: of any type, so that the line that refuses a wrong one is the declaration's."""
    if isinstance(default, dict):
        return name, Any, field(default_factory=_open)
    return name, Any, field(default_factory=list) if isinstance(default, list) else field(default=default)


TrivetSweeperConf = make_dataclass(
    "TrivetSweeperConf",
    [
        ("_target_", str, field(default=SWEEPER)),
        ("_readable_", Any, field(default="${trivet.readable:}")),  # looked at before all others: see `_check_readable`
        ("_recursive_", bool, field(default=False)),  # a sampler that the stock plugin's schema names by class is read, not built
        ("defaults", list[Any], field(default_factory=lambda: [{"sampler": "default"}, {"/hydra/trivet@_global_": "takeover"}])),
        *(_field(name, default if name != "sampler" else MISSING) for name, default in settings.defaults().items()),
    ],
    namespace={"__doc__": settings.Settings.__doc__, "__module__": __name__},
)


def _check_readable(_parent_: DictConfig) -> None:
    """End the program in one line where an interpolation of a key leads nowhere: Hydra resolves all before it makes the sweeper."""
    for name in settings.defaults():
        try:
            if OmegaConf.is_config(found := _parent_[name]):
                OmegaConf.to_container(found, resolve=True)
        except OmegaConfBaseException as error:
            raw: Any = OmegaConf.to_container(_parent_, resolve=False)
            _end(UserError(f"hydra.sweeper.{name}={raw[name]}: {str(error).splitlines()[0]}"))


def _end(error: UserError, code: int = 2) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(code) from None


OmegaConf.register_new_resolver("trivet.readable", _check_readable, replace=True)
store = ConfigStore.instance()
store.store(group="hydra/sweeper", name="trivet", node=TrivetSweeperConf, provider="trivet")
store.store(
    group="hydra/trivet",
    name="takeover",
    node=CALLBACK,
    provider="trivet",
)
store.store(group="hydra/sweeper/sampler", name="default", node=_open(name="auto"), provider="trivet")
if importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is None:
    # What an app written for the stock plugin overrides (`override hydra/sweeper/sampler: tpe`); with it installed, its own are read.
    for option, name in {"tpe": "tpe", "random": "random", "cmaes": "cmaes", "nsgaii": "nsgaii", "motpe": "tpe", "grid": "grid"}.items():
        store.store(group="hydra/sweeper/sampler", name=option, node=_open(name=name, seed=None), provider="trivet")


class Takeover(Callback):
    """Where `hydra/sweeper=trivet` was chosen, runs trivet's sweeper though the app's config names the class of another.

    Templates write `_target_` into their `hydra.sweeper` block, which Hydra merges over the chosen sweeper's. For jobs it does nothing.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before it makes the sweeper."""
        named = config.hydra.sweeper._target_
        found: Any = Plugins.instance().class_name_to_class.get(named)
        bases = [] if found is None else [f"{base.__module__}.{base.__qualname__}" for base in found.__mro__]
        if SWEEPER not in bases:  # by name: Hydra's search for plugins imports this module a second time
            with read_write(config):
                config.hydra.sweeper._target_ = SWEEPER
            logging.getLogger("trivet").info(f"hydra.sweeper._target_={named}: not used, as hydra/sweeper=trivet was chosen")


class TrivetSweeper(Sweeper):
    """Hands the sweep to `trivet.sweep.sweep.Sweep`; an error of the user's ends as one line and exit code 2."""

    def __init__(self, _readable_: None = None, **given: Any) -> None:
        self._given = given

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        with read_write(config):
            config.hydra.sweeper._readable_ = None  # it has been, and other processes may not know the resolver

    def sweep(self, arguments: Sequence[str]) -> Any:
        """Run the sweep and return the best value; `arguments` are the command line's overrides."""
        try:
            checked = settings.Settings(**self._given)
            from trivet.sweep.sweep import Sweep

            assert self.hydra_context is not None and self.config is not None  # Hydra has called `setup`
            return Sweep(checked, self.hydra_context, self.config, self.task_function).run(list(arguments))
        except UserError as error:
            _end(error)
        except OmegaConfBaseException as error:  # of hydra.sweep.dir, hydra.job.name ...; a trial's own are its row's reason
            key = getattr(error, "full_key", None)
            _end(UserError(f"{f'{key}: ' if key else ''}{str(error).splitlines()[0]}"))
        except OSError as error:  # a full disk, a folder that became unreadable: what was written before is whole
            place = f"{error.filename}: " if error.filename else ""
            _end(UserError(f"{place}{error.strerror or error}; mend that, and the same command continues this sweep"))
        except KeyboardInterrupt as error:
            print("interrupted: the same command continues this sweep", file=sys.stderr)
            raise SystemExit(143 if type(error).__name__ == "Preempted" else 130) from None  # by name: its module is not light
