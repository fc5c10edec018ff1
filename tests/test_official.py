"""What the record makes of a trial: the row that tables hold, and the trial that samplers are shown."""

import math
from datetime import datetime

import pytest
from optuna.trial import TrialState
from simulated_workers import PARAMS, spec_of

from trivet.errors import UserError
from trivet.search.constraints import Constraint
from trivet.study.records import STATES, Outcome, ended
from trivet.study.study import Study
from trivet.study.view import View

NAN = math.nan
BEGUN = datetime(2026, 3, 9, 14, 5)


def study_of(folder, n_trials, **changes):
    return Study(spec_of(folder, "random", changes.pop("pruner", None), n_trials, params=PARAMS[:1], **changes))


def told(study, outcome, steps=(), attrs=None, held=()):
    """A trial that reports these (step, value) and ends so."""
    number = study.claim("w").number
    for step, value in steps:
        study._sync_due = 0.0
        study.report(number, step, value, held)
    study.tell(number, outcome, attrs)
    return study.finished()[number]


def test_a_trial_as_samplers_are_shown_it(tmp_path):
    study = study_of(tmp_path, 5)
    metrics = {"columns": ["loss"], "rows": [[2, 0.5]]}
    first = told(study, Outcome("COMPLETE", (0.5,)), [(1, 0.25), (4, 0.5)], {"trivet:metrics": metrics, "mine": 1})
    stored = study.trials[0]
    assert (first.number, first.state, first.values, first.reason, first.curve) == (0, "COMPLETE", [0.5], "", [(1, 0.25), (4, 0.5)])
    assert first.params == stored.params and list(first.params) == ["x"] and first.metrics == metrics
    assert (first.runs, first.constrained, first.begin, first.step, first.cost, first.stopped) == ([], [], 0, 4, 4, False)
    shown = first.trial
    assert (shown.number, shown._trial_id, shown.state, shown.values) == (0, 1, TrialState.COMPLETE, [0.5])
    assert (shown.params, shown.distributions, shown.user_attrs) == (stored.params, stored.distributions, {})
    assert shown.intermediate_values == {1: 0.25, 4: 0.5}
    assert shown.datetime_start == shown.datetime_complete == stored.datetime_start != datetime.min, "how long it took is no matter"
    failed = told(study, Outcome("FAIL", (7.0,), "odd"), [(1, 0.5)])
    assert (failed.state, failed.values, failed.reason, failed.metrics) == ("FAIL", [], "odd", {})
    assert (failed.trial.state, failed.trial.values) == (TrialState.FAIL, None)
    study.close()


def test_a_trial_without_a_beginning_began_at_none(tmp_path):
    study = study_of(tmp_path, 1)
    told(study, Outcome("COMPLETE", (0.5,)))
    study.trials[0].datetime_start = None
    again = study._make_official(0).trial
    assert again.datetime_start == again.datetime_complete == datetime.min
    study.trials[0].datetime_start = BEGUN
    again = study._make_official(0).trial
    assert again.datetime_start == again.datetime_complete == BEGUN
    study.close()


@pytest.mark.parametrize(
    ("steps", "values"), [([(1, 0.5), (2, 0.25)], [0.25]), ([(1, 0.5), (2, NAN)], []), ([(1, NAN), (2, 0.5)], [0.5]), ([], [])], ids=str
)
def test_the_value_of_a_pruned_trial_is_its_last(tmp_path, steps, values):
    study = study_of(tmp_path, 1)
    found = told(study, Outcome("PRUNED", (9.0,), "raised it"), steps)
    assert (found.state, found.values, found.reason, found.stopped) == ("PRUNED", values, "raised it", True)
    assert found.trial.state == TrialState.PRUNED and (found.trial.values or []) == values
    study.close()


