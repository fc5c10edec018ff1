"""advise: which strategy for this search, from a finished check, a sweep's folder, or what the command line says.

    trivet advise                                                      # reads results/check
    trivet advise --hours 4 --workers 2 --probe                        # trains the default configuration once, first
    trivet advise --trial-seconds 60 'lr=tag(log, interval(1e-4, 1))'  # before there is anything

Starts nothing but the probe, which is a sweep of one trial.
"""

from __future__ import annotations

import argparse
import math
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from trivet import app as description
from trivet import secrets, space
from trivet.arguments import Parser
from trivet.errors import UserError
from trivet.phases.advice import LR_STEPS, Advice, Case, Probe, advise
from trivet.phases.estimate import clock, workers
from trivet.space import limits
from trivet.study import tables

CHECK = Path("results/check")
PROBED = "sweeps/probed"
NAME = re.compile(r"(?P<key>\S+)(?: \[(?P<when>.*)\])?")
SHORT = "hydra.sweeper.pruner={name: limit, max_step: 1}"  # the range test of an app that has none of its own: one step of each rate
STRATEGIES = {
    "none": "do not tune now",
    "lr_range": "the learning rate's range test only",
    "grid": "grid",
    "random": "random search",
    "model": "model-based search (the default sampler)",
}


def params_of(named: Mapping[str, Any]) -> list[space.Param]:
    """The space of check.yaml: {`key [group=option,...]`: range}."""
    params = []
    for name, text in named.items():
        match = NAME.fullmatch(name)
        if match is None:
            raise UserError(f"space: {name}: is no name of a parameter; run the check again")
        when = tuple(tuple(pair.split("=", 1)) for pair in (match["when"] or "").split(",") if pair)
        params.append(space.Param(match["key"], space.parse(text, match["key"]), when))
    return params


def from_check(folder: Path) -> Case:
    """The case that results/check describes. UserError where no check has finished there, or it could not tell the time."""
    found = _yaml(folder / "check.yaml")
    times = found.get("estimate") or {}
    named = found.get("space") or _yaml(folder / "checked.yaml").get("space")
    if not named or not times:
        missing = "the time of a training" if named else "the searched parameters"
        raise UserError(f"{folder}: holds no finished check that tells {missing}; run the check, or give --trial-seconds and ranges")
    seconds = max(float(times["epochs"]) * float(times["seconds_per_epoch_mean"]), 1e-6)
    n_val = (found.get("validation") or {}).get("n_val")
    return Case(params_of(named), seconds, workers=int(times["workers"]), epochs=int(times["epochs"]), n_val=n_val)


def of_check(
    params: Sequence[space.Param], times: Mapping[str, Any], root: Path, n_val: int | None = None, reports: bool = True
) -> tuple[dict[str, Any], list[str]]:
    """The advice that a check gives, without a budget: for check.yaml, and in lines. `times`: its estimate; `reports`: whether trainings
    report their steps, so that one can be stopped early."""
    seconds = max(times["epochs"] * times["seconds_per_epoch_mean"], 1e-6)
    case = Case(params, seconds, times["workers"], epochs=times["epochs"] if reports else None, n_val=n_val)
    advice = advise(case)
    run = command(advice, case, root, None)
    return summary(advice, run), lines(advice, case, run)


