"""What the stage `prepare` tells a person: the files it wrote, what it understood of a file of the user's, and what looks wrong."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import yaml

from trivet.data.origin import paths
from trivet.data.prepare import validate

SHOWN = 40  # columns of a table that are printed


def summary(meta: dict[str, Any], folder: Path) -> str:
    """One line per file written, then what the samples are."""
    parts = {
        "search.npz": f"{meta['n_train']} training + {meta['n_val']} validation",
        "test.npz": f"{meta['n_test']} test",
        "data.yaml": "",
    }
    lines = [f"{os.path.join(folder, name):32} {what + ' samples' if what else 'what they are'}" for name, what in parts.items()]
    kind = f"{meta['n_classes']} classes" if meta["n_classes"] else f"regression, {meta['n_outputs']} target(s)"
    shape = " x ".join(map(str, meta["input_shape"]))
    return "\n".join([*lines, f"{meta['name']}: {kind}, inputs {shape}, sha256 {meta['sha256'][:12]}"])


def not_listed(config: dict[str, Any], root: Path) -> list[str]:
    """A warning for each file of the user's that dvc.yaml does not list, so that `dvc repro` would not see an edit."""
    pipeline = root / "dvc.yaml"
    if Path.cwd() != root or not pipeline.is_file():
        return []
    try:
        deps = yaml.safe_load(pipeline.read_text(encoding="utf-8"))["stages"]["prepare"]["deps"]
    except (KeyError, TypeError, yaml.YAMLError):  # a pipeline of another make
        return []
    listed = {(root / (dep if isinstance(dep, str) else next(iter(dep)))).resolve() for dep in deps}
    lines = []
    for key, path in paths(validate(config)).items():
        if path.resolve() not in listed:
            mend = f"run `dvc add {shlex.quote(str(path))}` and name it under deps of prepare in dvc.yaml"
            if not path.resolve().is_relative_to(root.resolve()):
                mend = "copy it into the project, `dvc add` it there, and name it under deps of prepare in dvc.yaml"
            lines.append(f"warning: data.{key}={path}: `dvc repro` does not notice an edit of it: {mend}")
    return lines


def understood(meta: dict[str, Any]) -> list[str]:
    """What was understood of the user's own file, and every warning, a line each; [] for data that comes with Trivet."""
    found = dict(meta.get("understood") or {})
    warnings, columns = found.pop("warnings", []), found.pop("columns", [])
    lines = [f"{key}: {facts(value)}" for key, value in found.items()]
    names = ("column", "kind", "missing", "distinct", "values")
    rows: list[tuple[str, ...]] = [names, *(tuple(str(row[key]) for key in names) for row in columns[:SHOWN])]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    if columns:
        lines += ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows]
    if len(columns) > SHOWN:
        lines.append(f"and {len(columns) - SHOWN} more columns: see data.yaml, understood")
    return [printable(line) for line in [*lines, *(f"warning: {line}" for line in warnings)]]


def facts(value: Any) -> str:
    """A mapping as `key value, key value`; anything else as it is."""
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else str(value)


def printable(line: str) -> str:
    """The line without characters that would steer a terminal: names and values come from the user's file."""
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode() for character in line)
