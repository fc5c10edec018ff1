"""check, for an app that trivet.yaml describes: runs the app itself at its default and at the ends of every range, each for a moment.

    trivet check --n-trials 50

The runs are an ordinary sweep (`+trivet=check`), so a value that kills its process, hangs or diverges is a row with its reason. Writes
results/check/check.yaml, and checked.yaml, which is the same each time. Warnings stop nothing; a value that cannot be trained at all is an
error, exit status 1.
"""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import trivet
from trivet import app as description
from trivet import secrets, space
from trivet.app import App
from trivet.errors import UserError
from trivet.phases import asking, discovery
from trivet.phases.estimate import clock, estimate, time_line, workers
from trivet.space.linting import Finding, lint
from trivet.space.probing import ends
from trivet.study import tables
from trivet.study.tables import write_yaml

TABLES = "sweeps/checked"


def command(app: App) -> list[str]:
    """The sweep that tries the ends."""
    given = [*app.listed_overrides, *app.smoke, *(["hydra.sweeper.pruner=null"] if app.smoke else [])]
    return [*app.words, "-m", "+trivet=check", "hydra/sweeper=trivet", *given, f"hydra.sweeper.publish={TABLES}"]


def attempts(params: Sequence[space.Param], rows: Sequence[Mapping[str, str]]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The rows of the sweep as rows of check.yaml: the default's (None where the app has none), and one for each end of each range."""
    tried = [(param, value) for param in params for value in ends(param.spec)]
    n_default = len(rows) - len(tried)
    found = [_row(param, value, row) for (param, value), row in zip(tried, rows[n_default:], strict=True)]
    return (_row(None, None, rows[0]) if n_default else None), found


def _row(param: space.Param | None, value: Any, row: Mapping[str, str]) -> dict[str, Any]:
    failed = row["state"] == "FAIL"
    result = "ok" if not failed else "warning" if row["reason"].startswith("diverged") else "error"
    known = {"key": param.key if param else "", "value": value, "when": dict(param.when) if param else {}}
    return {**known, "result": result, "message": row["reason"], "seconds": float(row["seconds"]) if row["seconds"] else None}


def kinds(params: Sequence[space.Param], defaults: Mapping[str, Any]) -> list[Finding]:
    """Ranges and options that are of another kind than the value that the config has."""
    findings = []
    for param in params:
        default = defaults.get(param.key)
        strange = [value for value in ends(param.spec) if not _alike(default, value)]
        if strange and param.active(defaults):
            why = f"the config has {space.value_text(default)}, and {space.to_text(param.spec)} gives {space.value_text(strange[0])}"
            whole = isinstance(default, int) and isinstance(param.spec, space.Float)
            mend = "write int(interval(...))" if whole else "write values of the kind that the config has"
            findings.append(Finding(param.key, why, mend))
    return findings


def _alike(default: Any, value: Any) -> bool:
    if default is None or value is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, int | float) and isinstance(value, int | float):
        return not (isinstance(default, int) and isinstance(value, float) and not value.is_integer())
    return isinstance(value, type(default)) or isinstance(default, type(value))


def steps(app: App, row: Mapping[str, str]) -> float:
    """How many steps (epochs) a run of the check trained, NaN where that cannot be told."""
    for override in app.smoke:
        key, _, value = override.partition("=")
        if key.lstrip("+") == (app.epochs_key or "").lstrip("+") and value.isdecimal() and int(value) > 0:
            return int(value)
    return math.nan if app.smoke or not row["step"] else float(row["step"])


