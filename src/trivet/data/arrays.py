"""Arrays of the user's own, from an .npz: vectors, signals or images, whichever way their axes lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trivet.data import npz
from trivet.data.raw import Encoded, Raw, existing, narrow
from trivet.data.sentinels import sentinel, targets
from trivet.errors import UserError

NAMES = ("x", "y", "x_test", "y_test")
TO_CHANNELS_FIRST = {"nhw": (0, 1, 2), "nhwc": (0, 3, 1, 2), "nchw": (0, 1, 2, 3), "nlc": (0, 2, 1), "ncl": (0, 1, 2), "nf": (0, 1)}
WORDS = {
    "nhw": "images of {1} x {2}, one channel",
    "nhwc": "images of {1} x {2}, {3} channels",
    "nchw": "images of {2} x {3}, {1} channels",
    "nlc": "signals of length {1}, {2} channels",
    "ncl": "signals of length {2}, {1} channels",
    "nf": "vectors of {1} numbers",
}
MOST_COLUMNS = 1000  # of vectors, up to which each is looked at as a table's are
SHOWN = 8  # lines about them
CHANNELS = range(1, 5)  # what is taken for channels without being told: grey, grey + alpha, colour, colour + alpha


@dataclass
class ArraysRaw(Raw):
    """Raw whose columns, or channels, are looked at when the training samples are known."""

    seed: int = 0
    summary: dict[str, Any] = field(default_factory=dict)

    def fit(self, train: np.ndarray, y: np.ndarray) -> Encoded:
        encoded = super().fit(train, y)
        lines = self._columns(encoded.train, train, y) if encoded.train.ndim == 2 else _constant_channels(encoded.train)
        more = [f"and {len(lines) - SHOWN} more such columns"] if len(lines) > SHOWN else []
        self.summary["warnings"] = [*self.summary["warnings"], *lines[:SHOWN], *more]
        return encoded

    def _columns(self, x: np.ndarray, train: np.ndarray, y: np.ndarray) -> list[str]:
        import pandas as pd  # here, as it takes longer than to read most arrays

        from trivet.data import suspicious

        constant = np.ptp(x, axis=0) == 0
        lines = [f"{constant.sum()} of {len(constant)} columns have the same value in every training sample"] if constant.any() else []
        if len(constant) > MOST_COLUMNS:
            return lines
        varying = {f"x[:, {i}]": x[:, i] for i in np.flatnonzero(~constant)}
        told = suspicious.warnings(pd.DataFrame(varying, index=train), y, [], self.seed)
        told += [f"column {name} {line}" for name, column in varying.items() if (line := sentinel(column))]
        return [*lines, *(line.replace("add it to data.drop", "leave it out of x") for line in told)]


def _constant_channels(x: np.ndarray) -> list[str]:
    flat = [i for i in range(x.shape[1]) if x[:, i].min() == x[:, i].max()]
    return [f"channel {i} is {x[0, i].flat[0]:g} everywhere: leave it out of x" for i in flat]


def read_arrays(values: dict[str, Any]) -> Raw:
    """x (N, F), signals or images of numbers; y (N,) classes, or (N,) or (N, T) targets; x_test and y_test both or neither.

    Axes are put channels first: (N, C, L) and (N, C, H, W). `layout` says how they lie; `auto` tells it from the shape, or refuses.
    """
    path = existing(values["file"], "data.file", "the .npz file with arrays x and y")
    try:
        there = npz.names(path)
        missing = [key for key in ("x", "y") if key not in there]
        if ("x_test" in there) != ("y_test" in there):
            missing.append("y_test" if "x_test" in there else "x_test")
        if missing:
            mend = "np.savez(file, x=..., y=...), with x_test=..., y_test=... where there is a test part"
            raise UserError(f"data.file={path}: has no array {missing[0]}; it has {', '.join(there) or 'none'}: save it by {mend}")
        found = npz.read(path, NAMES)
    except npz.Unreadable as error:
        raise UserError(f"data.file={path}: is not an .npz of plain arrays ({error})") from error
    layout = ""
    for key, of in (("x", "y"), ("x_test", "y_test")):
        if key in found:
            x = _inputs(found[key], found[of], key, path)
            layout = layout or layout_of(x.shape, x.dtype, values["layout"], f"data.file={path}: {key}")
            found[key] = _channels_first(x, layout, f"data.file={path}: {key}")
    x = found["x"]
    summary = _summary(layout, x, values) | {"warnings": targets(found["y"], values["task"])}
    test = found.get("x_test"), found.get("y_test")
    return ArraysRaw(x, found["y"], *test, values["task"], summary=summary, seed=values["seed"])


def layout_of(shape: tuple[int, ...], dtype: np.dtype, given: str, where: str) -> str:
    """How the axes of x lie: `given`, or what its shape can only mean. UserError when `given` does not fit, or the shape is ambiguous.

    Four axes are images; channels are the axis of 1 to 4. Three are signals with 1 to 4 channels, images when they are bytes or square.
    """
    if given != "auto":
        if len(given) != len(shape):
            raise UserError(f"data.layout={given}: means {len(given)} axes, and {where} has shape {shape}")
        return given
    if len(shape) == 2:
        return "nf"
    first, last = shape[1] in CHANNELS, shape[-1] in CHANNELS
    if len(shape) == 4 and first != last:
        return "nchw" if first else "nhwc"
    if len(shape) == 3 and first != last:
        return "ncl" if first else "nlc"
    if len(shape) == 3 and not first and (dtype == np.uint8 or shape[1] == shape[2]):
        return "nhw"
    choices = ("nchw", "nhwc") if len(shape) == 4 else ("ncl", "nlc", "nhw")
    meant = "; or ".join(f"data.layout={name} for {WORDS[name].format(*shape)}" for name in choices)
    raise UserError(f"{where} of shape {shape} can be read in several ways: set {meant}")


def _channels_first(x: np.ndarray, layout: str, where: str) -> np.ndarray:
    axes = TO_CHANNELS_FIRST[layout]
    if x.ndim != len(axes):
        raise UserError(f"{where} has shape {x.shape}, which is not of the layout {layout} that x has")
    x = np.ascontiguousarray(x.transpose(axes))
    return x[:, None] if layout == "nhw" else x


def _inputs(x: np.ndarray, y: np.ndarray, key: str, path: Path) -> np.ndarray:
    if x.dtype.kind not in "fiub" or x.ndim not in (2, 3, 4):
        raise UserError(f"data.file={path}: {key} must be numbers of shape (N, F), (N, C, L) or (N, C, H, W), not {x.dtype} {x.shape}")
    if 0 in x.shape:
        raise UserError(f"data.file={path}: {key} is empty: its shape is {x.shape}")
    if y.ndim == 0 or len(x) != len(y):
        axes = [axis for axis in range(1, x.ndim) if y.ndim and x.shape[axis] == len(y)]
        mend = f": save np.moveaxis({key}, {axes[-1]}, 0), if its axis {axes[-1]} counts the samples" if axes else ""
        raise UserError(f"data.file={path}: {key} has {len(x)} samples and its y has shape {y.shape}: they must be as many{mend}")
    if x.dtype == np.uint8:
        return x
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    good = np.isfinite(single.reshape(len(x), -1))
    if not good.all():
        where = f"data.file={path}: {key} has {int((~good).sum())} values that are NaN, infinite or too large"
        raise UserError(f"{where}, the first in sample {np.flatnonzero(~good.all(axis=1))[0]}: drop or mend those samples")
    if key == "x":
        _check_columns(x, path)
    return single


def _check_columns(x: np.ndarray, path: Path) -> None:
    """UserError where a column of vectors, or signals and images as a whole, would be lost in 32 bits."""
    if x.ndim > 2:
        narrow(x, f"data.file={path}: x")
        return
    for i in range(x.shape[1]):
        narrow(x[:, i], f"data.file={path}: x[:, {i}]")


def _summary(layout: str, x: np.ndarray, values: dict[str, Any]) -> dict[str, Any]:
    shape = dict(zip(TO_CHANNELS_FIRST[layout], (len(x), *x.shape[2:]) if layout == "nhw" else x.shape, strict=True))
    named = WORDS[layout].format(*(shape[axis] for axis in range(len(shape))))
    kind = "bytes" if x.dtype == np.uint8 else "numbers"
    per = "column" if layout == "nf" else "channel"
    found = {"layout": layout, "meaning": named, "values": f"{kind} from {x.min():g} to {x.max():g}"}
    return {**found, "scaling": f"by mean and deviation per {per}, of the training part"}
