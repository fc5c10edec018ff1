"""The training itself: `train(config, data, report, folder) -> Result`.

The work of a batch is a plain function over tensors; nothing inside an epoch waits for a value. What an epoch needs to know is read
from the device once, at its end. So a NaN stops a run at the end of the epoch in which it appears.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trivet.data import prepared
from trivet.reports import Diverged, StageOver
from trivet.training import checkpoint, costs, inheriting, losses, models, optimizers, schedules, transfer
from trivet.training.metrics import ALWAYS, asked, check_split, compute, is_better, score, wide
from trivet.training.predictor import autocast, outputs
from trivet.training.settings import check, derive, lr_factor, reproducible, seed_everything

log = logging.getLogger(__name__)
Report = Callable[[float, int, dict[str, float]], None]
N_NORMS = 4  # batches of an epoch whose gradient norm is looked at; all of them would cost 5 to 8 per cent of a small model's time
SHUFFLE_BATCHES = 64  # how many batches are gathered at once: one copy is cheaper than many, and this bounds its size


@dataclass
class Result:
    """`value` is the objective at `best_step`, the epoch whose weights are in `state`. `curves[i]` are the metrics of epoch i + 1."""

    value: float
    best_step: int
    curves: list[dict[str, float]] = field(repr=False)
    state: dict[str, Tensor] = field(repr=False)

    def objectives(self, config: Mapping[str, Any]) -> float | list[float]:
        """What a search is told: the value, or a list of it and the further `objectives` of the config at the best epoch."""
        names = config.get("objectives") or ()
        return [self.value, *(self.curves[self.best_step - 1][name] for name in names)] if names else self.value


def check_config(config: Mapping[str, Any], task: str | None = None) -> dict[str, Any]:
    """The config's own keys with defaults filled in, its groups checked as well. UserError names key, value and what is allowed."""
    values = check(config, task)
    models.validate(config["model"])
    optimizers.validate(config["optimizer"])
    schedules.validate(config["schedule"])
    losses.validate(config["loss"], task)
    return values


def train(
    config: Mapping[str, Any], data: Any, report: Report | None = None, folder: str | Path | None = None, start: Path | None = None
) -> Result:
    """Train `config` on `data` (trivet.data.Data, its tensors where the training is to run) and keep the best epoch's weights.

    - `report(value, step, metrics)` hears every epoch; what it raises (TrialPruned) ends the run and leaves the checkpoint.
    - `folder`: a checkpoint is kept there while the run lasts, and continued from. A continued run reports its earlier epochs
      again, and gives the same numbers, bit for bit, as one that never stopped.
    - `start`: the folder of another training, whose checkpoint this one goes on from where it has none of its own (inheriting.py). The
      epochs of that one are in the curves and are not reported. Where `report` raises StageOver the run ends as if it were whole, and
      leaves the checkpoint, for others to go on from.
    - The last batch of an epoch is left out when it is smaller than half a batch (batch norm over a few samples is mostly noise);
      shuffling leaves out others each time.
    - Metrics of an epoch: train/loss and train/accuracy (train/rmse) while it trained (dropout on, weights moving), val/loss and
      val/accuracy (val/rmse) at its end, lr as used at its last batch, grad_norm (before clipping, mean over 4 batches spread over
      the epoch), weight_norm (at its end, all parameters), seconds, and peak_gpu_mb on CUDA; on both splits those of metrics.py that
      the config asks for (`metric`, `metrics`, `objectives`), and the costs of costs.py (`costs`, `objectives`).
    - The best epoch is that with the best objective; of equals that with the lowest val/loss, then the earliest. `patience` counts from
      the last epoch whose objective was better than all before.

    Raises Diverged when a loss is NaN or infinite.
    """
    check_config(config, data.meta["task"])
    device = data.train.x.device
    with reproducible(config, device), warnings.catch_warnings():
        # fp16 leaves out a step whose gradients overflow, often the very first, and torch then takes the schedule to be called too early
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        run = Run(config, data)
        kept = None if folder is None else Path(folder)
        weights = prepared.weights_digest(config["model"].get("pretrained"))
        about = checkpoint.about(config, " ".join(filter(None, [str(data.meta.get("sha256", "")), weights])))
        if kept is not None:
            key = checkpoint.identity(config, about["data"], device)
            run = _continued(run, kept, key)
        if start is not None and not run.curves:
            inheriting.take_over(run, start, about)
            log.info("going on after epoch %d of %s", run.inherited, start)
        if run.lr_factor != 1:
            rate = config["optimizer"]["lr"]
            log.info("lr_scaling=%s: optimizer.lr=%g is used as %g", config["lr_scaling"], rate, rate * run.lr_factor)
        try:
            if report is not None:
                for step, metrics in enumerate(run.curves[run.inherited :], start=run.inherited + 1):
                    report(metrics[run.metric], step, metrics)
            while not run.finished:
                metrics = run.epoch()
                if kept is not None:
                    checkpoint.save(kept, key, run.state_dict(), about)
                if report is not None:
                    report(metrics[run.metric], len(run.curves), metrics)
            if kept is not None:
                checkpoint.remove(kept)
        except StageOver:
            log.info("the epochs of this stage are over")
    return Result(run.curves[run.best_step - 1][run.metric], run.best_step, run.curves, run.best)


