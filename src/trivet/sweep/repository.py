"""Hydra's files of config, read once for all the configs that a sweep composes of them.

Hydra reads them anew for each config, and copies the whole ConfigStore before: a third of the time that composing takes.
"""

from __future__ import annotations

import copy
import pickle

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.plugins.config_source import ConfigResult

from trivet.sweep import main_module


class ReadOnce(ConfigRepository):
    """What Hydra's own repository gives, as a copy to change at will (a pickle is many times faster than deepcopy)."""

    def __init__(self, repository: ConfigRepository) -> None:
        self.sources = repository.get_sources()
        self._read: dict[tuple[str, ...], bytes] = {}

    def __deepcopy__(self, memo: dict) -> ReadOnce:
        """Hydra asks for one before each config, to give it other `sources` (hydra.searchpath); what was read is kept in common."""
        return copy.copy(self)

    def load_config(self, config_path: str) -> ConfigResult | None:
        key = (config_path, *(f"{source.provider} {source.path}" for source in self.sources))
        if key not in self._read:
            self._read[key] = main_module.dumps(super().load_config(config_path))
        return pickle.loads(self._read[key])


def reading_once(loader: ConfigLoader) -> ConfigLoader:
    """A loader that composes the same configs. One of another kind than Hydra's is given back as it is."""
    if not isinstance(loader, ConfigLoaderImpl):
        return loader
    kept = copy.copy(loader)
    kept.repository = ReadOnce(loader.repository)
    return kept
