"""Pruning rules as tables: a trial's curve and the earlier curves in, the verdict out; for both directions."""

import itertools
import math

import numpy as np
import pytest

from trivet.errors import UserError
from trivet.search import pruning
from trivet.search.history import History

NAN, INF = math.nan, math.inf


def verdicts(pruner, curves, maximize=True, prior=()):
    """Where each trial is pruned (None: never) when trials run one after the other, each stopping where it is told to."""
    history = History(pruning.build(pruner), maximize, prior)
    stopped = []
    for number, curve in enumerate(curves):
        rows = curve.items() if isinstance(curve, dict) else enumerate(curve, start=1)
        for step, value in rows:
            history.report(number, step, value)
            history.judge()
            if history.curve(number).pruned_at is not None:
                break
        history.end(number)
        history.judge()
        stopped.append(history.curve(number).pruned_at)
    return stopped


def flipped(curves):
    return [{s: -v for s, v in c.items()} if isinstance(c, dict) else [-v for v in c] for c in curves]


def check(pruner, curves, expected, prior=()):
    assert verdicts(pruner, curves, prior=prior) == expected
    turned = [[(s, -v) for s, v in rows] for rows in prior]
    assert verdicts(pruner, flipped(curves), maximize=False, prior=turned) == expected


N = None
HALVES = {"name": "asha", "reduction_factor": 2}
FOUR = [[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4]]


