"""Models by name, sized by the data: linear, mlp, cnn, resnet, gru, transformer, or a class of your own.

    models.build({"name": "cnn", "channels": 32, "depth": 3, "kernel": 5}, meta)      # meta: data.yaml, read by data.load

Inputs are (N, *input_shape) with input_shape (F,), (C, L) or (C, H, W); outputs (N, K): logits of K classes, or
K targets in their own units.
No forward pass reads a tensor's value on the host, so that many models of equal shapes can later run as one.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trivet.errors import UserError
from trivet.options import Flag, OneOf, Real, Whole, choose, read, show
from trivet.training import transfer

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "leaky_relu": nn.LeakyReLU}
ACTIVATION = OneOf(tuple(ACTIVATIONS), default="relu")
DROPOUT = Real(0, 1, default=0.0, open="high")
KERNEL = OneOf((3, 5, 7, 9, 11), default=3)  # odd, so that padding keeps the length

FIELDS: dict[str, dict[str, Any]] = {
    "linear": {},
    "mlp": {
        "width": Whole(1, 65536),
        "depth": Whole(1, 100),
        "activation": ACTIVATION,
        "norm": OneOf((None, "batch", "layer"), default=None),
        "dropout": DROPOUT,
    },
    "cnn": {
        "channels": Whole(1, 4096),
        "depth": Whole(1, 12),
        "kernel": KERNEL,
        "activation": ACTIVATION,
        "norm": OneOf((None, "batch", "group"), default=None),
        "dropout": DROPOUT,
    },
    "resnet": {
        "channels": Whole(1, 4096),
        "depth": Whole(1, 100),
        "kernel": KERNEL,
        "norm": OneOf(("batch", "group"), default="batch"),
        "dropout": DROPOUT,
    },
    "gru": {"width": Whole(1, 4096), "depth": Whole(1, 12), "bidirectional": Flag(default=False), "dropout": DROPOUT},
    "transformer": {
        "width": Whole(2, 4096),
        "depth": Whole(1, 48),
        "heads": Whole(1, 64),
        "patch": Whole(1, 256),
        "dropout": DROPOUT,
    },
}


def n_outputs(meta: Mapping[str, Any]) -> int:
    """How many outputs the data asks for: its classes, or its targets."""
    return int(meta["n_classes"] if meta["task"] == "classification" else meta.get("n_outputs") or 1)


def validate(config: Mapping[str, Any]) -> dict[str, Any]:
    """The checked values of a conf/model node, defaults filled in (a `_target_` node: as it is, without `space`). UserError otherwise.

    Any node may have the keys of transfer.py, which say what becomes of the model once it is built.
    """
    further = transfer.settings(config) if isinstance(config, Mapping) else {}
    if isinstance(config, Mapping) and config.get("_target_") is not None:
        return {key: value for key, value in config.items() if key != "space"}
    name = choose(config, "model", FIELDS)
    own = {key: value for key, value in config.items() if key not in further}
    values = {"name": name, **read(own, "model", FIELDS[name]), **{key: further[key] for key in further if key in config}}
    if name == "transformer" and values["width"] % values["heads"]:
        raise UserError(f"model.heads={values['heads']}: must divide model.width={values['width']}")
    return values


def build(config: Mapping[str, Any], meta: Mapping[str, Any]) -> nn.Module:
    """The model that a conf/model node describes, for the data that `meta` describes, with torch's default (seeded) weights.

    For regression the last step turns the network's output into the target's units (mean and deviation of the training part), for a
    `_target_` model too. UserError for a wrong name, key or value, or a model that does not take this shape of input.
    """
    values = validate(config)
    shape, outputs = tuple(meta["input_shape"]), n_outputs(meta)
    resize = transfer.Resize(values["resize"]) if values.get("resize") is not None else None
    shape = shape if resize is None else resize.shape(shape)
    model = _custom(values, shape, outputs) if "_target_" in values else BUILDERS[values["name"]](values, shape, outputs)
    if resize is not None:
        model.register_forward_pre_hook(resize)  # no layer of its own, which would give the weights other names
    if meta["task"] == "regression":
        model = nn.Sequential(model, Rescale(meta["y_mean"], meta["y_std"]))
    return model


class Rescale(nn.Module):
    """Standardised outputs (N, T) to the target's units: y_std * x + y_mean."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.std + self.mean


