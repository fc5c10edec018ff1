"""Published tables as a run of the pipeline leaves them, made up with a seed: for the tests of the report, and for looking at it.

python tests/fake_results.py <folder>      # a complete results/ tree, dvc.yaml and params.yaml
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from trivet import space

SPACE = [
    {"key": "optimizer", "spec": "choice(sgd, adam, adamw)"},
    {"key": "batch_size", "spec": "choice(16, 32, 64, 128, 256)"},
    {"key": "schedule", "spec": "choice(constant, cosine, onecycle)"},
    {"key": "model.dropout", "spec": "interval(0.0, 0.5)"},
    {"key": "model.width", "spec": "tag(log, int(interval(16, 128)))"},
    {"key": "loss.label_smoothing", "spec": "interval(0.0, 0.2)"},
    {"key": "optimizer.lr", "spec": "tag(log, interval(0.001, 1.0))", "when": {"optimizer": "sgd"}},
    {"key": "optimizer.momentum", "spec": "interval(0.0, 0.99)", "when": {"optimizer": "sgd"}},
    {"key": "optimizer.lr", "spec": "tag(log, interval(1e-05, 0.1))", "when": {"optimizer": "adam"}},
    {"key": "optimizer.lr", "spec": "tag(log, interval(1e-05, 0.1))", "when": {"optimizer": "adamw"}},
    {"key": "optimizer.weight_decay", "spec": "tag(log, interval(1e-06, 0.01))", "when": {"optimizer": "adamw"}},
    {"key": "schedule.warmup", "spec": "null,0.02,0.05,0.1", "when": {"schedule": "cosine"}},
    {"key": "schedule.warmup", "spec": "interval(0.1, 0.5)", "when": {"schedule": "onecycle"}},
]
FINE = [
    {"key": "optimizer", "spec": "choice(adam, adamw)"},
    {"key": "batch_size", "spec": "choice(16, 32, 64)"},
    {"key": "schedule", "spec": "choice(cosine, onecycle)"},
    {"key": "model.dropout", "spec": "interval(0.0, 0.3)"},
    {"key": "model.width", "spec": "tag(log, int(interval(32, 192)))"},
    {"key": "optimizer.lr", "spec": "tag(log, interval(0.0008, 0.03))", "when": {"optimizer": "adam"}},
    {"key": "optimizer.lr", "spec": "tag(log, interval(0.0008, 0.03))", "when": {"optimizer": "adamw"}},
    {"key": "optimizer.weight_decay", "spec": "tag(log, interval(1e-05, 0.01))", "when": {"optimizer": "adamw"}},
]
DEFAULTS = {
    "optimizer": "adam",
    "batch_size": 64,
    "schedule": "constant",
    "model.dropout": 0.0,
    "model.width": 32,
    "loss.label_smoothing": 0.0,
    "optimizer.lr": 0.001,
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 0.01,
    "schedule.warmup": 0.05,
}
TAIL = ["seconds", "worker", "started", "overrun"]
MOVES = [
    ("optimizer", "", "choice(sgd, adam, adamw)", "choice(adam, adamw)", "narrowed", "none of the best tenth used sgd"),
    ("batch_size", "", "choice(16, 32, 64, 128, 256)", "choice(16, 32, 64)", "narrowed", "the best tenth used at most 64"),
    (
        "model.width",
        "",
        "tag(log, int(interval(16, 128)))",
        "tag(log, int(interval(32, 192)))",
        "widened",
        "the best sit at the upper edge",
    ),
    (
        "optimizer.lr",
        "optimizer=adam",
        "tag(log, interval(1e-05, 0.1))",
        "tag(log, interval(0.0008, 0.03))",
        "narrowed",
        "range of the best tenth",
    ),
    ("loss.label_smoothing", "", "interval(0.0, 0.2)", "0.05", "fixed", "it made no difference"),
]


CHECK = {
    "findings": [{"key": "model.width", "message": "the range is narrow", "mend": "widen it"}],
    "extremes": [{"key": "batch_size", "value": 16, "when": {}, "result": "ok", "message": "", "milliseconds_per_epoch": 50.0}],
    "lr_range": {
        "optimizer": "adam",
        "default": 0.001,
        "found": True,
        "low": 0.0008,
        "steepest": 0.002,
        "high": 0.1,
        "suggested": 0.03,
        "blew_up": 0.6,
        "searched": "tag(log, interval(1e-05, 0.1))",
        "covered": True,
    },
    "estimate": {"n_trials": 100, "seconds": 60.0},
}


parse = functools.cache(space.parse)


def draw(entry: dict, rng: np.random.Generator) -> object:
    """One value of an entry of a space, as the sampler writes it."""
    spec = parse(entry["spec"], entry["key"])
    if isinstance(spec, space.Choice):
        option = spec.options[rng.integers(len(spec.options))]
        return "null" if option is None else option
    value = np.exp(rng.uniform(np.log(spec.low), np.log(spec.high))) if spec.log else rng.uniform(spec.low, spec.high)
    return round(value) if isinstance(spec, space.Int) else float(value)


def quality(params: dict) -> float:
    """What a configuration can reach, 0..1: a smooth hill with a ridge of batch size x learning rate. NaN: it diverges."""
    lr = float(params["optimizer.lr"])
    best = {"sgd": 0.08, "adam": 0.006, "adamw": 0.005}[params["optimizer"]] * (float(params["batch_size"]) / 64) ** 0.5
    distance = np.log10(lr / best)
    if distance > 1.05:
        return np.nan
    value = 0.958 - 0.075 * distance**2 - 0.04 * (float(params["model.dropout"]) - 0.12) ** 2 * 8
    value -= 0.02 * abs(np.log2(float(params["model.width"]) / 96)) / 2 + (0.012 if params["optimizer"] == "sgd" else 0)
    return float(value - {"constant": 0.012, "cosine": 0.002, "onecycle": 0.0}[params["schedule"]])


def curve(top: float, epochs: int, lr_gap: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Metrics of every epoch of a training that reaches `top` validation accuracy."""
    step = np.arange(1, epochs + 1)
    rate = 5.0 - 1.5 * min(lr_gap, 2)
    rise = 1 - np.exp(-rate * step / epochs)
    accuracy = np.clip(0.1 + (top - 0.1) * rise / (1 - np.exp(-rate)) + rng.normal(0, 0.004, epochs) * (1.2 - rise), 0, 0.999)
    train = np.clip(accuracy + 0.025 * rise, 0, 1)
    return {
        "value": np.maximum.accumulate(accuracy),
        "train/loss": 2.3 * np.exp(-2.6 * rise) + 0.02,
        "train/accuracy": train,
        "val/loss": 2.3 * np.exp(-2.3 * rise) + 0.06,
        "val/accuracy": accuracy,
        "lr": np.full(epochs, 0.01),
        "grad_norm": 1 / (1 + step),
        "weight_norm": 5 + 0.1 * step,
        "seconds": np.full(epochs, 0.05),
    }


