"""Metrics out of what a program prints or writes: each match of the objective is a report.

Colours and cursor codes are dropped, and a progress bar's `\\r` ends a line as `\\n` does.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trivet.errors import UserError, is_hint

_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]")
LONGEST_LINE = 100_000  # characters; what a program prints without an end of line is cut there

Report = Callable[[float, int, dict[str, float]], None]


@dataclass(frozen=True)
class FileMetric:
    """A number in a file that the program writes: `key` is dotted (JSON, YAML), or a column (CSV, JSON lines: one row a step)."""

    file: str
    key: str


@dataclass(frozen=True)
class Definitions:
    """How a program tells its metrics. `metrics`: by name, a pattern with one group, or a place in a file; empty: the last line that the
    program prints is the objective. `step`: a pattern whose group is the step of what follows it, its own line included; None: the
    objective's matches are counted from 1."""

    objective: str
    metrics: Mapping[str, re.Pattern[str] | FileMetric]
    step: re.Pattern[str] | None = None

    @classmethod
    def read(cls, objective: str, metrics: Mapping[str, Any], step: str | None) -> Definitions:
        """From plain values: a metric is a regular expression, or `{file: ..., key: ...}`. Raises `UserError` that names the metric."""
        found: dict[str, re.Pattern[str] | FileMetric] = {}
        for name, value in metrics.items():
            if isinstance(value, Mapping):
                if set(value) != {"file", "key"} or not all(isinstance(part, str) and part for part in value.values()):
                    raise UserError(f"command.metrics.{name}={dict(value)}: must be a regular expression, or file and key")
                if Path(value["file"]).suffix not in _READERS:
                    raise UserError(f"command.metrics.{name}.file={value['file']}: must end in {', '.join(_READERS)}")
                found[str(name)] = FileMetric(value["file"], value["key"])
            else:
                found[str(name)] = _pattern(value, f"command.metrics.{name}")
        if found and objective not in found:
            raise UserError(f"command.objective={objective}: is no metric of command.metrics, which has {', '.join(found)}")
        return cls(objective, found, None if step is None else _pattern(step, "command.step"))


def _pattern(value: Any, key: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(value)
    except (re.error, TypeError) as error:
        raise UserError(f"{key}={value}: is no regular expression ({error})") from None
    if pattern.groups != 1:
        raise UserError(f"{key}={value}: has {pattern.groups} groups; put (...) around the number, and (?:...) around the rest")
    return pattern


@dataclass
class Extractor:
    """Reads a run's output as it comes and calls `report(value, step, metrics)`.

    A report carries the other metrics that came since the last one, its own line included. A step that does not grow is not reported
    again. `value` is the objective's last value, None before the first.
    """

    definitions: Definitions
    report: Report
    value: float | None = None
    last_line: str = ""
    _step: int | None = None
    _reported: int = 0
    _rest: str = ""
    _others: dict[str, float] = field(default_factory=dict)

    def feed(self, text: str) -> None:
        """Take the next piece of output, which may end within a line."""
        lines = re.split(r"[\r\n]+", self._rest + text)
        self._rest = lines.pop()[-LONGEST_LINE:]
        for line in lines:
            self._line(line)

    def close(self, folder: Path) -> None:
        """The output has ended: take its last line, and the metrics that files in `folder` hold. Raises `UserError` for odd files."""
        self.feed("\n")
        if not self.definitions.metrics:
            self.value = _number(self.last_line)
        rows: dict[int, dict[str, float]] = {}
        for name, place in self.definitions.metrics.items():
            if isinstance(place, FileMetric):
                for step, value in enumerate(_column(folder / place.file, place.key), start=1):
                    rows.setdefault(step, {})[name] = value
        for step, found in sorted(rows.items()):
            if self.definitions.objective in found:
                self.value = found.pop(self.definitions.objective)
                self.report(self.value, step, found)

    def _line(self, line: str) -> None:
        line = _CONTROL.sub("", line).strip()
        if not line:
            return
        if not is_hint(line):
            self.last_line = line
        if self.definitions.step is not None and (match := self.definitions.step.search(line)):
            step = _number(match[1])
            self._step = None if step is None else int(step)
        value = None
        for name, pattern in self.definitions.metrics.items():
            if isinstance(pattern, re.Pattern) and (matches := list(pattern.finditer(line))):
                number = _number(matches[-1][1])
                if number is None:
                    continue
                if name == self.definitions.objective:
                    value = number
                else:
                    self._others[name] = number
        if value is not None:
            self.value = value
            step = self._reported + 1 if self.definitions.step is None else self._step
            if step is not None and step > self._reported:
                self._reported = step
                self.report(value, step, self._others)
                self._others = {}


def _number(text: str | None) -> float | None:
    """What a program means by a number: 0.5, 1e-3, nan, 97.2%, 1,234.5 is none."""
    try:
        return float((text or "").strip().rstrip("%"))
    except ValueError:
        return None


def _column(path: Path, key: str) -> list[float]:
    """The values of a key in a file: one, or one for each row. Empty where there is no file or no such key."""
    if not path.exists():
        return []
    try:
        values = _READERS[path.suffix](path.read_text(encoding="utf-8-sig"), key)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None
    numbers = [_number(str(value)) for value in values if value is not None]
    return [number for number in numbers if number is not None]


def _at(node: Any, key: str) -> Any:
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _tree(node: Any, key: str) -> list[Any]:
    if isinstance(node, Mapping):
        found = _at(node, key)
        return found if isinstance(found, list) else [found]
    return [_at(row, key) for row in node] if isinstance(node, list) else []


_READERS: dict[str, Callable[[str, str], list[Any]]] = {
    ".json": lambda text, key: _tree(json.loads(text), key),
    ".yaml": lambda text, key: _tree(yaml.safe_load(text), key),
    ".yml": lambda text, key: _tree(yaml.safe_load(text), key),
    ".jsonl": lambda text, key: [_at(json.loads(line), key) for line in text.splitlines() if line.strip()],
    ".csv": lambda text, key: [row.get(key) for row in csv.DictReader(text.splitlines())],
}
