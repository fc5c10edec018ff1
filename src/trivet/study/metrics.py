"""The metrics that a running trial has reported, in a file of its folder: they outlive its worker, and go into the study at its end."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trivet.study.postgres import TrialFiles


VALUE = "value"
"""What the objective is called among the metrics of a run that is no trial of its own; no metric has this name (reports.COLUMNS)."""


class MetricsFile:
    """`metrics.jsonl` in a trial's folder. `rows` are step -> {metric: value}, as far as the file was written whole.

    `files` keeps them in the database as well, under the number `run`, where machines share no disk: a trial that another machine goes on
    with has them all.
    """

    def __init__(self, folder: Path, files: TrialFiles | None = None, run: int = -1) -> None:
        self._path = folder / "metrics.jsonl"
        self._made = False
        self._files, self._number = files, run
        self.rows: dict[int, dict[str, float]] = {}
        with contextlib.suppress(FileNotFoundError):
            self._read(self._path.read_bytes())
        if files is not None:
            self.rows = files.metrics(self._number) | self.rows

    def _read(self, content: bytes) -> None:
        """Take the rows up to the first that cannot be read, and cut the file there: a kill or a damage ends it."""
        whole = 0
        for line in content.split(b"\n")[:-1]:
            try:
                step, row = json.loads(line)
                self.rows[int(step)] = dict(row)
            except (ValueError, TypeError, RecursionError):
                break
            whole += len(line) + 1
        if whole < len(content):
            os.truncate(self._path, whole)

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the metrics of a step; those of a step that is known already change nothing."""
        if metrics and step not in self.rows:
            self.rows[step] = dict(metrics)
            if self._files is not None:
                self._files.add_metrics(self._number, step, metrics)
            if not self._path.parent.exists():  # hydra.sweep.subdir names the trial's folder otherwise
                self._path.parent.mkdir(parents=True)
                self._made = True
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([step, dict(metrics)]) + "\n")  # a metric may have any name, "step" too

    def attrs(self) -> dict[str, Any]:
        """What the study stores: columns and rows, for curves.csv; nothing where there are no metrics."""
        if not self.rows:
            return {}
        columns = list(dict.fromkeys(name for row in self.rows.values() for name in row))
        rows = [[step, *(row.get(c) for c in columns)] for step, row in sorted(self.rows.items())]
        return {"trivet:metrics": {"columns": columns, "rows": rows}}

    def remove(self) -> None:
        """The study has the metrics now."""
        self._path.unlink(missing_ok=True)
        if self._made:
            with contextlib.suppress(OSError):  # something else is in it by now
                self._path.parent.rmdir()


def parted(attrs: Mapping[str, Any]) -> tuple[list[list[Any]], dict[str, Any]]:
    """What `MetricsFile.attrs` gave as a curve of the metric VALUE, [[step, value], ...], and the others as a study stores them."""
    table = attrs.get("trivet:metrics") or {"columns": [VALUE], "rows": []}
    at = 1 + table["columns"].index(VALUE)
    others = [column for column in table["columns"] if column != VALUE]
    rows = [[*row[:at], *row[at + 1 :]] for row in table["rows"]]
    return [[row[0], row[at]] for row in table["rows"]], {"columns": others, "rows": rows} if others else {}
