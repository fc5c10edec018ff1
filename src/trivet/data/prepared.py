"""Where the prepared data of a configuration is; made on the spot when it is not there yet."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trivet import data
from trivet.data.prepare import PLACE_ONLY

log = logging.getLogger(__name__)


def folder_for(config: Mapping[str, Any], root: Path) -> Path:
    """The folder with the data of a conf/data node, prepared if need be. `root`: what a relative `path` counts from.

    That is `path`. When `path` holds something else (another data set, split or seed), it is left alone, and a folder beside it,
    named after the data and its settings, is used. Processes that ask at once wait for the one that prepares.
    """
    values = data.validate(config)
    wanted = {key: value for key, value in values.items() if key not in PLACE_ONLY}
    path = root / values["path"]
    if _holds(path, wanted):
        return path
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True, default=str).encode()).hexdigest()[:8]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.parent / f".{path.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and not _holds(path, wanted):
            beside = path.parent / f"{path.name}-{values['name']}-{digest}"
            log.info("%s holds other data than this configuration asks for; using %s", path, beside)
            path = beside
        if not _holds(path, wanted):
            log.info("preparing %s in %s", values["name"], path)
            data.prepare(config, path)
    return path


def identity(config: Mapping[str, Any]) -> dict[str, str]:
    """What the data of an app config is, for a sweep's identity; prepares it first where need be, so that workers find it."""
    meta = yaml.safe_load((folder_for(config["data"], Path.cwd()) / "data.yaml").read_text(encoding="utf-8"))
    return {"data": str(meta["sha256"])}


def _holds(path: Path, wanted: Mapping[str, Any]) -> bool:
    """Whether the folder was prepared with these settings."""
    try:
        meta = yaml.safe_load((path / "data.yaml").read_text(encoding="utf-8"))
    except OSError:
        return False
    return (path / "search.npz").exists() and isinstance(meta, dict) and meta.get("config") == dict(wanted)