@pytest.mark.parametrize(
    ("pruner", "curves", "expected"),
    [
        # four earlier trials are needed; the bar is the second best of four
        ("median", [*FOUR, [2.5, 2.5, 2.5]], [N, N, N, N, 1]),
        ("median", [*FOUR, [3, 3, 3]], [N, N, N, N, N]),  # a tie stays
        ("median", [*FOUR, [2.5, 3.5, 0]], [N, N, N, N, 1]),
        ({"name": "median", "n_warmup_steps": 1}, [*FOUR, [2.5, 3.5, 0]], [N, N, N, N, N]),  # the best so far counts
        ({"name": "median", "n_warmup_steps": 1}, [*FOUR, [2.5, 2.5, 0]], [N, N, N, N, 2]),
        ({"name": "median", "n_warmup_steps": 3}, [*FOUR, [0, 0, 0]], [N, N, N, N, N]),
        ({"name": "median", "n_startup_trials": 2}, [[1], [2], [1.5], [1.5], [1.4]], [N, N, 1, N, 1]),
        ({"name": "median", "n_startup_trials": 1}, [[1], [0.9], [1.1]], [N, 1, N]),
        ({"name": "median", "interval_steps": 2}, [*FOUR, [9, 0, 0]], [N] * 5),
        ({"name": "median", "interval_steps": 2}, [*FOUR, {2: 0, 3: 0}], [N, N, N, N, 2]),  # its first report after step 1
        ({"name": "median", "interval_steps": 10}, [*({100: v, 200: v} for v in (1, 2, 3, 4)), {100: 2.5}], [N, N, N, N, 100]),
        ({"name": "median", "interval_steps": 150}, [*({100: v, 200: v} for v in (9, 9, 9, 9)), {99: 9, 150: 9, 151: 0}], [N] * 5),
        ({"name": "median", "interval_steps": 150}, [*({100: v, 200: v} for v in (9, 9, 9, 9)), {100: 0, 151: 0}], [N, N, N, N, 100]),
        ({"name": "median", "interval_steps": 2, "n_warmup_steps": 1}, [*FOUR, {1: 0, 2: 0}], [N, N, N, N, 2]),
        ({"name": "median", "interval_steps": 2, "n_warmup_steps": 1}, [*FOUR, {1: 9, 2: 9, 3: 9, 4: 9}], [N] * 5),
        # the third of five is the median
        ("median", [*FOUR, [5, 5, 5], [2.9] * 3], [N, N, N, N, N, 1]),
        ("median", [*FOUR, [5, 5, 5], [3] * 3], [N, N, N, N, N, N]),
        # trials pruned before count as worse than the step
        ("median", [*FOUR, [2.5], [9, 3, 3], [9, 2.9, 1]], [N, N, N, N, 1, N, N]),
        ("median", [*FOUR, [2.5], {1: 9, 2: 9}, {2: 2.9}], [N, N, N, N, 1, N, 2]),
        # NaN is worse than everything; a trial of NaN alone loses to any number, and to nothing else
        ("median", [*FOUR, [NAN, 9]], [N, N, N, N, 1]),
        ({"name": "median", "n_warmup_steps": 1}, [*FOUR, [NAN, 9]], [N, N, N, N, N]),
        ("median", [[NAN], [NAN], [NAN], [1], [NAN], [0.5]], [N, N, N, N, N, N]),
        ("median", [[NAN], [NAN], [1], [1], [NAN], [0.5]], [N, N, N, N, 1, N]),
        # a shorter completed trial speaks with its best; one that begins later than the step says nothing good
        ("median", [[1, 4], [3], [3], [3], {5: 2.5}], [N, N, N, N, 5]),
        ("median", [{3: 9}, {3: 9}, [1], [1], {1: 0.5}, {3: 0.9}], [N, N, N, N, 1, 3]),
        ({"name": "percentile", "percentile": 25}, [*FOUR, [3.5]], [N, N, N, N, 1]),
        ({"name": "percentile", "percentile": 25}, [*FOUR, [4]], [N, N, N, N, N]),
        ({"name": "percentile", "percentile": 75}, [*FOUR, [2], [1.9]], [N, N, N, N, N, 1]),
        ({"name": "percentile", "percentile": 30.1}, [*([v] for v in range(1, 11)), [7], [6.9]], [*[N] * 11, 1]),  # of ten four, rounded up
        ({"name": "percentile", "percentile": 99.9}, [*FOUR, [1], [0.5]], [N, N, N, N, N, 1]),
        ({"name": "percentile", "percentile": 0.1}, [*FOUR, [3.99], [4]], [N, N, N, N, 1, N]),
        # rungs 1, 3, 9; a third goes on, at least the best
        ("asha", [[5], [4], [6], [3]], [N, 1, N, 1]),
        ("asha", [[1, 1, 1], [2, 2, 0.5], [3, 3, 3]], [N, 3, N]),
        ("asha", [[5], [5], [5]], [N, N, N]),  # ties stay
        ("asha", [[9], [8], [7], [6], [8.5], [8.2]], [N, 1, 1, 1, 1, 1]),  # pruned rivals count too: a third of six is two, and it is third
        ("asha", [[9], [8], [7], [6], [8.5], [8.6]], [N, 1, 1, 1, 1, N]),
        ("asha", [[1, 1], [2, 0]], [N, N]),  # step 2 is no rung
        # the first report at a rung or past it is looked at, whatever the steps are
        ("asha", [{100: 2, 200: 2, 300: 2}, {100: 1}, {100: 3, 200: 0, 300: 3}, {100: 4, 200: 4, 300: 1}], [N, 100, N, 300]),
        # `epochs` is given, and the app counts batches: what goes on past its end has another one
        ({"name": "asha", "max_resource": 30}, [{100: 2, 2000: 2}, {100: 1, 2000: 9}, {100: 3, 2000: 1}], [N, 100, 2000]),
        ({"name": "asha", "max_resource": 30}, [{10: 2, 30: 2}, {10: 3, 30: 1}], [N, N]),
        ("hyperband", [{100: 100 - number, 200: 1} for number in range(5)], [N, 100, 100, 100, N]),
        ({"name": "asha", "max_resource": 2000}, [{50: 2, 100: 2}, {50: 1, 100: 1}, {50: 3, 100: 1}], [N, 100, 100]),
        ("asha", [{0: 2, 1: 2, 2: 2, 3: 2}, {0: 1, 1: 1}, {0: 1, 1: 3, 2: 0, 3: 1}], [N, 1, 3]),  # epochs from nought on
        ({"name": "asha", "min_resource": 2}, [[1, 1], [2, 0]], [N, 2]),
        ({"name": "asha", "min_resource": 2, "min_early_stopping_rate": 1}, [[1, 1], [2, 0], [1] * 6, [0] * 6], [N, N, N, 6]),
        ({"name": "asha", "reduction_factor": 2}, [[4], [3], [3.5], [3.7]], [N, 1, 1, N]),
        ("asha", [[NAN], [NAN], [1], [NAN]], [N, N, N, 1]),
        # with a bootstrap_count none goes on before so many were there, but the first, and half as many at the next rung
        ({**HALVES, "bootstrap_count": 4}, [[1] * 3, [2], [3], [4] * 3, [5] * 3], [N, 1, 1, N, N]),
        ({**HALVES, "bootstrap_count": 5}, [[1] * 3, [2], [3], [4], [5] * 3, [2.9]], [N, 1, 1, 1, 2, 1]),
        ({**HALVES, "bootstrap_count": 6}, [[1] * 3, [2], [3], [4], [5], [6, 6, 6], [7, 7, 7]], [N, 1, 1, 1, 1, 2, N]),
        ({**HALVES, "bootstrap_count": 3}, [[1], [2], [0.5], [1.5]], [N, 1, 1, N]),
        ({**HALVES, "bootstrap_count": 4}, [{5: 1}, {5: 2}, [0], [0], [9]], [N, 5, N, 1, 1]),  # those that have no value yet are not there
        ("successive_halving", [[5], [4]], [N, 1]),
        ({"name": "threshold", "gaps": {1: 0.5, 3: 0.1}}, [[1, 1, 1], [0.5, 0.5, 0.89], [0.4], [0.9] * 3], [N, 3, 1, N]),
        ({"name": "threshold", "gaps": {2: 0}}, [[1, 1], [0.5, 1], [0, 0.9]], [N, N, 2]),
        ({"name": "threshold", "gaps": {2: 0.5}}, [[1, 1], {5: 0.4}], [N, 5]),  # from that step on
        ({"name": "threshold", "gaps": {1: 0.5}}, [[0.1]], [N]),
        ("limit", [[9], [1, 2]], [1, 1]),
        ({"name": "limit", "max_step": 3}, [[9, 9], [1, 2, 3, 4]], [N, 3]),
        ({"name": "patient", "patience": 2}, [[1, 2, 3, 3, 3]], [5]),
        ({"name": "patient", "patience": 2}, [[3, 2, 1]], [3]),
        ({"name": "patient", "patience": 2}, [[1, 2, 3, 2.9, 3.1]], [N]),
        ({"name": "patient", "patience": 2, "min_delta": 0.5}, [[1, 2, 3, 2.9, 3.1]], [5]),
        ({"name": "patient", "patience": 3}, [[1, 1, 1]], [N]),
        ({"name": "patient", "patience": 1}, [[NAN, NAN]], [2]),
        ({"name": "patient", "patience": 1, "pruner": "median"}, [*FOUR, [2.5, 2.6, 2.6], [9, 9, 9], [2.5, 2.4]], [N, N, N, N, 3, N, 2]),
        (None, [*FOUR, [0, 0, 0]], [N] * 5),
        ("none", [*FOUR, [0, 0, 0]], [N] * 5),
        ({"name": "none"}, [*FOUR, [0, 0, 0]], [N] * 5),
    ],
)
def test_verdicts(pruner, curves, expected):
    check(pruner, curves, expected)


