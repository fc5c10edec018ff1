"""Small runs of the pipeline, told by what came of them, for tests of what the report says: no file, no figure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from fake_results import parse

from trivet.diagnosis.sweep import Entry, Sweep
from trivet.reporting import markdown
from trivet.reporting.belonging import settle
from trivet.reporting.build import sections
from trivet.reporting.context import Context
from trivet.reporting.model import Report, Section
from trivet.reporting.tables import Results

LR = "tag(log, interval(0.001, 1.0))"
SETTING = {"files": {"src/train.py": "12ef"}, "called": {"data": "9b1c"}, "config": {"epochs": 20}, "directions": ["maximize"]}
SEEDS = (101, 102, 103)


def trials(values, lr=None, **columns) -> pd.DataFrame:
    """One completed trial of 20 epochs for each value."""
    n = len(values)
    frame = {
        "number": np.arange(n), "state": "COMPLETE", "reason": "", "value": np.asarray(values, dtype=float), "step": 20.0,
        "best_step": 12.0, "lr": np.logspace(-2.9, -0.1, n) if lr is None else lr, "seconds": 1.0, "worker": "0", "started": "",
    }  # fmt: skip
    return pd.DataFrame(frame | columns)


def search(values, name: str = "coarse", spec: str | None = LR, curves: pd.DataFrame | None = None, **study) -> Sweep:
    """A search of lr. values: a table of `trials`, or the values of one."""
    frame = values if isinstance(values, pd.DataFrame) else trials(values)
    nothing = pd.DataFrame({"number": pd.Series(dtype=int), "step": pd.Series(dtype=float)})
    known = {"metric": "val/accuracy", "config": {"epochs": 20, "seed": 0}, "identity": SETTING, "seed": 0, "pruner": {"name": "none"}}
    known |= {"command": f"python src/train.py -m hparams={name}", "overrides": [f"hparams={name}"], "seconds": float(len(frame))}
    entries = [Entry("lr", parse(spec, "lr"))] if spec else []
    direction = study.pop("direction", "maximize")
    curves = nothing if curves is None else curves
    return Sweep(name, frame, curves, ["lr"], ["value"], [direction], entries, known | study)


COARSE = search([0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.90, 0.91, 0.92, 0.89, 0.88, 0.87])
FINE = search([0.955, 0.951, 0.95], name="fine")


def seeds_of(finalists: dict[int, list[float]]) -> Sweep:
    """finalist -> its values with the fresh seeds; 0 is the default."""
    rows = [(finalist, seed, value) for finalist, values in finalists.items() for seed, value in zip(SEEDS, values, strict=False)]
    frame = trials([value for *_, value in rows], lr=[0.1 * finalist for finalist, *_ in rows])
    frame.insert(6, "finalist", [float(finalist) for finalist, *_ in rows])
    frame.insert(7, "seed", [float(seed) for _, seed, _ in rows])
    sweep = search(frame, name="seeds", spec=None)
    sweep.params = ["finalist", "seed", "lr"]
    return sweep


def table_of(
    finalists: dict[int, list[float]], shown: dict[int, float], phases: dict[int, str], searches: dict[str, Sweep]
) -> pd.DataFrame:
    """finalists.csv; each finalist is put into its search as the trial with the value that it showed."""
    rows = []
    for finalist in finalists:
        phase = phases.get(finalist, "coarse") if finalist else "default"
        sweep, value = searches.get(phase), shown.get(finalist, 0.9)
        if sweep is not None:
            sweep.trials.loc[len(sweep.trials) - finalist, "value"] = value
        number = len(sweep.trials) - finalist if sweep is not None else 0
        rows.append({"finalist": float(finalist), "phase": phase, "number": float(number), "value": value, "lr": 0.1 * finalist})
    return pd.DataFrame(rows)


class Later(Context):
    """A run that is made up when it is first looked at: each process of the tests reads the stories of all, and tells those of some."""

    def __init__(self, made: Callable[[], Results]) -> None:
        self._made = made

    @functools.cached_property
    def results(self) -> Results:
        return self._made()

    @functools.cached_property
    def searches(self) -> list[Sweep]:
        return self.results.searches


def story(
    finalists: dict[int, list[float]] | None = None,
    shown: dict[int, float] | None = None,
    phases: dict[int, str] | None = None,
    tested: tuple[list[float], list[float]] | None = None,
    n_test: int | None = 1000,
    coarse: Sweep = COARSE,
    fine: Sweep | None = None,
    **pieces,
) -> Context:
    """A run. tested: test values of the winner and of the default."""
    coarse, fine = (sweep and _copy(sweep) for sweep in (coarse, fine))
    return Later(functools.partial(_results, coarse, fine, (finalists, shown or {}, phases or {}), tested, n_test, pieces))


def _results(coarse: Sweep, fine: Sweep | None, seeded: tuple, tested: tuple | None, n_test: int | None, pieces: dict) -> Results:
    """See `story`. seeded: its finalists, shown and phases."""
    results = Results(Path("nowhere"), coarse=coarse, fine=fine, params={"seed": 0, "coarse": {"n_trials": 12}}, pipeline={"stages": {}})
    finalists, shown, phases = seeded
    if finalists is not None:
        known = {"coarse": coarse} | ({"fine": fine} if fine is not None else {})
        results.finalists = table_of(finalists, shown, phases, known)
        results.seeds = seeds_of(finalists)
    if tested is not None:
        winner, default = (dict(zip(SEEDS, values, strict=False)) for values in tested)
        results.test = {"metric": "test/accuracy", "n_test": n_test, "winner": {"seeds": winner}, "default": {"seeds": default}}
    for name, value in pieces.items():
        setattr(results, name, value)
    settle(results)
    return results


def _copy(sweep: Sweep) -> Sweep:
    return Sweep(sweep.name, sweep.trials.copy(), sweep.curves, sweep.params, sweep.objectives, sweep.directions, sweep.space, sweep.study)


def alone(sweep: Sweep) -> Context:
    """The report of a single sweep."""
    return Context([_copy(sweep)])


def said(context: Context) -> str:
    """Everything that the report says, as plain text: Markdown without its marks, figures not drawn."""
    return words(sections(context))


def words(built: list[Section]) -> str:
    """See `said`."""
    text = markdown.render(Report("", "", built))
    return text.replace("**", "").replace("`", "").replace("\\", "")


@functools.cache
def _told(key: int) -> str:
    return said(_KNOWN[key])


_KNOWN: dict[int, Context] = {}


def told(context: Context) -> str:
    """The same, rendered once for all who look at this very context."""
    _KNOWN[id(context)] = context
    return _told(id(context))


def hold(sentence: str, true: Context, false: Context) -> None:
    """A sentence (a pattern) stands where it is true, and not where it must not appear."""
    assert re.search(sentence, told(true)), told(true)
    assert not re.search(sentence, told(false)), sentence
