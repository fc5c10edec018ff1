"""What needs no network: models of a table's own kind, fitted on the training part, scored as the networks are.

A table is often served better, and sooner, by gradient boosting or a linear model; a reader sees both beside the network. The check stage
scores them on the validation part (check.yaml, `baselines: {metric, values: {name: value}}`), the test stage on the test part (test.yaml,
`baselines: {name: value}`), which only it may read.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from trivet import data
from trivet.training import losses
from trivet.training.metrics import compute

NAMES = {"classification": ("majority", "logistic", "boosting"), "regression": ("mean", "ridge", "boosting")}


def value_of(outputs: np.ndarray, split: data.Split, name: str, meta: Mapping[str, Any], loss: Mapping[str, Any]) -> float:
    """A metric by its name, or the loss (the config node `loss`), of class probabilities (N, K), or regression outputs (N, T)."""
    out = torch.from_numpy(outputs).float()
    task, y = meta["task"], split.y.cpu()
    out = out.clamp_min(torch.finfo(out.dtype).tiny).log() if task == "classification" else out  # log p are logits of p
    return float(losses.build(loss, meta)(out, y)) if name == "loss" else compute(name, out, y, task)


def has_baselines(meta: Mapping[str, Any]) -> bool:
    """Whether the data is a table: its samples are rows of named columns, and it has one target."""
    return bool(meta.get("columns")) and (meta["task"] == "classification" or meta["n_outputs"] == 1)


def values(train: data.Split, split: data.Split, name: str, meta: Mapping[str, Any], loss: Mapping[str, Any]) -> dict[str, float]:
    """The metric `name` of each baseline, fitted on `train`, on `split`; {} where the data is no table. The same each time."""
    if not has_baselines(meta):
        return {}
    seed = int((meta.get("config") or {}).get("seed", 0))
    x, y = train.x.cpu().numpy(), train.y.cpu().numpy()
    x_new = split.x.cpu().numpy()
    fit = _classes if meta["task"] == "classification" else _targets
    return {key: value_of(outputs, split, name, meta, loss) for key, outputs in fit(x, y, x_new, seed, meta).items()}


def _classes(x: np.ndarray, y: np.ndarray, x_new: np.ndarray, seed: int, meta: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Class probabilities (N, K); every class is in the training part."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    shares = np.bincount(y, minlength=meta["n_classes"]) / len(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what it has after a thousand steps counts
        logistic = LogisticRegression(max_iter=1000).fit(x, y)
    boosting = HistGradientBoostingClassifier(random_state=seed).fit(x, y)
    found = (np.tile(shares, (len(x_new), 1)), logistic.predict_proba(x_new), boosting.predict_proba(x_new))
    return dict(zip(NAMES["classification"], found, strict=True))


def _targets(x: np.ndarray, y: np.ndarray, x_new: np.ndarray, seed: int, meta: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Targets (N, 1) in their own units."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge

    y = y.ravel().astype(np.float64)
    guesses = (np.full(len(x_new), y.mean()), Ridge().fit(x, y).predict(x_new))
    boosting = HistGradientBoostingRegressor(random_state=seed).fit(x, y)
    found = [guess.reshape(-1, 1) for guess in (*guesses, boosting.predict(x_new))]
    return dict(zip(NAMES["regression"], found, strict=True))


def line(metric: str, found: Mapping[str, float]) -> list[str]:
    """The values in words, for the terminal; [] without any."""
    return [f"baselines: {metric} " + ", ".join(f"{name} {value:.4g}" for name, value in found.items())] if found else []