def test_earlier_sweeps_count_as_completed_trials():
    prior = [[(1, v), (2, v)] for v in (1, 2, 3, 4)]
    check("median", [[2.5], [3]], [1, N], prior)
    check("median", [{2: 2.5}, {3: 3}, {3: 2.9}], [2, N, 3], prior)
    check("asha", [[3.9], [4.1]], [1, N], prior)
    check({"name": "threshold", "gaps": {1: 1}}, [[2.9], [3]], [1, N], prior)


def test_hyperband_judges_within_brackets():
    pruner = pruning.build({"name": "hyperband", "max_resource": 9})
    assert pruner.n_brackets == 3
    by_bracket = {b: [i for i in range(200) if pruner.bracket(i) == b] for b in range(3)}
    assert all(len(numbers) > 20 for numbers in by_bracket.values())
    n = max(by_bracket[b][1] for b in range(3)) + 1
    falling = [[100.0 - i] * 9 for i in range(n)]  # each trial is worse than all before
    expected = []
    for i in range(n):
        bracket = pruner.bracket(i)
        first = i == by_bracket[bracket][0]
        expected.append(None if first or bracket == 2 else 3**bracket)  # the last bracket's rung is the end
    check({"name": "hyperband", "max_resource": 9}, falling, expected)
    assert {1, 3, None} == set(expected)