def from_sweep(folder: Path) -> Case:
    """The case that a sweep describes; its first trial, where that is the default configuration, is the probe."""
    study, rows = tables.load_study(folder), tables.read_csv(folder / "trials.csv")
    params = [space.Param(p["key"], space.parse(p["spec"], p["key"]), tuple((p.get("when") or {}).items())) for p in study["space"]]
    steps = [int(float(row["step"])) for row in rows if row["step"] and row["state"] == "COMPLETE"]
    planned = (study.get("config") or {}).get("epochs")
    epochs = planned if isinstance(planned, int) and not isinstance(planned, bool) else max(steps, default=None)
    probe = _probe(folder, study, rows[0]) if rows and rows[0]["number"] == "0" and study.get("defaults") else None
    known = [row for row in rows if row["state"] != "FAIL" and float(row["seconds"] or 0) > 0]  # copies took no time
    each = [float(row["seconds"]) / float(row["step"]) * epochs for row in known if row["step"] and epochs]
    each = each or [float(row["seconds"]) for row in known if row["state"] == "COMPLETE"]
    if not each and not (probe and probe.problem):
        raise UserError(f"{folder}: no trial of it tells how long a training takes; give --trial-seconds")
    n_jobs = study.get("n_jobs")
    seconds = max(statistics.fmean(each), 1e-6) if each else 1.0
    return Case(params, seconds, n_jobs if isinstance(n_jobs, int) else 1, epochs=epochs, n_val=_n_val(folder, study), probe=probe)


def _probe(folder: Path, study: Mapping[str, Any], row: Mapping[str, str]) -> Probe:
    metric = str(study.get("metric") or "")
    maximize = study["directions"][0] == "maximize"
    if row["state"] == "FAIL":
        return Probe(metric, maximize, problem=row["reason"])
    curves = [line for line in tables.read_csv(folder / "curves.csv") if line["number"] == row["number"]]
    train = f"train/{metric.rpartition('/')[2]}"

    def column(name: str) -> list[float]:
        values = [float(line[name]) for line in curves if line.get(name)]
        return values if all(math.isfinite(value) for value in values) else []

    return Probe(metric, maximize, column(train), column("value"), whole=row["state"] == "COMPLETE")


def _n_val(folder: Path, study: Mapping[str, Any]) -> int | None:
    """Validation samples, where the project prepared its data as our trainer does."""
    for root in (Path(), *folder.resolve().parents[:2]):
        found = _yaml(root / "data/prepared/data.yaml")
        wanted = (
            ((study.get("config") or {}).get("data") or {}).get("name")
            if isinstance((study.get("config") or {}).get("data"), Mapping)
            else None
        )
        if found and found.get("name") == wanted and isinstance(found.get("n_val"), int):
            return found["n_val"]
    return None


def program(root: Path, given: str | None) -> tuple[list[str], list[str]]:
    """(words that start the app, words that make it search everything): --app, else trivet.yaml, else this repository's own trainer."""
    own = (root / "src/train.py").is_file() and (root / "conf/hparams/search.yaml").is_file()
    if given is not None:
        words = shlex.split(given)
        if not words:
            raise UserError("--app: is empty; write the command that trains, such as 'python train.py'")
        return words, ["hparams=search"] if own and "src/train.py" in words else ["+trivet=search"]
    if description.is_here(root):
        app = description.read(root)
        return shlex.split(app.app), ["+trivet=search", "hydra/sweeper=trivet", *app.overrides]
    return (["python", "src/train.py"], ["hparams=search"]) if own else (["python", "app.py"], ["+trivet=search"])


def command(advice: Advice, case: Case, root: Path, app: str | None, ranges: Sequence[str] = ()) -> str:
    """The ready command of an advice, "" where nothing is to be run; `app.py` stands for an app that is not known. `ranges`: overrides that
    give the space, where no config does."""
    words, phase = program(root, app)
    own = phase == ["hparams=search"]
    if advice.strategy == "none":
        return ""
    if advice.strategy == "lr_range":
        rates = [p for p in case.searched if limits.LEARNING_RATE.fullmatch(limits.leaf(p.key))]
        return shlex.join([*words, "hparams=lr_range"] if own else [*words, "-m", *phase, SHORT, *_only(rates[0])])
    if advice.strategy == "model" and advice.finalists and advice.pruner and not ranges and _piped(root):
        coarse = max(1, round(advice.n_trials * 2 / 3))
        knobs = {"coarse.n_trials": coarse, "fine.n_trials": max(1, advice.n_trials - coarse), "seeds.finalists": advice.finalists}
        return shlex.join(["dvc", "exp", "run", *(w for k, v in {**knobs, "seeds.n": advice.seeds}.items() for w in ("-S", f"{k}={v}"))])
    more = [] if advice.pruner else ["pruner=none"] if own else ["hydra.sweeper.pruner=null"]
    sampler = {"grid": ["hydra.sweeper.sampler.name=grid"], "random": ["hydra.sweeper.sampler.name=random"]}.get(advice.strategy, [])
    if advice.strategy == "grid" and any(space.n_points(p.spec) is None for p in case.searched):
        return shlex.join([*words, "-m", *phase, *more, *sampler, *_only(case.searched[0])])
    return shlex.join([*words, "-m", *phase, *more, *sampler, f"hydra.sweeper.n_trials={advice.n_trials}", *ranges])


