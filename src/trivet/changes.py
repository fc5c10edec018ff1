"""Single changes between two configurations, for who trains them and who reads the table: which a configuration has, and in what order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Mask = tuple[bool, ...]
"""Which changes a configuration has."""


def label(mask: Mask) -> str:
    """A mask as a cell of trials.csv: `1+3`; `none` for the one end."""
    return "+".join(str(i + 1) for i, on in enumerate(mask) if on) or "none"


def mask_of(text: str, n: int) -> Mask:
    """What `label` wrote of `n` changes."""
    on = set() if text == "none" else {int(part) for part in text.split("+")}
    return tuple(i + 1 in on for i in range(n))


def most(n: int, n_seeds: int) -> int:
    """Trainings of an ablation, at most: 3 n - 1 configurations (two of a single change)."""
    return (3 * n - 1) * n_seeds


def ends_and_singles(n: int) -> list[Mask]:
    """No change, all of them, and each alone."""
    return list(dict.fromkeys([(False,) * n, (True,) * n, *(tuple(i == j for j in range(n)) for i in range(n))]))


def path(order: Sequence[int]) -> list[Mask]:
    """From no change to all of them, one by one in this order."""
    return [tuple(i in order[:k] for i in range(len(order))) for k in range(len(order) + 1)]


def undone(n: int) -> list[Mask]:
    """All changes but one, for each."""
    return [tuple(i != j for j in range(n)) for i in range(n)]


def order_of(means: Mapping[Mask, float], n: int) -> list[int]:
    """The changes by what each brings alone (higher is better), largest gain first, of equals the first named; what has no mean is last."""
    return sorted(range(n), key=lambda i: (-means.get(tuple(i == j for j in range(n)), float("-inf")), i))
