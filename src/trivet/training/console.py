"""What a single run shows and writes for a person: a table of epochs, curves.csv, a profile."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

WIDTH = 10


class EpochTable:
    """A `report` that prints one line per epoch, a star at each new best."""

    def __init__(self, direction: str) -> None:
        self._sign = 1 if direction == "maximize" else -1
        self._best: tuple[float, float] | None = None

    def __call__(self, value: float, step: int, metrics: Mapping[str, float]) -> None:
        if step == 1:
            print("epoch " + " ".join(f"{name.replace('accuracy', 'acc'):>{WIDTH}}" for name in metrics))
        rank = self._sign * value, -metrics.get("val/loss", 0.0)  # of equals the lower loss, as for the weights that are kept
        better = self._best is None or rank > self._best
        self._best = rank if better else self._best
        cells = " ".join(f"{number:>{WIDTH}.4g}" for number in metrics.values())
        print(f"{step:>5} {cells}{' *' if better else ''}", flush=True)


def write_curves(path: Path, curves: list[dict[str, float]]) -> None:
    """curves.csv: step, then the metrics of each epoch. Written whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", *curves[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"step": step, **metrics} for step, metrics in enumerate(curves, start=1))
    os.replace(temporary, path)


@contextmanager
def profiled(folder: Path, device_type: str) -> Iterator[None]:
    """Profile what runs inside: print the ten costliest operations and write trace.json into `folder`."""
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device_type == "cuda" else [])]
    with profile(activities=activities) as profiler:
        yield
    print(profiler.key_averages().table(sort_by=f"self_{device_type if device_type == 'cuda' else 'cpu'}_time_total", row_limit=10))
    profiler.export_chrome_trace(str(folder / "trace.json"))
    print(f"trace: {folder / 'trace.json'}")
