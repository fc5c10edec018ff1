"""Ranges for parameters that are known by their name, around the value that a config gives them: a first draft for a person to edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trivet.space import limits
from trivet.space.specs import Choice, Float, Int, Spec, to_text

SKIPPED = ("eps", "epsilon", "temperature", "l1", "l2", "max_norm")  # known by name, and hardly ever worth a search
LR_FACTOR, DECAY_FACTOR = 30, 100  # a range reaches so far to both sides of the default
AROUND = 10.0  # how far around the rate that a ladder has found it is worth searching
DECAYS = (0, 1e-5, 1e-4, 1e-3, 1e-2)
DEPTHS = ("depth", "layers", "blocks")
MUST_DIVIDE = ("heads", "kernel", "kernel_size", "patch")


@dataclass(frozen=True)
class Suggestion:
    """A range for a key, and what it was made from."""

    key: str
    text: str
    why: str


def suggest(values: Mapping[str, Any]) -> list[Suggestion]:
    """A range for every key that is recognised, in the order of `values` (dotted key -> value). Values that are no numbers have none."""
    found = []
    for key, value in values.items():
        spec = _range(limits.leaf(key), value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        if spec is not None:
            found.append(Suggestion(key, to_text(spec), f"the config has {value!r}"))
    return found


def _range(name: str, value: float) -> Spec | None:
    if name in SKIPPED:
        return None
    if limits.BATCH_SIZE.fullmatch(name):
        return Choice(tuple(size for size in (value // 4, value // 2, value, 2 * value, 4 * value) if size >= 8)) if value >= 8 else None
    if limits.LEARNING_RATE.fullmatch(name):
        return _around(value, LR_FACTOR, 1e-7, 10.0) if value > 0 else None
    if limits.is_multiplicative(name):
        return _around(value, DECAY_FACTOR, 1e-9, 1.0) if value > 0 else Choice(DECAYS) if name in ("weight_decay", "wd") else None
    if limits.DROPOUT.fullmatch(name):
        return Float(0.0, max(0.5, float(value))) if 0 <= value <= 0.9 else None
    if name == "momentum":
        return Choice(tuple(sorted({0.8, 0.9, 0.95, 0.99, float(value)}))) if 0 < value < 1 else None
    if name in ("label_smoothing", "smoothing"):
        return Float(0.0, max(0.2, float(value))) if 0 <= value <= 0.5 else None
    return _size(name, value)


def _size(name: str, value: float) -> Spec | None:
    last = name.rsplit("_", 1)[-1]
    if not limits.STRUCTURE.fullmatch(name) or not isinstance(value, int) or value < 1 or last in MUST_DIVIDE or name in MUST_DIVIDE:
        return None
    if last in DEPTHS:
        return Int(max(1, value - 1), value + 2)
    return Int(max(1, value // 2), 2 * value, log=True) if value >= 4 else None


def _around(value: float, factor: float, low: float, high: float) -> Float:
    """A log range around a value, its ends with one digit, within what a quantity of this kind can be."""
    ends = (float(f"{max(low, value / factor):.0e}"), float(f"{min(high, value * factor):.0e}"))
    return Float(min(ends[0], value), max(ends[1], value), log=True)


def around(key: str, rate: float, fixed: Sequence[str]) -> list[str]:
    """The overrides of a search around the result of a ladder, whose own are `fixed`: another phase, a factor of ten to each side, and the
    rate among the first trials."""
    phase = {"hparams=ladder": ["hparams=search"], "+trivet=ladder": ["+trivet=search", "hydra/sweeper=trivet"]}
    words = [part for word in fixed if not word.lstrip("+~").startswith(("hydra.", "hydra/")) for part in phase.get(word, [word])]
    return [*words, f"{key}=tag(log, interval({rate / AROUND:.3g}, {rate * AROUND:.3g}))", f"hydra.sweeper.enqueue=[{{{key}: {rate:g}}}]"]
