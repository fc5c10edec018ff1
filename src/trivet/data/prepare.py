"""From a conf/data node to the prepared folder: read, split, check, describe, write. Nothing is written before all checks have passed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trivet.data import files, parting
from trivet.data.fields import FIELDS, PLACE_ONLY, canonical
from trivet.data.origin import Origin
from trivet.data.raw import Encoded, Raw, narrow
from trivet.data.scaling import statistics
from trivet.data.sources import SOURCES
from trivet.data.split import split_indices
from trivet.errors import UserError
from trivet.options import choose, read, show

SHOWN = 8  # classes in a line
CONTINUOUS = 20  # different numbers in a target, from which few samples per number mean that they are no classes


def validate(config: Mapping[str, Any]) -> dict[str, Any]:
    """The checked values of a conf/data node, defaults filled in. UserError for a wrong name, key or value. No file is opened."""
    name = choose(config, "data", FIELDS)
    return canonical({"name": name, **read(config, "data", FIELDS[name])})


def prepare(config: Mapping[str, Any], folder: str | Path) -> dict[str, Any]:
    """Write search.npz, test.npz and data.yaml into `folder`; returns what data.yaml holds.

    `test_fraction` of all samples become the test part where the source has none of its own; `val_fraction` of the others become the
    validation part. Both are drawn with `seed`; in proportion per class for classification, at least one of each class in each part.
    Mean and deviation (per channel or column), categories and imputed values come from the training part alone.
    Classes become 0..K-1 in sorted order. UserError, and nothing written, when the data cannot be used.
    """
    values = validate(config)
    origin = Origin(values, Path(folder))
    raw = SOURCES[values["name"]](values)
    y, classes = _targets(raw.y, raw.task, "y")
    stratify = y if raw.task == "classification" else None
    rng = np.random.default_rng(values["seed"])
    rest = np.arange(len(y))
    if raw.x_test is None:
        rest, held = split_indices(rest, values["test_fraction"], stratify, rng, "data.test_fraction", classes)
        x_test, y_test = raw.take(held), y[held]
    else:
        x_test, y_test = raw.x_test, _targets(raw.y_test, raw.task, "y_test", classes)[0]
    train, val = split_indices(rest, values["val_fraction"], stratify, rng, "data.val_fraction", classes)
    encoded = raw.fit(train, y[train])
    search = {"x_train": encoded.train, "y_train": y[train], "x_val": encoded.encode(raw.take(val)), "y_val": y[val]}
    test = {"x": encoded.encode(x_test), "y": y_test}
    _check(search["x_train"], test["x"], y_test)
    if raw.summary is not None:
        told = parting.warnings(search, test, classes, encoded.columns, raw.x_test is not None)
        raw.summary["warnings"] = [*raw.summary["warnings"], *told]
    meta = _describe(values, raw, search, test, classes, encoded)
    return files.write(Path(folder), search, test, {**meta, **origin.recorded()})


def _targets(y: Any, task: str, name: str, classes: list | None = None) -> tuple[np.ndarray, list | None]:
    """Class numbers int64 (N,) and the classes; or targets float32 (N, T) and None. `classes`: those known already."""
    y = np.asarray(y)
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    if len(y) == 0:
        raise UserError(f"data: {name} is empty: it needs at least one sample per part")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        bad = np.flatnonzero(~np.isfinite(y.reshape(len(y), -1)).all(axis=1))
        raise UserError(
            f"data: {name} has {int((~np.isfinite(y)).sum())} values that are NaN or infinite, the first in sample {bad[0]}: "
            "drop or mend those samples"
        )
    if task == "regression":
        if y.dtype.kind not in "fiub" or y.ndim not in (1, 2):
            raise UserError(f"data: {name} of a regression must be numbers of shape (N,) or (N, T), not {y.dtype} {y.shape}")
        with np.errstate(over="ignore"):  # told below
            targets = y.reshape(len(y), -1).astype(np.float32)
        if not np.isfinite(targets).all():
            raise UserError(f"data: {name} has values too large for 32-bit numbers: scale them down")
        for i in range(targets.shape[1]):
            one = f"data: {name}" + (f"[:, {i}]" if targets.shape[1] > 1 else "")
            narrow(y.reshape(len(y), -1)[:, i], one)
            if name == "y" and len(y) > 1 and (targets[:, i] == targets[0, i]).all():
                raise UserError(f"{one} is {targets[0, i]:g} in every sample: there is nothing to predict")
        return targets, None
    y = _one_per_sample(y, name)
    fractions = y[y != np.round(y)] if y.dtype.kind == "f" else y[:0]
    if len(fractions):
        raise UserError(
            f"data: {name} holds fractions such as {fractions[0]:g}: classes are whole numbers or texts, or set data.task=regression"
        )
    found = np.unique(y)
    if classes is None and y.dtype.kind in "fiu":
        _refuse_measurements(y, name)
    if classes is None:
        if len(found) < 2:
            raise UserError(f"data: {name} holds one class only, {show(found[0])}: a classification needs two or more")
        classes = (found.astype(np.int64) if y.dtype.kind == "f" else found).tolist()
    unknown = [label for label in found.tolist() if label not in classes]
    if unknown:
        there = ", ".join(map(repr, classes[:SHOWN])) + (" ..." if len(classes) > SHOWN else "")
        raise UserError(f"data: {name} holds the class {show(repr(unknown[0]))}, which the other samples do not have; they have {there}")
    return np.searchsorted(np.asarray(classes), y).astype(np.int64), classes


def _one_per_sample(y: np.ndarray, name: str) -> np.ndarray:
    """Classes of shape (N,), whole numbers, truths or texts. UserError for anything else."""
    if y.ndim == 2 and y.shape[1] == 1:
        return _one_per_sample(y[:, 0], name)
    if y.ndim != 1:
        one_hot = y.ndim == 2 and y.dtype.kind in "fiub" and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()
        mend = f": save {name}.argmax(axis=1)" if one_hot else ""
        raise UserError(f"data: {name} of a classification must have shape (N,), one class per sample, not {y.shape}{mend}")
    if y.dtype.kind not in "fiubUO":
        raise UserError(f"data: {name} of a classification must be whole numbers or texts, not {y.dtype}")
    found, counts = np.unique(y, return_counts=True)
    if y.dtype.kind in "UO" and len(found) > CONTINUOUS and 2 * (counts == 1).sum() > len(found):
        raise UserError(
            f"data: {name} holds {len(found)} different texts in {len(y)} samples, most of them once, such as {show(found[0])}: "
            "these are no classes: name another target, or make numbers of them for data.task=regression"
        )
    return y


def _refuse_measurements(y: np.ndarray, name: str) -> None:
    """Numbers most of which come but a few times are no classes."""
    found, counts = np.unique(y, return_counts=True)
    if len(found) > CONTINUOUS and np.median(counts) < 5:
        raise UserError(
            f"data: {name} holds {len(found)} different numbers in {len(y)} samples, such as {found[0]:g}: they look like measurements, "
            "not classes: set data.task=regression loss=mse metric=val/rmse direction=minimize"
        )


def _check(x: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> None:
    if x.shape[1:] != x_test.shape[1:]:
        raise UserError(f"data: x has samples of shape {x.shape[1:]}, x_test of {x_test.shape[1:]}: they must be the same")
    if len(x_test) != len(y_test):
        raise UserError(f"data: x_test has {len(x_test)} samples, y_test {len(y_test)}: they must be as many")


def _describe(values: dict, raw: Raw, search: dict, test: dict, classes: list | None, encoded: Encoded) -> dict[str, Any]:
    x = search["x_train"]
    mean, std = statistics(x, encoded.scaled)
    meta = {
        "name": values["name"],
        "task": raw.task,
        "n_classes": None if classes is None else len(classes),
        "n_outputs": search["y_train"].shape[1] if classes is None else len(classes),
        "input_shape": list(x.shape[1:]),
        "n_train": len(x),
        "n_val": len(search["y_val"]),
        "n_test": len(test["y"]),
        "mean": mean,
        "std": std,
    }
    if classes is None:
        meta["y_mean"], meta["y_std"] = statistics(search["y_train"])
    else:
        meta["classes"] = [raw.names[label] for label in classes] if raw.names else classes
    if encoded.columns is not None:
        meta["columns"] = encoded.columns
    if raw.summary is not None:
        meta["understood"] = raw.summary
    made_with = {key: value for key, value in values.items() if key not in PLACE_ONLY}
    return {**meta, "published": dict(values["published"]), "config": made_with}
