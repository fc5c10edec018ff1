"""nested: what does the search itself promise? Nested cross-validation: the search once inside each outer fold, judged on that fold.

    trivet nested --outer 5 -- python src/train.py -m hparams=search +replicates=folds hydra.sweeper.n_trials=20
    trivet nested --outer 3 --inner 'outer={fold}' --test 'fold={fold}' -- python app.py -m +trivet=search n_folds=3

The best value of a search is optimistic: it is the greatest of many. Here the search never sees the fold that its result is judged on
(Varma and Simon 2006; Cawley and Talbot 2010), so the mean over the outer folds is an honest estimate of what such a search brings.

Each search runs with the overrides `--inner`, {fold} and {folds} filled in; then its best configuration is trained once with the overrides
`--test`, which validate on that fold, and judged at the step that the search found best on average (the last one where no steps were
reported): that epoch is not chosen on the fold either. The same command again continues what was killed. The outcome is <out>/nested.yaml.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trivet.app import HOW_TO_SEARCH
from trivet.arguments import Parser
from trivet.errors import UserError
from trivet.study import tables
from trivet.studyfile import tables_of_runs

INNER = "+data.outer_folds={folds} +data.outer_fold={fold}"
TEST = "data.folds={folds} data.fold={fold}"
LISTED = (
    *("params=null", "params_file=null", "search_space=null", "custom_search_space=null", "config_space=false", "pruner=null"),
    *("replicates=null", "constraints={}", "warm_start=[]", "stop={}", "n_trials=null", "study_name=nested"),
)
"""Settings of the sweep that trains each winner once, to its end."""
ASIDE = ("replicates=", "pruner=", "hydra.sweeper.replicates", "hydra.sweeper.publish", "hydra.sweeper.study_name", "hydra.sweeper.stop")
"""Words of a search's command, besides those that say how it searches, that say nothing of its trainings."""


def filled(template: str, folds: int, fold: int) -> list[str]:
    """The overrides of a fold. Raises `UserError` where the template names no fold: each would be the same."""
    if "{fold}" not in template:
        raise UserError(f"{template!r}: names no {{fold}}, so all folds would be one; write it where its number belongs")
    return [word.replace("{folds}", str(folds)).replace("{fold}", str(fold)) for word in shlex.split(template)]


def searching(command: Sequence[str], template: str, folds: int, fold: int, out: Path) -> list[str]:
    """The search inside an outer fold."""
    return [*command, *filled(template, folds, fold), f"hydra.sweeper.publish={out / 'inner' / str(fold)}"]


