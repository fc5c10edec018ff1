"""test, for an app that trivet.yaml describes: its own test command, once for each kept model.

    trivet test

`test.command` of trivet.yaml is run with {model} (the kept file), {folder}, {number}, {seed}, {overrides} (of the run: as many words) and
{predictions} filled in. The metric is what `test.metric` finds in its output, or its last line: a number, or a JSON mapping with the
metric's name. Where the command writes {predictions}, an .npz with `predictions` (N, K: class probabilities, or outputs) and `targets`
(N: classes, or N, K), ensembles are scored too, for accuracy, rmse, mse and mae. Writes results/test/test.yaml:

    metric: test/acc
    winner: {finalist: 2, seeds: {101: 0.97, 102: 0.96}}
    default: {finalist: 0, seeds: {101: 0.94, 102: 0.95}}
    ensemble_winner: 0.98
    model: {finalist: 2, seed: 101, chosen: best val/acc of the winner's seeds}

Whoever evaluates in another way may write this file; the report reads `metric`, `winner`, `default`, and the rest where it is there.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from trivet import app as description
from trivet import secrets
from trivet.app import App
from trivet.errors import UserError, last_words
from trivet.phases import selection, test

FOLDER = "results/test"
SCORES = {"accuracy": "accuracy", "acc": "accuracy", "rmse": "rmse", "mse": "mse", "mae": "mae"}


class CommandEvaluator:
    """Runs the test command. `runs`: the overrides of each run of the seeds stage, by its number."""

    n_test: int | None = None

    def __init__(self, app: App, runs: list[list[str]]) -> None:
        assert app.test is not None
        self.app, self.test, self.runs = app, app.test, runs
        self.metric = (app.test.name or app.metric).rpartition("/")[2]
        self._values: dict[Path, float] = {}
        self._predictions: dict[Path, Mapping[str, np.ndarray]] = {}

    def value(self, path: Path) -> float:
        """The metric of a kept model; its command runs once."""
        if path not in self._values:
            if self.app.keep and not path.is_file():
                raise UserError(f"{path}: its run left no {self.app.keep} in its folder; mend keep in {description.FILE}")
            with tempfile.TemporaryDirectory() as scratch:
                predictions = Path(scratch) / "predictions.npz"
                self._values[path] = self._run(path, predictions)
                if predictions.is_file():
                    self._predictions[path] = _arrays(predictions)
        return self._values[path]

    def _run(self, path: Path, predictions: Path) -> float:
        number = int(path.stem)
        overrides = self.runs[number]
        seed = next((str(o).partition("=")[2] for o in overrides if str(o).partition("=")[0] == self.app.seed_key), "")
        given = {"model": path, "folder": path.parent, "number": number, "seed": seed, "predictions": predictions}
        words: list[str] = []
        for word in shlex.split(self.test.command):
            filled = re.sub(r"\{(\w+)\}", lambda match: str(given.get(match[1], match[0])), word)
            words += [*self.app.task_overrides, *map(str, overrides)] if word == "{overrides}" else [filled]
        words = [sys.executable, *words[1:]] if words[0] in ("python", "python3") else words
        try:
            done = subprocess.run(words, cwd=self.app.root, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        except OSError as error:
            raise UserError(f"test.command: {words[0]}: cannot be started ({error.strerror}); mend {description.FILE}") from None
        if done.returncode:
            why = last_words(done.stderr or done.stdout, "it printed nothing")
            raise UserError(f"test.command: ended with {done.returncode}: {why} ({shlex.join(words)})")
        return metric_in(f"{done.stdout}\n{done.stderr}" if self.test.metric else done.stdout, self.test.metric, self.metric)

    def predictions(self, path: Path) -> np.ndarray | None:
        """What the command wrote to {predictions}; None where it has no such word."""
        if "{predictions}" not in self.test.command:
            return None
        self.value(path)
        found = self._predictions.get(path)
        return None if found is None else found["predictions"]

    def together(self, path: Path, mean: np.ndarray) -> float | None:
        """The metric of averaged predictions; None for a metric that averaged predictions do not tell."""
        kind, targets = SCORES.get(self.metric.lower()), self._predictions[path]["targets"]
        if kind is None:
            return None
        if kind == "accuracy":
            return float((mean.argmax(-1) == targets.ravel()).mean()) if mean.ndim == 2 else None
        error = mean.reshape(len(mean), -1) - targets.reshape(len(targets), -1)
        square = float((error**2).mean())
        return float(np.abs(error).mean()) if kind == "mae" else math.sqrt(square) if kind == "rmse" else square

    def more(self, path: Path) -> tuple[dict[str, Any], list[str]]:
        """Nothing else is known of a foreign app's test data."""
        return {}, []

    def config(self, path: Path) -> Mapping[str, Any]:
        """The overrides that made a model."""
        return {"command": self.app.app, "overrides": [*self.app.task_overrides, *self.runs[int(path.stem)]]}


def metric_in(text: str, pattern: str, name: str) -> float:
    """The value in what a command printed: the last match of the pattern, or the last line, a number or a JSON mapping with `name`."""
    last: Any
    if pattern:
        found = re.findall(pattern, text)
        last = found[-1][0] if found and isinstance(found[-1], tuple) else found[-1] if found else None
        if last is None:
            raise UserError(f"test.metric={pattern}: matches nothing that the test command printed; mend {description.FILE}")
    else:
        lines = [line for line in text.strip().splitlines() if line.strip()]
        last = lines[-1] if lines else ""
        try:
            content = json.loads(last)
        except ValueError:
            content = None
        if isinstance(content, dict):
            last = next((content[key] for key in (name, f"test/{name}", f"test_{name}") if key in content), None)
    try:
        return float(last)
    except (TypeError, ValueError):
        raise UserError(
            f"test.command: printed {str(last)[:60]!r} last, which is no value of {name}: print the number, or give test.metric"
        ) from None


def _arrays(path: Path) -> Mapping[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as content:
            found = {name: content[name] for name in ("predictions", "targets")}
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{{predictions}}: must be an .npz with predictions and targets ({error})") from None
    if len(found["predictions"]) != len(found["targets"]):
        raise UserError(f"{{predictions}}: {len(found['predictions'])} predictions and {len(found['targets'])} targets")
    return found


def kept_path(keep: str | None) -> str:
    """Where a publish puts the kept file of trial {number}, within the published folder."""
    path = PurePosixPath(keep or "model")
    return f"{path.stem}/{{number}}{path.suffix}"


def main(root: Path = Path()) -> None:
    """Run the stage. Without a test command it says so, and keeps the winner's model."""
    app = description.read(root)
    seeds = test.read_runs(root / "results/seeds", kept_path(app.keep))
    runs = selection.runs(yaml.safe_load((root / "results/finalists/trials.yaml").read_text(encoding="utf-8")))
    folder = root / FOLDER
    if app.test is None:
        test.write(folder / "none.yaml", yaml.safe_dump({"test": None, "why": f"{description.FILE} names no test command"}))
        print(f"no test was made: {description.FILE} names no test command")
        return
    evaluator = CommandEvaluator(app, runs)
    content = test.run_test(seeds, evaluator) | {"metric": f"test/{evaluator.metric}"}
    if app.keep:
        test.keep_model(seeds.best, folder, evaluator)
    test.write(folder / "test.yaml", yaml.safe_dump(content, sort_keys=False))
    print(secrets.lines("\n".join(test.lines(content))))
