"""A configuration tried for a few batches: the `Trainer` that the check stage is handed.

trainer = Trainer(config, root)        # the data of this configuration, loaded; UserError where the configuration is wrong
seconds, problem, fatal = trainer.attempt(another_config)
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from trivet import data
from trivet.adapters import baselines
from trivet.data.prepared import folder_for
from trivet.training import lr_range
from trivet.training.predictor import EVAL_BATCH, EVAL_BATCH_GPU, outputs
from trivet.training.run import Run, check_config
from trivet.training.settings import pick_device, reproducible

N_TIMED = 3  # batches, the fastest of which counts


class Trainer:
    """See the module. `config`: the default configuration, whose data all attempts use."""

    def __init__(self, config: Mapping[str, Any], root: Path) -> None:
        check_config(config)
        parts = config["data"].get("folds"), config["data"].get("fold", 0)
        self.data = data.load(folder_for(config["data"], root), pick_device(config["device"]), *parts)
        check_config(config, self.data.meta["task"])
        self._curve: tuple[list[float], list[float]] = [], []

    def attempt(self, config: Mapping[str, Any]) -> tuple[float, str, bool]:
        """Train a few batches and validate one: seconds of an epoch (NaN: unknown), what went wrong, and whether that is for good."""
        try:
            check_config(config, self.data.meta["task"])
            with reproducible(config, self.data.train.x.device):
                seconds, losses = self._timed(config)
        except (torch.OutOfMemoryError, MemoryError):
            return math.nan, "out of memory", True
        except Exception as error:  # whatever a model raises at this value is what the search would meet
            return math.nan, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", True
        fine = torch.stack(losses).isfinite().all()
        return seconds, "" if fine else f"the loss is NaN or infinite within {len(losses)} batches", False

    def _timed(self, config: Mapping[str, Any]) -> tuple[float, list[torch.Tensor]]:
        """Seconds of an epoch with its validation, and the losses of the batches that told."""

        def wait() -> None:
            if run.device.type == "cuda":
                torch.cuda.synchronize(run.device)

        run = Run({**config, "epochs": max(config["epochs"], 2)}, self.data)
        own = run.device.type == "cpu" and torch.get_num_threads() == 1
        now = time.process_time if own else time.perf_counter  # what others do on the machine now says nothing about the search
        run.model.train()
        times, losses = [], []
        for x, y in [batch for batch, _ in zip(run.batches(1), range(N_TIMED + 1), strict=False)]:
            started = now()
            losses.append(run.step(x, y, want_norm=False)[0])
            wait()
            times.append(now() - started)
        val = self.data.val.x
        part = val[: EVAL_BATCH.get(run.device.type, EVAL_BATCH_GPU)]
        started = now()
        outputs(run.model, part, config["precision"])
        wait()
        validation = (now() - started) * len(val) / len(part)
        return min(times[1:] or times) * run.n_steps + validation, losses

    def examine(self, config: Mapping[str, Any], searched: Mapping[str, Sequence[Any]]) -> tuple[dict[str, Any], list[str]]:
        """The learning-rate range test of the default configuration and, of a table, the baselines: sections of check.yaml, and lines."""
        summary, rates, losses = lr_range.examine(config, self.data, searched.get(lr_range.KEY, []))
        self._curve = rates, losses
        name = config["metric"].rpartition("/")[2]
        found = baselines.values(self.data.train, self.data.val, name, self.data.meta, config["loss"])
        more = {"baselines": {"metric": f"val/{name}", "values": found}} if found else {}
        return {"validation": {"n_val": len(self.data.val.x)}, "lr_range": summary, **more}, [
            *lr_range.describe(summary),
            *baselines.line(f"val/{name}", found),
        ]

    def write(self, folder: Path) -> None:
        """lr_range.csv, the curve of that test."""
        lr_range.write_curve(folder, *self._curve)
