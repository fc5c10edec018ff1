"""Trainings of a second: small data with a known answer, a config, and what two results have in common."""

import math

import torch

from trivet.data import Data, Split

VARYING = ("seconds", "peak_gpu_mb")
ORDER = ["train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr", "grad_norm", "weight_norm", "seconds"]


def blobs(n_train=90, n_val=40, seed=0, shape=(4,)):
    """Three classes that a line separates, with plenty of room."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n_train + n_val) % 3
    x = torch.randn(len(y), math.prod(shape), generator=generator) * 0.3
    x[torch.arange(len(y)), y] += 3
    x = x.reshape(-1, *shape)
    meta = {"name": "blobs", "task": "classification", "n_classes": 3, "n_outputs": 3, "input_shape": list(shape), "sha256": f"{seed}"}
    meta |= {"mean": [0.0] * shape[0], "std": [1.0] * shape[0], "classes": ["a", "b", "c"]}
    return Data(Split(x[:n_train], y[:n_train]), Split(x[n_train:], y[n_train:]), meta)


def line(n=120, n_train=80, shape=(2,)):
    """One target, 100 + 20 * (2 a - b) of the first two inputs, without noise."""
    x = torch.randn(n, math.prod(shape), generator=torch.Generator().manual_seed(0))
    y = 100 + 20 * (2 * x[:, :1] - x[:, 1:2])
    x = x.reshape(-1, *shape)
    meta = {"name": "line", "task": "regression", "n_classes": None, "n_outputs": 1, "input_shape": list(shape), "sha256": "l"}
    meta |= {"mean": [0.0] * shape[0], "std": [1.0] * shape[0], "y_mean": [100.0], "y_std": [45.0]}
    return Data(Split(x[:n_train], y[:n_train]), Split(x[n_train:], y[n_train:]), meta)


def config(**changes):
    base = {
        "seed": 0,
        "epochs": 5,
        "batch_size": 16,
        "metric": "val/accuracy",
        "direction": "maximize",
        "data": {"name": "blobs"},
        "model": {"name": "mlp", "width": 8, "depth": 1, "norm": "batch", "dropout": 0.3},
        "optimizer": {"name": "adam", "lr": 0.02},
        "schedule": {"name": "constant"},
        "loss": {"name": "cross_entropy"},
    }
    return base | changes


REGRESSION = {"metric": "val/rmse", "direction": "minimize", "loss": {"name": "mse"}, "model": {"name": "linear"}}


def numbers(curves):
    return [{name: value for name, value in metrics.items() if name not in VARYING} for metrics in curves]


def same(a, b):
    assert numbers(a.curves) == numbers(b.curves)
    assert (a.value, a.best_step, list(a.state)) == (b.value, b.best_step, list(b.state))
    assert all(torch.equal(a.state[name], b.state[name]) for name in a.state)


class Recorder:
    """A report that remembers, and raises `error` at step `stop`."""

    def __init__(self, stop=None, error=KeyboardInterrupt):
        self.steps, self.values, self.metrics, self.stop, self.error = [], [], [], stop, error

    def __call__(self, value, step, metrics):
        self.steps.append(step)
        self.values.append(value)
        self.metrics.append(metrics)
        if step == self.stop:
            raise self.error