def _custom(values: dict[str, Any], shape: tuple[int, ...], outputs: int) -> nn.Module:
    target = values["_target_"]
    module_name, _, attribute = str(target).rpartition(".")
    if not module_name or not all(part.isidentifier() for part in str(target).split(".")):
        raise UserError(f"model._target_={show(target)}: must be an import path such as package.module.Class")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"model._target_={show(target)}: cannot be imported ({error}); is its folder on PYTHONPATH?") from error
    arguments = {key: value for key, value in values.items() if key not in ("_target_", "name", *transfer.FIELDS)}
    try:
        model = factory(input_shape=shape, n_outputs=outputs, **arguments)
    except (TypeError, ValueError) as error:
        given = ", ".join(["input_shape", "n_outputs", *arguments])
        raise UserError(f"model._target_={target}: called with {given}, it answers: {error}") from error
    if not isinstance(model, nn.Module):
        raise UserError(f"model._target_={target}: must give a torch.nn.Module, not {type(model).__name__}")
    return model


def _linear(values: dict[str, Any], shape: tuple[int, ...], outputs: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), outputs))


def _mlp(values: dict[str, Any], shape: tuple[int, ...], outputs: int) -> nn.Module:
    """`depth` hidden layers of `width`: linear, norm, activation, dropout."""
    width = values["width"]
    norm = {None: None, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[values["norm"]]
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = math.prod(shape)
    for _ in range(values["depth"]):
        layers.append(nn.Linear(inputs, width, bias=norm is not nn.BatchNorm1d))
        layers += [norm(width)] if norm else []
        layers.append(ACTIVATIONS[values["activation"]]())
        layers += [nn.Dropout(values["dropout"])] if values["dropout"] else []
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _spatial(name: str, shape: tuple[int, ...]) -> int:
    """1 for (C, L), 2 for (C, H, W). UserError for a flat input."""
    if len(shape) not in (2, 3):
        raise UserError(f"model={name}: takes inputs of shape (C, L) or (C, H, W), and the data has {shape}: use model=mlp or model=linear")
    return len(shape) - 1


class AsImage(nn.Module):
    """A signal (N, C, L) as an image of height 1, (N, C, 1, L)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unsqueeze(2)


class Every(nn.Module):
    """Every second position, or every second row and column: what a 1 x 1 convolution of stride 2 looks at.

    That convolution itself writes outside its memory on CPU (torch 2.13, channels last, channels not a multiple of 8).
    """

    def __init__(self, dims: int):
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x[..., ::2] if self.dims == 1 else x[..., ::2, ::2]


def _chain(dims: int, *layers: nn.Module) -> nn.Sequential:
    """The layers one after the other. Those of a signal are channels-last, which takes three quarters of the time on CPU.

    Torch has that layout for 2-D convolutions only, which is why signals become images of height 1.
    """
    if dims != 1:
        return nn.Sequential(*layers)
    image: Any = nn.Sequential(AsImage(), *layers)  # torch does not declare this form of `to`
    return image.to(memory_format=torch.channels_last)


def _norm(kind: str | None, channels: int) -> list[nn.Module]:
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    if kind == "group":
        return [nn.GroupNorm(math.gcd(channels, 8), channels)]
    return []


def _dropout(p: float) -> list[nn.Module]:
    """Whole channels (Tompson et al. 2015): neighbours are too alike to be dropped one by one, and far fewer random numbers are drawn."""
    return [nn.Dropout2d(p)] if p else []


def _conv(dims: int, inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """A convolution along the signal or over the image, padded so that stride 1 keeps the size and stride 2 halves it, rounded up."""
    high = dims == 2
    return nn.Conv2d(
        inputs,
        outputs,
        (kernel if high else 1, kernel),
        (stride if high else 1, stride),
        padding=(kernel // 2 if high else 0, kernel // 2),
        bias=bias,
    )


def _cnn(values: dict[str, Any], shape: tuple[int, ...], outputs: int) -> nn.Module:
    """`depth` blocks of convolution (stride 2), norm, activation, dropout; then a linear layer over all that is left."""
    dims = _spatial("cnn", shape)
    channels, depth, inputs = values["channels"], values["depth"], shape[0]
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers.append(_conv(dims, inputs, channels, values["kernel"], stride=2, bias=values["norm"] is None))
        layers += _norm(values["norm"], channels)
        layers.append(ACTIVATIONS[values["activation"]]())
        layers += _dropout(values["dropout"])
        inputs = channels
    left = math.prod(math.ceil(side / 2**depth) for side in shape[1:])
    return _chain(dims, *layers, nn.Flatten(), nn.Linear(channels * left, outputs))


class Residual(nn.Module):
    """Two convolutions, each after norm and relu, beside a shortcut (He et al. 2016, full pre-activation)."""

    def __init__(self, dims: int, inputs: int, outputs: int, stride: int, values: Mapping[str, Any]):
        super().__init__()
        kernel, norm = values["kernel"], values["norm"]
        self.body = nn.Sequential(
            *_norm(norm, inputs),
            nn.ReLU(),
            _conv(dims, inputs, outputs, kernel, stride),
            *_norm(norm, outputs),
            nn.ReLU(),
            *_dropout(values["dropout"]),
            _conv(dims, outputs, outputs, kernel),
        )
        halved = [Every(dims)] if stride == 2 else []
        self.shortcut = nn.Sequential(*halved, *([_conv(dims, inputs, outputs, 1)] if inputs != outputs else []))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class MeanPool(nn.Module):
    """(N, C, H, W) to (N, C). A plain mean: the backward pass of adaptive pooling is not repeatable on CUDA."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def _resnet(values: dict[str, Any], shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Three stages of `depth` residual blocks, channels doubling and length halving between stages; mean over positions, linear."""
    dims = _spatial("resnet", shape)
    channels = inputs = values["channels"]
    layers: list[nn.Module] = [_conv(dims, shape[0], channels, values["kernel"])]
    for stage in range(3):
        width = channels * 2**stage
        for block in range(values["depth"]):
            layers.append(Residual(dims, inputs, width, 2 if stage and not block else 1, values))
            inputs = width
    return _chain(dims, *layers, *_norm(values["norm"], inputs), nn.ReLU(), MeanPool(), nn.Linear(inputs, outputs))


class GRU(nn.Module):
    """GRU over the positions of (C, L), or over the rows of (C, H, W), H steps of C * W values; the last state goes to a linear layer."""

    def __init__(self, values: Mapping[str, Any], shape: tuple[int, ...], outputs: int):
        super().__init__()
        _spatial("gru", shape)
        depth, width, both = values["depth"], values["width"], values["bidirectional"]
        inputs = math.prod(shape) // shape[1]
        dropout = values["dropout"] if depth > 1 else 0.0  # torch's dropout sits between layers
        self.gru = nn.GRU(inputs, width, depth, batch_first=True, dropout=dropout, bidirectional=both)
        self.dropout = nn.Dropout(values["dropout"])
        self.head = nn.Linear(width * (1 + both), outputs)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.transpose(1, 2).flatten(2)
        _, last = self.gru(steps)
        ends = last[-2:] if self.gru.bidirectional else last[-1:]
        return self.head(self.dropout(ends.transpose(0, 1).flatten(1)))


class EncoderBlock(nn.Module):
    """Self-attention, then a two-layer network four times as wide, each after layer norm and beside a shortcut."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.p = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v, dropout_p=self.p if self.training else 0.0)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.network(self.norm2(x)))


class Transformer(nn.Module):
    """Encoder over patches of `patch` positions (1-D) or `patch` x `patch` pixels (2-D); mean over patches, linear."""

    def __init__(self, values: Mapping[str, Any], shape: tuple[int, ...], outputs: int):
        super().__init__()
        dims, width, patch = _spatial("transformer", shape), values["width"], values["patch"]
        if any(side % patch for side in shape[1:]):
            raise UserError(f"model.patch={patch}: must divide the sides of the input, {' x '.join(map(str, shape[1:]))}")
        self.embed = (nn.Conv1d if dims == 1 else nn.Conv2d)(shape[0], width, patch, patch)
        self.position = nn.Parameter(torch.randn(math.prod(side // patch for side in shape[1:]), width) * 0.02)
        self.blocks = nn.Sequential(*(EncoderBlock(width, values["heads"], values["dropout"]) for _ in range(values["depth"])))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.blocks(tokens).mean(1))


BUILDERS = {"linear": _linear, "mlp": _mlp, "cnn": _cnn, "resnet": _resnet, "gru": GRU, "transformer": Transformer}
