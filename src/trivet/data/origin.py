"""Which files data was prepared from, by content: an edited file is other data, whatever its name; a copy under another name is the same.

A file is hashed when its size, times or inode have changed since it was hashed last. What is known of it lies beside the prepared folder,
in `.<folder>.origin.json`; losing that costs a hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from trivet.data.fields import FILE_KEYS
from trivet.errors import UserError

SETTLED = 2.0  # seconds: a file that changed later than this before it was hashed may change again with the same times


def paths(values: Mapping[str, Any]) -> dict[str, Path]:
    """The files of the user's that checked settings name, by key."""
    named = ((key, values[key]) for key in FILE_KEYS.get(values["name"], ()))
    return {key: Path(value).expanduser() for key, value in named if value is not None}


def contents(values: Mapping[str, Any], folder: Path) -> dict[str, str] | None:
    """SHA-256 by key of the files that `values` name; None when one of them is not there. `folder`: the prepared one."""
    found = paths(values)
    if not all(path.is_file() for path in found.values()):
        return None
    return {key: _sha256(path.resolve(), folder.parent / f".{folder.name}.origin.json") for key, path in found.items()}


class Origin:
    """The files of a preparation, from before they are read until what was made of them is written."""

    def __init__(self, values: Mapping[str, Any], folder: Path):
        self._values, self._folder, self._before = values, folder, self._stamps(values)

    def recorded(self) -> dict[str, Any]:
        """What data.yaml says of the files: {"origin": {key: sha256}}, or {} without any. UserError if one changed while it was read."""
        if not self._before:
            return {}
        found = contents(self._values, self._folder)
        if found is None or self._stamps(self._values) != self._before:
            changed = next(iter(self._before))
            raise UserError(f"data.{changed}={self._values[changed]}: changed while it was read: try again when it is written")
        return {"origin": found}

    @staticmethod
    def _stamps(values: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        return {key: _stamp(path) for key, path in paths(values).items() if path.is_file()}


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _sha256(path: Path, notes: Path) -> str:
    stamp = _stamp(path)
    known = _read_notes(notes).get(str(path))
    if known and tuple(known["stamp"]) == stamp:
        return known["sha256"]
    sha256 = _hash(path, stamp)
    if _stamp(path) == stamp and time.time() - max(stamp[1], stamp[2]) / 1e9 > SETTLED:
        _write_notes(notes, {**_read_notes(notes), str(path): {"stamp": stamp, "sha256": sha256}})
    return sha256


@lru_cache(maxsize=16)
def _hash(path: Path, stamp: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_notes(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {key: value for key, value in found.items() if {"stamp", "sha256"} <= set(value)}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def _write_notes(path: Path, notes: Mapping[str, Any]) -> None:
    """The notes in one piece, where the folder is there and can be written to."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(notes))
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