def search(n: int, space: list[dict], seed: int = 0, epochs: int = 30, prune: bool = True, first: dict | None = None) -> tuple:
    """Tables (trials, curves) of a search with a median rule; trial 0 is `first` (the defaults) where given."""
    rng = np.random.default_rng(seed)
    keys = list(dict.fromkeys(entry["key"] for entry in space))
    rows, parts, done = [], [], []
    for number in range(n):
        params: dict = {}
        for entry in space:
            if all(params.get(group) == option for group, option in (entry.get("when") or {}).items()):
                params[entry["key"]] = draw(entry, rng)
        if number == 0 and first:
            params = {key: first[key] for key in params if key in first} | {key: first[key] for key in ("optimizer", "optimizer.lr")}
        top = quality({**DEFAULTS, **params})
        row = {"number": number, "state": "COMPLETE", "reason": ""}
        if np.isnan(top):
            steps = int(rng.integers(1, 4))
            row |= {"state": "FAIL", "reason": "diverged: loss is nan", "value": None, "step": steps, "best_step": None}
            table = curve(0.12, epochs, 2, rng)
        else:
            table = curve(top + rng.normal(0, 0.004), epochs, 0.5, rng)
            steps = epochs
            if prune and len(done) > 5:
                bars = np.median(np.array(done), axis=0)
                below = np.flatnonzero(table["value"][4:] < bars[4:])
                steps = int(below[0]) + 5 if len(below) else epochs
            if steps < epochs:
                row |= {"state": "PRUNED", "value": table["value"][steps - 1], "step": steps}
            else:
                row |= {"value": table["value"][-1], "step": epochs}
                done.append(table["value"])
            row["best_step"] = int(np.argmax(table["val/accuracy"][:steps])) + 1
        row |= {key: params.get(key) for key in keys}
        row |= {
            "seconds": round(0.05 * steps * rng.uniform(0.9, 1.1), 3),
            "worker": number % 2,
            "started": "2026-11-01T10:00:00",
            "overrun": 0,
        }
        rows.append(row)
        parts.append(
            pd.DataFrame({"number": number, "step": np.arange(1, steps + 1), **{key: part[:steps] for key, part in table.items()}})
        )
    return pd.DataFrame(rows), pd.concat(parts, ignore_index=True)