def test_of_several_objectives_a_curve_is_told_to_nobody(tmp_path):
    study = study_of(tmp_path, 2, directions=("maximize", "minimize"))
    both = told(study, Outcome("COMPLETE", (0.5, 1.0)), [(1, 0.25)])
    assert (both.values, both.curve, both.trial.intermediate_values) == ([0.5, 1.0], [(1, 0.25)], {})
    pruned = told(study, Outcome("PRUNED"), [(1, 0.25)])
    assert (pruned.values, pruned.trial.values, pruned.curve) == ([], None, [(1, 0.25)])
    study.close()


@pytest.mark.parametrize(
    ("outcome", "held", "state", "reason"),
    [
        (Outcome("COMPLETE", (0.5,)), 2.0, "COMPLETE", ""),
        (Outcome("COMPLETE", (0.5,)), 2.5, "INFEASIBLE", "infeasible: size is 2.5, must be <= 2"),
        (Outcome("COMPLETE", (0.5,), "said so"), 2.5, "INFEASIBLE", "said so; infeasible: size is 2.5, must be <= 2"),
        (Outcome("PRUNED"), 2.0, "PRUNED", ""),
        (Outcome("PRUNED"), 2.5, "INFEASIBLE", "pruned; infeasible: size is 2.5, must be <= 2"),
        (Outcome("FAIL", reason="odd"), 2.5, "FAIL", "odd"),
    ],
    ids=str,
)
def test_a_bound_that_is_broken(tmp_path, outcome, held, state, reason):
    study = study_of(tmp_path, 1, constraints=(Constraint("size", True, 2.0),))
    found = told(study, outcome, [(1, 0.5)], held=[held])
    assert (found.state, found.reason) == (state, reason)
    assert found.constrained == ([None] if state == "FAIL" else [held])
    assert found.trial.state.name == outcome.state and found.stopped is (outcome.state == "PRUNED")
    study.close()


def test_a_trial_that_waits_for_an_earlier_one_is_not_finished(tmp_path):
    study = study_of(tmp_path, 2, pruner={"name": "median", "n_startup_trials": 1})
    assert [study.claim("w").number for _ in range(2)] == [0, 1]
    study.report(1, 1, -0.5)
    study.tell(1, Outcome("COMPLETE", (0.5,)))
    view = View(study.spec)
    assert study.finished() == view.finished() == study.settled == [] and study.trials[1].state == TrialState.RUNNING
    assert [t.number for t in view.trials] == [0, 1]
    study.report(0, 1, 0.5)
    study.tell(0, Outcome("COMPLETE", (0.5,)))
    view.sync()
    assert [t.state for t in study.finished()] == ["COMPLETE", "PRUNED"] and [t.number for t in study.settled] == [0, 1]
    study.settle_all()
    view.sync()
    assert [t.state for t in view.finished()] == ["COMPLETE", "PRUNED"]
    view.close()
    study.close()


def test_where_it_began_is_not_what_it_cost(tmp_path):
    given = ({"params": {"x": 1.0}, "overrides": ["x=1.0", "kind=b", "y=2"], "start": {"trial": 0, "step": 3}},)
    study = study_of(tmp_path, 2, explicit=given)
    found = told(study, Outcome("COMPLETE", (0.5,)), [(4, 0.25), (5, 0.5)])
    assert (found.begin, found.step, found.cost) == (3, 5, 2)
    assert study.given(0) == given[0] and study.given(1) is None
    assert study.overrides_of(0) == ({"kind": "b"}, ["x=1.0", "y=2"])
    assert told(study, Outcome("COMPLETE", (0.5,)), [(2, 0.5)]).cost == 2
    groups, values = study.overrides_of(1)
    assert groups == {} and values == [f"x={study.params_of(1)['x']!r}"]
    study.close()


def test_a_state_that_is_none_of_an_ended_trial():
    assert [ended(name) for name in STATES] == ["COMPLETE", "PRUNED", "FAIL"]
    for name in ("RUNNING", "complete", ""):
        with pytest.raises(UserError) as refused:
            ended(name)
        assert str(refused.value) == f"state={name}: no state of a trial that has ended; there are COMPLETE, PRUNED, FAIL"
