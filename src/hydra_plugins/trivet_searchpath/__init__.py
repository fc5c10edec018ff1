"""Brings trivet's own config group to every Hydra app: `+trivet=coarse | fine | seeds | audit | check | search`.

The files are in src/trivet/conf/trivet. What they say of the app (its metric, its direction ...) they read from its trivet.yaml, by the
resolver `${trivet:key,default}`; without such a file the defaults hold.
"""

from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

import trivet
from trivet import app


class TrivetSearchPath(SearchPathPlugin):
    """Appends the folder of trivet's configs, behind the app's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra when an app starts."""
        search_path.append("trivet", f"file://{Path(trivet.__file__).parent / 'conf'}")


def lookup(key: str, default: Any = None) -> Any:
    """A key of the app's description in the present folder, or the default where the app has none or says null."""
    value = app.setting(key)
    return default if value is None else value


OmegaConf.register_new_resolver("trivet", lookup, replace=True)
