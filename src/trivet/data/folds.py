"""Cross-validation: the search file dealt into folds of equal sizes, one of which validates. The test file takes no part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trivet.data.scaling import statistics
from trivet.errors import UserError


def deal(y: np.ndarray, folds: int, seed: int, classes: bool) -> np.ndarray:
    """The fold, from 0 on, of each sample: sizes differ by one at most, and so do those of each class where y are classes.

    UserError for fewer samples than folds, and for a class of a single sample, which a training needs and a validation too.
    """
    if len(y) < folds:
        raise UserError(f"data.folds={folds}: there are {len(y)} samples; set it to fewer")
    rng = np.random.default_rng([seed, 9])
    groups = [np.flatnonzero(y == label) for label in np.unique(y)] if classes else [np.arange(len(y))]
    if classes and min(map(len, groups)) < 2:
        raise UserError(f"data.folds={folds}: a class has a single sample: add samples of it, or drop it")
    order = np.concatenate([rng.permutation(group) for group in groups])
    numbers = np.empty(len(y), dtype=int)
    numbers[order] = np.arange(len(y)) % folds
    return numbers


def fold_of(
    arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], folds: int, fold: int, outer: tuple[int, int] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a search file with samples of this fold as the validation part, and what they are: scaled by the others alone.

    `outer` (folds, fold): the samples that validate with folds=outer[0] and fold=outer[1] take no part, and the rest is dealt (nested
    cross-validation).

    UserError for a fold that is none, and for data of which a column was made of the training part's targets.
    """
    for prefix, number, all_of in (("", fold, folds), *([("outer_", outer[1], outer[0])] if outer is not None else [])):
        if number >= all_of:
            raise UserError(f"data.{prefix}fold={number}: must be a whole number below data.{prefix}folds={all_of}")
    if meta.get("config", {}).get("many_categories") == "target":
        raise UserError(f"data.folds={folds}: columns were encoded by targets that a fold validates on; set data.many_categories=frequency")
    x, y = (np.concatenate([arrays[f"{name}_train"], arrays[f"{name}_val"]]) for name in "xy")
    classes = meta["task"] == "classification"
    seed = int(meta.get("config", {}).get("seed", 0))
    if outer is not None:
        kept = deal(y, outer[0], seed, classes) != outer[1]
        x, y = x[kept], y[kept]
    held = deal(y, folds, seed, classes) == fold
    parts = {"x_train": x[~held], "y_train": y[~held], "x_val": x[held], "y_val": y[held]}
    scaled = np.array([(mean, std) != (0.0, 1.0) for mean, std in zip(meta["mean"], meta["std"], strict=True)])
    mean, std = statistics(parts["x_train"], scaled)
    given = {**meta, "mean": mean, "std": std, "n_train": int((~held).sum()), "n_val": int(held.sum())}
    if not classes:
        given["y_mean"], given["y_std"] = statistics(parts["y_train"])
    return parts, given
