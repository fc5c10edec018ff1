"""The prepared folder: search.npz (x_train, y_train, x_val, y_val), test.npz (x, y) and data.yaml (what they are).

x is stored raw; the mean and deviation in data.yaml are applied when it is loaded. Both .npz are the same, byte for byte,
each time the same data is prepared.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import yaml

from trivet.data import npz
from trivet.data.folds import fold_of
from trivet.errors import UserError
from trivet.options import Real

if TYPE_CHECKING:
    import torch

SEARCH, TEST, META = "search.npz", "test.npz", "data.yaml"


@dataclass(frozen=True)
class Split:
    """x: float32 (N, *input_shape), normalised. y: int64 (N,) classes, or float32 (N, T) targets in their own units."""

    x: torch.Tensor
    y: torch.Tensor


@dataclass(frozen=True)
class Data:
    """The search file on one device. `load` hands the same object to all callers of a process: read it, do not write to it."""

    train: Split
    val: Split
    meta: dict[str, Any]


def content_hash(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and bytes, whatever the file around them."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _save(file: BinaryIO, arrays: Mapping[str, Any]) -> None:
    np.savez(file, **arrays)


def write(folder: Path, search: Mapping[str, np.ndarray], test: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Write the three files, each whole, data.yaml last. Returns `meta` with the hash of the search arrays added.

    UserError where one of them is there and was not written by this function.
    """
    _check_place(folder)
    meta = {**meta, "sha256": content_hash(search)}
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / SEARCH, lambda file: _save(file, search))
    _replace(folder / TEST, lambda file: _save(file, test))
    _replace(folder / META, lambda file: file.write(yaml.safe_dump(meta, sort_keys=False, allow_unicode=True).encode()))
    return meta


def _check_place(folder: Path) -> None:
    """Files of these names that somebody else put there are kept: `data.path=.` would replace a user's own test.npz."""
    ours = False
    if (folder / META).exists():
        with contextlib.suppress(OSError, ValueError, RecursionError, yaml.YAMLError):
            meta = yaml.safe_load((folder / META).read_text(encoding="utf-8"))
            ours = isinstance(meta, Mapping) and "sha256" in meta
    elif (folder / SEARCH).exists():  # written first, and then prepare was killed
        with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(folder / SEARCH) as archive:
            ours = set(archive.namelist()) == {"x_train.npy", "y_train.npy", "x_val.npy", "y_val.npy"}
    found = [name for name in (SEARCH, TEST, META) if (folder / name).exists()]
    if found and not ours:
        raise UserError(f"data.path={folder}: {', '.join(found)} there was not written by prepare; name a folder for prepared data alone")


def _replace(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes it private
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load(
    folder: str | Path, device: str | torch.device = "cpu", folds: int | None = None, fold: int = 0, outer: tuple[int, int] | None = None
) -> Data:
    """The training and validation parts on `device`; read and moved once per process, until the files change. With `folds` they are
    other parts of the same samples, and `outer` (folds, fold) leaves a fold out before they are dealt, see folds.py.

    UserError when the folder holds no prepared data, or files that do not belong together. test.npz is not opened.
    """
    folder = Path(folder).resolve()
    stamps = tuple(_stamp(folder, name) for name in (SEARCH, META))
    return _load(folder, str(device), stamps, folds, fold, outer)


def load_test(folder: str | Path, device: str | torch.device = "cpu") -> Split:
    """The test part on `device`, normalised with the statistics of the training part."""
    folder = Path(folder).resolve()
    for name in (TEST, META):
        _stamp(folder, name)
    arrays = _read_npz(folder / TEST)
    return _split(arrays["x"], arrays["y"], _read_meta(folder), str(device))


@lru_cache(maxsize=8)
def _load(
    folder: Path, device: str, stamps: tuple[tuple[int, int, int], ...], folds: int | None, fold: int, outer: tuple[int, int] | None
) -> Data:
    meta, arrays = _read_meta(folder), _read_npz(folder / SEARCH)
    if content_hash(arrays) != meta.get("sha256"):
        raise UserError(f"data.path={folder}: {SEARCH} is not the file that {META} describes: run `python pipelines/prepare.py` again")
    if outer is not None and folds is None:
        raise UserError(f"data.outer_folds={outer[0]}: leaves a fold out of those that are dealt into data.folds; set that too")
    if folds is not None:
        arrays, meta = fold_of(arrays, meta, folds, fold, outer)
    train = _split(arrays["x_train"], arrays["y_train"], meta, device)
    return Data(train, _split(arrays["x_val"], arrays["y_val"], meta, device), meta)


def _stamp(folder: Path, name: str) -> tuple[int, int, int]:
    """Changes whenever the file is replaced, twice within one tick of the clock included."""
    try:
        status = (folder / name).stat()
    except OSError as error:
        raise UserError(f"data.path={folder}: holds no prepared data ({name} is missing): run `python pipelines/prepare.py`") from error
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read_meta(folder: Path) -> dict[str, Any]:
    path = folder / META
    try:
        meta = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:  # ValueError: a date that is none
        raise UserError(f"{path}: cannot be read ({type(error).__name__}): run `python pipelines/prepare.py` again") from error
    if not isinstance(meta, dict) or not {"task", "mean", "std", "input_shape", "sha256"} <= set(meta):
        raise UserError(f"{path}: does not describe prepared data: run `python pipelines/prepare.py` again")
    for key in ("mean", "std"):
        if not isinstance(meta[key], list) or not all(map(Real().accepts, meta[key])):
            raise UserError(f"{path}: {key} does not describe prepared data: run `python pipelines/prepare.py` again")
    return meta


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        return npz.read(path)
    except npz.Unreadable as error:
        raise UserError(f"{path}: cannot be read ({error}): run `python pipelines/prepare.py` again") from error


def _split(x: np.ndarray, y: np.ndarray, meta: Mapping[str, Any], device: str) -> Split:
    import torch  # here, so that preparing data does not wait for it

    shape = (1, -1) + (1,) * (x.ndim - 2)  # per channel, or per column
    mean, std = (torch.tensor(meta[key], dtype=torch.float32, device=device).reshape(shape) for key in ("mean", "std"))
    if mean.shape[1] != x.shape[1] or std.shape != mean.shape:
        raise UserError("data.yaml and search.npz or test.npz do not belong together: run `python pipelines/prepare.py` again")
    inputs = torch.from_numpy(x).to(device).float()
    return Split((inputs - mean) / std, torch.from_numpy(y).to(device))
