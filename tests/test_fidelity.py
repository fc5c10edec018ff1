"""What trials that were cut short say of the end: the evidence made of curves, and what it brings a search."""

import math

import numpy as np
import pytest
from optuna.trial import TrialState

from trivet import space
from trivet.search import fidelity
from trivet.search.fidelity import Told, evidence
from trivet.search.gp import AtEnd, Process
from trivet.search.samplers import SamplerSpec
from trivet.search.sampling import Sampler
from trivet.search.teaching import blank, copied


def told(curve, complete=True, result=None):
    return Told({}, curve[-1][1] if result is None else result, curve, complete)


def rising(end, offset=0.0, sign=1.0, until=27):
    """Values that gain one for each factor of three, in a trial of 27 steps."""
    return [(step, sign * (math.log(step, 3) + offset)) for step in range(1, min(end, until) + 1)]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_pruned_value_is_set_off_by_what_others_gained(sign):
    known = [told(rising(27, 0.0, sign)), told(rising(27, 0.5, sign)), told(rising(3, 0.2, sign), False), told(rising(9, 1.0, sign), False)]
    rows = evidence(known, sign)
    assert rows.scores[:4] == pytest.approx([3.0, 3.5, 3.2, 4.0])  # what each would have become
    assert rows.depths[:4] == pytest.approx([1, 1, 1 / 3, 2 / 3])  # and how far it was, by the logarithm of the step
    rest = sorted(zip(rows.places[4:].tolist(), rows.depths[4:].round(3).tolist(), rows.scores[4:].round(9).tolist(), strict=True))
    both = [(place, round(depth, 3), 3 + 0.5 * place) for place in (0, 1) for depth in (1 / 3, 2 / 3)]
    assert rest == [*both, (3, 0.333, 4.0)]  # what the others were worth at those steps


@pytest.mark.parametrize("end", [2, 3, 4, 5, 8, 9, 10, 26, 27, 30, 51, 100])
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_wherever_a_trial_is_cut_all_that_others_gained_from_there_counts(end, cut):
    def curve(n, offset):
        return [(step, math.log(step) + offset) for step in range(1, n + 1)]

    known = [told(curve(end, 0.0)), told(curve(end, 1.0)), told(curve(min(cut, end - 1), 0.5), False)]
    rows = evidence(known, 1.0)
    assert rows.scores[2] == pytest.approx(math.log(end) + 0.5) and rows.depths[2] == pytest.approx(
        math.log(min(cut, end - 1)) / math.log(end)
    )


@pytest.mark.parametrize("epochs", [5, 9, 26, 30])
def test_a_search_that_looks_first_at_an_early_step_ends_where_the_best_is(epochs):
    params = [space.Param("x", space.Float(0.0, 1.0))]
    process, known = Process(params, {}, True, 0), []
    for number in range(24):
        x = process.ask(number, number, known, [])["x"] if number else 0.9
        goes_on = number == 0 or (number >= 8 and abs(x - 0.3) < 0.05)
        curve = [(step, 1 - (x - 0.3) ** 2 - 0.5 / step) for step in range(1, (epochs if goes_on else 1) + 1)]
        known.append(Told({"x": x}, curve[-1][1], curve, goes_on))
    late = [trial.values["x"] for number, trial in enumerate(known) if number >= 12 and number % 8 != 7]
    assert np.median(np.abs(np.array(late) - 0.3)) < 0.02


@pytest.mark.parametrize(
    ("known", "scores"),
    [
        ([], []),
        ([told(rising(27)), told(rising(9))], [-3.0, -2.0]),  # nobody was cut short: one ended early
        ([told([], result=1.0), told([], False, 2.0)], [-1.0, -2.0]),  # nobody knows when
        ([told([(1, 4.0)], False), told([(1, 5.0)], False)], [-4.0, -5.0]),  # trials of one step
    ],
)
def test_without_a_way_results_are_told_as_they_are(known, scores):
    rows = evidence(known, -1.0)
    assert rows.scores.tolist() == pytest.approx(scores) and (rows.depths == 1).all() and rows.places.tolist() == list(range(len(known)))


def test_odd_curves_are_borne():
    known = [
        told([(5, math.nan), (27, 1.0)]),  # reports seldom, once no number
        told([(0, 2.0), (9, 1.5)], False),
        told([], False, 9.0),  # failed: the worst, at the end
        told([(40, 0.5)], False),  # longer than any that completed
    ]
    rows = evidence(known, -1.0)
    assert np.isfinite(rows.scores).all() and (rows.depths >= 0).all() and (rows.depths <= 1).all()
    assert (rows.depths[2], rows.scores[2]) == (1, -9) and rows.depths[3] == 1