@pytest.mark.parametrize(
    ("arguments", "n"),
    [((1, 1, 3), 1), ((27, 1, 3), 4), ((26, 1, 3), 3), ((30, 1, 3), 4), ((243, 1, 3), 6), ((8, 2, 2), 3), ((1000, 1, 10), 4)],
)
def test_hyperband_brackets(arguments, n):
    pruner = pruning.Hyperband(*arguments)
    assert pruner.n_brackets == n
    seen = {pruner.bracket(i) for i in range(-50, 600)}
    assert seen == set(range(n))


def test_hyperband_draws_brackets_by_budget():
    pruner = pruning.Hyperband(max_resource=27)
    shares = np.bincount([pruner.bracket(i) for i in range(6000)]) / 6000
    budgets = np.array([27.0, 12.0, 6.0, 4.0])  # ceil(n * 3**(n-1-b) / (n-b)) for n = 4
    assert np.allclose(shares, budgets / budgets.sum(), atol=0.02)


def test_the_bracket_of_a_trial_stays_what_it_is():
    """A study that goes on with another version would else get another table."""
    assert [pruning.Hyperband(9).bracket(i) for i in range(20)] == [0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 1, 2]
    assert [pruning.Hyperband(16, 1, 2).bracket(i) for i in (0, 1, 2, 50, 999)] == [1, 0, 2, 3, 0]


@pytest.mark.parametrize(("step", "rung"), [(1, True), (2, False), (3, True), (9, True), (10, False), (27, True)])
def test_rungs(step, rung):
    assert (pruning.SuccessiveHalving().rung([*range(1, step + 1)]) is not None) is rung


@pytest.mark.parametrize(
    ("given", "rungs"),
    [
        ({}, [1, 3, 9, 27]),
        ({"max_resource": 1}, []),
        ({"max_resource": 8}, [1, 3]),
        ({"max_resource": 9}, [1, 3]),  # a trial at its end is spared nothing
        ({"max_resource": 10}, [1, 3, 9]),
        ({"max_resource": 26}, [1, 3, 9]),  # a twenty-sixth of it, rounded up
        ({"max_resource": 27}, [2, 6, 18]),
        ({"max_resource": 30}, [2, 6, 18]),
        ({"max_resource": 51}, [2, 6, 18]),
        ({"max_resource": 100}, [4, 12, 36]),
        ({"max_resource": 100, "min_resource": 5}, [5, 15, 45]),
        ({"max_resource": 100, "reduction_factor": 2, "min_early_stopping_rate": 1}, [8, 16, 32]),
    ],
)
def test_rungs_follow_the_length_of_a_trial(given, rungs):
    rule = pruning.build({"name": "asha", **given})
    assert [step for step in range(1, min(given.get("max_resource", 48), 48) + 1) if rule.rung([*range(1, step + 1)]) is not None] == rungs
    assert [rule.rung([step - 1, step]) for step in rungs] == list(range(len(rungs)))


