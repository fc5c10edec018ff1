"""What a source hands on, and what reads a file of the user's: the ground on which the sources stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trivet.errors import UserError


def _same(x: Any) -> np.ndarray:
    return x


@dataclass(frozen=True)
class Encoded:
    """x of the training part as numbers, and the function that makes numbers of any other x.

    columns: their names, or None. scaled: None = normalise all; else one bool per column.
    """

    train: np.ndarray
    encode: Callable[[Any], np.ndarray] = _same
    columns: list[str] | None = None
    scaled: np.ndarray | None = None


@dataclass
class Raw:
    """What a source read. x, y: as many samples each. x_test: None when the source has no test part of its own.

    names: what to call each class, by class number. summary: what was understood of the user's file, for data.yaml (None: nothing to say).
    """

    x: Any
    y: np.ndarray
    x_test: Any = None
    y_test: np.ndarray | None = None
    task: str = "classification"
    names: list[str] | None = None
    summary: dict[str, Any] | None = None

    def take(self, indices: np.ndarray) -> Any:
        """The samples at these positions."""
        return self.x[indices]

    def fit(self, train: np.ndarray, y: np.ndarray) -> Encoded:
        """Learn from the samples at the positions `train`, whose checked targets are `y`, how to turn samples into numbers."""
        return Encoded(self.take(train))


def existing(value: str | None, key: str, what: str) -> Path:
    """The path that the user gave under `key`; UserError when there is none, or no file there."""
    if value is None:
        raise UserError(f"{key}=null: name {what}, for example {key}=my/file")
    path = Path(value).expanduser()
    if path.is_dir():
        raise UserError(f"{key}={value}: is a folder: name the file in it")
    if not path.is_file():
        raise UserError(f"{key}={value}: there is no such file; relative paths start at {Path.cwd()}")
    if path.stat().st_size == 0:
        raise UserError(f"{key}={value}: the file is empty")
    return path


N_LOOKED_AT = 1_000_000  # values; more would take much memory
LOST = 0.1  # of the spread of values, from which on rounding them to 32 bits is told


def narrow(values: np.ndarray, where: str, otherwise: str = "") -> None:
    """UserError where 32-bit numbers, which networks compute with, no longer tell these values apart: large ones that differ by little.

    values: finite numbers of one column or channel. otherwise: what else than subtracting a constant a person may do.
    """
    if values.dtype.kind not in "iuf" or values.dtype.itemsize <= (4 if values.dtype.kind == "f" else 2) or not values.size:
        return
    values = values.reshape(-1)[:: max(1, values.size // N_LOOKED_AT)]
    wide = values.astype(np.longdouble)  # holds every whole number of 64 bits
    wide -= wide.flat[0]
    with np.errstate(over="ignore"):
        rounding = values.astype(np.float32).astype(np.longdouble) - values.flat[0] - wide
    if np.isfinite(rounding).all() and rounding.std() > LOST * wide.std() > 0:
        low, high = values.min(), values.max()
        raise UserError(
            f"{where}: its values lie between {low!s} and {high!s}, too close together for 32-bit numbers to tell apart: "
            f"subtract {low!s} from all of them{otherwise}"
        )
