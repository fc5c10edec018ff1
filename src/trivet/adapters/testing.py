"""Models of our own trainer on the test file: the `Evaluator` that the test stage is handed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from trivet import data
from trivet.adapters import baselines
from trivet.errors import UserError
from trivet.training.predictor import Predictor, evaluate
from trivet.training.saved import load_model, targets_in
from trivet.training.settings import pick_device


class Evaluator:
    """Evaluates saved models on root/data/prepared/test.npz. `metric`: loss, or a name of metrics.py."""

    def __init__(self, root: Path, metric: str) -> None:
        self.metric, self.device = metric, pick_device("auto")
        self.allowed = targets_in(root / "conf/model")
        self.folder = root / "data/prepared"
        self.split = data.load_test(self.folder, self.device)
        self._last: tuple[Path, Predictor] | None = None

    @property
    def n_test(self) -> int:
        """Samples of the test file."""
        return len(self.split.y)

    def _model(self, path: Path) -> Predictor:
        if self._last is None or self._last[0] != path:
            self._last = path, load_model(path, str(self.device), self.allowed)
            self._check_data(self._last[1])
        return self._last[1]

    def _check_data(self, model: Predictor) -> None:
        """UserError where the model was trained on other data than is prepared: its test file is then another split or another edit."""
        prepared = yaml.safe_load((self.folder / "data.yaml").read_text(encoding="utf-8")).get("sha256")
        if model.meta.get("sha256", prepared) != prepared:
            raise UserError(
                f"{self.folder}: is not the data that results/seeds was trained on: name your file under deps of prepare, and run dvc repro"
            )

    def value(self, path: Path) -> float:
        """The metric of a saved model."""
        return evaluate(self._model(path), self.split)[self.metric]

    def predictions(self, path: Path) -> np.ndarray:
        """What an ensemble averages: class probabilities (N, K), or regression outputs (N, T)."""
        model = self._model(path)
        out = model.outputs(self.split.x)
        return (out.softmax(-1) if model.meta["task"] == "classification" else out).cpu().numpy()

    def together(self, path: Path, mean: np.ndarray) -> float:
        """The metric of averaged predictions of models of one kind with that of `path` (whose loss counts for metric `loss`)."""
        model = self._model(path)
        return baselines.value_of(mean, self.split, self.metric, model.meta, model.config["loss"])

    def more(self, path: Path) -> tuple[dict[str, Any], list[str]]:
        """Of a table, what needs no network, fitted on the training part: a section of test.yaml, and lines for a person."""
        model = self._model(path)
        if not baselines.has_baselines(model.meta):
            return {}, []
        train = data.load(self.folder, self.device).train
        found = baselines.values(train, self.split, self.metric, model.meta, model.config["loss"])
        return {"baselines": found}, baselines.line(f"test/{self.metric}", found)

    def config(self, path: Path) -> dict[str, Any]:
        """The configuration of a saved model, for people: without the search ranges beside its values."""
        return without_ranges(self._model(path).config)


def without_ranges(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config, without the search ranges beside them."""
    return {key: without_ranges(value) if isinstance(value, Mapping) else value for key, value in config.items() if key != "space"}