def test_n_best_survive_a_rung_on_average():
    rng = np.random.default_rng(0)
    values = rng.random(400)
    kept = [v is None for v in verdicts("asha", [[v] for v in values])]
    assert 0.30 < np.mean(kept) < 0.40
    assert values[kept].mean() > 0.75


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ("mdian", ["mdian", "median"]),
        ({"name": None, "percentile": 3}, ["name", "median"]),
        ({"percentile": 3}, ["name"]),
        (3, ["3"]),
        (["median"], ["median"]),
        ({"name": ["median"]}, ["median"]),
        ({"name": "median", "percent": 3}, ["percent", "n_warmup_steps"]),
        ({"name": "none", "percent": 3}, ["none"]),
        ({"name": "percentile", "percentile": 0}, ["percentile", "0"]),
        ({"name": "percentile", "percentile": 100}, ["percentile", "100"]),
        ({"name": "percentile", "percentile": NAN}, ["percentile"]),
        ({"name": "percentile", "percentile": "high"}, ["percentile", "high"]),
        ({"name": "percentile", "percentile": True}, ["percentile"]),
        ({"name": "percentile", "percentile": None}, ["percentile"]),
        ({"name": "median", "n_startup_trials": 0}, ["n_startup_trials"]),
        ({"name": "median", "n_startup_trials": 2.5}, ["n_startup_trials", "2.5"]),
        ({"name": "median", "n_warmup_steps": -1}, ["n_warmup_steps"]),
        ({"name": "median", "interval_steps": 0}, ["interval_steps"]),
        ({"name": "asha", "min_resource": 0}, ["min_resource"]),
        ({"name": "asha", "max_resource": 0}, ["max_resource"]),
        ({"name": "asha", "max_resource": "${epochs}"}, ["max_resource", "epochs"]),
        ({"name": "asha", "min_resource": "auto"}, ["min_resource", "auto"]),
        ({"name": "asha", "min_resource": 0.5}, ["min_resource"]),
        ({"name": "asha", "reduction_factor": 1}, ["reduction_factor"]),
        ({"name": "asha", "reduction_factor": 2.5}, ["reduction_factor"]),
        ({"name": "asha", "min_early_stopping_rate": -1}, ["min_early_stopping_rate"]),
        ({"name": "asha", "bootstrap_count": -1}, ["bootstrap_count"]),
        ({"name": "asha", "bootstrap_count": 0.5}, ["bootstrap_count"]),
        ({"name": "hyperband", "max_resource": 2, "min_resource": 3}, ["max_resource", "min_resource"]),
        ({"name": "hyperband", "max_resource": None}, ["max_resource"]),
        ({"name": "hyperband", "min_resource": 0}, ["min_resource"]),
        ({"name": "hyperband", "reduction_factor": 1}, ["reduction_factor"]),
        ({"name": "threshold"}, ["gaps"]),
        ({"name": "threshold", "gaps": {}}, ["gaps"]),
        ({"name": "threshold", "gaps": 0.3}, ["gaps"]),
        ({"name": "threshold", "gaps": {0: 0.3}}, ["gaps", "0"]),
        ({"name": "threshold", "gaps": {3: -0.3}}, ["gaps"]),
        ({"name": "threshold", "gaps": {3: NAN}}, ["gaps"]),
        ({"name": "threshold", "gaps": {3: "far"}}, ["gaps", "far"]),
        ({"name": "threshold", "gaps": {"third": 0.3}}, ["gaps", "third"]),
        ({"name": "threshold", "gaps": {1.5: 0.3}}, ["gaps", "1.5"]),
        ({"name": "patient", "patience": 0}, ["patience"]),
        ({"name": "limit", "max_step": 0}, ["max_step"]),
        ({"name": "patient", "min_delta": -1}, ["min_delta"]),
        ({"name": "patient", "pruner": "mdian"}, ["mdian"]),
        ({"name": "patient", "pruner": {"name": "asha", "rate": 2}}, ["rate"]),
        ({"name": "patient", "pruner": 3}, ["3"]),
    ],
)
def test_bad_configs_are_named_in_one_line(config, names):
    with pytest.raises(UserError) as error:
        pruning.build(config)
    message = str(error.value)
    assert "\n" not in message
    for name in names:
        assert name in message


@pytest.mark.parametrize(
    "config",
    [
        *("median", "percentile", "asha", "successive_halving", "hyperband", "patient"),
        {"name": "threshold", "gaps": {"3": 0.2, 5: 0}},
        {"name": "patient", "pruner": {"name": "median"}},
        {"name": "patient", "pruner": None},
        {"name": "patient", "pruner": "none"},
        {"name": "percentile", "percentile": 12.5, "n_startup_trials": 1, "n_warmup_steps": 0, "interval_steps": 1},
    ],
)
def test_good_configs_are_built_and_equal_themselves(config):
    assert pruning.build(config) == pruning.build(config)


def test_a_text_key_of_a_threshold_is_its_number():
    """What comes from a YAML file through Hydra may have text keys."""
    check({"name": "threshold", "gaps": {"1": 0.5}}, [[1], [0.4]], [N, 1])


def test_no_rule_prunes_the_best_trial_so_far():
    """Over random curves: a trial whose every value is above all values before is never stopped (patience alone aside)."""
    rng = np.random.default_rng(1)
    rules = ["median", "percentile", "asha", {"name": "hyperband", "max_resource": 6}, {"name": "threshold", "gaps": {1: 0.0}}]
    for rule, _ in itertools.product(rules, range(5)):
        curves = [list(rng.random(6)) for _ in range(12)]
        curves.append([1.5 + i / 10 for i in range(6)])
        assert verdicts(rule, curves)[-1] is None
