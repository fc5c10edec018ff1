"""The metrics that a running trial has reported, in a file of its folder: they outlive its worker, and go into the study at its end."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MetricsFile:
    """`metrics.jsonl` in a trial's folder. `rows` are step -> {metric: value}, as far as the file was written whole."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"
        self._made = False
        self.rows: dict[int, dict[str, float]] = {}
        with contextlib.suppress(FileNotFoundError):
            text = self._path.read_text(encoding="utf-8")
            whole, newline, torn = text.rpartition("\n")  # what follows the last newline was cut short by a kill
            if torn:
                os.truncate(self._path, len((whole + newline).encode()))
            for line in whole.splitlines():
                row = json.loads(line)
                self.rows[int(row.pop("step"))] = row

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the metrics of a step; those of a step that is known already change nothing."""
        if metrics and step not in self.rows:
            self.rows[step] = dict(metrics)
            if not self._path.parent.exists():  # hydra.sweep.subdir names the trial's folder otherwise
                self._path.parent.mkdir(parents=True)
                self._made = True
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **metrics}) + "\n")

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
