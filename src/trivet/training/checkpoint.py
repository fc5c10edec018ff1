"""One file that holds a run at the end of an epoch: written whole, read without running code, refused when it is not ours."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)
NAME = "checkpoint.pt"
VERSION = 1
NOT_IDENTITY = frozenset({"save_model", "finalist", "lr_range", "profile", "pruner", "space", "hydra"})  # cannot change a number


def identity(config: Mapping[str, Any], data_sha256: str, device: torch.device) -> str:
    """A hash of what decides the numbers of a run: config, data, kind of device, torch."""
    kept = {key: value for key, value in config.items() if key not in NOT_IDENTITY}
    text = json.dumps([VERSION, kept, data_sha256, device.type, torch.__version__], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def save(folder: Path, key: str, state: Mapping[str, Any]) -> None:
    """Replace the checkpoint in one step: a process killed at any moment leaves the old one or the new one.

    No fsync: a power cut may lose the last epochs, and then `load` says so.
    """
    write_whole({"identity": key, **state}, Path(folder) / NAME)


def write_whole(content: Any, path: Path) -> None:
    """torch.save by way of a temporary file in the same folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        torch.save(content, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(folder: Path, key: str, device: torch.device) -> dict[str, Any] | None:
    """The state saved under this identity; None, with a warning, for a file that cannot be read or belongs to another run."""
    path = Path(folder) / NAME
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        log.warning("%s cannot be read (%s); starting over", path, reason[0])
        return None
    if not isinstance(state, dict) or state.get("identity") != key:
        log.warning("%s belongs to another configuration, data set or version; starting over", path)
        return None
    return state


def remove(folder: Path) -> None:
    """Remove the checkpoint of a run that is over."""
    (Path(folder) / NAME).unlink(missing_ok=True)
