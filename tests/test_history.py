"""The record of verdicts: the same for every order in which reports may come, as a reference that replays trials one by one says."""

import math
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trivet.search import pruning
from trivet.search.history import History

NAN, INF = math.nan, math.inf

PRUNERS = [
    None,
    {"name": "median", "n_startup_trials": 1},
    {"name": "median", "n_startup_trials": 3, "n_warmup_steps": 1, "interval_steps": 2},
    {"name": "percentile", "percentile": 30.0, "n_startup_trials": 2},
    "asha",
    {"name": "asha", "min_resource": 2, "reduction_factor": 2},
    {"name": "hyperband", "max_resource": 4, "reduction_factor": 2},
    {"name": "threshold", "gaps": {1: 2.0, 3: 0.5}},
    {"name": "patient", "patience": 2, "pruner": {"name": "median", "n_startup_trials": 1}},
    {"name": "patient", "patience": 2},
]


# The reference: trials one after the other, everything computed anew from the record ------------------------------------------


def at(record, step):
    """What one finished trial says of a step: its value there and its best up to it."""
    rows, completed = record
    before = [value for s, value in rows if s <= step]
    if not before or (rows[-1][0] < step and not completed):
        return -INF, -INF
    return before[-1], max(before)


def replay(config, trials, maximize, prior):
    """The official record of each trial, (rows, pruned_at), by the rules of pruning.py alone; values turned, higher is better."""
    rule = pruning.build(config)
    turn = lambda v: -INF if math.isnan(v) else (v if maximize else -v)  # noqa: E731
    past = [([(s, turn(v)) for s, v in rows], True) for rows in prior]
    result = []
    for number, (rows, completed) in enumerate(trials):
        seen, pruned_at = [], None
        for step, value in rows:
            seen.append((step, turn(value)))

            def peers(s, records=tuple(past)):
                pairs = [at(record, s) for record in records]
                numbers = np.arange(number - len(records), number)  # noqa: B023
                return numbers, np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])

            if rule is not None and rule.prune(number, [s for s, _ in seen], [v for _, v in seen], peers):
                pruned_at = step
                break
        past.append((seen, completed and pruned_at is None))
        result.append((seen, pruned_at))
    return result


# The schedule: workers that report in any order, notice verdicts late, and die ---------------------------------------------------


class Storage:
    """What survives a worker: reports, ends, and final states."""

    def __init__(self, n):
        self.rows = [[] for _ in range(n)]
        self.ended = [None] * n  # whether it failed
        self.settled = {}  # number -> pruned_at

    def feed(self, history, numbers):
        for number in numbers:
            for step, value in self.rows[number]:
                history.report(number, step, value)
            if number in self.settled:
                history.settle(number, self.settled[number])
                history.curve(number).failed = self.settled[number] is not None or bool(self.ended[number])
            elif self.ended[number] is not None:
                history.end(number, failed=self.ended[number])


def play(config, trials, maximize, prior, rng, n_running):
    """Run the trials in a random schedule with up to `n_running` at once; returns the history at the end."""

    def new():
        return History(pruning.build(config), maximize, prior)

    history, storage = new(), Storage(len(trials))
    place = [0] * len(trials)
    running, begun = [], 0
    while begun < len(trials) or running:
        if begun < len(trials) and len(running) < n_running and (not running or rng.random() < 0.5):
            running.append(begun)
            history.curve(begun)
            begun += 1
        number = rng.choice(running)
        rows, completed = trials[number]
        noticed = history.curve(number).pruned_at is not None and rng.random() < 0.5
        if noticed or place[number] == len(rows):
            storage.ended[number] = not completed if not noticed else True
            history.end(number, failed=storage.ended[number])
            running.remove(number)
        else:
            storage.rows[number].append(rows[place[number]])
            history.report(number, *rows[place[number]])
            place[number] += 1
        if rng.random() < 0.7:
            history.judge()
            for i in range(begun):
                if history.curve(i).final and rng.random() < 0.5:
                    storage.settled[i] = history.curve(i).pruned_at
        if rng.random() < 0.1:  # the worker is gone; another reads all there is
            history = new()
            order = list(range(begun))
            rng.shuffle(order)
            history.curve(begun - 1)
            storage.feed(history, order)
    history.judge()
    return history


def official(history, number):
    curve = history.curve(number)
    cut = [(s, v) for s, v in zip(curve.steps, curve.values, strict=True) if curve.pruned_at is None or s <= curve.pruned_at]
    return cut, curve.pruned_at


values = st.one_of(st.integers(0, 6).map(float), st.sampled_from([NAN, INF, -INF, 2.5]))


@st.composite
def curve(draw):
    steps = sorted(draw(st.sets(st.integers(1, 6), max_size=6)))
    return [(step, draw(values)) for step in steps]