def defaults(entries: list[dict]) -> dict:
    """Of the parameters that are in play in the default configuration, named as study.yaml names them."""
    found = {}
    for entry in entries:
        when = entry.get("when") or {}
        if all(DEFAULTS[group] == option for group, option in when.items()):
            found[entry["key"] + "".join(f" [{group}={option}]" for group, option in when.items())] = DEFAULTS[entry["key"]]
    return found


def study(name: str, space: list[dict], trials: pd.DataFrame, **more) -> dict:
    """A study.yaml for such tables."""
    return {
        "name": name,
        "fingerprint": "0f3a9b7c1d2e",
        "identity": {"seed": 0, "files": {"src/train.py": "12ef", "data/prepared/search.npz": "9b1c"}},
        "command": f"python src/train.py -m hparams={name} model=cnn hydra.sweeper.publish=results/{name}",
        "overrides": [f"hparams={name}", "model=cnn"],
        "directions": ["maximize"],
        "metric": "val/accuracy",
        "seed": 0,
        "lag": 8,
        "sampler": {"name": "tpe", "n_startup_trials": 20},
        "pruner": {"name": "median", "n_warmup_steps": 4},
        "n_trials": len(trials),
        "n_jobs": 2,
        "stopped_by": "n_trials",
        "space": space,
        "defaults": defaults(space),
        "config": {"seed": 0, "epochs": 30, "save_model": False, "data": {"name": "mnist1d"}},
        "versions": {"python": "3.11.7", "torch": "2.13.0", "optuna": "5.0.0"},
        "git": {"commit": "a" * 40, "dirty": False},
        "hardware": {
            "cpu": "Example CPU",
            "model": "family 25 model 1 stepping 1",
            "vector_flags": ["avx2", "fma"],
            "cores": 2,
            "gpus": [],
        },
        "started": "2026-11-01T10:00:00",
        "finished": "2026-11-01T10:04:00",
        "seconds": round(float(trials["seconds"].sum()) / 2 + 3, 1),
    } | more


def publish(folder: Path, trials: pd.DataFrame, curves: pd.DataFrame | None, settings: dict | None) -> Path:
    """Write a sweep's folder as the sweeper does."""
    folder.mkdir(parents=True, exist_ok=True)
    trials.to_csv(folder / "trials.csv", index=False)
    if curves is not None:
        curves.to_csv(folder / "curves.csv", index=False)
    if settings is not None:
        (folder / "study.yaml").write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return folder


