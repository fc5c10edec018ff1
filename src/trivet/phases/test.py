"""test: the winner, the default and two ensembles on the test data, once; and the winner's model as an output of its own.

    python pipelines/test.py

Reads results/seeds; writes results/test/test.yaml, and under results/model the kept file of the winner's seed that has the best validation
value, with its configuration. What evaluates a kept model is an `Evaluator`, handed in. Ensembles average predictions: over the winner's
seeds, and over all seeds of all finalists but the default.
"""

import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml

from trivet import secrets, studyfile
from trivet.errors import UserError
from trivet.phases import finalists


class Evaluator(Protocol):
    """Evaluates kept models on data that no search saw. A `UserError` says what is wrong with a model or the data."""

    n_test: int | None  # samples, where known

    def value(self, path: Path) -> float:
        """The metric of a kept model."""

    def predictions(self, path: Path) -> np.ndarray | None:
        """What an ensemble averages (N, K); None where the app gives none."""

    def together(self, path: Path, mean: np.ndarray) -> float | None:
        """The metric of averaged predictions, of models like `path`; None where it cannot be told from them."""

    def more(self, path: Path) -> tuple[dict[str, Any], list[str]]:
        """Whatever else the test data can tell, beside models like `path`: sections of test.yaml, and lines for a person."""

    def config(self, path: Path) -> Mapping[str, Any]:
        """The configuration of a kept model, for people."""


@dataclass(frozen=True)
class Run:
    """A completed run of the seeds stage."""

    finalist: int
    seed: int
    value: float  # the objective on the validation data
    path: Path  # its model
    loss: float = math.inf  # val/loss, which breaks ties


@dataclass
class Seeds:
    """The completed runs of the seeds sweep in number order, the winner among their finalists, and the sweep's study.yaml."""

    runs: list[Run]
    winner: int
    study: dict[str, Any]

    @property
    def of_winner(self) -> list[Run]:
        return [run for run in self.runs if run.finalist == self.winner]

    @property
    def best(self) -> Run:
        """Of the winner's runs the one with the best validation value; of equals that with the lowest val/loss, then the first."""
        sign = -1 if self.study["directions"][0] == "maximize" else 1
        return min(self.of_winner, key=lambda run: (sign * run.value, run.loss))


def read_runs(folder: Path, kept: str) -> Seeds:
    """The seeds sweep that is published in `folder`; `kept` is where the model of run {number} is there, such as model/{number}.pt."""
    for name in ("trials.csv", "study.yaml"):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing: run dvc repro seeds (or trivet run seeds)")
    table = finalists.read_trials(studyfile.tables_of_runs(folder)[0])
    study = yaml.safe_load((folder / "study.yaml").read_text())
    complete = table[table["state"] == "COMPLETE"]
    runs = [
        Run(
            int(row["finalist"]),
            int(row["seed"]),
            float(row["value"]),
            folder / kept.format(number=row["number"]),
            finalists.tie_loss(row),
        )
        for row in complete.to_dict("records")
    ]
    return Seeds(runs, finalists.winner(table, study["directions"][0]), study)


def run_test(seeds: Seeds, evaluator: Evaluator) -> dict[str, Any]:
    """Evaluate everything; the content of test.yaml."""
    runs, winner, study = seeds.runs, seeds.winner, seeds.study
    wanted = [run for run in runs if run.finalist != 0 or winner == 0]
    values: dict[int, dict[int, float]] = {0: {}, winner: {}}
    outputs: dict[Run, np.ndarray] = {}
    for run in runs:
        if run.finalist in values:
            values[run.finalist][run.seed] = evaluator.value(run.path)
        if run in wanted and (found := evaluator.predictions(run.path)) is not None:
            outputs[run] = found
    of_winner = seeds.of_winner

    def together(members: Sequence[Run]) -> float | None:
        parts = [outputs[run] for run in members if run in outputs]
        return evaluator.together(of_winner[0].path, finalists.ensemble(parts)) if len(parts) == len(members) else None

    validation = {side: {run.seed: run.value for run in runs if run.finalist == one} for side, one in (("winner", winner), ("default", 0))}
    ensembles = {"ensemble_winner": of_winner, "ensemble_finalists": wanted}
    together_of = {name: value for name, members in ensembles.items() if (value := together(members)) is not None}
    return {
        "metric": f"test/{study['metric'].rpartition('/')[2]}",
        **({} if evaluator.n_test is None else {"n_test": evaluator.n_test}),
        "winner": {"finalist": winner, "seeds": values[winner]},
        "default": {"finalist": 0, "seeds": dict(values[0])},
        **together_of,
        "n_models": {name: len(ensembles[name]) for name in together_of},
        "model": {"finalist": winner, "seed": seeds.best.seed, "chosen": f"best {study['metric']} of the winner's seeds"},
        "val": validation,
    }


def write(path: Path, text: str) -> None:
    """Write a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(text)
    os.replace(draft, path)


def keep_model(run: Run, folder: Path, evaluator: Evaluator) -> None:
    """Copy a run's model, and write its configuration beside it for people."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"model{run.path.suffix}"
    draft = target.with_name(target.name + ".tmp")
    shutil.copyfile(run.path, draft)
    os.replace(draft, target)
    write(folder / "config.yaml", yaml.safe_dump(dict(evaluator.config(run.path)), sort_keys=False))


def lines(content: Mapping[str, Any]) -> list[str]:
    """What was found, for a person."""
    told = []
    for side in ("winner", "default"):
        one = finalists.summary(list(content[side]["seeds"].values())) if content[side]["seeds"] else None
        told.append(f"{side:19}{content['metric']} " + ("not run" if one is None else f"{one.mean:.4f} over {one.n} seeds"))
    told += [f"{name:19}{content['metric']} {content[name]:.4f} of {n} models" for name, n in content["n_models"].items()]
    return told


def main(evaluator_of: Callable[[Path, str], Evaluator], root: Path = Path(), kept: str = "model/{number}.pt") -> None:
    """Run the stage. `evaluator_of(root, metric)` makes the evaluator for the metric that the seeds stage names (without its split)."""
    seeds = read_runs(root / "results/seeds", kept)
    evaluator = evaluator_of(root, seeds.study["metric"].rpartition("/")[2])
    content = run_test(seeds, evaluator)
    more, told = evaluator.more(seeds.best.path)
    keep_model(seeds.best, root / "results/model", evaluator)
    write(root / "results/test/test.yaml", yaml.safe_dump(content | more, sort_keys=False))
    print(secrets.lines("\n".join([*lines(content), *told])))
