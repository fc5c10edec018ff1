"""test: the winner, the default and two ensembles on the test file, once; and the winner's model as an output of its own.

    python pipelines/test.py

Reads results/seeds and data/prepared (the only stage that reads test.npz); writes results/test/test.yaml, and results/model/model.pt and
config.yaml: of the winner's seeds the one with the best validation value. Ensembles average class probabilities (or regression outputs):
over the winner's seeds, and over all seeds of all finalists but the default. For a table the baselines (baselines.py), too.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from trivet import data
from trivet.errors import UserError
from trivet.phases import baselines, finalists
from trivet.training import Predictor, evaluate, load_model, pick_device, targets_in


@dataclass(frozen=True)
class Run:
    """A completed run of the seeds stage."""

    finalist: int
    seed: int
    value: float  # the objective on the validation data
    path: Path  # its model


def read_runs(folder: Path) -> tuple[list[Run], int, dict]:
    """The completed runs of the seeds sweep in number order, the winner among their finalists, and the sweep's study.yaml."""
    for name in ("trials.csv", "study.yaml"):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing: run dvc repro seeds")
    table = finalists.read_trials(folder / "trials.csv")
    study = yaml.safe_load((folder / "study.yaml").read_text())
    complete = table[table["state"] == "COMPLETE"]
    runs = [
        Run(int(row["finalist"]), int(row["seed"]), float(row["value"]), folder / "model" / f"{row['number']}.pt")
        for row in complete.to_dict("records")
    ]
    return runs, finalists.winner(table, study["directions"][0]), study


def best_run(runs: Sequence[Run], direction: str) -> Run:
    """The run with the best validation value; the first of equals."""
    return (max if direction == "maximize" else min)(runs, key=lambda run: run.value)


def predictions(model: Predictor, split: data.Split) -> np.ndarray:
    """What an ensemble averages: class probabilities (N, K), or regression outputs (N, T)."""
    out = model.outputs(split.x)
    return (out.softmax(-1) if model.meta["task"] == "classification" else out).cpu().numpy()


def ensemble_value(parts: Sequence[np.ndarray], model: Predictor, split: data.Split, name: str) -> float:
    """accuracy, rmse or loss (that of `model`'s config) of averaged predictions."""
    return baselines.value_of(finalists.ensemble(parts), split, name, model.meta, model.config["loss"])


def run_test(root: Path) -> dict:
    """Evaluate everything; the content of test.yaml and, under "best", the run whose model is to be kept."""
    runs, winner, study = read_runs(root / "results/seeds")
    name = study["metric"].rpartition("/")[2]
    device = pick_device("auto")
    split = data.load_test(root / "data/prepared", device)
    wanted = [run for run in runs if run.finalist != 0 or winner == 0]
    values: dict[int, dict[int, float]] = {0: {}, winner: {}}
    outputs: dict[Run, np.ndarray] = {}
    reference, own = None, targets_in(root / "conf/model")
    for run in runs:
        model = load_model(run.path, str(device), own)
        check_data(model, root / "data/prepared")
        if run.finalist in values:
            values[run.finalist][run.seed] = evaluate(model, split)[name]
        if run in wanted:
            outputs[run] = predictions(model, split)
        if run.finalist == winner and reference is None:
            reference = model
    assert reference is not None, "the winner has a completed run"

    def together(members: Sequence[Run]) -> float:
        return ensemble_value([outputs[run] for run in members], reference, split, name)

    of_winner = [run for run in runs if run.finalist == winner]
    validation = {side: {run.seed: run.value for run in runs if run.finalist == one} for side, one in (("winner", winner), ("default", 0))}
    best = best_run(of_winner, study["directions"][0])
    content = {
        "metric": f"test/{name}",
        "n_test": len(split.y),
        "winner": {"finalist": winner, "seeds": values[winner]},
        "default": {"finalist": 0, "seeds": dict(values[0])},
        "ensemble_winner": together(of_winner),
        "ensemble_finalists": together(wanted),
        "n_models": {"ensemble_winner": len(of_winner), "ensemble_finalists": len(wanted)},
        "model": {"finalist": winner, "seed": best.seed, "chosen": f"best {study['metric']} of the winner's seeds"},
        "val": validation,
    }
    found = baseline_values(root, split, name, reference)
    if found:
        content["baselines"] = found
    return {"content": content, "best": best}


def baseline_values(root: Path, split: data.Split, name: str, model: Predictor) -> dict[str, float]:
    """Of a table, what needs no network, fitted on the training part; {} for other data."""
    if not baselines.has_baselines(model.meta):
        return {}
    train = data.load(root / "data/prepared", model.device).train
    return baselines.values(train, split, name, model.meta, model.config["loss"])


def check_data(model: Predictor, folder: Path) -> None:
    """UserError where the model was trained on other data than the folder holds: its test file is then another split or another edit."""
    prepared = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8")).get("sha256")
    if model.meta.get("sha256", prepared) != prepared:
        raise UserError(
            f"{folder}: is not the data that results/seeds was trained on: name your file under deps of prepare, and run dvc repro"
        )


def write(path: Path, text: str) -> None:
    """Write a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(text)
    os.replace(draft, path)


def keep_model(run: Run, root: Path) -> None:
    """Copy a run's model to results/model, and write its configuration beside it for people."""
    folder = root / "results/model"
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "model.pt.tmp"
    shutil.copyfile(run.path, draft)
    os.replace(draft, folder / "model.pt")
    config = load_model(folder / "model.pt", allow=targets_in(root / "conf/model")).config
    write(folder / "config.yaml", yaml.safe_dump(without_ranges(config), sort_keys=False))


def without_ranges(config: Mapping) -> dict:
    """The values of a config, without the search ranges beside them."""
    return {key: without_ranges(value) if isinstance(value, Mapping) else value for key, value in config.items() if key != "space"}


def main(root: Path = Path()) -> None:
    done = run_test(root)
    content = done["content"]
    keep_model(done["best"], root)
    write(root / "results/test/test.yaml", yaml.safe_dump(content, sort_keys=False))
    for side in ("winner", "default"):
        one = finalists.summary(list(content[side]["seeds"].values())) if content[side]["seeds"] else None
        print(f"{side:19}{content['metric']} " + ("not run" if one is None else f"{one.mean:.4f} over {one.n} seeds"))
    for side in ("ensemble_winner", "ensemble_finalists"):
        print(f"{side:19}{content['metric']} {content[side]:.4f} of {content['n_models'][side]} models")
    print(*baselines.line(content["metric"], content.get("baselines", {})), sep="\n", end="\n" if "baselines" in content else "")
