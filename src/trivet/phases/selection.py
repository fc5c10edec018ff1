"""finalists: the best distinct configurations of both searches and the default, each with the same fresh seeds.

    python pipelines/finalists.py --seed 0 --seeds 3 --finalists 5

Reads results/coarse, results/narrow and results/fine; writes results/finalists/finalists.csv (for the report) and trials.yaml (for the
seeds stage: one list of Hydra overrides per finalist, and the seeds as replicates). Finalist 0 is the default configuration, 1.. are by the
value they showed.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from trivet import app as description
from trivet import secrets, space, studyfile
from trivet.arguments import Parser
from trivet.errors import UserError
from trivet.phases import finalists
from trivet.search import racing

PHASES = ("coarse", "fine")


def find_default(table: pd.DataFrame, defaults: Mapping, options: Mapping) -> finalists.Finalist | None:
    """The coarse trial that ran the default configuration, as finalist 0; None when there was none (baseline switched off).

    `defaults` of study.yaml: value by parameter, its condition in brackets (`optimizer.lr [optimizer=sgd]`).
    """
    columns = finalists.param_columns(table)
    defaults = {name.partition(" [")[0].lstrip("+"): value for name, value in defaults.items()}
    for row in table.to_dict("records"):
        params = finalists.params_of(row, columns, options)
        if params and all(key in defaults and finalists.alike({key: value}, {key: defaults[key]}, 1e-12) for key, value in params.items()):
            value = float(row["value"]) if row["value"] else None
            return finalists.Finalist(0, "default", int(row["number"]), value, params)
    return None


def with_fixed(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The fine table with a column for every value that the fine space sets for all trials: the sweep takes those for given."""
    params = space.load(yaml.safe_load(path.read_text()) or {}) if path.is_file() else []
    given = {param.key.lstrip("+"): param.spec.value for param in params if isinstance(param.spec, space.Fixed) and not param.when}
    for key, value in given.items():
        if key not in table.columns:
            table.insert(table.columns.get_loc("seconds"), key, finalists.text(value))
    return table


def choose(results: Path, k: int) -> list[finalists.Finalist]:
    """Finalist 0 and up to k more, from the published sweeps in `results`."""
    tables, study = {}, {}
    for phase in PHASES:
        folder = results / phase
        for name in ("trials.csv", "study.yaml"):
            if not (folder / name).is_file():
                raise UserError(f"{folder / name} is missing: run dvc repro {phase} (or trivet run {phase})")
        tables[phase] = finalists.read_trials(folder / "trials.csv")
        study[phase] = yaml.safe_load((folder / "study.yaml").read_text())
        tables[phase] = tables[phase].drop(columns=studyfile.measured(study[phase], list(tables[phase].columns)), errors="ignore")
    tables["fine"] = with_fixed(tables["fine"], results / "narrow/space.yaml")
    options = finalists.options_of([entry for phase in PHASES for entry in study[phase].get("space") or []])
    defaults = study["coarse"].get("defaults")
    default = find_default(tables["coarse"], defaults or {}, options)
    best = finalists.top_k(tables, k, study["coarse"]["directions"][0], default.params if default is not None else None, options)
    if not best and default is None:
        raise UserError("no trial of coarse or fine is COMPLETE: see the reason column of results/coarse/trials.csv")
    if default is None and defaults is not None:  # it is a configuration, and was no trial of the searches
        default = finalists.Finalist(0, "default", None, None, {})
    return [*([default] if default is not None else []), *best]


def table(chosen: Sequence[finalists.Finalist]) -> str:
    """finalists.csv: finalist, phase, number, value, then every parameter that one of them has (empty where not in play)."""
    params = list(dict.fromkeys(key for one in chosen for key in one.params))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["finalist", "phase", "number", "value", *params])
    for one in chosen:
        values = [finalists.text(one.params[key]) if key in one.params else "" for key in params]
        number, value = ("" if item is None else item for item in (one.number, one.value))
        writer.writerow([one.finalist, one.phase, number, value, *values])
    return text.getvalue()


def listed(
    chosen: Sequence[finalists.Finalist],
    seeds: Sequence[int],
    groups: Sequence[str],
    seed_key: str | None = "seed",
    race: int | None = None,
) -> dict[str, Any]:
    """What the list sampler reads: a trial per finalist, and the seeds as its replicates, `race` runs in all or all of them. The default
    brings no overrides of its own: it is what conf says. The seeds' column is `seed`, whatever the app calls its key, and where it has
    none."""
    bare = [one if one.finalist else finalists.Finalist(0, one.phase, one.number, one.value, {}) for one in chosen]
    more = ({} if seed_key == "seed" else {"name": "seed"}) | ({} if race is None else {"race": race})
    return {
        "replicates": {"key": seed_key, "values": list(seeds), **more},
        "trials": [{"overrides": finalists.overrides(one, groups), "user_attrs": {"finalist": one.finalist}} for one in bare],
    }


def runs(content: Any) -> list[list[str]]:
    """The overrides of each run of a trials.yaml, by its number in the seeds stage; of one that lists the runs themselves too."""
    if isinstance(content, list):
        return [list(entry["overrides"]) for entry in content]
    key, values = content["replicates"]["key"], content["replicates"]["values"]
    seeded = [[] if key is None else [finalists.override(key, value)] for value in values]
    return [[*first, *entry["overrides"]] for entry in content["trials"] for first in seeded]


def write(path: Path, text: str) -> None:
    """Write a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(text)
    os.replace(draft, path)


def main(argv: Sequence[str] | None = None, root: Path = Path()) -> None:
    parser = Parser(prog="trivet finalists", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, required=True, help="the seed of the searches; the fresh seeds derive from it")
    parser.add_argument("--seeds", type=int, required=True, help="runs per finalist")
    parser.add_argument("--finalists", type=int, required=True, help="configurations beside the default")
    help_race = "true: spend as many runs by halves instead: all once, the better half again, and so on"
    parser.add_argument("--race", type=str.lower, choices=("true", "false"), default="false", help=help_race)
    args = parser.parse_args(argv)
    if args.seeds < 1 or args.finalists < 0:
        raise UserError(f"seeds.n={args.seeds} must be >= 1 and seeds.finalists={args.finalists} >= 0: mend params.yaml")
    chosen = choose(root / "results", args.finalists)
    groups = sorted(path.name for path in root.glob("conf/*") if path.is_dir())
    seed_key = description.read(root).seed_key if description.is_here(root) else "seed"
    race = len(chosen) * args.seeds if args.race == "true" else None
    rounds = racing.plan(len(chosen), race) if race is not None else [len(chosen)] * args.seeds
    content = listed(chosen, finalists.fresh_seeds(args.seed, len(rounds)), groups, seed_key, race)
    folder = root / "results/finalists"
    write(folder / "finalists.csv", table(chosen))
    write(folder / "trials.yaml", yaml.safe_dump(content, default_flow_style=None, sort_keys=False, width=10**6))
    raced = f"a race of {len(chosen)} finalists over {len(rounds)} seeds: {' + '.join(map(str, rounds))}"
    print(f"{raced if race is not None else f'{len(chosen)} finalists x {args.seeds} seeds'} = {sum(rounds)} runs")
    for one in chosen:
        shown = "not run" if one.value is None else f"{one.value:.4f}"
        values = " ".join(finalists.override(key, value) for key, value in one.params.items())
        print(secrets.lines(f"  {one.finalist}  {one.phase:7} {shown}  {values}"))
