"""What a model costs, beside how good it is: metrics of a run that `costs` or `objectives` ask for.

- parameters: those that can be trained, also frozen ones. flops: of one sample's forward pass, by torch's own counter. Both repeat exactly.
- latency: milliseconds per sample of a forward pass over `batch_size` samples, the median of 20 after 3 to warm up. peak_memory: MiB, of
  the GPU since the epoch began, else of the whole process. train_seconds: of all epochs so far. These three are other numbers in each run.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from trivet.training.predictor import autocast

REPEATED = ("parameters", "flops")
VARYING = ("latency", "peak_memory", "train_seconds")
NAMES = (*REPEATED, *VARYING)
N_WARM_UP, N_TIMED = 3, 20


def asked(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The costs that a config asks for, each once."""
    names = [*(config.get("costs") or ()), *(config.get("objectives") or ())]
    return tuple(dict.fromkeys(name for name in names if name in NAMES))


def of_model(names: Sequence[str], model: nn.Module, x: Tensor, precision: str = "fp32") -> dict[str, float]:
    """Those of `names` that a model has before it is trained, over samples `x`. The model is left in the mode that it was in."""
    found: dict[str, float] = {}
    if "parameters" in names:
        found["parameters"] = float(sum(p.numel() for p in model.parameters() if p.requires_grad))
    if "flops" in names or "latency" in names:
        training = model.training
        model.eval()
        if "flops" in names:
            found["flops"] = float(flops(model, x[:1]))
        if "latency" in names:
            found["latency"] = latency(model, x, precision)
        model.train(training)
    return found


def flops(model: nn.Module, x: Tensor) -> int:
    """Floating point operations of a forward pass; what torch's counter knows, which is products and convolutions."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops()


def latency(model: nn.Module, x: Tensor, precision: str) -> float:
    """Milliseconds per sample."""
    times = []
    with torch.inference_mode(), autocast(x.device, precision):
        for _ in range(N_WARM_UP + N_TIMED):
            started = time.perf_counter()
            model(x)
            if x.device.type == "cuda":
                torch.cuda.synchronize(x.device)
            times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[N_WARM_UP:]) / len(x)


def of_epoch(names: Sequence[str], epochs: Sequence[Mapping[str, float]], device: torch.device) -> dict[str, float]:
    """Those of `names` that grow as a model is trained; `epochs` are the metrics of all so far."""
    found: dict[str, float] = {}
    if "peak_memory" in names:
        found["peak_memory"] = peak_memory(device)
    if "train_seconds" in names:
        found["train_seconds"] = sum(metrics["seconds"] for metrics in epochs)
    return found


def peak_memory(device: torch.device) -> float:
    """MiB at most: of the device since its last reset, or of this process since it began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)
