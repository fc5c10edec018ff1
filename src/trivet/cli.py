"""Tune an app in three phases, look at sweeps, and ask for advice.

trivet advise                            # which strategy, how long, at what price, and when not to tune
trivet compare <folder> <folder>         # searches side by side; or runs of the pipeline by git revision: trivet compare HEAD~3 HEAD
trivet init                              # make this repository's Hydra app one that trivet tunes
trivet run                               # the stages of dvc.yaml, without DVC
trivet check | narrow | finalists | test # one stage's work (dvc.yaml and `trivet run` call them)
trivet audit results/coarse              # was pruning right? trains a sample of the pruned trials to their end
trivet ablation                          # which of the changes from the default to the winner brought the gain
trivet report results                    # the report of all phases; or of one sweep's folder

trivet status sweeps/search-1a2b3c4d     # how far a sweep is, while it runs or afterwards
trivet top sweeps/search-1a2b3c4d        # its best trials
trivet watch sweeps/search-1a2b3c4d      # its report as a page, refreshed as trials end, for this machine alone
trivet dashboard sweeps/search-1a2b3c4d  # the command that opens it in optuna-dashboard
"""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trivet.arguments import Parser
from trivet.errors import UserError, exit_code


def _open(folder: Path) -> Any:
    """The study in a sweep's folder, to read from: its spec is rebuilt from study.yaml."""
    from trivet import space
    from trivet.search import samplers
    from trivet.search.stopping import StopRules
    from trivet.study import tables
    from trivet.study.records import StudySpec
    from trivet.study.storage import JOURNAL
    from trivet.study.view import View

    needed = ("name", "directions", "space", "sampler", "pruner", "seed", "n_trials", "lag", "storage")
    meta = tables.load_study(folder, needed)
    if meta["storage"] is None and not (folder / JOURNAL).exists():
        raise UserError(f"{folder}: holds a finished sweep's tables only; status and top need the folder that the sweep ran in")
    params = tuple(space.Param(p["key"], space.parse(p["spec"], p["key"]), tuple((p.get("when") or {}).items())) for p in meta["space"])
    sampler = dict(meta["sampler"])
    spec = StudySpec(
        name=meta["name"],
        folder=str(folder),
        directions=tuple(meta["directions"]),
        params=params,
        sampler=samplers.SamplerSpec(sampler.pop("name"), sampler),
        pruner=meta["pruner"],
        seed=meta["seed"],
        stop=StopRules(n_trials=meta["n_trials"]),
        lag=meta["lag"],
        storage=meta["storage"],
    )
    return View(spec)


def _status(folder: Path) -> None:
    from rich.console import Console

    from trivet.study import tables
    from trivet.sweep.progress import State, say

    study, meta = _open(folder), tables.load_study(folder, ("stopped_by", "started"))
    state = State(study)
    console = Console(highlight=False)
    over = f"ended ({meta['stopped_by']})" if meta["stopped_by"] else "not ended"
    say(console, f"{meta['name']}: {over}, begun {meta['started']}")
    say(console, state.line())
    say(console, state.best_line())
    for number, worker, step in state.running:
        say(console, f"  trial {number} on {worker}, at step {step}")
    for trial in [t for t in state.trials if t.state == "FAIL"][-5:]:
        say(console, f"  trial {trial.number} failed: {trial.reason}")


def _top(folder: Path, n: int) -> None:
    from rich.console import Console

    from trivet.sweep.progress import top_table

    if n < 1:
        raise UserError(f"-n={n}: must be >= 1")
    study = _open(folder)
    Console(width=None if sys.stdout.isatty() else 160).print(top_table(study.finished(), study.spec.directions, n))


def _dashboard(folder: Path) -> None:
    from trivet.study import tables
    from trivet.study.storage import JOURNAL

    if tables.load_study(folder, ("storage",))["storage"] is None:
        print(f"optuna-dashboard {shlex.quote(str(folder / JOURNAL))}")
    else:  # which reads the URL, and any password, where it is kept
        print(f"python -m trivet.study.dashboard {shlex.quote(str(folder))}")


def _tables(folder: Path, into: Path) -> Path:
    """The folder that holds a sweep's tables: its own where it has ended or is no study, else one under `into`, written from what is stored
    of the trials so far (a sweep that runs or was killed has none)."""
    from trivet.study import tables
    from trivet.study.storage import JOURNAL

    if not (folder / "study.yaml").is_file():
        return folder
    meta = tables.load_study(folder)
    here = meta.get("storage") is not None or (folder / JOURNAL).exists()
    if not here or (meta.get("stopped_by") not in (None, "interrupted") and (folder / "trials.csv").is_file()):
        return folder
    target = into / (folder.resolve().name or "sweep")
    target.mkdir(parents=True, exist_ok=True)
    tables.write_tables(_open(folder), target, meta.get("overrides") or [])
    tables.write_text(target / "study.yaml", (folder / "study.yaml").read_text(encoding="utf-8"))
    return target


