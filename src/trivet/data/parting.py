"""How the parts of the user's own data differ: samples in two of them, a test part in other units, or without a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

SHARED = 0.1  # of the test samples, from which on samples that are in the other parts too are told, where there are five
ENOUGH = 10  # test samples, from which on their spread says something
UNITS = 20.0  # times larger or smaller: a spread that no drift explains
MOVED = 5.0  # spreads that the middle may lie away
N_LOOKED_AT = 2000  # samples of each part
SHOWN = 5


Arrays = Mapping[str, np.ndarray]


def warnings(search: Arrays, test: Arrays, classes: Sequence | None, columns: Sequence[str] | None, own_test: bool) -> list[str]:
    """A line for each. search, test: the arrays of the two files. own_test: whether the test part is one that the user gave."""
    lines = [*_shared(search, test["x"]), *(_without(test["y"], classes) if classes is not None else [])]
    if not own_test or len(test["y"]) < ENOUGH:
        return lines
    what = "channel" if search["x_train"].ndim > 2 else "column"
    names = columns if columns is not None else [str(i) for i in range(search["x_train"].shape[1])]
    found = [f"{what} {name} {line}" for name, line in zip(names, _units(search["x_train"], test["x"]), strict=True) if line]
    if classes is None:
        found += [f"the target {line}" for line in _units(search["y_train"], test["y"]) if line]
    more = [f"and {len(found) - SHOWN} more such lines"] if len(found) > SHOWN else []
    return [*lines, *found[:SHOWN], *more]


def _shared(search: Arrays, x_test: np.ndarray) -> list[str]:
    """Samples of the test part whose inputs are also those of another part; nothing where most samples have a twin anyway."""
    others = [hash(sample.tobytes()) for key in ("x_train", "x_val") for sample in search[key].astype(x_test.dtype, copy=False)]
    known = set(others)
    n = sum(hash(sample.tobytes()) in known for sample in x_test)
    if n < max(5, SHARED * len(x_test)) or 2 * len(known) < len(others):
        return []
    return [
        f"{n} of {len(x_test)} test samples have the inputs of a training or validation sample: are rows written twice, or files mixed up?"
    ]


def _without(y_test: np.ndarray, classes: Sequence) -> list[str]:
    absent = [str(label) for number, label in enumerate(classes) if not (y_test == number).any()]
    return [f"the test part has no sample of {', '.join(absent[:SHOWN])}{' ...' if len(absent) > SHOWN else ''}"] if absent else []


def _units(train: np.ndarray, test: np.ndarray) -> list[str]:
    """Of each channel or column (axis 1) how the test part differs, or "": by where most of its values lie, whatever a few of them are."""
    rows = [np.moveaxis(_some(part), 1, 0).reshape(part.shape[1], -1).astype(np.float64) for part in (train, test)]
    (low, middle, high), (test_low, test_middle, test_high) = (np.quantile(part, [0.05, 0.5, 0.95], axis=1) for part in rows)
    lines = []
    for i, (here, there) in enumerate(zip(high - low, test_high - test_low, strict=True)):
        other_units = min(here, there) > 0 and max(here, there) > UNITS * min(here, there)
        moved = here > 0 and abs(test_middle[i] - middle[i]) > MOVED * here
        said = f"lies mostly between {low[i]:.4g} and {high[i]:.4g}, and in the test part between {test_low[i]:.4g} and {test_high[i]:.4g}"
        lines.append(f"{said}: are they in the same units?" if other_units or moved else "")
    return lines


def _some(x: np.ndarray) -> np.ndarray:
    return x[:: max(1, len(x) // N_LOOKED_AT)]
