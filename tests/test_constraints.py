"""Constraints: what they say, that the infeasible never wins, what samplers and pruners are told, the same table for every schedule."""

import math
import random
from dataclasses import replace

import pytest
from hydra_apps import sweep
from optuna.trial import TrialState
from simulated_workers import SimulatedWorker, run_alone, run_scheduled, spec_of
from test_sampling import NUMBERS, told

import trivet
from trivet.errors import UserError
from trivet.search import constraints
from trivet.search.constraints import Constraint
from trivet.search.history import History
from trivet.search.pruning import build
from trivet.search.samplers import sampler_spec
from trivet.search.sampling import Sampler
from trivet.search.teaching import teach
from trivet.search.weights import OBJECTIVES
from trivet.study import constrained, tables
from trivet.study.records import Outcome

SMALL = Constraint("size", True, 2.0)


@pytest.mark.parametrize(
    ("text", "bound", "value", "excess"),
    [
        ("<= 200000", "<= 200000", 200000.0, 0.0),
        ("<=2e5", "<= 200000", 200001.0, 1.0),
        (" >= -0.5 ", ">= -0.5", -1.0, 0.5),
        (">= 0.5", ">= 0.5", 0.75, -0.25),
        ("<= 3", "<= 3", math.nan, 3.0),
        ("<= 3", "<= 3", -math.inf, 0.0),
        (">= 3", ">= 3", -math.inf, 3.0),
        ("<= 0.1", "<= 0.1", math.inf, 1.0),
        ("<= 3", "<= 3", None, 0.0),
    ],
)
def test_bounds(text, bound, value, excess):
    (found,) = constraints.read({"m": text})
    assert str(found) == bound and found.excess(value) == excess
    assert constraints.read({"m": str(found)}) == (found,)


@pytest.mark.parametrize("text", ["200000", 3, "< 3", "== 3", "y" * 80, "<= many", "<= nan", ["<= 3"], "<= 1 2", ""])
def test_what_is_no_bound_is_one_line(text):
    with pytest.raises(UserError) as refused:
        constraints.read({"parameters": text})
    assert str(refused.value) == f"hydra.sweeper.constraints.parameters={str(text)[:60]}: must be '<= number' or '>= number'"


def test_the_reason_of_an_infeasible_trial_names_each_bound_that_is_broken():
    bounds = constraints.read({"size": "<= 200", "acc": ">= 0.5", "x": "<= 1", "y": "<= 1"})
    said = constraints.reason(bounds, [1234567.25, 0.25, 1.0, None])
    assert said == "infeasible: size is 1.23457e+06, must be <= 200; acc is 0.25, must be >= 0.5"
    assert constraints.pick(bounds, {"acc": 1.0, "z": 3.0}) == [None, 1.0, None, None]
    assert not constraints.broken(bounds, [200.0, 0.5, 1.0, None]) and constraints.broken(bounds, [1.0, 0.5, 1.0, 1.5])


def test_none_and_null():
    assert constraints.read(None) == constraints.read({"a": None}) == ()


def test_a_pruner_takes_the_infeasible_for_the_worst():
    history = History(build({"name": "median", "n_startup_trials": 2}))
    for number, (value, barred) in enumerate([(9.0, True), (1.0, False), (8.0, True), (0.5, False), (7.0, True)]):
        history.report(number, 1, value, barred)
        history.end(number)
    history.judge()
    assert [curve.pruned_at for curve in history.curves] == [None, None, 1, 1 if -math.inf > 0.5 else None, 1]


@pytest.mark.parametrize("name", ["gp", "cmaes", "tpe", "nsgaii", "optuna_gp"])
def test_what_samplers_are_told(name):
    directions = ["minimize", "minimize"] if name == "nsgaii" else ["minimize"]
    sampler = Sampler(sampler_spec(name)[0], NUMBERS, directions, 0)
    known = []
    for number, size in enumerate([1.0, 3.0, 1.5, 9.0]):
        trial = told(sampler.ask(number, known), [float(number)] * len(directions))
        trial.system_attrs.update(constraints.attributes([SMALL], [size]))
        known.append(trial)
    shown = teach(known, name, directions)
    if name in ("gp", "cmaes"):
        assert [t.values for t in shown] == [[0.0], [2.0], [2.0], [2.0]]
    else:
        assert [t.constraints for t in shown] == [{"size": -1.0}, {"size": 1.0}, {"size": -0.5}, {"size": 7.0}]
    sampler.ask(4, known)


def test_tpe_goes_where_the_bound_holds():
    """The objective falls with x, the bound is x <= 0: without it the samples go to the end of the range."""

    def late(held):
        sampler = Sampler(sampler_spec({"name": "tpe", "n_startup_trials": 8})[0], NUMBERS[:1], ["minimize"], 1)
        known = []
        for number in range(40):
            trial = told(sampler.ask(number, known), [-1.0])
            trial.values[0] = -trial.params["x"]
            if held:
                trial.system_attrs.update(constraints.attributes([Constraint("x", True, 0.0)], [trial.params["x"]]))
            known.append(trial)
        return sum(t.params["x"] for t in known[25:]) / 15

    assert late(False) > 3 and late(True) < 0.7


