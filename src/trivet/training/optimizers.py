"""Optimizers by name: torch's own classes, and lookahead around any of them.

    optimizers.build({"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}, model.parameters())

`lr` is the learning rate whatever the choice, lookahead included, so that schedules and search spaces have one key to look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from trivet.errors import UserError
from trivet.options import Flag, Maybe, Real, Whole, choose, read, show

LOOKAHEAD = {"lookahead": Maybe(Whole(1)), "lookahead_alpha": Real(0, 1, default=0.5, open="both")}
PARTS = {"encoder_lr": Maybe(Real(0, open="low")), "layer_decay": Maybe(Real(0, 1, open="low"))}
COMMON = {"lr": Real(0, open="low"), "weight_decay": Real(0, default=0.0), **LOOKAHEAD, **PARTS}
ADAM = {
    **COMMON,
    "beta1": Real(0, 1, default=0.9, open="high"),
    "beta2": Real(0, 1, default=0.999, open="high"),
    "eps": Real(0, default=1e-8, open="low"),
}
MOMENTUM = Real(0, 1, default=0.0, open="high")

FIELDS: dict[str, dict[str, Any]] = {
    "sgd": {**COMMON, "momentum": MOMENTUM, "nesterov": Flag(default=False)},
    "adam": ADAM,
    "adamw": ADAM,
    "rmsprop": {**COMMON, "momentum": MOMENTUM, "alpha": Real(0, 1, default=0.99, open="high"), "eps": Real(0, default=1e-8, open="low")},
    "radam": {**ADAM, "decoupled": Flag(default=False)},
    "nadam": {**ADAM, "decoupled": Flag(default=False), "momentum_decay": Real(0, default=4e-3)},
}
CLASSES = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "radam": torch.optim.RAdam,
    "nadam": torch.optim.NAdam,
}
FUSED = {"sgd", "adam", "adamw"}  # one kernel per step: 2 to 4 times faster than a loop on a small model, and elementwise, so repeatable


def validate(config: Mapping[str, Any]) -> dict[str, Any]:
    """The checked values of a conf/optimizer node, defaults filled in. UserError for a wrong name, key or value."""
    name = choose(config, "optimizer", FIELDS)
    values = {"name": name, **read(config, "optimizer", FIELDS[name])}
    if values["encoder_lr"] is not None and values["layer_decay"] is not None:
        decay = show(values["layer_decay"])
        raise UserError(f"optimizer.layer_decay={decay}: optimizer.encoder_lr is set, too; set one of them to null")
    return values


def build(config: Mapping[str, Any], params: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimizer that a conf/optimizer node describes, over `params`: parameters, or groups of them with an `lr` each (transfer.py).

    - `weight_decay` is what each torch class calls so: decoupled in adamw, and in radam and nadam when `decoupled`; an L2 term elsewhere.
    - `nesterov` needs momentum: with `momentum: 0` the two are the same update, so plain SGD is built.
    - `lookahead: k` pulls the weights back every k steps, `lookahead_alpha` of the way from the slow weights to the fast ones
      (Zhang et al. 2019). Its slow weights are part of state_dict. k=null: off.
    """
    values = validate(config)
    name, k, alpha = values.pop("name"), values.pop("lookahead"), values.pop("lookahead_alpha")
    for key in PARTS:
        del values[key]
    if "nesterov" in values:
        values["nesterov"] = values["nesterov"] and values["momentum"] > 0
    if "beta1" in values:
        values["betas"] = (values.pop("beta1"), values.pop("beta2"))
    if "decoupled" in values:
        values["decoupled_weight_decay"] = values.pop("decoupled")
    given: list[Any] = list(params)
    every = [param for one in given for param in (one["params"] if isinstance(one, dict) else [one])]
    if not every:
        raise UserError(f"optimizer={name}: the model has no parameters to train")
    if name in FUSED and {param.device.type for param in every} <= {"cpu", "cuda"}:
        values["fused"] = True
    else:
        values["foreach"] = True
    optimizer = CLASSES[name](given, **values)
    if values.get("fused") and values.get("momentum"):
        # torch makes them empty, for its first step to fill; a step that fp16 leaves out does not, and the next adds what was in memory
        for param in every:
            optimizer.state[param]["momentum_buffer"] = torch.zeros_like(param)
    if k is None:
        return optimizer
    from pytorch_optimizer import Lookahead  # slow to import, and used by few trials

    return Lookahead(optimizer, k=k, alpha=alpha)
