"""metrics.json and the tables behind `dvc plots`: figures straight from the published tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from trivet.diagnosis.sweep import Sweep
from trivet.phases import finalists
from trivet.reporting.context import Context, seed_values
from trivet.reporting.sections.curves import value_column
from trivet.reporting.sections.went import best_so_far


def metrics(context: Context) -> dict:
    """The schema of DESIGN.md: coarse, fine, seeds, test, cost. A phase that has not run is left out; a figure not known is null.

    cost counts all phases that train (coarse, fine, seeds); cost.seconds is wall time.
    """
    seeds = context.seeds
    out: dict = {sweep.name: _search(sweep) for sweep in context.searches}
    if seeds is not None:
        summary = seeds.summary(seeds.winner)
        out["seeds"] = {"mean": summary.mean, "std": summary.std, "n": summary.n}
    if context.test:
        out["test"] = _test(context.test)
    trained = context.trained
    out["cost"] = {
        "epochs": sum(sweep.epochs for sweep in trained),
        "epochs_unpruned": sum(sweep.epochs_unpruned for sweep in trained),
        "seconds": round(sum(sweep.wall for sweep in trained), 1),
    }
    return out


def _search(sweep: Sweep) -> dict:
    best = sweep.best
    return {
        "best": sweep.value(sweep.score[best.name]) if best is not None else None,
        "n_trials": len(sweep.trials),
        "epochs": sweep.epochs,
    }


def _test(test: dict) -> dict:
    winner, default = seed_values(test.get("winner")), seed_values(test.get("default"))
    tuned = finalists.summary(list(winner.values())) if winner else None
    base = finalists.summary(list(default.values())) if default else None
    ensemble = test.get("ensemble_winner")
    return {
        "mean": tuned.mean if tuned else None,
        "std": tuned.std if tuned else None,
        "ensemble": float(ensemble) if isinstance(ensemble, (int, float)) and math.isfinite(ensemble) else None,
        "baseline_mean": base.mean if base else None,
        "baseline_std": base.std if base else None,
    }


def plots(context: Context) -> dict[str, pd.DataFrame]:
    """File name -> table. progress: phase, trial, epochs, best; curves: phase, trial, step, value; seeds: finalist, seed, value."""
    tables = {"progress": _progress(context), "curves": _curves(context)}
    if context.seeds is not None:
        rows = [(f, seed, value) for f, runs in context.seeds.values.items() for seed, value in runs.items()]
        label = context.seeds.label
        tables["seeds"] = pd.DataFrame([(label[f], seed, value) for f, seed, value in rows], columns=["finalist", "seed", "value"])
    return {f"{name}.csv": table for name, table in tables.items()}


def _progress(context: Context) -> pd.DataFrame:
    parts, before = [], -np.inf
    for sweep in context.searches:
        table = best_so_far(sweep, before).dropna(subset=["best"])
        before = max(before, sweep.score[sweep.best.name] if sweep.best is not None else -np.inf)
        table.insert(0, "phase", sweep.name)
        parts.append(table[["phase", "trial", "epochs", "best"]].astype({"epochs": int}))
    return pd.concat(parts, ignore_index=True)


def _curves(context: Context) -> pd.DataFrame:
    """Curves of the best five completed trials of each search."""
    parts = [pd.DataFrame({"phase": [], "trial": [], "step": [], "value": []})]
    for sweep in context.searches:
        column = value_column(sweep)
        if column is None:
            continue
        numbers = sweep.ranked["number"].head(5).tolist()
        rows = sweep.curves[sweep.curves["number"].isin(numbers) & np.isfinite(sweep.curves[column])]
        trial = f"{sweep.name} " + rows["number"].astype(str)
        parts.append(pd.DataFrame({"phase": sweep.name, "trial": trial, "step": rows["step"].astype(int), "value": rows[column]}))
    parts = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(parts, ignore_index=True)
