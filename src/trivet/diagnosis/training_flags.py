"""Red flags of the trainings themselves, from trials and their curves: divergence, noise, length, overfitting, underfitting."""

from __future__ import annotations

import re
import textwrap

import numpy as np
import pandas as pd

from trivet import reasons
from trivet.diagnosis.flag import Case, Flag
from trivet.diagnosis.sweep import Sweep, find, is_lr
from trivet.diagnosis.thresholds import limit
from trivet.diagnosis.wording import count, listing, number, share

DIVERGED = re.compile(r"diverg|\bnan\b|\binf(inite|inity)?\b|not finite|exploded|overflow", re.IGNORECASE)


def diverged_rows(sweep: Sweep) -> pd.DataFrame:
    failed = sweep.trials[sweep.trials["state"] == "FAIL"]
    return failed[failed["reason"].map(lambda reason: bool(DIVERGED.search(reason)))]


def stump(values: np.ndarray, bad: np.ndarray) -> tuple[float, int, int, int, int] | None:
    """The value that best parts bad from good above it: (value, bad above, all above, bad below, all below); None where nothing does."""
    order = np.argsort(values, kind="stable")
    values, bad = values[order], bad[order].astype(int)
    if len(values) < 4 or bad.sum() in (0, len(bad)):
        return None
    above = bad[::-1].cumsum()[::-1]
    n_above = np.arange(len(values), 0, -1)
    score = above / bad.sum() - (n_above - above) / (len(bad) - bad.sum())
    score[np.append(False, values[1:] == values[:-1])] = -1
    at = int(score.argmax())
    if score[at] < 0.5 or at == 0:
        return None
    return float(values[at]), int(above[at]), int(n_above[at]), int(bad.sum() - above[at]), at


def diverged(case: Case) -> Flag | None:
    sweep = case.sweep
    rows = diverged_rows(sweep)
    if len(rows) < 3 or len(rows) <= limit("failed") * len(sweep.trials):
        return None
    evidence = (
        f"{len(rows):,} of {count(len(sweep.trials), 'trial')} ({share(len(rows), len(sweep.trials))}) ended with a loss that is no number."
    )
    key = find([key for key in sweep.params if pd.api.types.is_numeric_dtype(sweep.trials[key])], is_lr)
    mend = "Lower the upper end of the learning rate, clip the gradient, or add warm-up."
    if key is not None:
        known = sweep.trials[key].notna()
        split = stump(sweep.trials.loc[known, key].to_numpy(), known[known].index.isin(rows.index))
        if split is not None:
            at, bad, n, low_bad, low_n = split
            evidence += f" From {key}={number(at)} on {bad} of {n} diverged, below it {low_bad} of {low_n}."
            mend = f"Let the range of {key} end near {number(at)}, clip the gradient, or add warm-up."
    return Flag(
        "diverged",
        "warning",
        case.where,
        "Many trials diverged",
        evidence,
        "The learning rate is too high for a part of the space; a very large share can also be a bug in the training.",
        mend,
        ("failed",),
    )


def failed(case: Case) -> Flag | None:
    sweep = case.sweep
    rows = sweep.trials[(sweep.trials["state"] == "FAIL")].drop(index=diverged_rows(sweep).index)
    if not len(rows) or len(rows) <= limit("failed") * len(sweep.trials):
        return None
    known = reasons.grouped(rows["reason"].replace("", "no reason recorded"))
    words = [f"{count(n, 'time')}: {textwrap.shorten(reason, 100, placeholder=' ...')}" for reason, n in known[:3]]
    words += [f"{count(sum(n for _, n in known[3:]), 'time')}: something else"] if len(known) > 3 else []
    every = len(rows) == len(sweep.trials)
    return Flag(
        "failed",
        "serious" if every else "warning",
        case.where,
        "Every trial failed" if every else "Many trials failed",
        f"{len(rows):,} of {count(len(sweep.trials), 'trial')} ({share(len(rows), len(sweep.trials))}) failed. {'; '.join(words)}.",
        "A part of the space cannot be run (memory, time, combinations that do not fit), or the training has a bug.",
        "Read the log of one such trial, then exclude what cannot work from the space or mend the training.",
        ("failed",),
    )


def one_epoch(case: Case) -> Flag | None:
    sweep = case.sweep
    if sweep.full < 3 or len(sweep.trials) < limit("enough") / 2:
        return None
    rows = sweep.trials[(sweep.trials["step"] <= 1) & ~sweep.trials.index.isin(diverged_rows(sweep).index)]
    if len(rows) <= limit("one_epoch") * len(sweep.trials):
        return None
    states = [f"{n:,} {state}" for state, n in rows["state"].value_counts().items()]
    by_pruner = sweep.stopped[rows.index].mean() > 0.9  # a strict pruner may mean it; a training that ends by itself does not
    return Flag(
        "one_epoch",
        "hint" if by_pruner else "warning",
        case.where,
        "Trials ended after one epoch",
        f"{len(rows):,} of {count(len(sweep.trials), 'trial')} ended after at most one of {count(sweep.full, 'epoch')} "
        f"({listing(states)}).",
        "The pruner is a strict one: it judges by the first epoch alone, so what starts slowly is lost."
        if by_pruner
        else "The training stops or crashes at once, or the pruner judges before there is anything to judge.",
        "Train a sample of them to the end to see what was lost; a warm-up of a few epochs (n_warmup_steps, min_resource) loses less."
        if by_pruner
        else "Read the log of one such trial; give the pruner a warm-up of a few epochs (n_warmup_steps, or a greater min_resource).",
        ("one_epoch",),
    )


