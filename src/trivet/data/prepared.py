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
from trivet.data.fields import FILE_KEYS, PLACE_ONLY
from trivet.data.origin import contents, paths
from trivet.errors import UserError

log = logging.getLogger(__name__)


def folder_for(config: Mapping[str, Any], root: Path) -> Path:
    """The folder with the data of a conf/data node, prepared if need be. `root`: what a relative `path` counts from.

    That is `path`. When `path` holds something else (another data set, split or seed, or an earlier content of the user's file), it is left
    alone, and a folder beside it, named after the data, its settings and its content, is used. A file that is gone is taken to be the one
    that its prepared data was made of. Processes that ask at once wait for the one that prepares.
    """
    values = data.validate(config)
    path = root / values["path"]
    origin = contents(values, path)
    if _holds(path, values, origin):
        if origin is None:
            key, gone = next((key, name) for key, name in paths(values).items() if not name.is_file())
            log.warning("data.%s=%s: there is no such file; taking %s, which was made of it when it was there", key, gone, path)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.parent / f".{path.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        origin = contents(values, path)
        if path.exists() and not _holds(path, values, origin):
            beside = path.parent / f"{path.name}-{values['name']}-{_digest(values, origin)}"
            log.info("%s holds other data than this configuration asks for; using %s", path, beside)
            path = beside
        if not _holds(path, values, origin):
            log.info("preparing %s in %s", values["name"], path)
            for line in (data.prepare(config, path).get("understood") or {}).get("warnings", ()):
                log.warning("data: %s", line)
    return path


def identity(config: Mapping[str, Any]) -> dict[str, str]:
    """What the data of an app config is, for a sweep's identity, and the file of weights that its model begins with, if any.

    Prepares the data first where need be, so that workers find it. Raises `UserError` for weights that cannot be read.
    """
    meta = yaml.safe_load((folder_for(config["data"], Path.cwd()) / "data.yaml").read_text(encoding="utf-8"))
    found, weights = {"data": str(meta["sha256"])}, (config.get("model") or {}).get("pretrained")
    if weights is not None:
        found["pretrained"] = weights_digest(str(weights))
    return found


def weights_digest(path: str | None) -> str:
    """A hash of the content of the file of weights that a model begins with; empty for None. Raises `UserError` where it cannot be read."""
    if path is None:
        return ""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"model.pretrained={path}: cannot be read ({error.strerror}); name a file of weights") from None


def _settings(values: Mapping[str, Any], origin: Mapping[str, str] | None) -> dict[str, Any]:
    """What decides the prepared data: the settings, and the content of the files in the place of their names (where it is known)."""
    names = FILE_KEYS.get(values["name"], ()) if origin is not None else ()
    return {key: value for key, value in values.items() if key not in PLACE_ONLY and key not in names}


def _digest(values: Mapping[str, Any], origin: Mapping[str, str] | None) -> str:
    wanted = _settings(values, origin) | ({"origin": dict(origin)} if origin else {})
    return hashlib.sha256(json.dumps(wanted, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _holds(path: Path, values: Mapping[str, Any], origin: Mapping[str, str] | None) -> bool:
    """Whether the folder was prepared with these settings from files of this content."""
    try:
        meta = yaml.safe_load((path / "data.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return False
    if not isinstance(meta, dict) or not isinstance(meta.get("config"), dict) or not (path / "search.npz").exists():
        return False
    same = _settings({"name": values["name"], **meta["config"]}, origin) == _settings(values, origin)
    return same and (origin is None or meta.get("origin", {}) == dict(origin))
