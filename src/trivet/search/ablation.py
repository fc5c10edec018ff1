"""Which of the changes from one configuration to a better one brought the gain: a path of single changes, and each undone alone.

Trained are both ends and each change alone; then the path from the one end to the other, the change with the largest gain first, and the
better configuration without each change: 3 n - 1 configurations for n changes, each with the same seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trivet import space
from trivet.changes import Mask, ends_and_singles, label, order_of, path, undone
from trivet.search.rounds import Done, Given, Plan, Round, score


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