def _only(rate: space.Param) -> list[str]:
    """Overrides that search one learning rate alone, at LR_STEPS values evenly in its logarithm."""
    low, high = (rate.spec.low, rate.spec.high) if isinstance(rate.spec, space.Float) else (1e-4, 1e-1)
    low = low if low > 0 else high * 1e-4
    values = [float(f"{low * (high / low) ** (i / (LR_STEPS - 1)):.2g}") for i in range(LR_STEPS)]
    choice = f"{rate.key}=choice({','.join(f'{value:g}' for value in values)})"
    return ["hydra.sweeper.config_space=false", "hydra.sweeper.params=null", "hydra.sweeper.n_trials=null", choice]


def _piped(root: Path) -> bool:
    stages, knobs = _yaml(root / "dvc.yaml").get("stages"), _yaml(root / "params.yaml")
    return (
        isinstance(stages, Mapping) and "coarse" in stages and all(isinstance(knobs.get(k), Mapping) for k in ("coarse", "fine", "seeds"))
    )


def summary(advice: Advice, run: str = "") -> dict[str, Any]:
    """For check.yaml."""
    return {
        "tune": advice.tune,
        "strategy": advice.strategy,
        "n_trials": advice.n_trials,
        "pruner": advice.pruner,
        "finalists": advice.finalists,
        "seeds": advice.seeds,
        "trainings": round(advice.trainings, 1),
        "seconds": round(advice.seconds, 1),
        **({"money": round(advice.money, 2)} if advice.money is not None else {}),
        "why": list(advice.why),
        **({"command": run} if run else {}),
    }


def lines(advice: Advice, case: Case, run: str = "") -> list[str]:
    """The advice in words, the verdict first."""
    parts = [
        STRATEGIES[advice.strategy] if advice.tune or advice.strategy == "none" else f"{STRATEGIES['none']}; {STRATEGIES[advice.strategy]}"
    ]
    if advice.n_trials:
        parts += [f"{advice.n_trials} trials", f"pruner {advice.pruner or 'none'}"]
        parts += (
            [f"then {advice.finalists} finalists and the default x {advice.seeds} seeds"]
            if advice.finalists
            else ["no fresh seeds: the budget has none left"]
        )
    told = [f"advice: {', '.join(parts)}"]
    if advice.trainings:
        money = f", {advice.money:,.2f} at {case.price_per_hour:g} an hour" if advice.money is not None else ""
        told.append(
            f"  cost: about {advice.trainings:.3g} full trainings of {clock(case.trial_seconds)} on {case.workers} worker(s) = "
            f"{clock(advice.seconds)}{money}"
        )
    return [*told, *(f"  why: {why}" for why in advice.why), *([f"  command: {run}"] if run else [])]


