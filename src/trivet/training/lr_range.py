"""Learning-rate range test (Smith 2017): train a few batches, the rate growing by the same factor after each, and see where the loss falls.

    python src/train.py hparams=lr_range optimizer=sgd

`smooth`, `suggest` and `covers` are pure functions of the curve.
"""

from __future__ import annotations

import csv
import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from trivet import space
from trivet.errors import UserError
from trivet.options import Real, Whole, read

log = logging.getLogger(__name__)
KEY = "optimizer.lr"
BETA = 0.9  # of the moving average; with 200 steps over seven decades it looks back a third of a decade
BLOWN_UP = 4.0  # times the best smoothed loss: the test ends (fastai)
SMALLEST_FALL = 0.05  # of the first loss; below it nothing was learnt
NOISE = 1.5  # times the deviation of single losses; chance alone makes the smoothed curve of 200 batches wander by about one
FIELDS = {"low": Real(0, open="low", default=1e-6), "high": Real(0, open="low", default=10.0), "n_steps": Whole(20, default=200)}


@dataclass(frozen=True)
class Region:
    """What a range test says. All are learning rates.

    `low`: the loss has made a quarter of its fall. `steepest`: it falls fastest. `high`: it is lowest, and soon grows. `suggested`: a third
    of `high`, but at least `steepest` and at most `high`: a rate for training, not the edge of what is stable. `blew_up`: the loss grew
    beyond four times its best there; None if it never did.
    """

    low: float
    steepest: float
    high: float
    suggested: float
    blew_up: float | None


def smooth(losses: Sequence[float], beta: float = BETA) -> list[float]:
    """Mean of the bias-corrected exponential averages from both ends, so that the curve is not shifted to higher rates. Finite values."""
    forward, backward = _average(losses, beta), _average(losses[::-1], beta)[::-1]
    return [(a + b) / 2 for a, b in zip(forward, backward, strict=True)]


def _average(losses: Sequence[float], beta: float) -> list[float]:
    mean, averages = 0.0, []
    for i, loss in enumerate(losses, start=1):
        mean = beta * mean + (1 - beta) * loss
        averages.append(mean / (1 - beta**i))
    return averages


def suggest(lrs: Sequence[float], losses: Sequence[float], blew_up: float | None = None) -> Region | None:
    """The region of rates that train, from the loss at each rate. None when the loss never fell by more than a twentieth and its noise."""
    n = len(losses)
    if n < 10:
        return None
    smoothed, head = smooth(losses), n // 10
    first = sorted(smoothed[:head])[head // 2]
    lowest = min(range(n), key=smoothed.__getitem__)
    fall = first - smoothed[lowest]
    noise = math.sqrt(sum((a - b) ** 2 for a, b in zip(losses[: lowest + 1], smoothed, strict=False)) / (lowest + 1))
    if lowest < head or fall < max(SMALLEST_FALL * abs(first), NOISE * noise):
        return None
    begun = 1 + max((i for i in range(lowest) if smoothed[i] > first - fall / 4), default=-1)
    inner = range(max(1, begun), min(lowest, n - 2) + 1)
    slope = {i: (smoothed[i + 1] - smoothed[i - 1]) / math.log(lrs[i + 1] / lrs[i - 1]) for i in inner}
    steepest = min(slope, key=slope.__getitem__) if slope else lowest
    suggested = min(lrs[lowest], max(lrs[steepest], lrs[lowest] / 3))
    return Region(lrs[begun], lrs[steepest], lrs[lowest], suggested, blew_up)


def covers(spec: Any, region: Region) -> bool | None:
    """Whether a search range holds the region from `low` to `high`; None for what is no numeric range."""
    if isinstance(spec, space.Choice):
        numbers = [o for o in spec.options if isinstance(o, int | float) and not isinstance(o, bool)]
        return min(numbers) <= region.low and max(numbers) >= region.high if len(numbers) > 1 else None
    if isinstance(spec, space.Float | space.Int):
        return spec.low <= region.low and spec.high >= region.high
    return None


def measure(config: Mapping[str, Any], data: Any, settings: Mapping[str, Any]) -> tuple[list[float], list[float], float | None]:
    """Rates, losses, and the rate at which the loss blew up (None: it did not). One pass, from fresh weights, without a schedule.

    A rate is one of `optimizer.lr`: what is trained with is that times what `lr_scaling` makes of the batch size.
    """
    from trivet.training import Run, reproducible  # the pure functions above need no torch

    values = read(settings, "lr_range", FIELDS)
    if values["low"] >= values["high"]:
        raise UserError(f"lr_range.low={values['low']:g}: must be less than lr_range.high={values['high']:g}")
    factor = (values["high"] / values["low"]) ** (1 / (values["n_steps"] - 1))
    lrs: list[float] = []
    losses: list[float] = []
    best = mean = 0.0
    with reproducible(config, data.train.x.device):
        run = Run({**config, "schedule": {"name": "constant"}}, data)
        run.begin(1)
        batches = itertools.chain.from_iterable(run.batches(epoch) for epoch in itertools.count(1))
        first = run.optimizer.param_groups[0]["lr"]
        shares = [group["lr"] / first for group in run.optimizer.param_groups]  # of the head's rate
        for i, (x, y) in enumerate(itertools.islice(batches, values["n_steps"])):
            lr = values["low"] * factor**i
            for group, share in zip(run.optimizer.param_groups, shares, strict=True):
                group["lr"] = lr * run.lr_factor * share
            loss = run.step(x, y, want_norm=False)[0].item()
            if not math.isfinite(loss):
                return lrs, losses, lr
            lrs.append(lr)
            losses.append(loss)
            mean = BETA * mean + (1 - BETA) * loss
            average = mean / (1 - BETA ** (i + 1))
            best = average if i == 0 else min(best, average)
            if i >= values["n_steps"] // 10 and average > BLOWN_UP * best:
                return lrs, losses, lr
    return lrs, losses, None


def write_curve(folder: Path, lrs: Sequence[float], losses: Sequence[float]) -> Path:
    """lr_range.csv: lr, loss, smoothed. Written whole."""
    path, temporary = folder / "lr_range.csv", folder / ".lr_range.csv.tmp"
    with temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["lr", "loss", "smoothed"])
        writer.writerows(zip(lrs, losses, smooth(losses), strict=True))
    temporary.replace(path)
    return path


