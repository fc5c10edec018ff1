"""What a run is told from outside: checks of the config's own keys, the device, and a process state that is the same every time.

with reproducible(config, device):      # seeds, deterministic algorithms, threads; the process is left as it was found
    ...
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from trivet.errors import UserError
from trivet.options import Described, Flag, ListOf, Maybe, OneOf, Real, Text, Whole, nearest, show
from trivet.training import costs, metrics

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts; without it cuBLAS may differ from run to run

NAMES = tuple(f"{split}/{name}" for split in ("val", "train") for name in ("loss", *(n for names in metrics.NAMES.values() for n in names)))
OBJECTIVES = (
    f"val/ or train/ with one of {', '.join(name[4:] for name in NAMES if name.startswith('val/'))}, or one of {', '.join(costs.NAMES)}"
)
GROUPS = ("data", "model", "optimizer", "schedule", "loss")
LARGEST = 2**31 - 1  # of what torch takes as a size
SCALING = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}  # the power of batch_size / reference_batch_size by which optimizer.lr is multiplied

FIELDS: dict[str, Any] = {
    "seed": Whole(0),
    "epochs": Whole(1),
    "batch_size": Whole(1, LARGEST),
    "lr_scaling": OneOf(tuple(SCALING), default="none"),
    "reference_batch_size": Whole(1, LARGEST, default=64),
    "metric": OneOf(NAMES),
    "metrics": ListOf(OneOf(metrics.ASKED), low=0, default=()),
    "objectives": ListOf(Described(OneOf((*NAMES, *costs.NAMES)), OBJECTIVES), low=0, default=()),
    "costs": ListOf(OneOf(costs.NAMES), low=0, default=()),
    "direction": OneOf(("maximize", "minimize")),
    "precision": OneOf(("fp32", "bf16", "fp16"), default="fp32"),
    "device": Text(default="auto"),
    "threads": Whole(1, 1024, default=1),
    "deterministic": Flag(default=True),
    "patience": Maybe(Whole(1)),
    "clip_norm": Maybe(Real(0, open="low")),
    "max_batches": Maybe(Whole(1, LARGEST)),
    "save_model": Flag(default=False),
}


def check(config: Mapping[str, Any], task: str | None = None) -> dict[str, Any]:
    """The config's own keys (not its groups), checked, defaults filled in. With `task`, also that the metric fits it.

    UserError names the key, the value and what is allowed.
    """
    values = {}
    for key, field in FIELDS.items():
        value = config.get(key, getattr(field, "default", None))
        if key not in config and key in ("seed", "epochs", "batch_size", "metric", "direction"):
            raise UserError(f"{key} is missing: must be {field.allowed()}")
        if not field.accepts(value):
            raise UserError(f"{key}={show(value)}: must be {field.allowed()}{nearest(value, getattr(field, 'values', ()))}")
        values[key] = value
    for group in GROUPS:
        if not isinstance(config.get(group), Mapping):
            raise UserError(f"{group}={show(config.get(group))}: must be one of the choices in conf/{group}")
    _check_objective(values["metric"], values["direction"], task)
    _check_further(values["objectives"], values["metric"], task)
    for name in values["metrics"]:
        if task is not None and name not in metrics.NAMES[task]:
            raise UserError(f"metrics={name}: the data is a {task} task: choose among {', '.join(metrics.NAMES[task][1:])}")
    return values


def _check_further(objectives: Sequence[str], metric: str, task: str | None) -> None:
    """Objectives beside the metric are other ones, and of the data's kind of task."""
    for i, name in enumerate(objectives):
        if name == metric or name in objectives[:i]:
            raise UserError(f"objectives={name}: is an objective already; name each once, and metric={metric} not at all")
        last = name.rpartition("/")[2]
        if task is not None and "/" in name and last not in ("loss", *metrics.NAMES[task]):
            raise UserError(f"objectives={name}: the data is a {task} task: choose among {', '.join(metrics.NAMES[task])}")


def _check_objective(metric: str, direction: str, task: str | None) -> None:
    name = metric.partition("/")[2]
    fitting = "minimize" if name in metrics.LOWER_IS_BETTER else "maximize"
    if direction != fitting:
        raise UserError(f"direction={direction}: metric={metric} is to be {fitting}d; set direction={fitting}")
    if task is not None and name != "loss" and name not in metrics.NAMES[task]:
        other = metrics.ALWAYS[task]
        better = "minimize" if other in metrics.LOWER_IS_BETTER else "maximize"
        raise UserError(f"metric={metric}: the data is a {task} task; set metric=val/{other} direction={better}")


def lr_factor(config: Mapping[str, Any]) -> float:
    """What `optimizer.lr` is multiplied by for this batch size: 1 at `reference_batch_size`, and without `lr_scaling`.

    linear: twice the batch, twice the rate, as suits SGD (Goyal et al. 2017); sqrt: as suits Adam and its like (Malladi et al. 2022).
    """
    values = {key: config.get(key, FIELDS[key].default) for key in ("lr_scaling", "reference_batch_size")}
    return (config["batch_size"] / values["reference_batch_size"]) ** SCALING[values["lr_scaling"]]


def pick_device(name: str = "auto") -> torch.device:
    """`auto`: CUDA, else MPS, else CPU. Otherwise the device of that name (cpu, mps, cuda, cuda:1), or UserError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"device={show(name)}: must be auto, cpu, cuda, cuda:<number> or mps")
    n_there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[device.type]
    if (device.index or 0) >= n_there:
        raise UserError(f"device={name}: this process sees {n_there} device(s) of that kind; set device=auto or device=cpu")
    return device


def derive(*parts: int) -> int:
    """A seed of 63 bits that depends on all the parts, by NumPy's SeedSequence."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_everything(seed: int) -> None:
    """Seed torch (all devices), NumPy and `random`."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextmanager
def reproducible(config: Mapping[str, Any], device: torch.device) -> Iterator[None]:
    """Deterministic algorithms (or, with `deterministic: false`, the fastest), `threads` threads and random states of one's own.

    What is drawn inside leaves no trace outside: random states, threads and flags are put back. An operation that has no
    deterministic form raises UserError.
    """
    cudnn = torch.backends.cudnn
    utils: Any = torch.utils.deterministic  # a module that is also what it sets
    mode = torch.get_deterministic_debug_mode()
    before = torch.get_num_threads(), cudnn.deterministic, cudnn.benchmark, utils.fill_uninitialized_memory
    states = random.getstate(), np.random.get_state()
    deterministic = config.get("deterministic", True)
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.set_num_threads(config.get("threads", 1))
            torch.set_deterministic_debug_mode("error" if deterministic else "default")  # use_deterministic_algorithms imports the compiler
            cudnn.deterministic, cudnn.benchmark = deterministic, not deterministic
            utils.fill_uninitialized_memory = False  # costs time, and helps only code that reads what it never wrote
            yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        line = str(error).splitlines()[0]
        raise UserError(f"deterministic=true: {line} Set deterministic=false, or use another operation.") from error
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_deterministic_debug_mode(mode)
        cudnn.deterministic, cudnn.benchmark, utils.fill_uninitialized_memory = before[1:]
        torch.set_num_threads(before[0])
