"""A race over replicates: how its rounds share out the runs, who goes on, the same for any workers, and what it buys."""

import functools
import random

import pytest
from report_stories import said, story, told
from simulated_workers import run_alone, run_scheduled, spec_of
from test_replicates import Replicating

from trivet.diagnosis.choosing import choosing, raced
from trivet.diagnosis.seeds import Seeds
from trivet.reporting.context import Context
from trivet.search import racing
from trivet.search.replicates import Replicates


@pytest.mark.parametrize(
    ("n", "runs", "sizes"),
    [
        (6, 18, [6, 5, 3, 2, 2]),  # the default and five finalists, three seeds each
        (6, 6, [6]),
        (6, 5, [6]),  # the first round is whole
        (3, 9, [3, 2, 2, 2]),
        (2, 6, [2, 2, 2]),
        (1, 3, [1, 1, 1]),
    ],
)
def test_the_rounds_of_a_race(n, runs, sizes):
    assert racing.plan(n, runs) == sizes and sum(sizes) == max(runs, n)


@pytest.mark.parametrize("n", range(1, 12))
@pytest.mark.parametrize("each", range(1, 6))
def test_a_race_never_grows_and_spends_what_equal_shares_would(n, each):
    sizes = racing.plan(n, n * each)
    assert sizes[0] == n and sizes == sorted(sizes, reverse=True) and sizes[-1] >= min(n, 2)
    assert n * each - 1 <= sum(sizes) <= n * each, "at most half a round is left over"


def mean(values):
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("found", "failed", "allowed", "out"),
    [
        ([[1.0], [2.0], []], [0, 0, 0], [1, 1, 1], [0, 0, 0]),  # nobody goes on before the round is over
        ([[1.0], [2.0], [3.0], [4.0]], [0] * 4, [2, 1, 2, 2], [0, 1, 0, 0]),  # the first stays, whatever it showed
        ([[1.0], [3.0], [3.0], [3.0]], [0] * 4, [2, 2, 2, 1], [0, 0, 0, 1]),  # equals by number
        ([[1.0], [2.0], [], [4.0]], [0, 0, 1, 0], [2, 2, 1, 2], [0] * 4),  # one whose run failed is out of itself, and leaves its place
        ([[1, 1], [9.0], [3, 1], [4, 4]], [0] * 4, [3, 2, 1, 3], [0, 0, 1, 0]),
    ],
    ids=["open", "stays", "ties", "failed", "second"],
)
def test_who_goes_on(found, failed, allowed, out):
    sizes = [4, 3, 2] if len(found) == 4 else [3, 2, 2]
    if found == [[1, 1], [9.0], [3, 1], [4, 4]]:
        assert racing.standing(sizes, found, [False] * 4, mean) == ([2, 2, 1, 2], [False, False, True, False]), "trial 1 still runs"
        found[1].append(0.0)
        assert racing.standing(sizes, found, [False] * 4, mean) == ([3, 3, 1, 2], [False, False, True, True])
        return
    assert racing.standing(sizes, found, [bool(f) for f in failed], mean) == (allowed, [bool(o) for o in out])


def test_every_schedule_of_a_race_gives_the_table_of_one_worker(tmp_path, monkeypatch):
    monkeypatch.setattr("simulated_workers.SimulatedWorker", Replicating)
    monkeypatch.setattr(Replicating, "p_fail", 0.0)
    sizes = racing.plan(6, 18)
    rule = Replicates("seed", tuple(range(len(sizes))), race=18)
    explicit = tuple({"params": {"x": x, "kind": None}, "overrides": None} for x in (0.0, 0.7, 3.0, 1.3, -4.0, 1.1))
    given = {"n_trials": 6, "replicates": rule, "explicit": explicit, "max_failure_rate": 0.5}
    header, *rows = run_alone(spec_of(tmp_path / "alone", ("list", {}), None, **given))[0]
    found = [dict(zip(header, row, strict=True)) for row in rows]
    n_runs = [sum(bool(row[f"seed={i}"]) for i in rule.values) for row in found]
    assert sorted(n_runs, reverse=True) == [sum(size > place for size in sizes) for place in range(6)] and n_runs[0] == 5
    assert [row["state"] for row in found] == ["COMPLETE" if n == 5 else "PRUNED" for n in n_runs]
    assert n_runs[4] == 1, "the worst is out first"
    for i, (n_workers, p_kill) in enumerate([(2, 0.0), (4, 0.1)]):
        spec = spec_of(tmp_path / str(i), ("list", {}), None, **given)
        assert run_scheduled(spec, random.Random(i), n_workers, p_kill)[0] == [header, *rows]
    monkeypatch.setattr(Replicating, "p_fail", 0.2)
    spec = spec_of(tmp_path / "failing", ("list", {}), None, **given)
    failing = run_alone(spec)
    assert "FAIL" in {row[1] for row in failing[0]}
    assert run_scheduled(spec_of(tmp_path / "again", ("list", {}), None, **given), random.Random(5), 3, 0.05) == failing


