"""Transfer learning: begin with weights from elsewhere, hold a part of the model still, train the rest at rates of its own.

    +model.pretrained=results/model/model.pt      # a model.pt of ours, or any state_dict that torch.save wrote; read without running code
    +model.freeze=2                               # the first two stages stand still; -1: all but the last, the head; or a glob, 'layer1.*'
    +model.unfreeze_at=5                          # from epoch 5 on all train
    +model.resize=28                              # the sides of the inputs that the weights were trained on
    +optimizer.encoder_lr=1e-4                    # of all but the head; or +optimizer.layer_decay=0.7, from stage to stage down

A stage is a layer with weights and the norms that follow it; the last one is the head. Frozen batch norms keep their statistics.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trivet.errors import UserError
from trivet.options import Described, Either, Maybe, Text, Whole, show

log = logging.getLogger(__name__)
FIELDS: dict[str, Any] = {
    "pretrained": Maybe(Text()),
    "freeze": Maybe(Described(Either((Whole(-10_000), Text())), "a number of stages (-1: all but the last), or a glob of names")),
    "unfreeze_at": Maybe(Whole(1)),
    "resize": Maybe(Whole(1, 4096)),
}
"""Keys of any conf/model node."""
LISTED = 4
"""Tensors that a line names of each kind."""


def settings(model: Mapping[str, Any]) -> dict[str, Any]:
    """These keys of a conf/model node, checked; None each where they are not there. UserError for a wrong value."""
    values = {key: model.get(key) for key in FIELDS}
    for key, field in FIELDS.items():
        if not field.accepts(values[key]):
            raise UserError(f"model.{key}={show(values[key])}: must be {field.allowed()}")
    if values["unfreeze_at"] is not None and values["freeze"] is None:
        raise UserError(f"model.unfreeze_at={values['unfreeze_at']}: nothing is frozen; set model.freeze, or leave it out")
    return values


class Resize:
    """Brings the inputs of a model, (N, C, L) or (N, C, H, W), to one length of their sides before they go in (linear interpolation)."""

    def __init__(self, size: int) -> None:
        self.size = size

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """What an input of this shape becomes. UserError for one without sides."""
        if len(shape) not in (2, 3):
            raise UserError(f"model.resize={self.size}: the data is no signal and no image ({shape}); leave it out")
        return (shape[0], *[self.size] * (len(shape) - 1))

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, *rest = inputs
        return (nn.functional.interpolate(x, size=[self.size] * (x.dim() - 2), mode="linear" if x.dim() == 3 else "bilinear"), *rest)


# Weights -------------------------------------------------------------------------------------------------------------------


def read(path: str) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """(the tensors of a file by name, the conf/model node that it was saved with, where it is one of ours). UserError for what is none."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"model.pretrained={path}: cannot be read ({error.strerror}); name a file of weights") from None
    except Exception as error:  # torch's reader raises what it likes on a file that is something else, or holds code
        raise UserError(f"model.pretrained={path}: is no file of weights alone ({type(error).__name__}); save a state_dict") from None
    state, config = content, None
    if isinstance(content, Mapping):
        state = next((content[key] for key in ("state_dict", "model") if isinstance(content.get(key), Mapping)), content)
        config = content.get("config")
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)} if isinstance(state, Mapping) else {}
    if not tensors:
        raise UserError(f"model.pretrained={path}: holds no tensors by name; save a state_dict")
    node = config.get("model") if isinstance(config, Mapping) else None
    return tensors, dict(node) if isinstance(node, Mapping) else None


def paired(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], in_order: bool) -> dict[str, str]:
    """Name in the model -> name in the file, of tensors that may be the same. `in_order`: both are one architecture of ours, whose layers
    are counted otherwise where dropout is off. Otherwise by name, the one prefix that fits most left out (`module.`, `backbone.`)."""
    last = [name.rpartition(".")[2] for name in wanted]
    if in_order and last == [name.rpartition(".")[2] for name in found]:
        return dict(zip(wanted, found, strict=True))
    prefixes = {""} | {name[: -len(other)] for name in found for other in (next(iter(wanted)),) if name.endswith(f".{other}")}
    prefixes |= {f"{name.partition('.')[0]}." for name in found if "." in name}

    def fits(prefix: str) -> int:
        return sum(prefix + name in found and found[prefix + name].shape == value.shape for name, value in wanted.items())

    best = max(sorted(prefixes, key=len), key=fits)
    return {name: best + name for name in wanted if best + name in found}


