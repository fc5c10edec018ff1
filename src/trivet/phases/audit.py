"""audit: was pruning right? Train a sample of a search's pruned trials to the end, and look where they would have come out.

    python pipelines/audit.py results/coarse --n 8        # then: dvc repro report

Takes pruned trials evenly from the best to the worst of them, writes their configurations to results/audit-trials.yaml, runs
`python src/train.py -m hparams=audit` over that list, and publishes results/audit, which the report reads where it exists. The same
command again continues it.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trivet import app as description
from trivet import space
from trivet.arguments import Parser
from trivet.copied import is_copy
from trivet.errors import UserError
from trivet.study import tables


def sample(rows: Sequence[Mapping[str, str]], n: int, maximize: bool) -> list[Mapping[str, str]]:
    """`n` pruned rows, evenly spaced from the best value when stopped to the worst; all of them where there are fewer."""
    pruned = [row for row in rows if row["state"] == "PRUNED" and row["value"] and not is_copy("PRUNED", row.get("reason"))]
    pruned.sort(key=lambda row: (-float(row["value"]) if maximize else float(row["value"]), int(row["number"])))
    if n >= len(pruned):
        return pruned
    return [pruned[round(i * (len(pruned) - 1) / max(1, n - 1))] for i in range(n)]


def overrides(row: Mapping[str, str], study: Mapping[str, Any]) -> list[str]:
    """The Hydra overrides of a row of trials.csv, group choices before what depends on them."""
    params = [space.Param(p["key"], space.parse(p["spec"], p["key"]), tuple(p["when"].items())) for p in study["space"]]
    chosen: dict[str, Any] = {}
    for param in params:
        if param.active(chosen) and row.get(param.key):
            chosen[param.key] = tables.from_cell(param.spec, row[param.key])
    return [f"{key}={space.value_text(value)}" for key, value in chosen.items()]


def entry(row: Mapping[str, str], study: Mapping[str, Any]) -> dict[str, Any]:
    """A row as an entry of the list sampler; `audited` names the trial in the table that results."""
    return {"overrides": overrides(row, study), "user_attrs": {"audited": int(row["number"])}}


def run(folder: Path, n: int) -> int:
    """Write the list and run the sweep; returns its exit code. Raises `UserError` where nothing was pruned."""
    study = tables.load_study(folder)
    chosen = sample(tables.read_csv(folder / "trials.csv"), n, study["directions"][0] == "maximize")
    if not chosen:
        raise UserError(f"{folder}: no trial was pruned, so there is nothing to audit")
    tables.write_yaml(Path() / "results" / "audit-trials.yaml", [entry(row, study) for row in chosen])
    return subprocess.run(command(study, Path()), check=False).returncode


def command(study: Mapping[str, Any], root: Path, phase: str = "audit") -> list[str]:
    """A sweep of that phase: of the app that trivet.yaml describes, else of our own trainer, with what the search's command fixed."""
    publish = f"hydra.sweeper.publish=results/{phase}"
    if description.is_here(root):
        app = description.read(root)
        return [*app.words, "-m", f"+trivet={phase}", "hydra/sweeper=trivet", *app.listed_overrides, publish]
    fixed = [text for text in study["overrides"] if not text.startswith(("hparams=", "hydra.", "pruner="))]
    return [sys.executable, "src/train.py", "-m", f"hparams={phase}", *fixed, publish]


def main(argv: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = Parser(prog="trivet audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path() / "results" / "coarse", help="a published search")
    parser.add_argument("--n", type=int, default=8, help="how many pruned trials")
    given = parser.parse_args(argv)
    if given.n < 1:
        raise UserError(f"--n={given.n}: must be >= 1")
    return run(given.folder, given.n)
