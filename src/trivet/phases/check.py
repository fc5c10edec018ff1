"""Stage `check`: is the search worth starting? Lints its space, tries the ends of every range, tests the learning rate, estimates the time.

    python pipelines/check.py                                         # the coarse search
    python pipelines/check.py model=mlp hparams=search epochs=10      # any search; the same overrides as src/train.py -m

Warnings name the mend and stop nothing; a value that cannot be trained at all is an error, exit status 1. Writes results/check/check.yaml
and lr_range.csv. Milliseconds and estimates in check.yaml differ from run to run; nothing in the pipeline is computed from them.
"""

from __future__ import annotations

import math
import os
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trivet import data, space
from trivet.errors import UserError
from trivet.phases import baselines
from trivet.space.linting import lint
from trivet.study import identity
from trivet.study.tables import write_text
from trivet.sweep.jobs import Composer
from trivet.sweep.planning import Space
from trivet.training import lr_range

MAX_OPTIONS = 12  # of a choice that are tried; the first ones
N_TIMED = 3  # batches, the fastest of which counts
N_POINTS = 24  # random configurations whose time is taken
SHARE_TRAINED = {"asha": 0.2, "hyperband": 0.4, "threshold": 0.5, "patient": 0.9}
"""Of all epochs, the share that a search of some 100 trials trains under each pruner: a rule of thumb from our own coarse searches."""


@dataclass
class Attempt:
    """One value of one parameter, tried for a few batches. `seconds` per epoch; `problem` is empty where it trains."""

    key: str
    value: Any
    when: dict[str, str]
    seconds: float = math.nan
    problem: str = ""
    fatal: bool = False

    def row(self) -> dict[str, Any]:
        """For check.yaml."""
        result = "error" if self.fatal else "warning" if self.problem else "ok"
        row = {"key": self.key, "value": self.value, "when": dict(self.when), "result": result, "message": self.problem}
        return row if math.isnan(self.seconds) else {**row, "milliseconds_per_epoch": round(1e3 * self.seconds, 1)}


