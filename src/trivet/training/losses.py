"""Losses by name: plain functions of (outputs, targets), with no branch on a tensor's value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trivet.errors import UserError
from trivet.options import Either, ListOf, Maybe, OneOf, Real, choose, read, show

Loss = Callable[[Tensor, Tensor], Tensor]
SMOOTHING = Real(0, 1, default=0.0, open="high")

CLASS_WEIGHTS = Maybe(Either((OneOf(("balanced",)), ListOf(Real(0, open="low")))))

FIELDS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"label_smoothing": SMOOTHING, "class_weights": CLASS_WEIGHTS},
    "focal": {"gamma": Real(0), "label_smoothing": SMOOTHING, "class_weights": CLASS_WEIGHTS},
    "mse": {},
}
TASKS = {"cross_entropy": "classification", "focal": "classification", "mse": "regression"}


def validate(config: Mapping[str, Any], task: str | None = None) -> dict[str, Any]:
    """The checked values of a conf/loss node. With `task`, also that the loss fits it. UserError otherwise."""
    name = choose(config, "loss", FIELDS)
    if task is not None and TASKS[name] != task:
        fitting = [known for known, its in TASKS.items() if its == task]
        raise UserError(f"loss={name}: the data is a {task} task: choose loss={' or loss='.join(fitting)}")
    return {"name": name, **read(config, "loss", FIELDS[name])}


def build(config: Mapping[str, Any], meta: Mapping[str, Any], train_y: Tensor | None = None) -> Loss:
    """The loss that a conf/loss node describes: callable(logits, y) -> the mean over the batch, a scalar tensor.

    Classification: logits (N, K), y (N,) int64. Regression: both (N, T) in the target's own units; `mse` divides the error by
    meta["y_std"] first, so that its size, and the learning rate that fits it, do not depend on those units.

    `class_weights` count in training alone, which gives its targets as `train_y`: without them the loss is plain, so that val/loss means
    the same whatever the weights. "balanced" is n / (K * n_k) for a class with n_k of the n samples in `train_y`. A weighted mean is
    divided by the sum of its samples' weights.
    """
    values = validate(config, meta["task"])
    if values["name"] == "mse":
        return _mse(meta)
    smoothing = values["label_smoothing"]
    weights = class_weights(values["class_weights"], meta["n_classes"], train_y) if train_y is not None else None
    if values["name"] == "cross_entropy":
        return lambda logits, y: functional.cross_entropy(logits, y, weights, label_smoothing=smoothing)
    return lambda logits, y: focal(logits, y, values["gamma"], smoothing, weights)


def class_weights(given: str | list[float] | None, n_classes: int, y: Tensor) -> Tensor | None:
    """A float32 weight for each class, on y's device; None for none. A class that y does not have gets 0 by "balanced".

    UserError for a list of another length than the classes.
    """
    if given is None:
        return None
    if given == "balanced":
        counts = torch.bincount(y.cpu(), minlength=n_classes).double()
        weights = torch.where(counts > 0, len(y) / (n_classes * counts), 0.0)
    elif len(given) != n_classes:
        raise UserError(f"loss.class_weights={show(given)}: must be null, balanced, or {n_classes} numbers, one for each class")
    else:
        weights = torch.tensor([float(weight) for weight in given])
    return weights.to(y.device, torch.float32)


def focal(logits: Tensor, y: Tensor, gamma: float, label_smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
    """Mean of (1 - p)^gamma * cross entropy, p = the probability of the true class (Lin et al. 2017).

    gamma=0 is cross entropy. The power is taken of p whatever the smoothing. `weights`: a number for each class, by which the mean is
    weighted (the paper's alpha).
    """
    p = functional.softmax(logits, dim=-1).gather(-1, y.unsqueeze(-1)).squeeze(-1)
    losses = functional.cross_entropy(logits, y, label_smoothing=label_smoothing, reduction="none")
    # where p rounds to 1, a power below 1 would have no finite slope
    losses = (1 - p).clamp(min=torch.finfo(p.dtype).tiny) ** gamma * losses
    if weights is None:
        return losses.mean()
    return (losses * weights[y]).sum() / weights[y].sum()


def _mse(meta: Mapping[str, Any]) -> Loss:
    scales: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def mse(outputs: Tensor, y: Tensor) -> Tensor:
        if outputs.shape != y.shape:
            raise UserError(f"the model's output has shape {tuple(outputs.shape)}, the target {tuple(y.shape)}: they must be the same")
        place = (y.device, y.dtype)
        if place not in scales:
            scales[place] = torch.as_tensor(meta.get("y_std", [1.0]), device=y.device, dtype=y.dtype)
        return (((outputs - y) / scales[place]) ** 2).mean()

    return mse