def _watch(folder: Path, port: int) -> None:
    from trivet.reporting import live
    from trivet.study import tables

    if not (folder / "trials.csv").is_file():
        tables.load_study(folder)  # a sweep that runs has this alone
    with tempfile.TemporaryDirectory(prefix="trivet-watch-") as into:
        live.watch(lambda: _tables(folder, Path(into)), port)


def _report(folder: Path, out: Path | None) -> None:
    from trivet.reporting import plain

    root = folder.resolve().parent
    phases = [name for name in ("coarse", "fine", "seeds") if (folder / name / "trials.csv").is_file()]
    if not phases and folder.resolve().name == "results" and not (folder / "trials.csv").is_file():
        raise UserError(f"{folder}: holds no search yet; `trivet run`, or `dvc repro`, makes one")
    if phases and folder.resolve().name == "results":
        print(f"report: {_pipeline_report(root, phases, out or root / 'reports')}")
    else:
        with tempfile.TemporaryDirectory(prefix="trivet-report-") as into:
            print(_sweep_report(_tables(folder, Path(into)), out if out is not None else folder / "report"))
    if (lacking := plain.why()) is not None:
        print(f"note: {lacking}", file=sys.stderr)


def _pipeline_report(root: Path, phases: Sequence[str], out: Path) -> Path:
    from trivet.reporting import plain

    if plain.lacking(plain.TABLES):
        return plain.build({name.capitalize(): root / "results" / name for name in phases}, out, "summary.md", "Tuning report")
    from trivet.reporting.build import build_pipeline

    return build_pipeline(root, out)


def _sweep_report(folder: Path, out: Path) -> Path:
    from trivet.reporting import plain

    if plain.lacking(plain.TABLES):
        return plain.build({"Trials": folder}, out, "report.md", f"Report of the sweep {folder.resolve().name}")
    from trivet.reporting.build import build_sweep

    return build_sweep(folder, out)


def _init(words: Sequence[str]) -> int:
    from trivet.phases import init

    parser = Parser(prog="trivet init", description="Make a Hydra app, or any program, one that trivet tunes.")
    parser.add_argument("--app", help="the script that trains, or its command")
    parser.add_argument("--command", help="of a program that is no Hydra app, with {placeholders}: 'python train.py --lr {lr}'")
    parser.add_argument("--shell", action="store_true", help="hand the command to a shell; its values are quoted")
    parser.add_argument("--value", action="append", default=[], dest="values", metavar="KEY=VALUE", help="of a placeholder; repeatable")
    parser.add_argument("--step", metavar="REGEX", help="finds the step (an epoch) in what a command prints")
    metric = "a name for what it returns and reports, such as val/acc; of a command a regular expression, repeatable, the objective first"
    parser.add_argument("--metric", action="append", default=[], dest="metrics", help=metric)
    parser.add_argument("--direction", choices=("maximize", "minimize"))
    parser.add_argument("--seed-key", help="the key of its config that seeds a training; null: there is none")
    parser.add_argument("--epochs-key", help="the key of its config that says how long a training is; null: there is none")
    parser.add_argument("--range", action="append", default=[], dest="ranges", metavar="KEY=RANGE", help="what is searched; repeatable")
    parser.add_argument("--smoke", action="append", default=[], metavar="OVERRIDE", help="makes a run short, for the check; repeatable")
    parser.add_argument("--data", action="append", default=[], metavar="PATH", help="a file or folder that decides results; repeatable")
    parser.add_argument("--override", action="append", default=[], dest="overrides", help="holds in every training; repeatable")
    parser.add_argument("--keep", metavar="FILE", help="in a trial's folder: the checkpoint that the test command evaluates")
    parser.add_argument("--test", metavar="COMMAND", help="evaluates {model} on test data and prints the metric last")
    parser.add_argument("--test-metric", metavar="REGEX", help="finds the metric in what the test command prints")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    return init.main(init.Answers(**vars(parser.parse_args(words))))


def _run(words: Sequence[str]) -> int:
    from trivet.phases import runner

    parser = Parser(prog="trivet run", description="Run the stages that a change reaches, as dvc repro does.")
    parser.add_argument("stage", nargs="?", help="as far as this one; default: all")
    parser.add_argument("--accept", metavar="STAGE", help="take what this stage wrote, edited by hand, for its result; runs nothing")
    given = parser.parse_args(words)
    if given.accept is None and given.stage not in ("check", "coarse", "narrow", "fine"):
        _warn_of_libraries()
    return runner.run(Path(), given.stage, given.accept)


def _warn_of_libraries() -> None:
    """Before hours of searching, what the stages after it will want."""
    from trivet.reporting import plain

    if lacking := plain.lacking(plain.TABLES):
        print(
            f"note: finalists and report need {', '.join(lacking)}: pip install 'trivet[report]' before they are reached", file=sys.stderr
        )
    elif (why := plain.why()) is not None:
        print(f"note: report: {why}", file=sys.stderr)