def test_equal_rounds_are_equal_shares_and_a_race_finds_the_best_more_often():
    means = [0.90, 0.91, 0.92, 0.93, 0.94]
    even, same = choosing(means, 3, 0.01), raced(means, [5, 5, 5], 0.01)
    assert same.luck == pytest.approx(even.luck, abs=3e-4) and same.found == pytest.approx(even.found, abs=0.02)
    assert same.most == pytest.approx(even.most, abs=3e-4)
    better = raced(means, [5, 4, 2, 1, 1], 0.01)
    assert better.n == 5 and 0 < better.luck < even.luck
    assert raced([0.9], [1, 1], 0.01).luck == 0


def test_what_a_race_leaves_of_the_seeds():
    values = {0: {s: 0.5 + s / 100 for s in range(3)}, 1: {0: 0.9}, 2: {s: 0.6 + s / 100 for s in range(3)}, 3: {0: 0.7, 1: 0.5}}
    seeds = Seeds(values, 2, True, raced=True)
    assert seeds.order == [2, 0, 3, 1] and seeds.rounds == [3, 2, 1], "further first, however well one seed went"
    assert seeds.rivals == [2, 3, 1] and seeds.choosing.k == 3 and seeds.even.n == 2
    assert Seeds(values, 2, True).even is None


def race(finalists):
    """A report's context where the finalists ran a race."""
    context = story(finalists)
    context.results.seeds.study["replicates"] = {"key": "seed", "values": [101, 102, 103], "race": 9}
    return Context(context.searches, context.results)


CLEAR = {0: [0.90, 0.901, 0.899], 1: [0.95, 0.951, 0.949], 2: [0.92, 0.921], 3: [0.91], 4: [0.909]}
ALIKE = {0: [0.90, 0.93, 0.87], 1: [0.91, 0.93, 0.89], 2: [0.905, 0.915], 3: [0.90]}


@pytest.mark.parametrize(
    ("sentence", "true", "other"),
    [
        (r"4 finalists and the default were trained with up to 3 fresh seeds: all 10 runs finished", CLEAR, None),
        (r"They ran a race, the default along with them: of the finalists 4, 2, 1 had a first seed, a second and so on", CLEAR, None),
        (r"In equal shares the same runs are 2 seeds each. What the race bought: the winner's mean rests on 3 seeds", CLEAR, None),
        (r"it finds the truly best in about 100 of 100 cases, equal shares in 100", CLEAR, ALIKE),
        (r"that the right one won is as uncertain as before, as the finalists differ no more than noise makes them", ALIKE, CLEAR),
        (r"It came first of 4 in a race, and the first of several is partly luck", CLEAR, None),
        (r"At this noise a race up to 3 seeds picks the truly best of these 4 finalists in about 100 of 100 cases", CLEAR, ALIKE),
        (r"nothing tells the noise", {0: [0.9], 1: [0.95], 2: [0.92]}, CLEAR),
        (r"a race of 5 configurations, up to 3 fresh seeds each", CLEAR, None),
    ],
)
def test_what_the_report_says_of_a_race(sentence, true, other):
    assert sentence in _told(true) and sentence not in (_told(other) if other is not None else told(EVEN))


@functools.cache
def _told_of(key):
    return said(race(dict(key)))


def _told(finalists):
    return _told_of(tuple((finalist, tuple(values)) for finalist, values in finalists.items()))


EVEN = story({0: [0.90, 0.901, 0.899], 1: [0.95, 0.951, 0.949], 2: [0.92, 0.921, 0.919]})