def examine(config: Mapping[str, Any], data: Any, ranges: Sequence[Any]) -> tuple[dict[str, Any], list[float], list[float]]:
    """Measure and judge: the summary as plain values, rates, losses. `ranges`: the search ranges of the learning rate that apply."""
    lrs, losses, blew_up = measure(config, data, config.get("lr_range") or {})
    region = suggest(lrs, losses, blew_up)
    summary: dict[str, Any] = {"optimizer": config["optimizer"]["name"], "default": config["optimizer"]["lr"]}
    if region is None:
        return {**summary, "found": False}, lrs, losses
    held = [covers(spec, region) for spec in ranges]
    text = " and ".join(space.to_text(spec) for spec in ranges) or None
    covered = all(held) if held and None not in held else None
    return {**summary, "found": True, **asdict(region), "searched": text, "covered": covered}, lrs, losses


def describe(summary: Mapping[str, Any]) -> list[str]:
    """A few sentences for a person."""
    if not summary["found"]:
        return ["the loss did not fall at any learning rate: look at the data and the model first (debug=overfit_one_batch)"]
    lines = [
        f"learning rates that train ({summary['optimizer']}): {summary['low']:.2g} to {summary['high']:.2g}; falls fastest at "
        f"{summary['steepest']:.2g}; suggested {summary['suggested']:.2g}; the default is {summary['default']:g}"
    ]
    if summary["blew_up"] is not None:
        lines.append(f"the loss blew up at {summary['blew_up']:.2g}")
    if summary["searched"] is None:
        lines.append(f"{KEY} is not searched")
    elif summary["covered"] is not None:
        mend = "" if summary["covered"] else f"; let it begin below {summary['low']:.1g} and end above {summary['high']:.1g}"
        lines.append(f"the search range {summary['searched']} {'holds' if summary['covered'] else 'does not hold'} this region{mend}")
    return lines


def run(config: Mapping[str, Any], data: Any, folder: Path, choices: Mapping[str, str]) -> float:
    """The test as `python src/train.py hparams=lr_range`: prints, writes lr_range.csv and lr_range.yaml; returns the suggested rate.

    NaN when no rate makes the loss fall.
    """
    ranges = [param.spec for param in space.collect(dict(config), choices) if param.key == KEY]
    summary, lrs, losses = examine(config, data, ranges)
    path = write_curve(folder, lrs, losses)
    temporary = folder / ".lr_range.yaml.tmp"
    temporary.write_text(yaml.safe_dump(summary, sort_keys=False))
    temporary.replace(folder / "lr_range.yaml")
    for line in describe(summary):
        print(line)
    log.info("curve: %s", path)
    return summary.get("suggested", math.nan)
