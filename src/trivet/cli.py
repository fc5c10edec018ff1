"""Look at a sweep from outside, while it runs or afterwards; ask for advice before.

trivet advise                            # which strategy, how long, at what price, and when not to tune
trivet status sweeps/search-1a2b3c4d     # how far it is
trivet top sweeps/search-1a2b3c4d        # its best trials
trivet report sweeps/search-1a2b3c4d     # a report of it, as Markdown and HTML
trivet dashboard sweeps/search-1a2b3c4d  # the command that opens it in optuna-dashboard
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trivet.errors import UserError, exit_code


def _open(folder: Path) -> Any:
    """The study in a sweep's folder, to read from: its spec is rebuilt from study.yaml."""
    from trivet import space
    from trivet.search import sampling
    from trivet.search.stopping import StopRules
    from trivet.study import tables
    from trivet.study.records import StudySpec
    from trivet.study.storage import JOURNAL
    from trivet.study.study import Study

    meta = tables.load_study(folder)
    if meta["storage"] is None and not (folder / JOURNAL).exists():
        raise UserError(f"{folder}: holds a finished sweep's tables only; status and top need the folder that the sweep ran in")
    params = tuple(space.Param(p["key"], space.parse(p["spec"], p["key"]), tuple(p["when"].items())) for p in meta["space"])
    sampler = dict(meta["sampler"])
    spec = StudySpec(
        name=meta["name"],
        folder=str(folder),
        directions=tuple(meta["directions"]),
        params=params,
        sampler=sampling.SamplerSpec(sampler.pop("name"), sampler),
        pruner=meta["pruner"],
        seed=meta["seed"],
        stop=StopRules(n_trials=meta["n_trials"]),
        lag=meta["lag"],
        storage=meta["storage"],
    )
    return Study.view(spec)


def _status(folder: Path) -> None:
    from rich.console import Console

    from trivet.study import tables
    from trivet.sweep.progress import State

    study, meta = _open(folder), tables.load_study(folder)
    state = State(study)
    console = Console(highlight=False)
    over = f"ended ({meta['stopped_by']})" if meta["stopped_by"] else "not ended"
    console.print(f"{meta['name']}: {over}, begun {meta['started']}", markup=False)
    console.print(state.line(), markup=False)
    console.print(state.best_line(), markup=False, soft_wrap=True)
    for number, worker, step in state.running:
        console.print(f"  trial {number} on {worker}, at step {step}", markup=False)
    for trial in [t for t in state.trials if t.state == "FAIL"][-5:]:
        console.print(f"  trial {trial.number} failed: {trial.reason}", markup=False)


def _top(folder: Path, n: int) -> None:
    from rich.console import Console

    from trivet.sweep.progress import top_table

    study = _open(folder)
    Console(width=None if sys.stdout.isatty() else 160).print(top_table(study.finished(), study.spec.directions, n))


def _dashboard(folder: Path) -> None:
    from trivet.study import tables
    from trivet.study.storage import JOURNAL

    if tables.load_study(folder)["storage"] is None:
        print(f"optuna-dashboard {shlex.quote(str(folder / JOURNAL))}")
    else:  # which reads the URL, and any password, where it is kept
        print(f"python -m trivet.study.dashboard {shlex.quote(str(folder))}")


def _report(folder: Path, out: Path | None) -> None:
    from trivet.reporting.build import build_sweep

    try:
        print(build_sweep(folder, out))
    except ModuleNotFoundError as error:
        raise UserError(f"report: needs {error.name}; install trivet[report]") from None


def _advise(words: Sequence[str]) -> int:
    from trivet.phases import asking

    return asking.main(words)


OWN_WORDS = {"advise": ("which strategy, how long, at what price, and when not to tune", _advise)}
"""Subcommands that read their own words: what each does, and the call."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 with one line on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in OWN_WORDS:
        return exit_code(lambda: OWN_WORDS[words[0]][1](words[1:]))
    parser = argparse.ArgumentParser(prog="trivet", description="Look at a sweep, while it runs or afterwards.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (text, _) in OWN_WORDS.items():
        commands.add_parser(name, help=text, add_help=False)
    for name, text in {
        "status": "how far a sweep is",
        "top": "its best trials",
        "report": "a report of it, as Markdown and HTML",
        "dashboard": "the command that opens it in optuna-dashboard",
    }.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("folder", type=Path, help="the sweep's folder, which the sweep printed")
        if name == "top":
            command.add_argument("-n", type=int, default=5, help="how many")
        if name == "report":
            command.add_argument("--out", type=Path, default=None, help="where to; default: report/ in the sweep's folder")
    arguments = parser.parse_args(words)
    try:
        match arguments.command:
            case "status":
                _status(arguments.folder)
            case "top":
                _top(arguments.folder, arguments.n)
            case "dashboard":
                _dashboard(arguments.folder)
            case "report":
                _report(arguments.folder, arguments.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