def _params(words: Sequence[str]) -> None:
    from trivet.phases import params

    parser = Parser(prog="trivet params", description="Are the knobs what they must be? DVC puts them into a shell.")
    parser.add_argument("file", nargs="?", type=Path, default=Path("params.yaml"))
    path = parser.parse_args(words).file
    params.main(path, lambda content: params.check_knobs(content, str(path)))


def _check(words: Sequence[str]) -> int:
    from trivet.phases import app_check

    parser = Parser(prog="trivet check", description="Is the search worth starting?")
    parser.add_argument("--n-trials", type=int, default=50, help="of the search that is planned")
    return app_check.main(parser.parse_args(words).n_trials)


def _stage(name: str) -> Callable[[Sequence[str]], int | None]:
    def main(words: Sequence[str]) -> int | None:
        return importlib.import_module(f"trivet.phases.{name}").main(list(words))

    return main


def _test(words: Sequence[str]) -> None:
    from trivet.phases import app_test

    Parser(prog="trivet test", description="Evaluate the winner and the default on test data.").parse_args(words)
    app_test.main()


def _advise(words: Sequence[str]) -> int:
    from trivet.phases import asking

    return asking.main(words)


def _compare(words: Sequence[str]) -> None:
    from trivet.reporting.comparing import compare

    parser = Parser(prog="trivet compare", description="Searches side by side, as Markdown, HTML and figures.")
    parser.add_argument("which", nargs="+", metavar="FOLDER | REVISION", help="a sweep's folder, a run of the pipeline, or a git revision")
    parser.add_argument("--out", type=Path, default=Path("comparison"), help="where to; default: comparison/")
    given = parser.parse_args(words)
    page, told = compare(given.which, given.out)
    print("\n".join([*told, f"comparison: {page}"]))


OWN_WORDS: dict[str, tuple[str, Callable[[Sequence[str]], int | None]]] = {
    "advise": ("which strategy, how long, at what price, and when not to tune", _advise),
    "compare": ("searches side by side, by folder or git revision", _compare),
    "init": ("make this repository's Hydra app one that trivet tunes", _init),
    "run": ("the stages of dvc.yaml, without DVC", _run),
    "params": ("are the knobs of params.yaml what they must be?", _params),
    "check": ("is the search worth starting?", _check),
    "narrow": ("from the coarse table to the fine space", _stage("narrow")),
    "finalists": ("the best configurations and the default, with fresh seeds", _stage("selection")),
    "test": ("the winner and the default on test data", _test),
    "audit": ("train a sample of the pruned trials to their end", _stage("audit")),
    "ablation": ("which of the changes from the default to the winner brought the gain", _stage("ablation")),
    "nested": ("nested cross-validation: what the search itself promises", _stage("nested")),
}
"""Subcommands that read their own words: what each does, and the call."""
LOOKS = {
    "status": "how far a sweep is",
    "top": "its best trials",
    "report": "a report of it, or of all phases (results), as Markdown and HTML",
    "watch": "its report as a page while it runs, for this machine alone",
    "dashboard": "the command that opens it in optuna-dashboard",
}


EXTRAS = {"psycopg2": "postgres", "cmaes": "samplers", "mlflow": "mlflow", "tensorboard": "tensorboard", "torch": "pipeline"}
"""Which extra brings a library that is missing; most are the report's."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 with one line on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return exit_code(lambda: OWN_WORDS[words[0]][1](words[1:]) if words and words[0] in OWN_WORDS else _look(words))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "trivet":
            raise
        library = error.name.partition(".")[0]
        print(f"error: {words[0]}: needs {library}; pip install 'trivet[{EXTRAS.get(library, 'report')}]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command continues", file=sys.stderr)
        return 130


def _look(words: Sequence[str]) -> None:
    parser = Parser(prog="trivet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (text, _) in OWN_WORDS.items():
        commands.add_parser(name, help=text, add_help=False)
    for name, text in LOOKS.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("folder", type=Path, help="the sweep's folder, which the sweep printed")
        if name == "top":
            command.add_argument("-n", type=int, default=5, help="how many")
        if name == "watch":
            command.add_argument("--port", type=int, default=0, help="where to serve; default: any free port")
        if name == "report":
            command.add_argument("--out", type=Path, default=None, help="where to; default: reports/, or report/ in the sweep's folder")
    arguments = parser.parse_args(words)
    match arguments.command:
        case "status":
            _status(arguments.folder)
        case "top":
            _top(arguments.folder, arguments.n)
        case "dashboard":
            _dashboard(arguments.folder)
        case "report":
            _report(arguments.folder, arguments.out)
        case "watch":
            _watch(arguments.folder, arguments.port)
