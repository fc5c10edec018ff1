"""What is tracked of a sweep, from its tables, and what the trackers of trackers.py have in common."""

from __future__ import annotations

import abc
import csv
import importlib.util
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from trivet import secrets
from trivet.errors import UserError

TAIL = ("seconds", "worker", "started", "overrun")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """A row of trials.csv with its curve: step -> {metric: value}, numbers only."""

    number: int
    state: str  # COMPLETE | PRUNED | FAIL
    reason: str
    params: dict[str, str]
    values: dict[str, float]  # value (value_0 ...), step, best_step, seconds, where there are any
    curve: dict[int, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    """A sweep's folder: its trials, and what study.yaml says of the whole, secrets masked."""

    name: str
    folder: Path
    trials: list[Trial]
    about: dict[str, str]


def read(folder: Path) -> Sweep:
    """The tables of a sweep. UserError where the folder has none."""
    try:
        study = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
        trials, curves = _rows(folder / "trials.csv"), _rows(folder / "curves.csv")
        name = str(study["name"])
    except (OSError, UnicodeDecodeError, KeyError, TypeError, csv.Error, yaml.YAMLError) as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{folder}: holds no tables of a sweep ({why}); trackers need hydra/sweeper=trivet") from None
    by_trial: dict[str, dict[int, dict[str, float]]] = {}
    for row in curves:
        known = {key: value for key, cell in row.items() if key not in ("number", "step") and (value := number(cell)) is not None}
        by_trial.setdefault(row["number"], {})[int(float(row["step"]))] = known
    parts = ("command", "directions", "metric", "seed", "sampler", "pruner", "n_trials", "fingerprint")
    about = {key: str(study[key]) for key in parts if study.get(key) is not None}
    about = {key: secrets.line(text) for key, text in about.items()}
    return Sweep(name, folder, [_trial(row, by_trial.get(row["number"], {})) for row in trials], about)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def number(cell: str | None) -> float | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        return None


def _trial(row: Mapping[str, str], curve: dict[int, dict[str, float]]) -> Trial:
    names = list(row)
    start = names.index("best_step") + 1
    params = [name for name in names[start:] if name not in TAIL]
    measured = [name for name in names[:start] if re.fullmatch(r"value(_\d+)?|step|best_step", name)]
    values = {name: value for name in [*measured, "seconds"] if (value := number(row.get(name))) is not None}
    return Trial(int(row["number"]), row["state"], row["reason"], {key: row[key] for key in params if row[key]}, values, curve)


class Tracker(Callback, abc.ABC):
    """What the trackers have in common. Raises `UserError` when it is made without its library."""

    library = ""

    def __init__(self) -> None:
        if importlib.util.find_spec(self.library) is None:  # not imported yet: every worker gets a copy of this
            extra = type(self).__name__.lower()
            raise UserError(f"tracker {extra}: needs {self.library}; pip install 'trivet[{extra}]'")

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Write the sweep that has ended."""
        folder = Path(str(config.hydra.sweep.dir))
        try:
            self.write(read(folder))
        except Exception as error:  # of a library, a server, a full disk
            log.warning(secrets.line(f"tracker {type(self).__name__}: {folder} was not tracked whole ({type(error).__name__}: {error})"))

    @abc.abstractmethod
    def write(self, sweep: Sweep) -> None:
        """Track the sweep; trials that are tracked already stay as they are."""


@contextmanager
def whole(root: Path, name: str) -> Iterator[Path]:
    """An empty folder to write, which becomes `root / name` in one rename when the block ends; a part of an earlier try is removed."""
    part = root / f".{name}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    part.rename(root / name)