trials_of_any_kind = st.lists(st.tuples(curve(), st.booleans()), min_size=1, max_size=9)


@pytest.mark.parametrize("config", PRUNERS, ids=str)
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    trials=trials_of_any_kind, prior=st.lists(curve(), max_size=3), maximize=st.booleans(), seed=st.integers(0, 10**6), n=st.integers(1, 5)
)
@example(trials=[([(1, 2.0), (3, 2.0)], False), ([(2, 1.0)], True), ([(2, 3.0)], True)], prior=[], maximize=True, seed=0, n=3)
def test_every_schedule_gives_the_record_of_one_worker(config, trials, prior, maximize, seed, n):
    expected = replay(config, trials, maximize, prior)
    history = play(config, trials, maximize, prior, random.Random(seed), n)
    assert [official(history, i) for i in range(len(trials))] == expected
    assert history.n_settled == len(trials)
    assert all(history.curve(i).final for i in range(len(trials)))


@pytest.mark.parametrize("config", PRUNERS[1:], ids=str)
def test_random_floats_too(config):
    """Long runs of curves that rise with noise, where many are pruned and verdicts come late."""
    rng = random.Random(5)
    n_pruned = 0
    for repeat in range(6):
        trials = []
        for _ in range(30):
            top, n = rng.random(), rng.choice([0, 3, 8, 8, 8, 8])
            rows = [(s, top * (1 - 0.5**s) + 0.1 * rng.random()) for s in range(1, n + 1) if rng.random() < 0.95]
            trials.append((rows, rng.random() < 0.85))
        expected = replay(config, trials, repeat % 2 == 0, [])
        n_pruned += sum(pruned_at is not None for _, pruned_at in expected)
        history = play(config, trials, repeat % 2 == 0, [], rng, 8)
        assert [official(history, i) for i in range(30)] == expected
    assert n_pruned > 10


# Single facts --------------------------------------------------------------------------------------------------------------


def median():
    return History(pruning.build({"name": "median", "n_startup_trials": 1}))


def test_a_verdict_waits_for_the_earlier_trial_to_reach_the_step():
    history = median()
    history.report(1, 1, 0.5)
    history.report(1, 2, 0.5)
    history.judge()
    assert history.curve(1).n_judged == 0
    history.report(0, 1, 0.4)
    history.judge()
    assert (history.curve(1).n_judged, history.curve(1).pruned_at) == (1, None)
    history.report(0, 2, 0.9)
    history.judge()
    assert history.curve(1).pruned_at == 2


def test_an_ended_trial_is_not_final_while_its_verdict_waits():
    history = median()
    history.report(1, 1, 0.5)
    history.end(1)
    history.judge()
    assert not history.curve(1).final
    history.end(0, failed=True)
    history.judge()
    assert history.curve(1).final and history.n_settled == 2


def test_a_trial_is_final_where_it_was_pruned_though_it_runs_on():
    history = median()
    for step in (1, 2, 3):
        history.report(0, step, 1.0)
        history.report(1, step, 0.0)
    history.end(0)
    history.judge()
    assert history.curve(1).pruned_at == 1 and history.curve(1).final and history.n_settled == 2


def test_what_a_trial_reports_after_its_end_or_again_is_not_heard():
    history = History(None)
    history.report(0, 2, 1.0)
    history.report(0, 2, 5.0)
    history.report(0, 1, 5.0)
    history.end(0)
    history.report(0, 3, 5.0)
    assert history.curve(0).steps == [2] and history.curve(0).values == [1.0]


def test_a_stored_verdict_cuts_what_was_trained_past_it():
    history = median()
    for step in (1, 2, 3):
        history.report(0, step, 1.0)
    history.settle(0, 2)
    history.judge()
    assert history.curve(0).steps == [1, 2] and history.curve(0).final
    history.settle(1, None)  # nothing reported
    assert history.curve(1).final and history.curve(1).reached == 0
    history.settle(2, 0)  # pruned before its first report
    history.judge()
    assert history.n_settled == 3


def test_without_a_pruner_nothing_waits():
    history = History(None)
    history.report(3, 1, 1.0)
    history.end(3)
    history.judge()
    assert history.curve(3).final and history.n_settled == 0
    for number in range(3):
        history.end(number)
    history.judge()
    assert history.n_settled == 4


def test_a_failed_trial_counts_up_to_its_failure():
    history = median()
    history.report(0, 1, 5.0)
    history.report(0, 2, 5.0)
    history.end(0, failed=True)
    history.report(1, 1, 4.0)
    history.judge()
    assert history.curve(1).pruned_at == 1
    history.report(2, 3, 4.0)  # at step 3 nobody is left, and trial 1 was cut
    history.judge()
    assert history.curve(2).pruned_at is None