def best_five(sweep: Sweep) -> list[pd.DataFrame]:
    """Curves of the best five completed trials that reported at least four steps."""
    if not len(sweep.complete):
        return []
    curves = [sweep.curve(number) for number in sweep.ranked["number"].head(5)]
    return [curve for curve in curves if len(curve) >= 4]


def most(n: int) -> int:
    """Four of five, and the like for fewer."""
    return int(np.ceil(0.8 * n))


def noisy(case: Case) -> Flag | None:
    curves = [curve["train/loss"].dropna().to_numpy() for curve in best_five(case.sweep) if "train/loss" in curve]
    curves = [loss for loss in curves if len(loss) >= 4]
    shaky, spikes = 0, 0
    for loss in curves:
        floor = 0.02 * loss[0]
        before, after = np.maximum(loss[:-1], floor), np.maximum(loss[1:], floor)
        shaky += bool(np.mean(after > (1 + limit("loss_rise")) * before) > limit("loss_noisy"))
        spikes += bool(np.any(after > limit("loss_spike") * before))
    if not curves or max(shaky, spikes) * 2 < len(curves):
        return None
    return Flag(
        "noisy",
        "warning",
        case.where,
        "The training loss is noisy or spikes",
        f"Of the best {count(len(curves), 'trial')}, {shaky} {'has' if shaky == 1 else 'have'} a loss that keeps rising from "
        f"epoch to epoch and {spikes} "
        f"{'has' if spikes == 1 else 'have'} an epoch where it jumps to more than {number(limit('loss_spike'))} times the one before.",
        "The learning rate is too high for the end of training, or the batches are small.",
        "Let the learning rate decay (a schedule), lower it, clip the gradient, or use larger batches.",
        ("loss_rise", "loss_noisy", "loss_spike"),
    )


def value_of(curve: pd.DataFrame, sweep: Sweep) -> np.ndarray:
    """The objective at each step, greater is better."""
    column = "value" if "value" in curve else sweep.metric if sweep.metric in curve else "value_0"
    values = curve[column].to_numpy(dtype=float) if column in curve else np.full(len(curve), np.nan)
    return values if sweep.maximize else -values


def _bests(sweep: Sweep) -> pd.DataFrame:
    """The best five completed trials with where in their training the best epoch was (0..1); only trainings of at least eight epochs."""
    rows = sweep.complete.loc[sweep.ranked.index].head(5) if len(sweep.complete) else sweep.complete
    rows = rows[(rows["step"] >= 8) & rows["best_step"].notna()]
    return rows.assign(at=rows["best_step"] / rows["step"])


def best_last(case: Case) -> Flag | None:
    sweep = case.sweep
    rows = _bests(sweep)
    late = rows[rows["at"] > 1 - limit("best_late")]
    if len(rows) < 3 or len(late) < most(len(rows)):
        return None
    gains = []
    for trial in late["number"]:
        values = value_of(sweep.curve(trial), sweep)
        values = values[np.isfinite(values)]
        cut = int(np.ceil((1 - limit("best_late")) * len(values)))
        if len(values) >= 8 and values.max() > values[0]:
            gains.append((values.max() - values[:cut].max()) / (values.max() - values[0]))
    if not gains or np.median(gains) < limit("late_gain"):
        return None
    return Flag(
        "best_last",
        "warning",
        case.where,
        "The best epoch is among the last: training stops too soon",
        f"{len(late)} of the best {count(len(rows), 'trial')} were best in the last quarter of their "
        f"{number(rows['step'].median())} epochs, and that "
        f"quarter still brought {100 * np.median(gains):.0f} % of all that training gained.",
        "The trainings are cut off while they still improve.",
        "Train longer (more epochs), and tune the schedule anew for that length.",
        ("best_late", "late_gain"),
        asks="longer",
    )


def best_early(case: Case) -> Flag | None:
    rows = _bests(case.sweep)
    early = rows[rows["best_step"] <= np.maximum(limit("best_early") * rows["step"], 1)]
    if len(rows) < 3 or len(early) < most(len(rows)):
        return None
    return Flag(
        "best_early",
        "warning",
        case.where,
        "The best epoch comes very early",
        f"{len(early)} of the best {count(len(rows), 'trial')} were best in the first tenth of their "
        f"{number(rows['step'].median())} epochs "
        f"(median: epoch {number(early['best_step'].median())}).",
        "The learning rate is so high that training does harm after the first epochs, or the model overfits at once.",
        "Lower the learning rate, regularise more, or train for fewer epochs.",
        ("best_early",),
    )


def slow(case: Case) -> Flag | None:
    needed, lengths = [], []
    for curve in best_five(case.sweep):
        values = value_of(curve, case.sweep)
        values = np.maximum.accumulate(values[np.isfinite(values)])
        if len(values) < 8 or values[-1] <= values[0]:
            continue
        reached = int(np.argmax(values >= values[0] + 0.9 * (values[-1] - values[0]))) + 1
        needed.append(reached / len(values))
        lengths.append(len(values))
    if len(needed) < 2 or float(np.median(needed)) <= limit("slow"):
        return None
    return Flag(
        "slow",
        "hint",
        case.where,
        "The best trials converge slowly",
        f"The best {count(len(needed), 'trial')} need {100 * float(np.median(needed)):.0f} % of their "
        f"{number(np.median(lengths))} epochs to make nine tenths "
        "of their gain.",
        "The learning rate is low, the warm-up long, or the schedule decays late.",
        "Try a higher learning rate with warm-up, a one-cycle schedule, normalisation layers, or momentum.",
        ("slow",),
    )
