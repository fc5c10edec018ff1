"""Failed trials once more: a new study that takes over what an earlier one has, and trains only what failed there.

The new study is a function of the earlier one's table: the trials keep their numbers, those that ended are copied, those that failed are
run again with the same parameters, and all later ones are sampled knowing both. So it is reproducible, and the earlier study stays.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trivet import stopped
from trivet.search import replicates
from trivet.search.weights import OBJECTIVES
from trivet.study import constrained, identity, tables
from trivet.study.copies import Copied
from trivet.study.records import State, ended
from trivet.sweep.identifying import Search

log = logging.getLogger("trivet")
MAY_DIFFER = {"code", "env_set", "retried"}
"""Parts of an identity that the mend of a bug changes."""
FILE = "retry.json"


def retried(search: Search, parts: Mapping[str, Any], shown: Mapping[str, Any], folders: Sequence[Path]) -> tuple[Search, dict[str, Any]]:
    """The search and identity of a sweep that runs failed trials again; unchanged where there is nothing to retry or continue.

    `folders` may hold studies of this sweep, and `shown` is the identity as they would store it. A trial that diverged has told something
    of its parameters: it is not run again.
    """
    found = [(folder, study) for folder in folders if _same(study := tables.load_study(folder), shown)]
    if not found:
        return search, dict(parts)
    folder, study = max(found, key=lambda pair: (pair[0] / "study.yaml").stat().st_mtime)
    same_code = all(study["identity"].get(key) == shown.get(key) for key in MAY_DIFFER - {"retried"})
    rows = _rows(folder)
    failed = [row["number"] for row in rows if _to_retry(row)]
    again = study["identity"].get("retried")
    if same_code and (not failed or (again is not None and len(rows) < search.stop.n_trials)):
        trials = tuple(json.loads((folder / FILE).read_text())) if again is not None else search.trials
        return replace(search, trials=trials), {**parts, "retried": again}
    if not failed:
        return search, dict(parts)
    trials = _trials(search, folder, rows)
    log.info(f"retry: trials {', '.join(failed[:8])}{' ...' if len(failed) > 8 else ''} of {folder} run again; the others are taken over")
    again = {"of": str(study["fingerprint"])[:16], "trials": identity.fingerprint({"trials": trials})[:16]}
    return replace(search, trials=trials), {**parts, "retried": again}


def siblings(folder: Path) -> list[Path]:
    """The folders of studies that one sweep's command has made: `folder`, and those with a fingerprint after its name."""
    pattern = re.compile(re.escape(folder.name) + r"(-[0-9a-f]{8})?")
    there = sorted(folder.parent.iterdir()) if folder.parent.is_dir() else []
    return [path for path in there if pattern.fullmatch(path.name) and (path / "study.yaml").exists()]


def write(folder: Path, search: Search) -> None:
    """Keep the trials that were taken over, for the command that continues."""
    if not (folder / FILE).exists():
        tables.write_text(folder / FILE, json.dumps(search.trials))


def _same(study: Mapping[str, Any], parts: Mapping[str, Any]) -> bool:
    old = study.get("identity") or {}
    return {key.partition(".")[0] for key in identity.differences(old, parts)} <= MAY_DIFFER


def _to_retry(row: Mapping[str, str]) -> bool:
    return row["state"] == "FAIL" and not row["reason"].startswith("diverged")


def _rows(folder: Path) -> list[dict[str, str]]:
    """The rows of trials.csv from number 0 on, up to the first that is missing."""
    rows = tables.read_csv(folder / "trials.csv") if (folder / "trials.csv").exists() else []
    return [row for i, row in enumerate(rows) if row["number"] == str(i)]


def _trials(search: Search, folder: Path, rows: Sequence[Mapping[str, str]]) -> tuple[dict[str, Any], ...]:
    """The earlier study's trials as trials given outright: to be copied, or to be run."""
    curves = _curves(folder)
    columns = tables.constrained_columns(search.constraints, search.where.params)
    trials: list[dict[str, Any]] = []
    for i, row in enumerate(rows):
        given = dict(search.trials[i]) if i < len(search.trials) else {"params": _params(search, row), "overrides": None}
        given = {key: value for key, value in given.items() if key != "kept"}
        if not _to_retry(row):
            steps, metrics = curves.get(row["number"], ([], None))
            values = [float(row[c]) for c in row if re.fullmatch(r"value(_\d+)?", c) and row[c]]
            state, reason = _ended(row, bool(values))
            held = constrained.given([float(row[c]) if row[c] else None for c in columns])
            runs = [float(row[c]) if row.get(c) else None for c in search.replicates.columns()[2:]] if search.replicates else []
            held |= replicates.given(runs)
            parts = [row[c] for c in row if re.fullmatch(r"objective_\d+", c)] if search.weights is not None else []
            held |= {OBJECTIVES: [float(part) for part in parts]} if parts and all(parts) else {}
            given["kept"] = Copied(state, tuple(values), reason, tuple(steps), metrics, held).as_dict()
        trials.append(given)
    return (*trials, *map(dict, search.trials[len(rows) :]))


def _ended(row: Mapping[str, str], has_value: bool) -> tuple[State, str]:
    """How the trial of a row ended, and why, before constraints were looked at."""
    if row["state"] != "INFEASIBLE":
        return ended(row["state"]), row["reason"]
    early = stopped.was_stopped(row["state"], row["reason"]) or not has_value
    return "PRUNED" if early else "COMPLETE", stopped.other_reason(row["reason"])


def _params(search: Search, row: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for param in search.where.params:
        if param.active(chosen):
            value = tables.from_cell(param.spec, row[param.key.lstrip("+")])
            chosen[param.key] = value
            values[param.name] = value
    return values


def _curves(folder: Path) -> dict[str, tuple[list[tuple[int, float]], dict[str, Any] | None]]:
    """Number -> its curve, and its metrics as a study stores them."""
    found: dict[str, tuple[list[tuple[int, float]], dict[str, Any] | None]] = {}
    for row in tables.read_csv(folder / "curves.csv") if (folder / "curves.csv").exists() else []:
        columns = [c for c in row if c not in ("number", "step", "value")]
        steps, metrics = found.setdefault(row["number"], ([], {"columns": columns, "rows": []} if columns else None))
        steps.append((int(row["step"]), float(row["value"] or "nan")))
        if metrics is not None:
            metrics["rows"].append([int(row["step"]), *(float(row[c]) if row[c] else None for c in columns)])
    return found