def results(root: Path, n_coarse: int = 100, n_fine: int = 50, n_seeds: int = 3) -> Path:
    """A complete run of the pipeline under `root`."""
    out = root / "results"
    coarse, coarse_curves = search(n_coarse, SPACE, seed=1, first=DEFAULTS)
    fine, fine_curves = search(n_fine, FINE, seed=2)
    publish(out / "coarse", coarse, coarse_curves, study("coarse", SPACE, coarse))
    publish(out / "fine", fine, fine_curves, study("fine", FINE, fine))
    (out / "narrow").mkdir(parents=True)
    pd.DataFrame(MOVES, columns=["key", "when", "coarse", "fine", "change", "why"]).to_csv(out / "narrow" / "moves.csv", index=False)
    _finalists(out, coarse, fine, n_seeds)
    _check(out / "check")
    (root / "data" / "prepared").mkdir(parents=True)
    (root / "data" / "prepared" / "data.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "mnist1d",
                "task": "classification",
                "n_classes": 10,
                "n_train": 3200,
                "n_val": 800,
                "n_test": 1000,
                "sha256": "9b1c",
                "published": {"CNN, untuned": 94.0, "a person": 96.0},
            }
        )
    )
    (root / "params.yaml").write_text(yaml.safe_dump({"seed": 0, "data": "mnist1d", "model": "cnn", "report": {"price_per_hour": 0.5}}))
    stages = {
        "prepare": {"cmd": "python pipelines/prepare.py", "outs": ["data/prepared/search.npz", "data/prepared/test.npz"]},
        "coarse": {"cmd": "python src/train.py -m hparams=coarse", "deps": ["data/prepared/search.npz"], "outs": ["results/coarse"]},
        "test": {"cmd": "python pipelines/test.py", "deps": ["data/prepared/test.npz", "results/seeds"], "outs": ["results/test"]},
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    return root


def _finalists(out: Path, coarse: pd.DataFrame, fine: pd.DataFrame, n_seeds: int) -> None:
    rng = np.random.default_rng(5)
    both = pd.concat([coarse.iloc[1:].assign(phase="coarse"), fine.assign(phase="fine")], ignore_index=True)
    best = both[both["state"] == "COMPLETE"].sort_values("value", ascending=False, kind="stable").head(5)
    keys = [entry for entry in dict.fromkeys(item["key"] for item in SPACE)]
    default = coarse.iloc[0]
    rows = [{"finalist": 0, "phase": "default", "number": 0, "value": default["value"], **{key: default.get(key) for key in keys}}]
    for place, (_, row) in enumerate(best.iterrows(), 1):
        rows.append(
            {"finalist": place, "phase": row["phase"], "number": row["number"], "value": row["value"]} | {k: row.get(k) for k in keys}
        )
    (out / "finalists").mkdir()
    pd.DataFrame(rows).to_csv(out / "finalists" / "finalists.csv", index=False)
    runs = []
    for finalist in rows:
        top = quality({**DEFAULTS, **{key: finalist[key] for key in keys if finalist[key] is not None and finalist[key] == finalist[key]}})
        for seed in range(101, 101 + n_seeds):
            params = {key: finalist[key] if finalist["finalist"] else None for key in keys}
            runs.append(
                {
                    "number": len(runs),
                    "state": "COMPLETE",
                    "reason": "",
                    "value": top + rng.normal(0, 0.004),
                    "step": 30,
                    "best_step": 27,
                    "finalist": finalist["finalist"],
                    "seed": seed,
                    **params,
                    "seconds": 1.5,
                    "worker": 0,
                    "started": "",
                    "overrun": 0,
                }
            )
    seeds = pd.DataFrame(runs)
    publish(out / "seeds", seeds, None, study("seeds", [], seeds, sampler={"name": "list"}, pruner={"name": "none"}))
    means = seeds.groupby("finalist")["value"].mean()
    winner = int(means.idxmax())
    test = {
        "metric": "test/accuracy",
        "n_test": 1000,
        "winner": {
            "finalist": winner,
            "seeds": {seed: float(means[winner] - 0.004 + rng.normal(0, 0.003)) for seed in range(101, 101 + n_seeds)},
        },
        "default": {"seeds": {seed: float(means[0] - 0.004 + rng.normal(0, 0.003)) for seed in range(101, 101 + n_seeds)}},
        "ensemble_winner": float(means[winner] + 0.008),
        "ensemble_finalists": float(means[winner] + 0.012),
        "model": {"finalist": winner, "seed": 102},
        "val": {side: _of(seeds, one) for side, one in (("winner", winner), ("default", 0))},
    }
    (out / "test").mkdir()
    (out / "test" / "test.yaml").write_text(yaml.safe_dump(test))


def _of(seeds: pd.DataFrame, finalist: int) -> dict[int, float]:
    """The values of a finalist by seed."""
    rows = seeds[seeds["finalist"] == finalist]
    return {int(seed): float(value) for seed, value in zip(rows["seed"], rows["value"], strict=True)}


def _check(folder: Path) -> None:
    folder.mkdir(parents=True)
    lr = np.logspace(-6, 0.5, 100)
    x = np.log10(lr)
    loss = 2.3 - 1.3 / (1 + np.exp(-3 * (x + 2.8))) + np.where(x > -0.9, 4 * (x + 0.9) ** 2, 0)
    noise = np.random.default_rng(3).normal(0, 0.06, len(x))
    pd.DataFrame({"lr": lr, "loss": loss + noise, "smoothed": loss}).to_csv(folder / "lr_range.csv", index=False)
    (folder / "check.yaml").write_text(yaml.safe_dump(CHECK))


if __name__ == "__main__":
    print(results(Path(sys.argv[1])))