def load(model: nn.Module, path: str, node: Mapping[str, Any]) -> None:
    """Fill the model with the weights of a file as far as they fit, and say in a line which do not. `node`: the conf/model node.

    UserError where none fits, and for a file that is none of weights.
    """
    found, saved = read(path)
    wanted = model.state_dict()
    ours = saved is not None and saved.get("name") is not None and saved.get("name") == node.get("name")
    pairs = paired(wanted, found, ours)
    taken = {name: other for name, other in pairs.items() if found[other].shape == wanted[name].shape}
    if not any(wanted[name].dim() > 0 for name in taken):
        here, there = (f"{name} {tuple(value.shape)}" for name, value in (next(iter(wanted.items())), next(iter(found.items()))))
        raise UserError(f"model.pretrained={path}: nothing in it fits this model, which begins with {here}, the file with {there}")
    with torch.no_grad():
        for name, other in taken.items():
            wanted[name].copy_(found[other])
    other_shape = [f"{name} {tuple(wanted[name].shape)}, there {tuple(found[pairs[name]].shape)}" for name in pairs if name not in taken]
    parts = [f"{len(taken)} of {len(wanted)} tensors taken"]
    parts += [f"of another shape, and so left as they were: {_some(other_shape)}"] if other_shape else []
    missing = [name for name in wanted if name not in pairs]
    parts += [f"not in the file: {_some(missing)}"] if missing else []
    unused = [name for name in found if name not in set(pairs.values())]
    parts += [f"not in the model: {_some(unused)}"] if unused else []
    log.info("model.pretrained=%s: %s", path, "; ".join(parts))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


# Stages --------------------------------------------------------------------------------------------------------------------


def stages(model: nn.Module) -> list[list[str]]:
    """The names of the model's parameters, stage by stage. Parameters that stand in no layer belong to the first."""
    first = [name for name, _ in model.named_parameters(recurse=False)]
    result: list[list[str]] = []
    for prefix, layer in _layers(model, ""):
        names = [prefix + name for name, _ in layer.named_parameters()]
        if not names:
            continue
        if result and all(value.dim() < 2 for value in layer.parameters()):
            result[-1] += names  # a norm
        else:
            result.append(names)
    if first:
        result = [first + result[0], *result[1:]] if result else [first]
    return result


def _layers(module: nn.Module, prefix: str) -> Iterable[tuple[str, nn.Module]]:
    """Children in their order; those that only hold others give their own."""
    for name, child in module.named_children():
        if isinstance(child, (nn.Sequential, nn.ModuleList)):
            yield from _layers(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}.", child


class Frozen:
    """Which parameters of a model stand still in an epoch, by its conf/model node. UserError where nothing would be left to train."""

    def __init__(self, model: nn.Module, node: Mapping[str, Any]) -> None:
        values = settings(node)
        self._model, self._until = model, values["unfreeze_at"]
        self.names = _chosen(model, values["freeze"])
        self._norms = [
            module
            for prefix, module in model.named_modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
            and (own := [f"{prefix}.{name}" for name, _ in module.named_parameters()])
            and set(own) <= self.names
        ]

    def begin(self, epoch: int) -> None:
        """Set the model up for an epoch (from 1), after `model.train()`."""
        if not self.names:
            return
        still = self._until is None or epoch < self._until
        for name, value in self._model.named_parameters():
            if name in self.names:
                value.requires_grad_(not still)
        for norm in self._norms if still else ():
            norm.eval()


def _chosen(model: nn.Module, freeze: int | str | None) -> set[str]:
    if freeze is None or freeze == 0:
        return set()
    every = [name for name, _ in model.named_parameters()]
    if isinstance(freeze, str):
        names = {name for name in every if fnmatch.fnmatchcase(name, freeze)}
        if not names:
            raise UserError(f"model.freeze={freeze}: fits no parameter of the model; there are {_some(every)}")
    else:
        found = stages(model)
        n = freeze if freeze > 0 else len(found) + freeze
        if not 0 <= n < len(found):
            raise UserError(
                f"model.freeze={freeze}: the model has {len(found)} stages, the head among them; freeze at most {len(found) - 1}"
            )
        names = {name for stage in found[:n] for name in stage}
    if len(names) == len(every):
        raise UserError(f"model.freeze={freeze}: leaves nothing to train; leave the head out")
    return names


def groups(model: nn.Module, optimizer: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Parameter groups with rates of their own, the head's first; None where all have one rate. UserError where there is no encoder.

    `optimizer`: a checked conf/optimizer node. encoder_lr: of all stages but the head. layer_decay: each stage has that share of the rate
    of the one after it, the head `lr` (Howard and Ruder 2018).
    """
    key = next((name for name in ("encoder_lr", "layer_decay") if optimizer.get(name) is not None), None)
    if key is None:
        return None
    found, by_name, value = stages(model), dict(model.named_parameters()), float(optimizer[key])
    if len(found) < 2:
        raise UserError(f"optimizer.{key}={show(value)}: the model is one layer, and so has no encoder; leave it out")
    lr, top = float(optimizer["lr"]), len(found) - 1
    below = [value if key == "encoder_lr" else lr * value ** (top - i) for i in range(top)]
    rates = [*below, lr]
    order = [top, *range(top)]
    return [{"params": [by_name[name] for name in found[i]], "lr": rates[i]} for i in order]