@dataclass
class Search:
    """A composed search: its space, its settings, and `config(groups, values)` for any point of it."""

    where: Space
    settings: DictConfig
    cache: dict[tuple, dict] = field(default_factory=dict)

    def config(self, groups: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """The resolved app config with these options chosen and these values set."""
        mark = tuple(groups.items())
        if mark not in self.cache:
            full = self.where.composer.base(groups)
            self.cache[mark] = OmegaConf.to_container(OmegaConf.masked_copy(full, [k for k in full if k != "hydra"]), resolve=True)
        config = OmegaConf.create(self.cache[mark])
        for key, value in values.items():
            OmegaConf.update(config, key.lstrip("+"), value, force_add=True)
        return OmegaConf.to_container(config)

    @property
    def defaults(self) -> dict[str, Any]:
        """Default value of every parameter that is active in the default configuration, by key."""
        values = self.where.defaults or {}
        return {p.key: values[p.name] for p in self.where.params if p.name in values}


def compose(arguments: Sequence[str], root: Path) -> Search:
    """The search that `python src/train.py -m <arguments>` would make. UserError where Hydra refuses it."""
    if not any(argument.startswith("hparams=") for argument in arguments):
        arguments = ["hparams=coarse", *arguments]
    try:
        with initialize_config_dir(str(root / "conf"), version_base="1.3", job_name="train"):
            hydra = GlobalHydra.instance().hydra
            loader = hydra.config_loader
            task = [a for a in arguments if not a.lstrip("+~").startswith("hydra")]
            swept, fixed = space.parse_overrides(task, loader)
            others = [a for a in arguments if a not in task]
            config = hydra.compose_config("config", [*others, *fixed], RunMode.MULTIRUN, from_shell=False)
            given = OmegaConf.to_container(config.hydra.sweeper.get("params") or OmegaConf.create({}), resolve=True)
            named = {a.partition("=")[0].lstrip("+~") for a in task}
            explicit = [p for p in space.parse_params({k: v for k, v in given.items() if v is not None}) if p.key not in named]
            composer = Composer(HydraContext(config_loader=loader, callbacks=Callbacks()), config, fixed, ".")
            return Search(Space(composer, [*swept, *explicit], bool(config.hydra.sweeper.get("config_space", True))), config)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(" ".join(str(error).partition("Config search path")[0].split())) from error


def ends(spec: Any) -> list[Any]:
    """The values of a range that are tried: both ends, or a choice's options."""
    if isinstance(spec, space.Float | space.Int):
        return [spec.low, spec.high]
    return list(dict.fromkeys(space.grid_points(spec)))[:MAX_OPTIONS]


def attempt(config: dict[str, Any], loaded: data.Data, found: Attempt) -> Attempt:
    """Train a few batches and validate one: fill in the time of an epoch, or what went wrong."""
    import torch

    from trivet.training import Run, check_config, reproducible
    from trivet.training.predictor import EVAL_BATCH, EVAL_BATCH_GPU, outputs

    def wait() -> None:
        if run.device.type == "cuda":
            torch.cuda.synchronize(run.device)

    try:
        check_config(config, loaded.meta["task"])
        with reproducible(config, loaded.train.x.device):
            run = Run({**config, "epochs": max(config["epochs"], 2)}, loaded)
            own = run.device.type == "cpu" and torch.get_num_threads() == 1
            now = time.process_time if own else time.perf_counter  # what others do on the machine now says nothing about the search
            run.model.train()
            batches = [batch for batch, _ in zip(run.batches(1), range(N_TIMED + 1), strict=False)]
            times, losses = [], []
            for x, y in batches:
                started = now()
                losses.append(run.step(x, y, want_norm=False)[0])
                wait()
                times.append(now() - started)
            part = loaded.val.x[: EVAL_BATCH.get(run.device.type, EVAL_BATCH_GPU)]
            started = now()
            outputs(run.model, part, config["precision"])
            wait()
            validation = (now() - started) * len(loaded.val.x) / len(part)
        found.seconds = min(times[1:] or times) * run.n_steps + validation
        if not torch.stack(losses).isfinite().all():
            found.problem = f"the loss is NaN or infinite within {len(losses)} batches"
    except (torch.OutOfMemoryError, MemoryError):
        found.problem, found.fatal = "out of memory", True
    except Exception as error:  # whatever a model raises at this value is what the search would meet
        found.problem, found.fatal = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", True
    return found


def try_all(search: Search, loaded: data.Data) -> tuple[Attempt, list[Attempt]]:
    """The default configuration, every end of every range alone, and all the slowest ends of the default's branch at once."""
    attempt(search.config({}, {}), loaded, Attempt("", None, {}))  # the first one of a process is slow
    default = attempt(search.config({}, {}), loaded, Attempt("", None, {}))
    attempts, slowest = [], {}
    for param in search.where.params:
        when, group = dict(param.when), search.where.is_group(param.key)
        tried = []
        for value in ends(param.spec):
            groups, values = ({**when, param.key: value}, {}) if group else (when, {param.key: value})
            tried.append(attempt(search.config(groups, values), loaded, Attempt(param.key, value, when)))
        attempts += tried
        good = [a for a in tried if not a.fatal]
        if good and param.name in (search.where.defaults or {}) and not group:
            slowest[param.key] = max(good, key=lambda a: a.seconds).value
    if slowest:
        corner = attempt(search.config({}, slowest), loaded, Attempt("(the slowest ends together)", slowest, {}))
        attempts.append(corner)
    return default, attempts


def draw(search: Search, rng: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """A random point of the space: chosen options and values."""
    groups: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for param in search.where.params:  # groups come before what depends on them
        if param.active({**search.defaults, **groups}):
            value = random_value(param.spec, rng)
            (groups if search.where.is_group(param.key) else values)[param.key] = value
    return groups, values


def random_value(spec: Any, rng: random.Random) -> Any:
    """A value drawn evenly from a range, on its scale."""
    if not isinstance(spec, space.Float | space.Int):
        return rng.choice(space.grid_points(spec))
    value = math.exp(rng.uniform(math.log(spec.low), math.log(spec.high))) if spec.log else rng.uniform(spec.low, spec.high)
    if spec.step is not None:
        value = spec.low + round((value - spec.low) / spec.step) * spec.step
    value = min(max(value, spec.low), spec.high)
    return round(value) if isinstance(spec, space.Int) else value


def estimate(search: Search, default: Attempt, points: Sequence[Attempt], n_workers: int) -> dict[str, Any]:
    """Seconds that the search will take: trials x epochs x mean seconds per epoch of random points / workers, without and with pruning."""
    sweeper, config = search.settings.hydra.sweeper, search.config({}, {})
    n_trials = sweeper.get("n_trials") or space.n_configurations(search.where.params) or 0
    rule = config.get("pruner") or {}
    pruner, share = rule.get("name"), share_trained(rule)
    mean = statistics.fmean([p.seconds for p in points if not math.isnan(p.seconds)] or [default.seconds])
    full = n_trials * config["epochs"] * mean / n_workers
    return {
        "n_trials": n_trials,
        "epochs": config["epochs"],
        "workers": n_workers,
        "seconds_per_epoch_default": round(default.seconds, 4),
        "seconds_per_epoch_mean": round(mean, 4),
        "pruner": pruner,
        "share_trained_assumed": share,
        "seconds_unpruned": round(full, 1),
        "seconds": round(full * share, 1),
    }


def share_trained(rule: Mapping[str, Any]) -> float:
    """The share for a pruner's config. A percentile keeps more than it says, as trials get better while a search learns:
    24, 31 and 45 % of the epochs of our coarse search under percentile 10, 15 and 25."""
    if rule.get("name") in ("percentile", "median"):
        return min(1.0, 0.1 + 1.4 * float(rule.get("percentile", 50)) / 100)
    return SHARE_TRAINED.get(rule.get("name"), 1.0)


def workers(settings: DictConfig, threads: int) -> int:
    """How many trials run at once under `hydra.sweeper.n_jobs`."""
    n_jobs = settings.hydra.sweeper.get("n_jobs", 1)
    if isinstance(n_jobs, int) and n_jobs > 0:
        return n_jobs
    gpus = len(identity.gpu_ids())
    return gpus * int(settings.hydra.sweeper.get("trials_per_gpu", 1)) if gpus else max(1, identity.cores() // threads)


def clock(seconds: float) -> str:
    """90 -> 1.5 min"""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def check(arguments: Sequence[str], root: Path = Path()) -> tuple[dict[str, Any], list[float], list[float], list[str]]:
    """Everything: what check.yaml holds, the curve of the range test, and the lines for a person."""
    from trivet.data.prepared import folder_for
    from trivet.training import check_config, pick_device

    search = compose(arguments, root)
    config = search.config({}, {})
    check_config(config)
    loaded = data.load(folder_for(config["data"], root), pick_device(config["device"]))
    check_config(config, loaded.meta["task"])
    findings = lint(search.where.params, search.defaults, n_trials=search.settings.hydra.sweeper.get("n_trials"))
    default, attempts = try_all(search, loaded)
    if default.fatal:
        raise UserError(f"the default configuration cannot be trained: {default.problem}")
    if any(a.fatal for a in attempts):
        return {"extremes": [a.row() for a in attempts]}, [], [], describe(search, findings, attempts, [])
    rng = random.Random(config["seed"])
    drawn = [draw(search, rng) for _ in range(N_POINTS)]
    points = [attempt(search.config(*point), loaded, Attempt("(random point)", {**point[0], **point[1]}, {})) for point in drawn]
    times = estimate(search, default, points, workers(search.settings, config["threads"]))
    ranges = [p.spec for p in search.where.params if p.key == lr_range.KEY and p.active(search.defaults)]
    summary, lrs, losses = lr_range.examine(config, loaded, ranges)
    name = config["metric"].rpartition("/")[2]
    found = baselines.values(loaded.train, loaded.val, name, loaded.meta, config["loss"])
    result = {
        "findings": [{"key": f.key, "message": f.message, "mend": f.mend} for f in findings],
        "extremes": [a.row() for a in attempts],
        "lr_range": summary,
        "estimate": times,
        **({"baselines": {"metric": f"val/{name}", "values": found}} if found else {}),
    }
    lines = describe(search, findings, attempts, points) + lr_range.describe(summary)
    return result, lrs, losses, [*lines, *baselines.line(f"val/{name}", found), time_line(times)]


def describe(search: Search, findings: Sequence[Any], attempts: Sequence[Attempt], points: Sequence[Attempt]) -> list[str]:
    """What was found, a line each."""
    warned = [a for a in attempts if a.problem]
    lines = [f"space: {len(search.where.params)} parameters; {len(attempts)} ends of ranges tried, {len(warned)} with a problem"]
    lines += [f"warning: {finding}" for finding in findings]
    lines += [f"{'error' if a.fatal else 'warning'}: {a.key}={a.value}: {a.problem}" for a in warned]
    bad = [p for p in points if p.problem]
    if bad:
        lines.append(f"warning: {len(bad)} of {len(points)} random points have a problem; the first: {bad[0].value}: {bad[0].problem}")
    return lines


def time_line(times: Mapping[str, Any]) -> str:
    """The estimate in words."""
    pruner, share = times["pruner"] or "null", times["share_trained_assumed"]
    return (
        f"time: {times['n_trials']} trials x up to {times['epochs']} epochs x {times['seconds_per_epoch_mean']:.2g} s (default "
        f"{times['seconds_per_epoch_default']:.2g} s) / {times['workers']} workers = {clock(times['seconds_unpruned'])} without pruning, "
        f"about {clock(times['seconds'])} with pruner={pruner} (taken to train {share:.0%} of the epochs)"
    )


def main(arguments: Sequence[str], root: Path = Path()) -> int:
    """Print the findings and write the files; the exit status."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        result, lrs, losses, lines = check(arguments, root)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    fatal = [row for row in result["extremes"] if row["result"] == "error"]
    if fatal:
        names = ", ".join(f"{row['key']}={row['value']}" for row in fatal)
        print(f"error: cannot be trained: {names}; take these values out of the search", file=sys.stderr)
        return 1
    folder = root / "results" / "check"
    folder.mkdir(parents=True, exist_ok=True)
    lr_range.write_curve(folder, lrs, losses)
    write_text(folder / "check.yaml", yaml.safe_dump(result, sort_keys=False, allow_unicode=True))
    return 0
