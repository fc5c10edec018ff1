"""A trained model, ready to use: its outputs, its predictions for raw samples, its scores.

from trivet.training import load_model
model = load_model("results/model/model.pt")
model.predict(x)            # x: raw samples (N, *input_shape), or one of them; classes (or targets) come back
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trivet.errors import UserError
from trivet.training import losses
from trivet.training.metrics import ALWAYS, asked, compute, score, wide

EVAL_BATCH = {"cpu": 256}  # in the cache of a core
EVAL_BATCH_GPU = 4096
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Mixed precision for bf16 and fp16, nothing for fp32."""
    if precision not in PRECISIONS:
        return contextlib.nullcontext()
    return torch.autocast(device.type, PRECISIONS[precision])


def outputs(model: nn.Module, x: Tensor, precision: str) -> Tensor:
    """The model's float32 outputs (N, K) in eval mode, in big batches; the model is left in eval mode."""
    model.eval()
    size = EVAL_BATCH.get(x.device.type, EVAL_BATCH_GPU)
    with torch.inference_mode(), autocast(x.device, precision):
        return torch.cat([model(part).float() for part in x.split(size)])


class Predictor:
    """A trained model in eval mode with its `config` and the `meta` of its data. Inputs are raw: it normalises them itself."""

    def __init__(self, model: nn.Module, config: Mapping[str, Any], meta: Mapping[str, Any], device: torch.device):
        self.model, self.config, self.meta, self.device = model.eval(), config, meta, device
        shape = (1, -1) + (1,) * (len(meta["input_shape"]) - 1)
        self._mean, self._std = (torch.tensor(meta[key], dtype=torch.float32, device=device).reshape(shape) for key in ("mean", "std"))

    @property
    def classes(self) -> list[Any]:
        """Class i as the data calls it; class numbers where it has no names. UserError for a regression."""
        self._check_classes()
        return self.meta.get("classes") or list(range(self.meta["n_classes"]))

    def _check_classes(self) -> None:
        if self.meta["task"] != "classification":
            raise UserError("this model solves a regression: it has no classes; use predict")

    def normalise(self, x: Any) -> Tensor:
        """Raw samples (array, tensor or list; one sample or many) to (N, *input_shape) as the model saw them in training."""
        shape = tuple(self.meta["input_shape"])
        bare = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape  # one channel may be left out
        x = _numbers(x).to(self.device, torch.float32)
        if tuple(x.shape) in (shape, bare):
            x = x.unsqueeze(0)
        if tuple(x.shape[1:]) not in (shape, bare):
            raise UserError(f"x has shape {tuple(x.shape)}: must be (N, {', '.join(map(str, shape))}), or one such sample")
        bad = ~x.isfinite()
        if bool(bad.any()):  # a model answers those, too, and what it says means nothing
            first = int(bad.reshape(len(x), -1).any(1).nonzero()[0])
            raise UserError(f"x has {int(bad.sum())} values that are NaN, infinite or too large, the first in sample {first}: mend them")
        x = x.reshape(len(x), *shape)
        return (x - self._mean) / self._std

    def outputs(self, x: Tensor) -> Tensor:
        """Logits (N, K) or targets (N, T) for samples that are normalised already, as trivet.data gives them."""
        return outputs(self.model, x, self.config.get("precision", "fp32"))

    def probabilities(self, x: Tensor) -> Tensor:
        """Class probabilities (N, K) for normalised samples; their mean over models is an ensemble."""
        return self.outputs(x).softmax(-1)

    def predict_proba(self, x: Any) -> np.ndarray:
        """Class probabilities (N, K) for raw samples, columns as in `classes`."""
        self._check_classes()
        return self.probabilities(self.normalise(x)).cpu().numpy()

    def predict(self, x: Any) -> np.ndarray:
        """For raw samples: classes (N,) as the data calls them, or targets (N, T) in their units ((N,) when T is 1)."""
        out = self.outputs(self.normalise(x))
        if self.meta["task"] == "classification":
            return np.asarray(self.classes)[out.argmax(-1).cpu().numpy()]
        return out.squeeze(-1).cpu().numpy() if out.shape[1] == 1 else out.cpu().numpy()


def _numbers(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x
    try:
        with np.errstate(over="ignore"):
            return torch.from_numpy(np.array(x, dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise UserError(f"x: must be numbers, all samples of one shape ({str(error).splitlines()[0]})") from None


def evaluate(model: Predictor, split: Any, config: Mapping[str, Any] | None = None) -> dict[str, float]:
    """`loss`, `accuracy` (or `rmse`) and the metrics that the config asks for, of a loaded model on a split as trivet.data gives it
    (normalised, on the model's device). The loss knows no class weights.

    `config`: another loss, precision and metrics than the model's own.
    """
    config, task = model.config if config is None else config, model.meta["task"]
    out = outputs(model.model, split.x, config.get("precision", "fp32"))
    with torch.inference_mode():
        values = losses.build(config["loss"], model.meta)(out, split.y), score(out, split.y, task)
    read = dict(zip(("loss", ALWAYS[task]), torch.stack([v.to(wide(out.device)) for v in values]).tolist(), strict=True))
    return read | {name: compute(name, out, split.y, task) for name in asked(config)}
