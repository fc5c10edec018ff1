"""Losses by name: plain functions of (outputs, targets), with no branch on a tensor's value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trivet.errors import UserError
from trivet.options import Real, choose, read

Loss = Callable[[Tensor, Tensor], Tensor]
SMOOTHING = Real(0, 1, default=0.0, open="high")

FIELDS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"label_smoothing": SMOOTHING},
    "focal": {"gamma": Real(0), "label_smoothing": SMOOTHING},
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


def build(config: Mapping[str, Any], meta: Mapping[str, Any]) -> Loss:
    """The loss that a conf/loss node describes: callable(logits, y) -> the mean over the batch, a scalar tensor.

    Classification: logits (N, K), y (N,) int64. Regression: both (N, T) in the target's own units; `mse` divides the error by
    meta["y_std"] first, so that its size, and the learning rate that fits it, do not depend on those units.
    """
    values = validate(config, meta["task"])
    if values["name"] == "mse":
        return _mse(meta)
    smoothing = values["label_smoothing"]
    if values["name"] == "cross_entropy":
        return lambda logits, y: functional.cross_entropy(logits, y, label_smoothing=smoothing)
    return lambda logits, y: focal(logits, y, values["gamma"], smoothing)


def focal(logits: Tensor, y: Tensor, gamma: float, label_smoothing: float = 0.0) -> Tensor:
    """Mean of (1 - p)^gamma * cross entropy, p = the probability of the true class (Lin et al. 2017, without alpha).

    gamma=0 is cross entropy. The weight is taken from p whatever the smoothing.
    """
    p = functional.softmax(logits, dim=-1).gather(-1, y.unsqueeze(-1)).squeeze(-1)
    losses = functional.cross_entropy(logits, y, label_smoothing=label_smoothing, reduction="none")
    # where p rounds to 1, a power below 1 would have no finite slope
    return ((1 - p).clamp(min=torch.finfo(p.dtype).tiny) ** gamma * losses).mean()


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