def _continued(run: Run, folder: Path, key: str) -> Run:
    """The run as its checkpoint has it, or as it was when there is none that fits."""
    state = checkpoint.load(folder, key, run.device)
    if state is None:
        return run
    try:
        run.load_state_dict(state)
    except Exception as error:  # what a file of ours but for a part of it may lead to in torch's own code
        reason = str(error).splitlines() or [type(error).__name__]
        log.warning("%s does not fit this model (%s); starting over", folder / checkpoint.NAME, reason[0])
        return Run(run.config, run.data)
    log.info("continuing after epoch %d of %d", len(run.curves), run.config["epochs"])
    return run


class Run:
    """A training in progress: everything that changes from epoch to epoch, and `epoch()`.

    Randomness is a function of (seed, epoch): who draws numbers between two epochs, or a restart, changes nothing.
    """

    def __init__(self, config: Mapping[str, Any], data: Any):
        self.config, self.data, self.meta = config, data, data.meta
        self.device, self.metric = data.train.x.device, config["metric"]
        self.sign = 1 if config["direction"] == "maximize" else -1
        self.x, self.y = data.train.x, data.train.y
        if config.get("max_batches") is not None:
            n = config["max_batches"] * config["batch_size"]
            self.x, self.y = self.x[:n], self.y[:n]
        self.n_steps = n_steps(len(self.x), config["batch_size"])
        seed_everything(derive(config["seed"], 0))
        self.model = models.build(config["model"], self.meta)
        if config["model"].get("pretrained") is not None:
            transfer.load(self.model, config["model"]["pretrained"], config["model"])
        self.model.to(self.device)
        self.frozen = transfer.Frozen(self.model, config["model"])
        self.params = [p for p in self.model.parameters() if p.requires_grad]
        self.loss = losses.build(config["loss"], self.meta, self.y)
        self.val_loss = losses.build(config["loss"], self.meta)
        self.asked = asked(config)
        self.seen: dict[str, tuple[Tensor, Tensor]] = {}  # outputs and targets of the last epoch by split
        check_split(config, data.val.y)
        self.lr_factor = lr_factor(config)
        self.costly = costs.asked(config)
        self.costs = costs.of_model(self.costly, self.model, self.x[: config["batch_size"]], config.get("precision", "fp32"))
        rates = _scaled(config["optimizer"], self.lr_factor)
        self.optimizer = optimizers.build(rates, transfer.groups(self.model, rates) or self.params)
        self.schedule = schedules.build(config["schedule"], self.optimizer, config["epochs"], self.n_steps)
        self.precision = config.get("precision", "fp32")
        self.scaler = torch.amp.GradScaler(self.device.type) if self.precision == "fp16" else None
        self.curves: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.best_step = 0
        self.inherited = 0  # epochs of the training that this one goes on from

    @property
    def finished(self) -> bool:
        done, patience = len(self.curves), self.config.get("patience")
        if patience is None or done == 0:
            return done >= self.config["epochs"]
        values = [metrics[self.metric] for metrics in self.curves]
        return done >= self.config["epochs"] or done - (1 + values.index(values[self.best_step - 1])) >= patience

    def state_dict(self) -> dict[str, Any]:
        """Plain containers and tensors. The random state is not in it: it follows from the seed and the number of epochs done."""
        return {
            "curves": self.curves,
            "best_step": self.best_step,
            "inherited": self.inherited,
            "best": self.best,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict() if self.scaler is not None else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there. Raises where the state is not one of this run; the run is then good for nothing."""
        n_done = len(state["curves"])
        if not 1 <= int(state["best_step"]) <= n_done <= self.config["epochs"]:
            raise ValueError(f"best_step={state['best_step']} of {n_done} epochs")
        if not all(isinstance(value, float) for metrics in state["curves"] for value in [*metrics.values(), metrics[self.metric]]):
            raise TypeError("its curves are not numbers")
        if {name: value.shape for name, value in self.model.state_dict().items()} != {n: v.shape for n, v in state["best"].items()}:
            raise ValueError("its best weights are of another model")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        self.curves, self.best, self.best_step = list(state["curves"]), dict(state["best"]), int(state["best_step"])
        self.inherited = int(state.get("inherited", 0))

    def epoch(self) -> dict[str, float]:
        """Train one epoch, validate, step the schedule, keep the weights if they are the best. Returns the metrics; raises Diverged."""
        started = time.perf_counter()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        number = len(self.curves) + 1
        metrics = self._read([*self._train(number), *self._validate()])
        for name in ("train/loss", "val/loss"):
            if not math.isfinite(metrics[name]):
                raise Diverged(f"{name} is {metrics[name]} in epoch {number} at lr {metrics['lr']:.3g}")
        self.schedule.step_epoch(metrics["val/loss"])
        for split, (out, y) in self.seen.items():
            metrics |= {f"{split}/{name}": compute(name, out, y, self.meta["task"]) for name in self.asked}
        metrics["seconds"] = time.perf_counter() - started
        if self.device.type == "cuda":
            metrics["peak_gpu_mb"] = torch.cuda.max_memory_allocated(self.device) / 2**20
        metrics |= self.costs | costs.of_epoch(self.costly, [*self.curves, metrics], self.device)
        self.curves.append(metrics)
        if self.best_step == 0 or is_better(metrics, self.curves[self.best_step - 1], self.metric, self.sign):
            self.best_step = number
            self.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        return metrics

    def _train(self, number: int) -> tuple[Tensor, ...]:
        """Train one epoch; its mean loss, metric and gradient norm, as scalars on the device."""
        seed_everything(derive(self.config["seed"], number))
        self.begin(number)
        every = -(-self.n_steps // N_NORMS)
        all_losses, all_outputs, all_targets, norms, sizes = [], [], [], [], []
        for step, (x, y) in enumerate(self.batches(number), start=1):
            loss, out, norm = self.step(x, y, want_norm=step % every == 0 or step == self.n_steps)
            self.lr = self.optimizer.param_groups[0]["lr"]
            self.schedule.step_batch()
            all_losses.append(loss)
            all_outputs.append(out)
            all_targets.append(y)
            sizes.append(len(y))
            if norm is not None:
                norms.append(norm)
        out, y = torch.cat(all_outputs), torch.cat(all_targets)
        if self.asked:
            self.seen["train"] = out, y
        weights = torch.tensor(sizes, dtype=torch.float32, device=self.device) / sum(sizes)
        return (torch.stack(all_losses).float() * weights).sum(), score(out, y, self.meta["task"]), torch.stack(norms).mean()

    def begin(self, number: int) -> None:
        """Set the model up for training in an epoch."""
        self.model.train()
        self.frozen.begin(number)

    def batches(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch in an order that is the same on every device."""
        size, total = self.config["batch_size"], len(self.x)
        generator = torch.Generator().manual_seed(derive(self.config["seed"], number, 1))
        order = torch.randperm(total, generator=generator).to(self.device)[: self.n_steps * size]
        for part in order.split(size * SHUFFLE_BATCHES):
            yield from zip(self.x[part].split(size), self.y[part].split(size), strict=True)

    def step(self, x: Tensor, y: Tensor, want_norm: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        """One optimizer step: the batch's loss, outputs and, if wanted, gradient norm; all detached, on the device."""
        clip, norm = self.config.get("clip_norm"), None
        with autocast(self.device, self.precision):
            out = self.model(x)
        out = out.float()
        loss = self.loss(out, y)
        self.optimizer.zero_grad(set_to_none=True)
        if self.scaler is None:
            loss.backward()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
        if clip is not None:
            norm = nn.utils.clip_grad_norm_(self.params, clip)
        elif want_norm:
            norm = nn.utils.get_total_norm([p.grad for p in self.params if p.grad is not None])
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss.detach(), out.detach(), norm

    def _validate(self) -> tuple[Tensor, Tensor, Tensor]:
        out = outputs(self.model, self.data.val.x, self.precision)
        if self.asked:
            self.seen["val"] = out, self.data.val.y
        with torch.no_grad():
            norm = nn.utils.get_total_norm(self.params)
            return self.val_loss(out, self.data.val.y), score(out, self.data.val.y, self.meta["task"]), norm

    def _read(self, values: list[Tensor]) -> dict[str, float]:
        """The one moment of an epoch that waits for the device."""
        name = ALWAYS[self.meta["task"]]
        read = torch.stack([value.to(wide(self.device)) for value in values]).tolist()
        train_loss, train_metric, grad_norm, val_loss, val_metric, weight_norm = read
        return {
            "train/loss": train_loss,
            f"train/{name}": train_metric,
            "val/loss": val_loss,
            f"val/{name}": val_metric,
            "lr": float(self.lr),
            "grad_norm": grad_norm,
            "weight_norm": weight_norm,
        }


def _scaled(optimizer: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """The conf/optimizer node with the learning rate that is used."""
    values = optimizers.validate(optimizer)
    return {**values, **{key: values[key] * factor for key in ("lr", "encoder_lr") if values[key] is not None}}


def n_steps(n: int, batch_size: int) -> int:
    """Batches of an epoch: all full ones, and the last when it is at least half full; at least one."""
    return max(1, n // batch_size + (n % batch_size * 2 >= batch_size))