def test_what_a_storage_knows_of_constrained_metrics():
    two = (SMALL, Constraint("acc", False, 0.5))
    attrs = {constrained.attribute(2): [1.0, None], constrained.attribute(10): [3.0, 0.75], "other": 1}
    assert [constrained.known(two, attrs, step) for step in (1, 2, 9, 10, math.inf)] == [
        [None, None],
        *[[1.0, None]] * 2,
        *[[3.0, 0.75]] * 2,
    ]
    assert [constrained.breaks(two, attrs, step) for step in (1, 2, 9, 10)] == [False, False, False, True]
    assert constrained.breaks((), attrs, 10) is False
    returned = {**attrs, constrained.RETURNED: [None, 0.25]}
    assert constrained.final(two, returned, 10, True) == [3.0, 0.25] and constrained.final(two, returned, 2, True) == [1.0, 0.25]
    assert constrained.final(two, returned, 10, False) == [3.0, 0.75] and constrained.final(two, attrs, 10, True) == [3.0, 0.75]
    kept = {k: v for k, v in returned.items() if k != "other"} | {OBJECTIVES: [1.0]}
    assert constrained.copied({**returned, OBJECTIVES: [1.0]}) == kept
    assert constrained.given((1.0, None)) == {constrained.attribute(0): [1.0, None]} and constrained.given(()) == {}
    assert constrained.attribute(7) == "trivet:constrained:7"


class Holding(SimulatedWorker):
    """Its trials say with their reports what they weigh: another number at each step, and none at the first."""

    def _work(self):
        report = self.study.report

        def with_size(number, step, value):
            x = abs(self.study.params_of(number).get("x", 0.0))
            return report(number, step, value, [None if step == 1 else x + step / 10, 1.0])

        self.study.report = with_size
        yield from super()._work()


HELD = (Constraint("size", True, 2.6), Constraint("one", True, 1.0))


@pytest.mark.parametrize("pruner", [None, "asha", {"name": "median", "n_startup_trials": 2}], ids=str)
def test_every_schedule_gives_the_table_of_one_worker(tmp_path, monkeypatch, pruner):
    monkeypatch.setattr("simulated_workers.SimulatedWorker", Holding)
    tpe = ("tpe", {"n_startup_trials": 3})
    given = {"n_trials": 16, "constraints": HELD, "reuse": True}
    expected = run_alone(spec_of(tmp_path / "alone", tpe, pruner, **given))
    header, *rows = expected[0]
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert {"COMPLETE", "INFEASIBLE"} <= {row["state"] for row in found}
    for row in found:
        if row["state"] == "INFEASIBLE":
            assert row["reason"].removeprefix("pruned; ").startswith("infeasible: size is ") and float(row["size"]) > 2.6
            assert row["reason"].endswith("must be <= 2.6")
        elif row["state"] == "COMPLETE" and row["size"]:
            assert float(row["size"]) <= 2.6 and row["one"] == "1.0"
    for i, (n_workers, p_kill) in enumerate([(1, 0.1), (2, 0.0), (4, 0.04)]):
        assert run_scheduled(spec_of(tmp_path / str(i), tpe, pruner, **given), random.Random(i), n_workers, p_kill) == expected


def test_what_was_returned_counts_and_a_copy_is_what_it_is_a_copy_of(tmp_path):
    given = tuple({"params": {"x": float(i)}, "overrides": None} for i in range(3))
    spec = spec_of(tmp_path, "tpe", n_trials=3, constraints=(SMALL,), explicit=given)

    def trial(number, params):
        return [(1, 0.5)], Outcome("COMPLETE", (1.0 - number,))

    class Returning(SimulatedWorker):
        def _work(self):
            tell = self.study.tell
            self.study.tell = lambda number, outcome: tell(number, outcome, {constrained.RETURNED: [2.0 + number]})
            yield from super()._work()

    worker = Returning(spec, trial=trial)
    while worker.over is None:
        worker.advance()
    trials = worker.study.finished()
    assert [(t.state, t.values, t.trial.state) for t in trials][:2] == [
        ("COMPLETE", [1.0], TrialState.COMPLETE),
        ("INFEASIBLE", [0.0], TrialState.COMPLETE),
    ]
    best = tables.best_of(worker.study, [replace(t, values=[9.0 + t.number]) for t in trials])
    assert best.number == 0 and [t.number for t in tables.pareto(trials, ["maximize"])] == [0]
    from trivet.study import copies

    copy = copies.copy_of(worker.study, trials[1])
    assert copy.state == "COMPLETE" and copy.constrained == {constrained.RETURNED: [3.0]}
    worker.close()


APP = (
    "x: 0\nhydra: {sweeper: {n_trials: 8, baseline: false, params: {x: 'interval(0, 4)'}, constraints: {size: '<= 2'}, sampler: random}}\n"
)


def test_a_sweep_marks_the_infeasible_and_never_chooses_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text(APP)

    def task(config):
        trivet.report(-config.x, 1, {"size": 0.0})
        return {"value": -config.x, "size": config.x} if config.x > 1 else -config.x

    value = sweep(tmp_path / "conf", task, ["hydra.sweep.dir=out"])
    rows = tables.read_csv(tmp_path / "out" / "trials.csv")
    assert list(rows[0])[:7] == ["number", "state", "reason", "value", "step", "best_step", "size"]
    assert {row["state"] for row in rows} == {"COMPLETE", "INFEASIBLE"}
    assert value == min(float(row["value"]) for row in rows if float(row["size"]) <= 2) > min(float(row["value"]) for row in rows)
    assert " infeasible" in capsys.readouterr().out
    assert tables.load_study(tmp_path / "out")["constraints"] == {"size": "<= 2"}
    sweep(
        tmp_path / "conf", lambda config: config.x, ["hydra.sweep.dir=none", "hydra.sweeper.max_failure_rate=1", "hydra.sweeper.n_trials=1"]
    )
    (row,) = tables.read_csv(tmp_path / "none" / "trials.csv")
    assert row["state"] == "FAIL" and row["reason"].startswith("the constraint on size: no such metric was reported")


def test_a_metric_that_varies_is_told(caplog):
    from trivet.sweep.rules import tell_varying

    tell_varying(["latency", "parameters", "val/seconds"])
    assert [record.getMessage().split()[0] for record in caplog.records] == ["latency", "val/seconds"]
