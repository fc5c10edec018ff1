"""What trials are counted in. Our sections speak of epochs; an app that reports other steps, every hundred batches, has none of those.

Reads no file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from trivet.diagnosis.sweep import Sweep
from trivet.reporting.model import Axis, Cell, Code, Command, Explorer, Layer

EPOCHS = re.compile(r"(max_?|n_?|num_?(train_?)?|total_?|train_?)?epochs?", re.IGNORECASE)  # how configs name the length of a training
WORD = re.compile(r"(\b[Aa])n epoch(s?)\b(?![=.]\w)|(?<![\w.=/-])(E|e)poch(s?)\b(?![=.]\w)")
Part = TypeVar("Part")


class Quoted(str):
    """Words that are not ours, such as the message of an error: no word of them is changed."""

    __slots__ = ()


def unit(sweep: Sweep) -> str:
    """epoch | step | nothing (no trial reported one). Epochs are those that the config counts: no trial has more than it names."""
    if not sweep.epochs:
        return ""
    most = float(sweep.trials["step"].max())
    return "epoch" if any(most <= length for length in _lengths(sweep.study.get("config"))) else "step"


def _lengths(config: object) -> list[float]:
    """The numbers of epochs that a config names, at any depth."""
    if not isinstance(config, Mapping):
        return []
    found = [float(value) for key, value in config.items() if _is_number(value) and EPOCHS.fullmatch(str(key).rsplit(".", 1)[-1])]
    return found + [length for value in config.values() for length in _lengths(value)]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def in_steps(part: Part) -> Part:
    """The same with `step` for `epoch` in every text that is ours: not in code, commands and quotations."""
    changed: Any = part
    if isinstance(part, (Code, Quoted)):
        return part
    if isinstance(part, str):
        changed = WORD.sub(_step, part)
    elif isinstance(part, Cell):
        changed = part if part.code else dataclasses.replace(part, text=in_steps(part.text))
    elif isinstance(part, Command):
        changed = dataclasses.replace(part, what=in_steps(part.what))
    elif isinstance(part, Explorer):
        changed = dataclasses.replace(part, told=in_steps(part.told))
    elif isinstance(part, Layer):
        changed = dataclasses.replace(part, name=in_steps(part.name), hover=[in_steps(text) for text in part.hover])
    elif isinstance(part, Axis):
        changed = dataclasses.replace(part, label=in_steps(part.label))
    elif isinstance(part, (list, tuple)):
        changed = type(part)(map(in_steps, part))
    elif dataclasses.is_dataclass(part) and not isinstance(part, type):
        changed = dataclasses.replace(part, **{field.name: in_steps(getattr(part, field.name)) for field in dataclasses.fields(part)})
    return changed


def _step(found: re.Match) -> str:
    article, many, first, more = found.groups()
    return f"{article} step{many}" if article else ("Step" if first == "E" else "step") + more
