"""Learning-rate schedules by name, from torch's own classes, each with an optional warm-up.

    schedule = schedules.build({"name": "cosine", "warmup": 0.05}, optimizer, epochs=30, steps_per_epoch=50)
    for epoch in range(30):
        for batch in batches: ...; optimizer.step(); schedule.step_batch()
        schedule.step_epoch(val_loss)

Steps are counted in batches from 0. With a warm-up of n steps, lr(t) = lr * (t + 1) / (n + 1) while t < n; the peak is reached at t = n.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer, lr_scheduler

from trivet.errors import UserError
from trivet.options import Either, ListOf, Maybe, Real, Whole, choose, read, show

FRACTION = Real(0, 1, open="both")
WARMUP = {"warmup": Maybe(Either((Whole(1), FRACTION)))}
END = Real(0, 1, default=0.0)
GAMMA = Real(0, 1, open="both")

FIELDS: dict[str, dict[str, Any]] = {
    "constant": WARMUP,
    "step": {**WARMUP, "every": Either((Whole(1), FRACTION)), "gamma": GAMMA},
    "multistep": {**WARMUP, "milestones": ListOf(Either((Whole(1), FRACTION))), "gamma": GAMMA},
    "exponential": {**WARMUP, "gamma": Real(0, 1, open="low")},
    "linear": {**WARMUP, "end": END},
    "cosine": {**WARMUP, "end": END},
    "onecycle": {"warmup": Either((Whole(1), FRACTION)), "div_factor": Real(1), "end": Real(0, 1, open="low")},
    "plateau": {
        **WARMUP,
        "factor": GAMMA,
        "patience": Whole(0),
        "threshold": Real(0, default=1e-4),
        "min_lr": Real(0, default=0.0),
    },
}


def validate(config: Mapping[str, Any]) -> dict[str, Any]:
    """The checked values of a conf/schedule node, defaults filled in. UserError for a wrong name, key or value."""
    name = choose(config, "schedule", FIELDS)
    return {"name": name, **read(config, "schedule", FIELDS[name])}


class Schedule:
    """Changes the optimizer's lr as a run goes on: `step_batch()` after each optimizer step, `step_epoch(value)` after each epoch.

    Past the planned number of batches `step_batch` leaves the lr as it is.
    """

    def __init__(self, total: int, by_batch: lr_scheduler.LRScheduler | None, by_epoch: Any | None):
        self._total, self._steps = total, 0
        self._by_batch, self._by_epoch = by_batch, by_epoch

    def step_batch(self) -> None:
        self._steps += 1
        if self._by_batch is not None and self._steps < self._total:
            self._by_batch.step()

    def step_epoch(self, value: float | None = None) -> None:
        """`value`: the validation loss of the epoch (lower is better). Only plateau reads it, and needs it."""
        if isinstance(self._by_epoch, lr_scheduler.ReduceLROnPlateau):
            if value is None:
                raise ValueError("schedule=plateau: step_epoch needs the validation loss")
            self._by_epoch.step(value)
        elif self._by_epoch is not None:
            self._by_epoch.step()

    def state_dict(self) -> dict[str, Any]:
        """Plain containers and numbers. The lr itself is in the optimizer's own state: save and load both."""
        parts = {"by_batch": self._by_batch, "by_epoch": self._by_epoch}
        return {"steps": self._steps, **{name: part.state_dict() for name, part in parts.items() if part is not None}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._steps = state["steps"]
        for name, part in {"by_batch": self._by_batch, "by_epoch": self._by_epoch}.items():
            if part is not None:
                part.load_state_dict(dict(state[name]))


def warmup_steps(warmup: float | None, total: int) -> int:
    """The number of warm-up batches of a run of `total`: an int is that many, a fraction rounds to at least one; null is none."""
    if warmup is None:
        return 0
    steps = warmup if isinstance(warmup, int) else max(1, round(warmup * total))
    if isinstance(warmup, int) and steps >= total:
        raise UserError(f"schedule.warmup={show(warmup)}: must be less than the {total} batches of the run, or a fraction of it in (0, 1)")
    return min(steps, total - 1)


def build(config: Mapping[str, Any], optimizer: Optimizer, epochs: int, steps_per_epoch: int) -> Schedule:
    """The schedule that a conf/schedule node describes, for a run of `epochs` * `steps_per_epoch` batches.

    Per batch: cosine, linear, onecycle and every warm-up. Per epoch: step, multistep, exponential, plateau. The peak is the
    lr that the optimizer was built with, of each of its groups. `end` is the last lr as a fraction of it. onecycle's warm-up is its own
    rising part, and the momentum stays what the optimizer says.
    Build it before loading the optimizer's state: torch's schedulers write the lr when they are made.
    """
    values = validate(config)
    total = epochs * steps_per_epoch
    n = warmup_steps(values["warmup"], total)
    by_batch = _by_batch(values, optimizer, total, n)
    return Schedule(total, by_batch, _by_epoch(values, optimizer, epochs))


def _by_batch(values: dict[str, Any], optimizer: Optimizer, total: int, n: int) -> lr_scheduler.LRScheduler | None:
    name = values["name"]
    if name == "onecycle":
        return _onecycle(values, optimizer, total, n)
    lr = optimizer.param_groups[0]["lr"]
    warm = lr_scheduler.LinearLR(optimizer, start_factor=1 / (n + 1), end_factor=1.0, total_iters=n) if n else None
    rest = max(1, total - n)
    main: lr_scheduler.LRScheduler
    if name == "cosine" and len(optimizer.param_groups) > 1:  # each group ends at a share of its own rate

        def share(step: int) -> float:
            return values["end"] + (1 - values["end"]) * (1 + math.cos(math.pi * step / rest)) / 2

        main = lr_scheduler.LambdaLR(optimizer, share)
    elif name == "cosine":
        main = lr_scheduler.CosineAnnealingLR(optimizer, T_max=rest, eta_min=lr * values["end"])
    elif name == "linear":
        main = lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=values["end"], total_iters=rest)
    else:
        return warm  # what follows is stepped per epoch, and multiplies with the warm-up
    return main if warm is None else lr_scheduler.SequentialLR(optimizer, [warm, main], milestones=[n])


def _onecycle(values: dict[str, Any], optimizer: Optimizer, total: int, n: int) -> lr_scheduler.OneCycleLR:
    """Peak at step n; from lr / div_factor, to `end` * lr at the last batch (Smith and Topin 2017; momentum is not cycled)."""
    return lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=max(2, total),
        pct_start=min(1.0, (n + 1) / total),  # torch puts the peak at pct_start * total_steps - 1
        div_factor=values["div_factor"],
        final_div_factor=1 / (values["end"] * values["div_factor"]),  # torch counts it from the first lr, not from the peak
        cycle_momentum=False,
    )


def _by_epoch(values: dict[str, Any], optimizer: Optimizer, epochs: int) -> Any | None:
    def in_epochs(value: float) -> int:
        return value if isinstance(value, int) else max(1, round(value * epochs))

    match values["name"]:
        case "step":
            return lr_scheduler.StepLR(optimizer, step_size=in_epochs(values["every"]), gamma=values["gamma"])
        case "multistep":
            return lr_scheduler.MultiStepLR(optimizer, sorted(map(in_epochs, values["milestones"])), gamma=values["gamma"])
        case "exponential":
            return lr_scheduler.ExponentialLR(optimizer, gamma=values["gamma"])
        case "plateau":
            return lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=values["factor"], patience=values["patience"], threshold=values["threshold"], min_lr=values["min_lr"]
            )
    return None
