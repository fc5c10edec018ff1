"""A published sweep as tables: what every check and every section of the report works on. Reads no file (reporting/tables.py does)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from trivet import space
from trivet.copied import is_copy
from trivet.stopped import was_stopped


@dataclass(frozen=True)
class Entry:
    """One line of a study's space: `spec` is what trivet.space.parse gives; `when` maps a group to the option that brings the range in."""

    key: str
    spec: space.Spec | space.Fixed
    when: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """As study.yaml names it among the defaults: the key, its condition in brackets."""
        return f"{self.key} [{','.join(f'{group}={option}' for group, option in self.when)}]" if self.when else self.key


@dataclass
class Sweep:
    """trials: one row per trial in number order; curves: one row per reported step. Cells of a parameter that was not active are NaN.

    Numeric parameter columns are float, all others are strings as written in the table. `objectives` are the value columns, `directions`
    has one of maximize|minimize for each. Where one number per trial is needed, the first objective counts.
    """

    name: str
    trials: pd.DataFrame
    curves: pd.DataFrame
    params: list[str]
    objectives: list[str]
    directions: list[str]
    space: list[Entry] = field(default_factory=list)
    study: dict = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether there are several objectives, so that no trial need be the best of all."""
        return len(self.objectives) > 1

    @cached_property
    def views(self) -> list[Sweep]:
        """The same search by each of its objectives as the first; curves are of the first alone."""
        rest = []
        for place in range(1, len(self.objectives)):
            names, ways = ([*part[place:], *part[:place]] for part in (self.objectives, self.directions))
            study = self.study | {"metric": [*self.names[place:], *self.names[:place]]}
            rest.append(Sweep(self.name, self.trials, self.curves.iloc[:0], self.params, names, ways, self.space, study))
        return [self, *rest]

    @property
    def maximize(self) -> bool:
        return self.directions[0] == "maximize"

    @property
    def metric(self) -> str:
        name = self.study.get("metric")
        if isinstance(name, (list, tuple)):
            name = name[0] if name else None
        return str(name) if name else self.objectives[0] if self.several else "objective"

    @property
    def names(self) -> list[str]:
        """What the objectives are called: the metrics of the study where it has one for each, else the columns."""
        known = self.study.get("metric")
        return [str(name) for name in known] if isinstance(known, list) and len(known) == len(self.objectives) else self.objectives

    @cached_property
    def score(self) -> pd.Series:
        """The first objective, signed so that greater is better; NaN where a trial has none."""
        values = self.trials[self.objectives[0]].to_numpy(dtype=float)
        values = np.where(np.isfinite(values), values, np.nan)
        return pd.Series(values if self.maximize else -values, index=self.trials.index)

    def value(self, score: float) -> float:
        """Back from a score to the objective as the user knows it."""
        return float(score if self.maximize else -score)

    @cached_property
    def complete(self) -> pd.DataFrame:
        """Trials that ran to their end with a finite value, in number order."""
        return self.trials[(self.trials["state"] == "COMPLETE") & self.score.notna()]

    @cached_property
    def finite(self) -> pd.DataFrame:
        """Complete and pruned trials that reported a finite value."""
        return self.trials[self.trials["state"].isin(["COMPLETE", "PRUNED"]) & self.score.notna()]

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """Complete trials, best first; of equals that with the lowest val/loss at its best step, then the earlier one.

        Pruned ones only where none completed.
        """
        rows = self.complete if len(self.complete) else self.finite
        keys = pd.DataFrame({"score": -self.score[rows.index], "loss": self._tie_loss(rows)}, index=rows.index)
        return rows.loc[keys.sort_values(["score", "loss"], kind="stable").index]

    def _tie_loss(self, rows: pd.DataFrame) -> np.ndarray:
        if "val/loss" not in self.curves or "best_step" not in rows:
            return np.full(len(rows), np.inf)
        losses = self.curves.drop_duplicates(["number", "step"]).set_index(["number", "step"])["val/loss"].astype(float)
        return losses.reindex(pd.MultiIndex.from_frame(rows[["number", "best_step"]])).fillna(np.inf).to_numpy()

    @property
    def best(self) -> pd.Series | None:
        return self.ranked.iloc[0] if len(self.ranked) else None

    @cached_property
    def in_play(self) -> float:
        """How many parameters a trial has on average: those of options that were not chosen do not count."""
        return max(float(self.trials[self.params].notna().sum(axis=1).mean()), 1.0) if len(self.trials) and self.params else 1.0

    def count(self, state: str) -> int:
        return int((self.trials["state"] == state).sum())

    @cached_property
    def full(self) -> int:
        """Epochs of a trial that is trained to the end: `epochs` of the base config, or the most that any trial took."""
        planned = (self.study.get("config") or {}).get("epochs")
        seen = self.trials["step"].max() if len(self.trials) else 0
        seen = 0 if pd.isna(seen) else int(seen)
        return int(planned) if isinstance(planned, int) and planned >= seen > 0 else seen

    @cached_property
    def copies(self) -> pd.Series:
        """Which trials are copies of earlier ones: nothing was trained for them."""
        return pd.Series(list(map(is_copy, self.trials["state"], self.trials["reason"])), index=self.trials.index, dtype=bool)

    @cached_property
    def begins(self) -> pd.Series:
        """The step after which each trial's own epochs began: that of the trial whose checkpoint it went on from, 0 elsewhere."""
        steps = self.trials["step"].astype(float).fillna(0.0)
        name = (self.study.get("sampler") or {}).get("name") if isinstance(self.study.get("sampler"), dict) else None
        if name == "pbt" and "parent" in self.trials:
            known = dict(zip(self.trials["number"].astype(str), steps, strict=True))
            return self.trials["parent"].map(lambda parent: known.get(str(parent), 0.0)).astype(float)
        return steps.shift(1, fill_value=0.0) if name == "replay" else steps * 0.0

    @cached_property
    def stopped(self) -> pd.Series:
        """Which trials a pruner stopped; those that broke a constraint besides are among them."""
        return pd.Series(list(map(was_stopped, self.trials["state"], self.trials["reason"])), index=self.trials.index, dtype=bool)

    @cached_property
    def spent(self) -> pd.Series:
        """Epochs that each trial trained, over its replicates where it has some: 0 where it reported none, and for a copy."""
        steps = self.trials["epochs" if "epochs" in self.trials else "step"].astype(float).fillna(0.0)
        return (steps - self.begins).clip(lower=0.0).where(~self.copies, 0.0)

    @property
    def epochs(self) -> int:
        """Epochs spent by all trials."""
        return int(self.spent.sum())

    @property
    def epochs_unpruned(self) -> int:
        """Epochs that the same trials would have taken had none been pruned."""
        each = self.full * (len(self.study["replicates"]["values"]) if "epochs" in self.trials else 1)
        return int(self.spent.where(~self.stopped | self.copies, each).sum())

    @property
    def planned(self) -> int:
        """Trials that were to be run: n_trials of the study, or as many as there are."""
        planned = self.study.get("n_trials")
        return int(planned) if isinstance(planned, int) else len(self.trials)

    @property
    def unended(self) -> bool:
        """Whether the study says that it has not ended: it runs, or was interrupted or killed, before its last planned trial."""
        ended = self.study.get("stopped_by", "unsaid")
        return ended in (None, "interrupted") and len(self.trials) < self.planned

    @property
    def wall(self) -> float:
        """Wall seconds of the study; where it does not say, the seconds of its trials one after the other."""
        seconds = self.study.get("seconds")
        return float(seconds) if isinstance(seconds, (int, float)) else float(np.nansum(self.trials["seconds"].to_numpy(dtype=float)))

    @property
    def jobs(self) -> int:
        """Workers: n_jobs of the study, or as many as the table names."""
        n = self.study.get("n_jobs")
        return n if isinstance(n, int) and n > 0 else max(int(self.trials["worker"].replace("", np.nan).nunique()), 1)

    @cached_property
    def default_number(self) -> int | None:
        """The number of the trial that ran the default configuration, if its values say so (trial 0 by convention)."""
        defaults = {name.partition(" [")[0]: value for name, value in (self.study.get("defaults") or {}).items()}
        if not len(self.trials) or not defaults or int(self.trials["number"].iloc[0]) != 0:
            return None
        row = self.trials.iloc[0]
        known = [key for key in self.params if not pd.isna(row[key])]
        return 0 if known and all(key in defaults and same(row[key], defaults[key]) for key in known) else None

    def active(self, key: str) -> list[Entry]:
        return [entry for entry in self.space if entry.key == key]

    def entry(self, key: str, row: pd.Series) -> Entry | None:
        """The line of the space that `row` drew its `key` from; None where the study says nothing of it or the value is empty."""
        if key not in row or pd.isna(row[key]):
            return None
        for entry in self.active(key):
            if all(group not in row or same(row[group], option) for group, option in entry.when):
                return entry
        return None

    def drawn(self, entry: Entry) -> pd.Series:
        """Which trials drew their value from this line of the space."""
        return drawn_from(self.trials, entry)

    def curve(self, number: int) -> pd.DataFrame:
        """The steps of one trial, in order; empty where it reported none."""
        at = self._curve_index.get(int(number))
        return self.curves.iloc[at] if at is not None else self.curves.iloc[:0]

    @cached_property
    def _curve_index(self) -> dict[int, np.ndarray]:
        return dict(self.curves.groupby("number", sort=True).indices) if len(self.curves) else {}


