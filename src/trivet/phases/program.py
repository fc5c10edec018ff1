"""init for a program that is no Hydra app: its command line and its metrics, as a trivet.yaml that `python -m trivet.command` runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trivet import space
from trivet.command import Template
from trivet.command.app import Command
from trivet.errors import UserError

APP = "python -m trivet.command"
_NAME = re.compile(r"[A-Za-z_][\w/.-]*")


def describe(line: str, metrics: Sequence[str], step: str | None, shell: bool, root: Path) -> tuple[dict[str, Any], Command]:
    """`command:` of trivet.yaml and what it means. The first of `metrics` is the objective; without any the last line printed is.

    A metric is a regular expression with one group; the word that it begins with is its name. Raises `UserError` for what is wrong in any.
    """
    found = {_name(pattern): pattern for pattern in metrics}
    objective = next(iter(found), "objective")
    content: dict[str, Any] = {"line": line, "metrics": found, **({"step": step} if step else {}), **({"shell": True} if shell else {})}
    return content, Command.read({"objective": objective, **content})


def _name(pattern: str) -> str:
    found = _NAME.match(pattern)
    if found is None:
        raise UserError(f"--metric {pattern}: must begin with the metric's name as it is printed, such as 'val_acc=([0-9.eE+-]+)'")
    return found[0].rstrip("./-")


def ranges(template: Template, given: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """The text of the file of ranges. Raises `UserError` for a placeholder with neither a range nor a value, and for a key that is none."""
    for flag, named in (("--range", given), ("--value", values)):
        for key in named:
            if key not in template.parameters:
                raise UserError(f"{flag} {key}: is no placeholder of the command, which has {', '.join(template.parameters) or 'none'}")
    bare = [name for name in template.parameters if name not in given and name not in values]
    if bare:
        raise UserError(f"{{{bare[0]}}} has neither a range nor a value: give --range '{bare[0]}=interval(0, 1)', or --value {bare[0]}=1")
    if not given:
        raise UserError("nothing to search: give a range, such as --range 'lr=tag(log, interval(1e-5, 1))'")
    space.parse_params(dict(given))
    head = "# What is searched. Forms: interval(0.1, 1) | tag(log, interval(1e-4, 1e-1)) | int(interval(1, 8)) | choice(a, b)\n"
    return head + yaml.safe_dump(dict(given), sort_keys=False, width=10**6)


def values_of(texts: Sequence[str]) -> dict[str, Any]:
    """`--value key=value`, the value read as YAML. Raises `UserError`."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--value {text}: must be key=value, such as batch_size=64")
        try:
            found[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--value {text}: its value cannot be read; quote it") from None
    return found
