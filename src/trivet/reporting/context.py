"""What every section is given: the tables, how values read, and what was worked out once for all."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trivet.diagnosis import diagnose
from trivet.diagnosis import seeds as seeds_of
from trivet.diagnosis.flag import Flag
from trivet.diagnosis.seeds import Seeds
from trivet.diagnosis.sweep import Sweep
from trivet.phases import finalists
from trivet.reporting.model import Axis
from trivet.reporting.tables import Results
from trivet.reporting.words import Scale, override_list, settings

SWEEP_VALUE = re.compile(r"^\s*(interval|choice|range|tag|int|float|glob|sort|shuffle|extend_list)\s*\(")
PHASES = {
    "coarse": ("Phase 1: coarse search", "a wide look over the full space, to find the regions that work"),
    "fine": ("Phase 2: fine search", "a close look at the regions that the first phase found"),
    "seeds": ("Phase 3: seeds", "proof that the best were not luck: each finalist and the default trained anew with the same fresh seeds"),
}


@dataclass
class Context:
    """searches: the sweeps that looked for a configuration, in order. results: None where the report is of a single sweep."""

    searches: list[Sweep]
    results: Results | None = None

    @property
    def last(self) -> Sweep:
        return self.searches[-1]

    @property
    def single(self) -> bool:
        return self.results is None

    @cached_property
    def scale(self) -> Scale:
        values = np.concatenate([sweep.trials[sweep.objectives[0]].to_numpy(dtype=float) for sweep in self.searches])
        return Scale(self.last.metric, values)

    @cached_property
    def seeds(self) -> Seeds | None:
        return seeds_of.read(self.results.seeds, self.results.finalists) if self.results else None

    @cached_property
    def flags(self) -> list[Flag]:
        test = self.results.test if self.results else None
        values = {side: seed_values((test or {}).get(side)) for side in ("winner", "default")}
        return diagnose(self.searches, self.seeds, {**values, "n_test": test.get("n_test")} if test else None)

    @property
    def maximize(self) -> bool:
        return self.last.maximize

    @property
    def better(self) -> str:
        return "higher is better" if self.maximize else "lower is better"

    @cached_property
    def best(self) -> tuple[Sweep, object] | None:
        """The search and the row of the best completed trial of all phases; the earlier one among equals. None where there is none."""
        rows = [(sweep, sweep.best) for sweep in self.searches if sweep.best is not None]
        rows = [pair for pair in rows if pair[1]["state"] == "COMPLETE"] or rows
        return max(rows, key=lambda pair: pair[0].score[pair[1].name], default=None)

    def objective_axis(self, values: np.ndarray | None = None) -> Axis:
        """The axis of the objective: logarithmic where positive values to be minimized span more than a factor of 30."""
        known = np.asarray(values if values is not None else [], dtype=float)
        known = known[np.isfinite(known)]
        log = not self.maximize and len(known) > 1 and known.min() > 0 and known.max() / known.min() > 30
        return Axis(self.scale.label, log=bool(log))

    def name(self, sweep: Sweep) -> str:
        return PHASES[sweep.name][0].split(": ")[1] if not self.single and sweep.name in PHASES else f"sweep {sweep.name}"

    @cached_property
    def options(self) -> dict[str, dict[str, object]]:
        """Of every choice that was searched, its options by their text in the tables."""
        found: dict[str, dict[str, object]] = {}
        for sweep in self.searches:
            for entry in sweep.space:
                found.setdefault(entry.key, {}).update({finalists.text(option): option for option in getattr(entry.spec, "options", ())})
        return found

    @cached_property
    def winner_settings(self) -> dict[str, object]:
        """The searched parameters of what the report recommends: the seeds' winner, else the best trial."""
        if self.seeds is not None and self.results.seeds is not None:
            rows = self.results.seeds.complete
            row = rows[rows["finalist"] == self.seeds.winner].iloc[0]
            return settings(row, [key for key in self.results.seeds.params if key not in ("finalist", "seed")], self.options)
        return settings(self.best[1], self.best[0].params, self.options) if self.best else {}

    @cached_property
    def retrain(self) -> str | None:
        """The command that trains the recommended configuration once; None where the study does not name its command."""
        if self.seeds is not None:
            return command(self.last, [*override_list(self.winner_settings), *override_list(self._kept_run)])
        if self.best is None:
            return None
        sweep, row = self.best
        best = sweep.study.get("best") or {}
        known = best.get("overrides") if best.get("number") == int(row["number"]) else None
        program = split_command(sweep)[0]
        if known and program:
            return shlex.join([*program, *(str(word) for word in known)])
        return command(sweep, override_list(self.winner_settings))

    @property
    def _kept_run(self) -> dict[str, object]:
        """The seed of the run whose model is kept, and the switch that keeps it, where the tables know of them."""
        seed = ((self.results.test or {}).get("model") or {}).get("seed")
        saves = "save_model" in (self.last.study.get("config") or {})
        return ({"seed": seed} if isinstance(seed, int) else {}) | ({"save_model": True} if saves else {})


def seed_values(part: object) -> dict[int, float]:
    """The seeds of one side of test.yaml: {seed: value}, finite values only."""
    seeds = (part or {}).get("seeds") if isinstance(part, dict) else None
    pairs = {int(seed): float(value) for seed, value in (seeds or {}).items() if isinstance(value, (int, float))}
    return {seed: value for seed, value in pairs.items() if math.isfinite(value)}


def words_of(sweep: Sweep) -> list[str]:
    """The study's command, split into words; empty where it is not known."""
    text = sweep.study.get("command")
    if isinstance(text, list):
        return [str(word) for word in text]
    try:
        return shlex.split(str(text)) if text else []
    except ValueError:
        return str(text).split()


def split_command(sweep: Sweep) -> tuple[list[str], list[str]]:
    """(program, overrides): the words up to and with the script, and the `key=value` words after it; flags are left out."""
    words = words_of(sweep)
    for place, word in enumerate(words):
        if word.endswith(".py"):
            return words[: place + 1], [item for item in words[place + 1 :] if not item.startswith("-")]
    program = [word for word in words[:1]]
    return program, [item for item in words[1:] if not item.startswith("-") and "=" in item]


def command(sweep: Sweep, overrides: list[str]) -> str | None:
    """One training run: the study's own script, its fixed overrides (not those that are about the sweep), then `overrides`."""
    program, words = split_command(sweep)
    if not program:
        return None
    known = sweep.study.get("overrides")  # what the command fixed for all trials, as the sweeper read it
    words = [str(word) for word in known] if isinstance(known, list) else words
    chosen = {word.split("=", 1)[0].lstrip("+~") for word in overrides}
    searched = set(sweep.params)
    fixed = []
    for word in words:
        key, _, value = word.partition("=")
        key = key.lstrip("+~")
        about_sweep = key == "hparams" or key.startswith("hydra.") or key.startswith("hydra/")
        swept = bool(SWEEP_VALUE.match(value)) or ("," in value and not value.startswith(("[", "{", "'", '"')))
        if not about_sweep and not swept and key not in chosen and key not in searched:
            fixed.append(word)
    return shlex.join([*program, *fixed, *overrides])