def judging(command: Sequence[str], searched: Collection[str], out: Path) -> list[str]:
    """The sweep that trains every fold's winner: the search's command without its ranges, and without how it searched."""
    kept = [word for word in command if not (HOW_TO_SEARCH.match(word) or word.lstrip("+~").startswith(ASIDE) or _key(word) in searched)]
    settings = [f"hydra.sweeper.{setting}" for setting in LISTED]
    sampler = f"hydra.sweeper.sampler={{name: list, file: '{out / 'winners.yaml'}'}}"
    return [*kept, *settings, sampler, f"hydra.sweeper.publish={out / 'outer'}"]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def winner(folder: Path, aside: Collection[str]) -> dict[str, Any]:
    """{value, overrides, step} of a published search's best. `aside`: overrides that are none of its own. step: the best one on average
    over its runs, None where none is known. Raises `UserError` where no trial completed, or there are several objectives."""
    try:
        best = yaml.safe_load((folder / "best.yaml").read_text(encoding="utf-8"))
        number, value, overrides = int(best["number"]), float(best["value"]), list(best["overrides"])
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError):
        raise UserError(f"{folder}: names no best trial: none completed, or there are several objectives; search for one") from None
    n_runs = len((tables.load_study(folder).get("replicates") or {}).get("values") or [None])
    rows = tables.read_csv(tables_of_runs(folder)[0])
    steps = [int(float(row["best_step"])) for row in rows if int(row["number"]) // n_runs == number and row["best_step"]]
    step = round(statistics.fmean(steps)) if steps else None
    return {"value": value, "overrides": [text for text in overrides if text not in aside], "step": step}


def judged(row: Mapping[str, str], curve: Sequence[tuple[int, float]], step: int | None) -> float:
    """A winner's value on its outer fold: at the last step up to `step` that it reported; what it returned where it reported none.

    Raises `UserError` where it has no value.
    """
    if row["state"] != "COMPLETE":
        raise UserError(f"the winner of outer fold {row['outer_fold']} did not finish its training: {row['state']} ({row['reason']})")
    known = [value for at, value in curve if step is None or at <= step]
    return known[-1] if known else float(row["value"])


def outcome(inner: Sequence[float], outer: Sequence[float], maximize: bool) -> dict[str, Any]:
    """The result: means and standard deviations, and by how much the search's own values are better than those on the outer folds."""
    sign = 1 if maximize else -1
    inner_mean, outer_mean = statistics.fmean(inner), statistics.fmean(outer)
    return {
        "outer": {"mean": outer_mean, "std": statistics.stdev(outer) if len(outer) > 1 else None, "values": list(outer)},
        "inner": {"mean": inner_mean, "std": statistics.stdev(inner) if len(inner) > 1 else None, "values": list(inner)},
        "optimism": sign * (inner_mean - outer_mean),
    }


def told(found: Mapping[str, Any], metric: str) -> list[str]:
    """The result for a person."""
    spread = {name: "" if found[name]["std"] is None else f" (standard deviation {found[name]['std']:.4f})" for name in ("inner", "outer")}
    pairs = list(zip(found["inner"]["values"], found["outer"]["values"], strict=True))
    n, way = len(pairs), "optimistic by" if found["optimism"] >= 0 else "pessimistic by"
    return [
        *(f"fold {i}  inner {a:.4f}  outer {b:.4f}" for i, (a, b) in enumerate(pairs)),
        f"outer {metric}: {found['outer']['mean']:.4f}{spread['outer']} over {n} folds that no search saw",
        f"inner {metric}: {found['inner']['mean']:.4f}{spread['inner']}, the best that each search saw: {way} {abs(found['optimism']):.4f}",
    ]


def run(given: argparse.Namespace, start: Callable[[list[str]], int]) -> int:
    """Run what is left of it; the exit code of the first sweep that ends with one. Raises `UserError`."""
    command, out = [word for word in given.command if word != "--"], given.out.resolve()
    winners = []
    for fold in range(given.outer):
        print(f"nested: the search inside outer fold {fold} of {given.outer}", flush=True)
        if code := start(searching(command, given.inner, given.outer, fold, out)):
            return code
        winners.append(winner(out / "inner" / str(fold), {*command, *filled(given.inner, given.outer, fold)}))
    overrides = [[*one["overrides"], *filled(given.test, given.outer, fold)] for fold, one in enumerate(winners)]
    entries = [{"overrides": texts, "user_attrs": {"outer_fold": fold}} for fold, texts in enumerate(overrides)]
    tables.write_yaml(out / "winners.yaml", entries)
    print("nested: the winner of each search on its outer fold", flush=True)
    searched = {entry["key"] for entry in tables.load_study(out / "inner" / "0").get("space") or []}
    if code := start(judging(command, searched, out)):
        return code
    study, curves = tables.load_study(out / "outer"), tables.read_csv(out / "outer" / "curves.csv")
    rows = {int(row["outer_fold"]): row for row in tables.read_csv(out / "outer" / "trials.csv")}
    values = []
    for fold, one in enumerate(winners):
        curve = [(int(r["step"]), float(r["value"])) for r in curves if r["number"] == rows[fold]["number"] and r["value"]]
        values.append(judged(rows[fold], curve, one["step"]))
    found = outcome([one["value"] for one in winners], values, study["directions"][0] == "maximize")
    steps = [one["step"] for one in winners]
    tables.write_yaml(out / "nested.yaml", {"metric": study["metric"], **found, "steps": steps, "overrides": overrides})
    print("\n".join([*told(found, str(study["metric"] or "objective")), f"nested: {out / 'nested.yaml'}"]))
    return 0


def main(argv: Sequence[str] | None = None, start: Callable[[list[str]], int] | None = None) -> int:
    """See the module. `start` runs a command and returns its exit code."""
    parser = Parser(prog="trivet nested", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outer", type=int, default=5, help="outer folds (default %(default)s)")
    parser.add_argument("--inner", default=INNER, help="overrides that leave an outer fold out of a search (default: %(default)s)")
    parser.add_argument("--test", default=TEST, help="overrides that validate on an outer fold (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("results/nested"), help="where to (default %(default)s)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and the search: a program, -m and its overrides")
    given = parser.parse_args(argv)
    if given.outer < 2:
        raise UserError(f"--outer={given.outer}: must be 2 or more folds")
    if "-m" not in given.command and "--multirun" not in given.command:
        raise UserError("trivet nested: needs the search after --, such as -- python src/train.py -m hparams=search +replicates=folds")
    return run(given, start or _start)


def _start(words: list[str]) -> int:
    words = [sys.executable, *words[1:]] if words[0] in ("python", "python3") else words
    try:
        return subprocess.run(words, check=False).returncode
    except OSError as error:
        raise UserError(f"{words[0]}: cannot be started ({error.strerror}); name the program that searches") from None
