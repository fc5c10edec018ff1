"""Metrics of a split by name, besides its loss: each from the outputs and targets of all its samples.

    compute("f1_macro", outputs, y, "classification")       # outputs: logits (N, K); y: classes (N,)

accuracy and rmse cost nothing that an epoch would wait for, and are always there. The others come from scikit-learn, on the CPU, and only
where a config asks for them, as its objective or under `metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trivet.errors import UserError

NAMES = {
    "classification": ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "auc", "log_loss"),
    "regression": ("rmse", "mae", "r2"),
}
ALWAYS = {task: names[0] for task, names in NAMES.items()}
ASKED = tuple(name for names in NAMES.values() for name in names[1:])
LOWER_IS_BETTER = ("loss", "log_loss", "rmse", "mae")


def asked(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names that a config asks for beyond what is always there, each once."""
    objectives = [config.get("metric"), *(config.get("objectives") or ())]
    names = [*(config.get("metrics") or ()), *(str(name).rpartition("/")[2] for name in objectives)]
    return tuple(dict.fromkeys(name for name in names if name in ASKED))


def wide(device: torch.device) -> torch.dtype:
    """The widest float of a device."""
    return torch.float32 if device.type == "mps" else torch.float64


def score(out: Tensor, y: Tensor, task: str) -> Tensor:
    """Accuracy of logits (N, K) for classes y (N,), or root mean squared error of (N, T) in the target's units; a scalar on the device.

    Accuracy is in double precision where the device has it, so that 0.95 reads 0.95.
    """
    if task == "classification":
        return (out.argmax(-1) == y).to(wide(out.device)).mean()
    return (out - y).square().mean().sqrt()


def compute(name: str, out: Tensor, y: Tensor, task: str) -> float:
    """The metric as a number; NaN where outputs are not finite, and of `auc` where y has one class only.

    - balanced_accuracy: mean recall of the classes that y has. f1_macro, f1_weighted: mean of the classes' F1, plain and by their samples
      in y; a class that is neither in y nor predicted does not count.
    - auc: area under the ROC curve, of the second of two classes, else the mean over the classes of y of each against the rest.
    - log_loss: mean negative log probability (natural) of the true class, without the smoothing and weights of a loss.
    - mae, r2: of several targets the mean; r2 of a constant target is 0, or 1 where all predictions are right.
    """
    if name == ALWAYS[task]:
        return score(out, y, task).item()
    outputs, target = out.detach().to("cpu", torch.float64), y.cpu().numpy()
    if not bool(outputs.isfinite().all()):
        return float("nan")
    from sklearn import metrics  # a second to import, and used where it is asked for

    if task == "regression":
        return float({"mae": metrics.mean_absolute_error, "r2": metrics.r2_score}[name](target, outputs.numpy()))
    if name == "auc":
        return _auc(target, outputs.softmax(-1).numpy())
    if name == "log_loss":
        return torch.nn.functional.cross_entropy(outputs, torch.from_numpy(target)).item()
    predicted = outputs.argmax(-1).numpy()
    if name == "balanced_accuracy":
        return float(metrics.recall_score(target, predicted, average="macro", labels=np.unique(target)))
    return float(metrics.f1_score(target, predicted, average=name.removeprefix("f1_"), zero_division=0))


def _auc(y: np.ndarray, p: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    present = np.unique(y)
    if len(present) < 2:
        return float("nan")
    one_sided = [1] if p.shape[1] == 2 else present
    return float(np.mean([roc_auc_score(y == k, p[:, k]) for k in one_sided]))


def is_better(metrics: Mapping[str, float], best: Mapping[str, float], metric: str, sign: int) -> bool:
    """Whether an epoch is better than the best so far (sign: 1 to maximise `metric`, -1 to minimise it); of equals, by val/loss.

    Accuracies of small splits are often equal, and the first epoch that has one is not the best trained.
    """
    value, other = sign * metrics[metric], sign * best[metric]
    return value > other or (value == other and metrics["val/loss"] < best["val/loss"])


def check_split(config: Mapping[str, Any], y: Tensor) -> None:
    """UserError where the objective has no value on these targets, so that a search does not find out epoch by epoch."""
    if "auc" in asked(config) and len(y.unique()) < 2:
        raise UserError("metric auc: the samples are all of one class; choose another metric, or data with several classes")