def drawn_from(frame: pd.DataFrame, entry: Entry) -> pd.Series:
    """Which configurations drew their value from this line of the space; a group that the table does not hold was not searched."""
    mask = frame[entry.key].notna()
    for group, option in entry.when:
        if group in frame:
            mask = mask & frame[group].map(lambda cell, option=option: same(cell, option)).astype(bool)
    return mask


def same(cell: Any, value: Any) -> bool:
    """Whether a table's cell holds this configuration value: numbers by value, null and booleans as YAML writes them."""
    if value is None:
        return str(cell).lower() in ("null", "none")
    if isinstance(value, bool):
        return str(cell).lower() == str(value).lower() or (not isinstance(cell, str) and float(cell) == float(value))
    try:
        one, other = float(cell), float(value)
        return one == other or abs(one - other) <= 1e-9 * abs(other) < math.inf
    except (TypeError, ValueError):
        return str(cell) == str(value)


def multiplicative(key: str) -> bool:
    """Whether a parameter by this name acts by its factor, not its difference: learning rates, weight decay, epsilons."""
    last = key.lower().rsplit(".", 1)[-1]
    return is_lr(key) or last in ("weight_decay", "wd", "eps", "epsilon", "l1", "l2", "lambda", "alpha_l2", "learning_rate_decay")


def is_lr(key: str) -> bool:
    last = key.lower().rsplit(".", 1)[-1]
    return last in ("lr", "learning_rate", "max_lr", "base_lr", "learningrate", "eta")


def is_batch_size(key: str) -> bool:
    return key.lower().rsplit(".", 1)[-1] in ("batch_size", "batchsize", "bs")


def find(keys: list[str], test) -> str | None:
    """The shortest key for which `test` holds (the least nested one), or None."""
    return min((key for key in keys if test(key)), key=len, default=None)