def test_rows_are_bounded_and_every_trial_has_one():
    known = [told(rising(27, i / 100)) if i % 3 else told(rising(9, i / 100), False) for i in range(60)]
    rows = evidence(known, 1.0, most=80)
    assert len(rows.places) == 80 and rows.places[:60].tolist() == list(range(60)) and rows.places[60:].min() > 45


def test_where_there_is_room_for_no_more_each_trial_has_its_last_value_alone():
    known = [told(rising(27)), told(rising(27, 0.5)), told(rising(9), False)]
    rows = evidence(known, 1.0, most=3)
    assert rows.places.tolist() == [0, 1, 2] and rows.scores == pytest.approx([3.0, 3.5, 3.0]) and rows.depths[2] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("end", "first", "marks"),
    [
        (27, 27, [3, 9]),
        (27, 3, [3, 9]),
        (27, 2, [2, 3, 9]),
        (27, 1, [1, 3, 9]),
        (2, 1, [1]),
        (6, 6, [2]),
        (4, 4, [1]),
        (1000, 4, [4, 12, 37, 111, 333]),  # no more than five
        (1000, 1, [1, 4, 12, 37, 111, 333]),
    ],
)
def test_which_steps_are_looked_at(end, first, marks):
    assert fidelity._marks(end, first) == marks


def test_what_is_gained_on_the_way_is_the_median_of_those_that_went_on():
    nan = math.nan
    reached = np.array([[0.0, 1.0, 3.0], [0.0, 2.0, 3.0], [0.0, 6.0, nan], [1.0, nan, nan]])
    assert fidelity._gains(reached).tolist() == [2 + 1.5, 1.5, 0.0]
    assert fidelity._gains(np.array([[1.0, nan, 3.0]])).tolist() == [0.0, 0.0, 0.0]


def test_the_value_at_a_step_is_that_of_the_last_report_until_then():
    curve = [(1, 5.0), (4, math.nan), (6, 7.0)]
    assert fidelity._at(curve, [1, 3, 6], -1.0) == [-5.0, -5.0, -7.0] and Told({}, 1.0) == Told({}, 1.0, (), True)
    assert all(map(math.isnan, fidelity._at(curve, [0, 4, 5, 7], 1.0)))  # before the first, no number, no number, past the end


X = space.Param("x", space.Float(0.0, 1.0))


@pytest.mark.parametrize("knows_the_way", [True, False])
def test_a_trial_that_was_ahead_when_it_was_stopped_is_believed_to_be_better(knows_the_way):
    """One trial completes at 1.0, having been at 2.0 at step 2; those on the other side are stopped at step 2, at 1.5."""
    ahead = [told([(1, 2.5), (2, 1.5 + i / 100)] if knows_the_way else [], False, 1.5 + i / 100) for i in range(4)]
    rows = evidence([told([(1, 3.0), (2, 2.0), (7, 1.4), (20, 1.0)]), *ahead], -1.0)
    x = np.array([[0.2], [0.7], [0.75], [0.8], [0.85]])
    scores = (rows.scores - rows.scores.mean()) / rows.scores.std()
    mean, _ = AtEnd(x[rows.places], rows.depths, scores, np.array([0])).predict(x)
    assert (mean[1:].mean() > mean[0]) == knows_the_way  # told as final values they look worse


def test_a_pruned_trial_is_told_with_its_way_and_a_failed_one_without(monkeypatch):
    seen = []
    monkeypatch.setattr(Process, "ask", lambda self, number, seed, known, pending: seen.extend(known) or {"x": 0.5})
    rows = {1: 3.0, 2: 2.0}
    base = [blank(i, {"x": 0.1}, {}) for i in range(3)]
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    known = [copied(t, state=s, values=[2.0], intermediate_values=rows) for t, s in zip(base, states, strict=True)]
    Sampler(SamplerSpec("gp", {}), [X], ["minimize"], 0).ask(3, known)
    assert [(t.complete, list(t.curve)) for t in seen] == [(True, [(1, 3.0), (2, 2.0)]), (False, [(1, 3.0), (2, 2.0)]), (False, [])]


def test_an_infeasible_trial_is_told_as_the_worst_that_holds_its_bounds_and_without_its_way(monkeypatch):
    seen = []
    monkeypatch.setattr(Process, "ask", lambda self, number, seed, known, pending: seen.extend(known) or {"x": 0.5})
    base = [copied(blank(i, {"x": 0.1}, {}), state=TrialState.COMPLETE, intermediate_values={1: 3.0}) for i in range(3)]
    known = [copied(trial, values=[value]) for trial, value in zip(base, (2.0, 5.0, 1.0), strict=True)]
    known[2] = copied(known[2], system_attrs={"constraints:size": 0.5})
    Sampler(SamplerSpec("gp", {}), [X], ["minimize"], 0).ask(3, known)
    assert [(t.result, list(t.curve), t.complete) for t in seen] == [(2.0, [(1, 3.0)], True), (5.0, [(1, 3.0)], True), (5.0, [], True)]