def times(app: App, rows: Sequence[Mapping[str, str]], n_trials: int) -> dict[str, Any] | None:
    """The estimate of the coarse search; None where the app does not tell how long a training is. A run's start counts as training, so
    it is an upper bound."""
    full = None
    if app.epochs_key is not None:
        full = discovery.compose(" ".join([app.app, *map(shlex.quote, app.task_overrides)]), app.root).values.get(
            app.epochs_key.lstrip("+")
        )
    each = [float(row["seconds"]) / steps(app, row) for row in rows if row["state"] != "FAIL" and row["seconds"]]
    known = [seconds for seconds in each if not math.isnan(seconds)]
    if not isinstance(full, int) or not known:
        return None
    packaged = yaml.safe_load((Path(trivet.__file__).parent / "conf/trivet/coarse.yaml").read_text(encoding="utf-8"))
    return estimate(n_trials, full, known[0], known, workers("auto", 1, 1), packaged["hydra"]["sweeper"]["pruner"])


def main(n_trials: int, root: Path = Path()) -> int:
    """Run the stage; the exit status."""
    app = description.read(root)
    if not (root / app.space).is_file():
        raise UserError(f"{app.space}: there is none; write the ranges that are to be searched into it, or run trivet init")
    code = subprocess.run(command(app), cwd=root, stdout=subprocess.DEVNULL, check=False).returncode
    if code:
        print("error: the app's check did not run; see the line above", file=sys.stderr)
        return code if code > 0 else 1
    study, rows = tables.load_study(root / TABLES), tables.read_csv(root / TABLES / "trials.csv")
    params = [space.Param(p["key"], space.parse(p["spec"], p["key"]), tuple(p["when"].items())) for p in study["space"]]
    defaults = {name.partition(" [")[0]: value for name, value in (study["defaults"] or {}).items()}
    findings = [*lint(params, defaults, n_trials=n_trials), *kinds(params, defaults)]
    default, tried = attempts(params, rows)
    if default is not None and default["result"] == "error":
        raise UserError(f"the app fails at its default configuration: {default['message']} (try it: {_shown(app)})")
    reports = any(row["step"] for row in rows)
    if not reports:
        why = "the app never calls trivet.report, so no trial can be stopped early and no curve is drawn"
        findings.append(Finding("", why, "call trivet.report(value, epoch) after each epoch"))
    told = times(app, rows, n_trials)
    verdict, said = asking.of_check(params, told, root, reports=reports) if told else (None, [])
    print(secrets.lines("\n".join([*_lines(params, findings, tried, told, rows), *said])))
    fatal = [row for row in tried if row["result"] == "error"]
    if fatal:
        names = ", ".join(f"{row['key']}={row['value']}" for row in fatal)
        print(secrets.line(f"error: cannot be trained: {names}; take these values out of {app.space}"), file=sys.stderr)
        return 1
    _write(root / "results/check", params, findings, tried, {"estimate": told, "advice": verdict} if told else {})
    return 0


def _shown(app: App) -> str:
    return " ".join([app.app, *map(secrets.argument, app.smoke)])


def _lines(
    params: Sequence[space.Param],
    findings: Sequence[Finding],
    tried: Sequence[Mapping[str, Any]],
    told: Mapping[str, Any] | None,
    rows: Sequence[Mapping[str, str]],
) -> list[str]:
    bad = [row for row in tried if row["result"] != "ok"]
    lines = [f"space: {len(params)} parameters; {len(tried)} ends of ranges tried, {len(bad)} with a problem"]
    lines += [f"warning: {finding}" for finding in findings]
    lines += [f"{row['result']}: {row['key']}={row['value']}: {row['message']}" for row in bad]
    seconds = sum(float(row["seconds"]) for row in rows if row["seconds"])
    return [
        *lines,
        f"at most, as each run's start is counted as training: {time_line(told)}" if told else f"time: the check took {clock(seconds)}",
    ]


def _write(
    folder: Path,
    params: Sequence[space.Param],
    findings: Sequence[Finding],
    tried: Sequence[Mapping[str, Any]],
    more: Mapping[str, Any],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = [{"key": f.key, "message": f.message, "mend": f.mend} for f in findings]
    write_yaml(folder / "check.yaml", {"findings": found, "extremes": list(tried), **more})
    write_yaml(folder / "checked.yaml", {"space": {p.name: space.to_text(p.spec) for p in params}, "findings": found})