def run_probe(root: Path, app: str | None, epochs: int | None, ranges: Sequence[str]) -> Case:
    """Train the default configuration as a sweep of one trial, to its end or for so many steps; UserError where that does not run."""
    words, phase = program(root, app)
    if words[0] in ("python", "python3"):
        words = [sys.executable, *words[1:]]
    if len(words) > 1 and words[1].endswith(".py") and not (root / words[1]).is_file():
        raise UserError(f"--probe: {words[1]}: there is no such script; name the app with --app 'python train.py'")
    limit = "null" if epochs is None else f"{{name: limit, max_step: {epochs}}}"
    given = [f"hydra.sweeper.{key}" for key in ("n_trials=1", "n_jobs=1", "baseline=true", "study_name=probe", f"pruner={limit}")]
    code = subprocess.run(
        [*words, "-m", *phase, *ranges, *given, f"hydra.sweeper.publish={PROBED}"], cwd=root, stdout=subprocess.DEVNULL, check=False
    ).returncode
    if code:
        raise UserError(f"--probe: the app ended with exit status {code}; its own lines above say why")
    return from_sweep(root / PROBED)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({str(error).splitlines()[0]}); mend it first") from None
    return content if isinstance(content, dict) else {}


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="trivet advise", description="Which strategy, for how long, at what price; and when not to tune.")
    parser.add_argument(
        "given", nargs="*", metavar="FOLDER | KEY=RANGE", help="a check's or a sweep's folder (default: results/check), or ranges"
    )
    parser.add_argument("--trial-seconds", type=float, help="of one full training on one worker, where it was not measured")
    parser.add_argument("--workers", type=int, help="trials at once; default: as measured, or as many as GPUs or cores")
    parser.add_argument("--hours", type=float, help="budget, wall time of the whole")
    parser.add_argument("--money", type=float, help="budget; needs a price")
    parser.add_argument("--price-per-hour", type=float, help="of the machine; default: report.price_per_hour of params.yaml")
    parser.add_argument("--epochs", type=int, help="steps that a full training reports")
    parser.add_argument("--validation-samples", type=int, dest="n_val", help="that trials are measured on")
    parser.add_argument("--app", help="the command that trains once; default: trivet.yaml's")
    parser.add_argument("--probe", action="store_true", help="train the default configuration once, first")
    parser.add_argument("--probe-steps", type=int, help="stop the probe at this step: its end then has no say")
    return parser


def case_of(given: argparse.Namespace, root: Path) -> Case:
    """The case that a command line and what was measured describe."""
    for name in ("epochs", "n_val", "workers", "probe_steps"):
        value = getattr(given, name)
        if value is not None and value < 1:
            raise UserError(f"--{name.replace('n_val', 'validation-samples').replace('_', '-')}={value}: must be a whole number >= 1")
    probing = given.probe or given.probe_steps is not None
    ranges = [word for word in given.given if "=" in word]
    folders = [Path(word) for word in given.given if "=" not in word]
    if len(folders) > 1 or (folders and (ranges or probing)):
        raise UserError(f"{' '.join(given.given)}: give one folder, or ranges, or --probe, not several of them")
    if probing:
        case = run_probe(root, given.app, given.probe_steps, ranges)
    elif ranges:
        if given.trial_seconds is None:
            raise UserError("--trial-seconds: is missing: how long does one full training take? (--probe measures it)")
        params, fixed = space.parse_overrides(ranges)
        if fixed:
            raise UserError(f"{fixed[0]}: is no range; write {limits.leaf(fixed[0].partition('=')[0])}=interval(...) or choice(...)")
        case = Case(params, given.trial_seconds, workers("auto", 1, 1))
    else:
        folder = folders[0] if folders else root / CHECK
        case = from_sweep(folder) if (folder / "study.yaml").is_file() else from_check(folder)
    price = given.price_per_hour
    if price is None:
        price = (_yaml(root / "params.yaml").get("report") or {}).get("price_per_hour") or None
    named = {"trial_seconds": given.trial_seconds, "workers": given.workers, "epochs": given.epochs, "n_val": given.n_val}
    measured = {key: value for key, value in named.items() if value is not None}
    return replace(case, **measured, hours=given.hours, money=given.money, price_per_hour=price)


def main(words: Sequence[str], root: Path = Path()) -> int:
    """Print the advice; the exit status. `UserError` where the case cannot be told."""
    given = _parser().parse_intermixed_args(list(words))
    case = case_of(given, root)
    advice = advise(case)
    print(
        secrets.lines("\n".join(lines(advice, case, command(advice, case, root, given.app, [word for word in given.given if "=" in word]))))
    )
    return 0
