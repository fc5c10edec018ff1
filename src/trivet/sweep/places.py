"""Where a sweep lives: what `hydra.sweep.dir` says, all of it resolved but the time.

A time would hide a study from the command that is to continue it, so the study's name stands there instead. Its trials live in
`<sweep>/<number>` (`trivet.resume_dir()`), whatever `hydra.sweep.subdir` names for Hydra's own files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import OmegaConfBaseException

from trivet.errors import UserError
from trivet.sweep.configs import mapping

TIME = "\0time\0"  # in place of ${now:...}, which no path can hold


def sweep_folder(config: DictConfig, name: str) -> tuple[Path, bool]:
    """The folder of the sweep `name` under this config, and whether its name stands in it in place of a time.

    Raises `UserError` where `hydra.sweep.dir` cannot be resolved.
    """
    text = _without_time(config)
    if TIME not in text:
        return Path(text), False
    return Path(os.path.dirname(text.partition(TIME)[0]) or ".") / name, True


def _without_time(config: DictConfig) -> str:
    sweep: Any = config.hydra.sweep
    try:
        with _time_told_apart():
            found = str(sweep["dir"])
        if any(c < " " or c == "\x7f" for c in found.replace(TIME, "")):
            raise UserError(f"hydra.sweep.dir={found}: must be a path without control characters")
        return found
    except OmegaConfBaseException as error:
        raw = mapping(sweep, resolve=False)["dir"]
        raise UserError(f"hydra.sweep.dir={raw}: {str(error).splitlines()[0]}; name a folder that can be told before a trial") from None


@contextlib.contextmanager
def _time_told_apart() -> Iterator[None]:
    """Let every `${now:...}` give TIME in this block, wherever the interpolation stands that leads to it."""
    before = BaseContainer._resolvers.get("now")
    OmegaConf.register_new_resolver("now", lambda *_: TIME, replace=True)
    try:
        yield
    finally:
        if before is None:
            OmegaConf.clear_resolver("now")
        else:
            BaseContainer._resolvers["now"] = before
