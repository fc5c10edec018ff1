"""Which of the changes from one configuration to a better one brought the gain: a path of single changes, and each undone alone.

Trained are both ends and each change alone; then the path from the one end to the other, the change with the largest gain first, and the
better configuration without each change: 3 n - 1 configurations for n changes, each with the same seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trivet import space
from trivet.search.rounds import Done, Given, Plan, Round, score

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
    """The changes by what each brings alone (higher is better), largest gain first, of equals the first named."""
    return sorted(range(n), key=lambda i: (-means[tuple(i == j for j in range(n))], i))


class Ablation:
    """`arguments`: changes (each {name, overrides}), seeds, seed_key (the config's key that seeds a training; None: it has none)."""

    def __init__(self, arguments: Mapping[str, Any], maximize: bool) -> None:
        self.changes, self.seeds, self.seed_key = list(arguments["changes"]), list(arguments["seeds"]), arguments.get("seed_key")
        self.maximize = maximize

    def plan(self, done: Sequence[Done]) -> Plan:
        """Two rounds: what gives the order, and what follows from it."""
        n, begin = len(self.changes), len(done)
        first = ends_and_singles(n)
        done = yield Round.of(self._trials(first))
        means = {mask: self._mean(done[begin + k * len(self.seeds) :][: len(self.seeds)]) for k, mask in enumerate(first)}
        second = [mask for mask in dict.fromkeys([*path(order_of(means, n)), *undone(n)]) if mask not in first]
        if second:
            yield Round.of(self._trials(second))

    def _mean(self, trials: Sequence[Done]) -> float:
        """Of the seeds' values; -inf where one has none."""
        return sum(score(trial, self.maximize) for trial in trials) / len(self.seeds)

    def _trials(self, masks: Sequence[Mask]) -> list[Given]:
        return [self._trial(mask, seed) for mask in masks for seed in self.seeds]

    def _trial(self, mask: Mask, seed: int) -> Given:
        overrides = [text for change, on in zip(self.changes, mask, strict=True) if on for text in change["overrides"]]
        seeded = [] if self.seed_key is None else [f"{self.seed_key}={space.value_text(seed)}"]
        values = {}
        for text in [*seeded, *overrides]:
            key, _, value = text.partition("=")
            values[key] = space.condition_value(value)
        attrs = {"changes": label(mask), **({} if self.seed_key == "seed" else {"seed": seed})}
        return {"params": values, "overrides": [*seeded, *overrides], "attrs": attrs}
