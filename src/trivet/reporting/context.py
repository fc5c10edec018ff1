"""What every section is given: the tables, how values read, and what was worked out once for all."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from trivet.diagnosis import diagnose
from trivet.diagnosis import seeds as seeds_of
from trivet.diagnosis.choosing import Gain, gain
from trivet.diagnosis.flag import Flag
from trivet.diagnosis.front import between
from trivet.diagnosis.seeds import NOT_PARAMS, Seeds, labels
from trivet.diagnosis.sweep import Sweep
from trivet.errors import UserError
from trivet.phases import finalists
from trivet.reporting.commands import command, seed_key, split_command
from trivet.reporting.model import Axis
from trivet.reporting.tables import Results
from trivet.reporting.units import unit
from trivet.reporting.words import Scale, override_list, settings

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
    def run(self) -> Results:
        """What the whole run has published. Raises UserError for a report of a single sweep, which has none of its sections."""
        if self.results is None:
            raise UserError(f"{self.last.name}: a single sweep and no run of the pipeline; give the folder that holds results/")
        return self.results

    @property
    def test(self) -> dict:
        """What the test stage has published; empty where no test was made."""
        return (self.results.test if self.results is not None else None) or {}

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
        test = {"winner": self.tested["winner"], "default": self.tested["default"], "n_test": self.n_test}
        return diagnose(self.searches, self.seeds, test if self.tested["winner"] else None)

    @cached_property
    def trained(self) -> list[Sweep]:
        """All sweeps of the run that trained something: the searches and the seeds."""
        seeds = self.results.seeds if self.results is not None else None
        return [*self.searches, *([seeds] if seeds is not None else [])]

    @cached_property
    def price_per_hour(self) -> float | None:
        return self._price("price_per_hour")

    @cached_property
    def spot_price_per_hour(self) -> float | None:
        return self._price("spot_price_per_hour")

    def _price(self, name: str) -> float | None:
        report = self.results.params.get("report") if self.results is not None else None
        price = report.get(name) if isinstance(report, dict) else None
        return float(price) if isinstance(price, (int, float)) and not isinstance(price, bool) and 0 < price < math.inf else None

    @cached_property
    def tested(self) -> dict[str, dict[int, float]]:
        """{winner, default}: the finite test values of each by seed; both empty where no test was made."""
        return {side: seed_values(self.test.get(side)) for side in ("winner", "default")}

    @property
    def n_test(self) -> int | None:
        n = self.test.get("n_test")
        return n if isinstance(n, int) and n > 0 else None

    @cached_property
    def test_scale(self) -> Scale:
        name = self.test.get("metric")
        values = [value for side in self.tested.values() for value in side.values()]
        return Scale(str(name or "test/" + self.scale.metric.rsplit("/", 1)[-1]), values)

    @cached_property
    def gain(self) -> Gain | None:
        """Of the winner over the default: on test data where both were tested, else on validation data over fresh seeds."""
        if self.seeds is None or self.seeds.winner == 0:
            return None
        if self.tested["winner"] and self.tested["default"]:
            n_test = self.n_test if self.test_scale.share else None
            return gain(self.tested["winner"], self.tested["default"], self.maximize, max(len(self.seeds.tuned), 1), n_test)
        return self.seeds.gain(self.seeds.winner)

    @property
    def default_won(self) -> bool:
        """Whether nothing that was tuned beat the default: over fresh seeds, else among at least ten completed trials of the search."""
        if self.seeds is not None:
            return self.seeds.winner == 0 and bool(self.seeds.tuned)
        if self.last.several:
            return False
        if self.best is None or len(self.best[0].complete) < 10:
            return False
        return self.best[0].default_number is not None and int(self.best[1]["number"]) == self.best[0].default_number

    @cached_property
    def unit(self) -> str:
        """What the trials of the searches are counted in: epoch, step, or nothing where none reported any; see units.py."""
        known = {unit(sweep) for sweep in self.searches}
        return next((name for name in ("epoch", "step") if name in known), "")

    @property
    def maximize(self) -> bool:
        return self.last.maximize

    @property
    def better(self) -> str:
        return "higher is better" if self.maximize else "lower is better"

    @cached_property
    def best(self) -> tuple[Sweep, pd.Series] | None:
        """The search and the row of the best completed trial of all phases; the earlier one among equals. None where there is none."""
        rows = [(sweep, row) for sweep in self.searches if (row := sweep.best) is not None]
        rows = [pair for pair in rows if pair[1]["state"] == "COMPLETE"] or rows
        return max(rows, key=lambda pair: pair[0].score[pair[1].name], default=None)

    @cached_property
    def chosen(self) -> tuple[Sweep, pd.Series] | None:
        """What is trained again where no seeds tell: the best trial; of several objectives the one in between."""
        if self.last.several and (row := between(self.last)) is not None:
            return self.last, row
        return self.best

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
        """The searched parameters of what the report recommends: the seeds' winner, else the trial that is `chosen`."""
        if self.seeds is not None and self.run.seeds is not None:
            sweep = self.run.seeds
            known = labels(sweep, self.run.finalists) or {}
            row = next(row for index, row in sweep.complete.iterrows() if known.get(index) == self.seeds.winner)
            return settings(row, [key for key in sweep.params if key not in (*NOT_PARAMS, seed_key(self.results))], self.options)
        return settings(self.chosen[1], self.chosen[0].params, self.options) if self.chosen else {}

    @cached_property
    def retrain(self) -> str | None:
        """The command that trains the recommended configuration once; None where the study does not name its command."""
        if self.seeds is not None:
            return command(self.last, [*override_list(self.winner_settings), *override_list(self._kept_run)])
        if self.chosen is None:
            return None
        sweep, row = self.chosen
        if "schedule" in sweep.study:  # the best of a population is the end of its schedule
            return str(sweep.study["schedule"]["command"])
        best = sweep.study.get("best") or {}
        known = best.get("overrides") if best.get("number") == int(row["number"]) else None
        program = split_command(sweep)[0]
        if known and program:
            return shlex.join([*program, *(str(word) for word in known)])
        return command(sweep, override_list(self.winner_settings))

    @property
    def _kept_run(self) -> dict[str, object]:
        """The seed of the run whose model is kept, and the switch that keeps it, where the tables know of them."""
        seed = (self.test.get("model") or {}).get("seed")
        saves = "save_model" in (self.last.study.get("config") or {})
        key = seed_key(self.results)
        kept: dict[str, object] = {key: seed} if isinstance(seed, int) and key is not None else {}
        return kept | ({"save_model": True} if saves else {})


def seed_values(part: object) -> dict[int, float]:
    """The seeds of one side of test.yaml: {seed: value}, finite values only."""
    seeds = (part or {}).get("seeds") if isinstance(part, dict) else None
    pairs = {int(seed): float(value) for seed, value in (seeds or {}).items() if isinstance(value, (int, float))}
    return {seed: value for seed, value in pairs.items() if math.isfinite(value)}
