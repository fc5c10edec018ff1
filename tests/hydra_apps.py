"""Hydra apps in the test's own process: config folders in `tmp_path`, composed as a multirun would, with everything global put back."""

import contextlib
import functools
import logging
import os
import pickle
import warnings
from pathlib import Path

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime, setup_globals
from hydra.plugins.config_source import ConfigSource
from hydra.types import HydraContext, RunMode

PER_APP = (GlobalHydra, HydraConfig, JobRuntime, version.VersionBase)  # the rest of Hydra's singletons are found once per process


def write(folder, files):
    """{relative path: text} as files of a folder; returns the folder."""
    for name, text in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Path(folder)


@functools.cache
def _read_packages_once():
    """Keep what Hydra's package of configs and ours hold, which is the same for every app: reading it is a seventh of what a sweep costs
    before its first trial. Its plugins, as Hydra finds them, are other classes than those that an import gives."""
    [source] = [kind for kind in Plugins.instance().discover(ConfigSource) if kind.scheme() == "pkg"]
    read, kept = source.load_config, {}

    def load_config(self, config_path):
        if self.path not in ("hydra.conf", "trivet.conf"):
            return read(self, config_path)
        key = (self.provider, self.path, config_path)
        if key not in kept:
            kept[key] = pickle.dumps(read(self, config_path))
        return pickle.loads(kept[key])

    source.load_config = load_config


@contextlib.contextmanager
def app(conf, overrides=(), config_name="config", version_base="1.3"):
    """(context, config) of an app whose `conf` folder this is, as a sweeper gets them; `overrides` are the command line's."""
    _read_packages_once()
    before, cwd = {kind: Singleton._instances.pop(kind, None) for kind in PER_APP}, os.getcwd()
    root = logging.getLogger()
    handlers, level, loggers = list(root.handlers), root.level, dict(root.manager.loggerDict)
    environment = dict(os.environ)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version.setbase(version_base)
        hydra = Hydra.create_main_hydra2(task_name="app", config_search_path=create_config_search_path(str(conf)))
        config = hydra.compose_config(config_name, list(overrides), run_mode=RunMode.MULTIRUN, with_log_configuration=False)
        yield HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config)), config
    finally:
        for kind in PER_APP:
            Singleton._instances.pop(kind, None)
        Singleton._instances.update({kind: instance for kind, instance in before.items() if instance is not None})
        setup_globals()  # Hydra's resolvers see the config that was there before
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        for handler in [h for h in root.handlers if h not in handlers]:
            root.removeHandler(handler)
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, logger in root.manager.loggerDict.items():
            if isinstance(logger, logging.Logger) and name not in loggers:
                logger.handlers.clear()


def sweep(conf, task, overrides=(), config_name="config"):
    """Run an app's sweep in this process as `Hydra.multirun` would; `overrides` are the command line's."""
    given = ["hydra/sweeper=trivet", "hydra.sweeper.n_jobs=0", "+hydra.sweeper.identity.code=none", *overrides]  # a test imports a lot
    with app(conf, given, config_name=config_name) as (context, config):
        context.callbacks.on_multirun_start(config=config, config_name=config_name)
        sweeper = Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=task)
        result = sweeper.sweep(list(config.hydra.overrides.task))
        context.callbacks.on_multirun_end(config=config, config_name=config_name)
        return result
