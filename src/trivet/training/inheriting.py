"""Go on from the checkpoint of another training, with other settings from there on: what a member of a population does.

Weights, moments, curves and the epoch come from there; what may change is this training's own, and its schedule stands where it would
stand, had it been this training's from the first batch.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trivet.errors import UserError
from trivet.options import show
from trivet.training import checkpoint

MAY_CHANGE = (
    *("seed", "batch_size", "lr_scaling", "reference_batch_size", "clip_norm", "patience"),
    *("optimizer.*", "schedule.*", "loss.*", "model.dropout"),
)
"""Keys that may have another value than in the training before, as patterns."""
MAY_NOT = ("optimizer.name", "optimizer.lookahead", "loss.name")
"""Of those, what a state or a curve belongs to."""
PARTED = ("optimizer.encoder_lr", "optimizer.layer_decay")
"""What parts the weights into groups, where it is not null."""


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(dotted key, value before, value now) of each that is another; None for what one of them lacks."""
    old, new = dict(_flat(before)), dict(_flat(now))
    for key in dict.fromkeys([*new, *old]):
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping) and key != "space":
            yield from _flat(value, f"{prefix}{key}.")
        elif key != "space":
            yield f"{prefix}{key}", value


def check(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `UserError` for the first key that may not change between two trainings of which one goes on from the other."""
    for key, old, new in differing(before, now):
        parted = key in PARTED and None in (old, new)
        if parted or key in MAY_NOT or not any(fnmatch.fnmatchcase(key, pattern) for pattern in MAY_CHANGE):
            raise UserError(
                f"{key}={show(new)}: was {show(old)} in the training that this one goes on from, whose weights and moments belong to that; "
                "leave it out of hydra.sweeper.sampler.change, so that it is handed on"
            )


def take_over(run: Any, folder: Path, about: Mapping[str, Any]) -> None:
    """Let `run` (run.Run, not yet begun) go on from the checkpoint in `folder`. `about` as the checkpoint has it of its own training.

    Raises `UserError` where there is none, it has had all epochs, or it is of a training of another shape or other data.
    """
    found = checkpoint.read(folder, run.device)
    if found is None:
        raise UserError(f"{folder}: holds no checkpoint of a training to go on from; let its trial run again, or start a new study_name")
    before, state = found
    if before["data"] != about["data"]:
        raise UserError(f"{folder}: is a training of other data; start a new study_name")
    check(before["config"], about["config"])
    n_done, epochs = len(state["curves"]), run.config["epochs"]
    if n_done >= epochs:
        raise UserError(
            f"epochs={epochs}: the training that this one goes on from has had {n_done}; set hydra.sweeper.sampler.steps={epochs}"
        )
    for metrics in state["curves"]:
        for _ in range(run.n_steps):
            run.schedule.step_batch()
        run.schedule.step_epoch(metrics["val/loss"])
    own = [{key: value for key, value in group.items() if key not in ("params", "counter")} for group in run.optimizer.param_groups]
    names = run.model.state_dict()
    weights = {part: _named(names, state[part]) for part in ("model", "best")}
    run.load_state_dict({**state, **weights, "schedule": run.schedule.state_dict()})
    for group, settings in zip(run.optimizer.param_groups, own, strict=True):
        group.update(settings)
        if group.get("fused") and group.get("momentum"):  # as optimizers.build does, where the training before had no momentum
            for param in group["params"]:
                moments = getattr(run.optimizer, "optimizer", run.optimizer).state[param]
                if moments.get("momentum_buffer") is None:
                    moments["momentum_buffer"] = torch.zeros_like(param)
    run.inherited = n_done


def _named(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors by the names that they have here: a model without dropout lacks those layers, and counts the others otherwise."""
    if list(wanted) == list(found) or [v.shape for v in wanted.values()] != [v.shape for v in found.values()]:
        return dict(found)
    return dict(zip(wanted, found.values(), strict=True))
