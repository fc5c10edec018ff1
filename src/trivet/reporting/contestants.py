"""What is compared: sweeps' folders, runs of the pipeline, or those of git revisions, each with a name and its searches in order."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from trivet.diagnosis.sweep import Sweep
from trivet.errors import UserError
from trivet.reporting import revisions
from trivet.reporting.sections.went import best_so_far
from trivet.reporting.tables import read_mapping, read_sweep

SEARCHES = ("coarse", "fine")


@dataclass
class Contestant:
    """One side of a comparison. searches: in the order in which they ran; none where only `metrics` (of the committed report) are known.

    missing: a sentence for each table that is not to be had.
    """

    label: str
    searches: list[Sweep] = field(default_factory=list)
    metrics: dict | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def last(self) -> Sweep:
        return self.searches[-1]

    @property
    def best(self) -> tuple[Sweep, pd.Series] | None:
        """The search and row of its best completed trial."""
        rows = [(sweep, sweep.best) for sweep in self.searches if sweep.best is not None]
        return max(rows, key=lambda pair: pair[0].score[pair[1].name], default=None)

    @property
    def method(self) -> str:
        """How it searched: sampler, pruner and seed, as its study says."""
        study = self.last.study
        names = [
            (study.get(part) or {}).get("name") if isinstance(study.get(part), dict) else study.get(part) for part in ("sampler", "pruner")
        ]
        parts = [str(names[0] or "not known"), f"pruner {names[1] or 'none'}"]
        return ", ".join([*parts, f"seed {study['seed']}"] if study.get("seed") is not None else parts)

    def course(self) -> pd.DataFrame:
        """Per trial, over all its searches: trials, epochs and seconds (of training, divided by the workers) spent so far, and the best."""
        parts, before, spent = [], -np.inf, {"trials": 0.0, "epochs": 0.0, "seconds": 0.0}
        for sweep in self.searches:
            table = best_so_far(sweep, before)
            seconds = sweep.trials["seconds"].fillna(0).cumsum() / sweep.jobs
            part = pd.DataFrame(
                {"trials": np.arange(1, len(table) + 1), "epochs": table["epochs"], "seconds": seconds, "best": table["best"]}
            )
            for name in spent:
                part[name] = part[name].astype(float) + spent[name]
                spent[name] = float(part[name].iloc[-1]) if len(part) else spent[name]
            before = max(before, sweep.score[sweep.best.name] if sweep.best is not None else -np.inf)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def best_at(self, unit: str, cost: float) -> float:
        """The best value by the time that so many trials, epochs or seconds were spent; NaN before the first."""
        course = self.course()
        known = course[(course[unit] <= cost * (1 + 1e-9)) & course["best"].notna()]
        return float(known["best"].iloc[-1]) if len(known) else float("nan")


def read(words: list[str], root: Path) -> list[Contestant]:
    """Each word: a folder with trials.csv, one that holds a run of the pipeline (results/, or its parent), or a git revision.

    UserError where one is none of these, where nothing at all is known of one, and where they had other objectives.
    """
    if len(words) < 2:
        raise UserError("compare: needs two or more sweeps' folders or git revisions")
    doubled = next((word for word in words if words.count(word) > 1), None)
    if doubled is not None:
        raise UserError(f"compare: {doubled} is named twice; name different searches")
    found = [_read(word, root) for word in words]
    known = [one for one in found if one.searches]
    for one in known[1:]:
        for what, values in (
            ("direction", [side.last.directions for side in (one, known[0])]),
            ("objective", [side.last.study.get("metric") for side in (one, known[0])]),  # None: the study does not say
        ):
            mine, theirs = values
            if mine != theirs and None not in values:
                raise UserError(
                    f"{one.label}: its {what} is {_words(mine)}, that of {known[0].label} is {_words(theirs)}; they cannot be compared"
                )
    return found


def _words(value: object) -> str:
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)


def _read(word: str, root: Path) -> Contestant:
    folder = root / word
    if (folder / "trials.csv").is_file():
        return Contestant(word, [read_sweep(folder)])
    results = folder if any((folder / name / "trials.csv").is_file() for name in SEARCHES) else folder / "results"
    searches = _searches(results)
    if searches:
        return Contestant(word, searches, _metrics(results.parent))
    commit = revisions.commit_of(word, root)
    if commit is None:
        what = "holds no trials.csv" if folder.exists() else "is neither a folder here nor a git revision"
        raise UserError(f"{word}: {what}; name a finished sweep's folder, or a revision of this repository")
    into = Path(tempfile.mkdtemp(prefix="trivet-compare-"))
    try:
        missing = revisions.extract(commit, root, into)
        one = Contestant(f"{word} ({commit[:7]})", _searches(into / "results"), _metrics(into), missing)
    finally:
        shutil.rmtree(into)
    if not one.searches and one.metrics is None:
        raise UserError(f"{one.label}: {'; '.join(missing)}; nor has it reports/metrics.json")
    return one


def _searches(results: Path) -> list[Sweep]:
    return [read_sweep(results / name, name) for name in SEARCHES if (results / name / "trials.csv").is_file()]


def _metrics(root: Path) -> dict | None:
    found = read_mapping(root / revisions.METRICS)  # JSON is YAML
    return found if found and isinstance(found.get("coarse", found.get("fine")), dict) else None
