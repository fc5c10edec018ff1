"""Samplers as functions of (seed, number, what is known): on functions with known optima, in both directions, in any order."""

import functools
import json
import math
import os
import random
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from trivet import space
from trivet.search import samplers, teaching
from trivet.search.samplers import SamplerSpec, sampler_spec
from trivet.search.sampling import Sampler, trial_seed

NUMBERS = (space.Param("x", space.Float(-5.0, 5.0)), space.Param("y", space.Float(1e-4, 1.0, log=True)), space.Param("n", space.Int(1, 16)))
MIXED = (
    space.Param("kind", space.Choice(("a", "b"))),
    space.Param("x", space.Float(-5.0, 5.0)),
    space.Param("lr", space.Float(1e-4, 1.0, log=True), (("kind", "a"),)),
    space.Param("inner", space.Choice((True, False, None)), (("kind", "b"),)),
    space.Param("depth", space.Int(1, 9, step=2), (("kind", "b"), ("inner", "True"))),
)


def loss(params):
    """Smallest, 0, at x=1, y=0.01, n=11; or at kind=a, x=1, lr=0.01."""
    value = (params["x"] - 1) ** 2
    if "y" in params:
        value += math.log10(params["y"] / 0.01) ** 2 + ((params["n"] - 11) / 5) ** 2
    if "kind" in params:
        value += 3 if params["kind"] == "b" else math.log10(params["lr [kind=a]"] / 0.01) ** 2
    return value


def told(trial, values, state=TrialState.COMPLETE, rows=()):
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number + 1,
        state=state,
        value=None,
        values=values,
        datetime_start=datetime.min,
        datetime_complete=datetime.min,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={},
        system_attrs=trial.system_attrs,
        intermediate_values=dict(rows),
    )


def search(spec, params, n, sign=1.0, seed=0, outcome=None, lag=0):
    """Finished trials of a search one after the other; `outcome(trial)` overrides the objective."""
    sampler = Sampler(spec, params, ["minimize" if sign > 0 else "maximize"], seed)
    known = []
    for number in range(n):
        trial = sampler.ask(number, known[: max(0, number - lag)])
        known.append(outcome(trial) if outcome is not None else told(trial, [sign * loss(trial.params)]))
    return known


@functools.cache
def chance(n, seed=0):
    """The values of a random search, to be beaten."""
    return [t.values[0] for t in search(SamplerSpec("random"), NUMBERS, n, seed=seed)]


def best(known, sign=1.0):
    return min(sign * t.values[0] for t in known if t.state == TrialState.COMPLETE)


# They find optima ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("name", "arguments", "params", "n", "bound"),
    [
        ("tpe", {}, NUMBERS, 60, 0.35),
        ("tpe", {}, MIXED, 60, 0.1),
        ("gp", {}, NUMBERS, 22, 0.05),
        ("gp", {}, MIXED, 26, 0.02),
        ("cmaes", {}, NUMBERS, 80, 0.3),
        ("nsgaii", {"population_size": 10}, NUMBERS, 100, 0.6),
        ("qmc", {}, NUMBERS, 64, 1.0),
        ("random", {}, NUMBERS, 64, 1.5),
    ],
)
def test_they_come_near_the_optimum(name, arguments, params, n, bound, sign):
    spec, _ = sampler_spec({"name": name, **arguments})
    assert best(search(spec, params, n, sign), sign) < bound


@pytest.mark.parametrize("name", ["tpe", "cmaes", "nsgaii"])
def test_those_that_learn_beat_those_that_do_not(name):
    spec, _ = sampler_spec({"name": name, **({"population_size": 10} if name == "nsgaii" else {})})

    def late(values):
        return sum(sorted(values[45:])[15:30]) / 15

    assert late([t.values[0] for t in search(spec, NUMBERS, 90, seed=1)]) < 0.6 * late(chance(90, seed=1))


@pytest.mark.parametrize(("name", "arguments"), [("nsgaii", {"population_size": 10}), ("tpe", {})])
def test_several_objectives_come_near_the_front(name, arguments):
    """Small loss and large x: the front has y = 0.01, n = 11 and x from 1 to 5. Measured as the area that is dominated."""

    assert area(name, **arguments) > area("random") + 0.03


@functools.cache
def area(name, **arguments):
    sampler = Sampler(sampler_spec({"name": name, **arguments})[0], NUMBERS, ["minimize", "maximize"], 0)
    known = []
    for number in range(90):
        trial = sampler.ask(number, known)
        known.append(told(trial, [loss(trial.params), trial.params["x"]]))
    points = sorted((t.values for t in known[45:] if t.values[0] < 20 and t.values[1] > 0), key=lambda v: -v[1])
    total, least = 0.0, 20.0
    for value, x in points:
        if value < least:
            total, least = total + (least - value) * x, value
    return total / 100


# They are functions --------------------------------------------------------------------------------------------------------------


SPECS = [
    ("tpe", {"n_startup_trials": 4}),
    ("random", {}),
    ("qmc", {}),
    ("cmaes", {}),
    ("nsgaii", {"population_size": 4}),
    ("gp", {"n_startup_trials": 4}),
]


optuna.logging.set_verbosity(optuna.logging.WARNING)


def plain(trial):
    return json.dumps([trial.params, sorted(trial.system_attrs)], default=str)


@functools.cache
def sixteen(place, params):
    """A search with one of these samplers, each of whose trials knows all but the two before it."""
    return search(sampler_spec({"name": SPECS[place][0], **SPECS[place][1]})[0], params, 16, seed=5, lag=2)


@pytest.mark.parametrize("place", range(len(SPECS)), ids=[name for name, _ in SPECS])
@pytest.mark.parametrize("params", [NUMBERS, MIXED], ids=["numbers", "mixed"])
def test_the_same_trial_in_any_order(place, params):
    spec, _ = sampler_spec({"name": SPECS[place][0], **SPECS[place][1]})
    known = sixteen(place, params)
    before = repr(known)
    order = list(range(16))
    random.Random(0).shuffle(order)
    sampler = Sampler(spec, params, ["minimize"], 5)
    again = {number: sampler.ask(number, known[: max(0, number - 2)]) for number in order}
    assert [plain(again[i]) for i in range(16)] == [plain(t) for t in known]
    assert [again[i].number for i in range(16)] == list(range(16))
    assert repr(known) == before  # what is known is not touched
    other = search(spec, params, 3, seed=6, lag=2)
    assert [t.params for t in other] != [t.params for t in known[:3]]


def test_the_same_trial_in_another_process():
    """With another hash seed, on which the order of sets depends."""
    code = """
import sys; sys.path[:0] = sys.argv[1:3]
from test_sampling import *
for place in range(len(SPECS)):
    for params in (NUMBERS, MIXED):
        print("\\n".join(plain(t) for t in sixteen(place, params)))
"""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    arguments = [sys.executable, "-c", code, str(here), str(here.parent / "src")]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    mine = [plain(t) for place in range(len(SPECS)) for params in (NUMBERS, MIXED) for t in sixteen(place, params)]
    assert done.stdout.splitlines() == mine


@pytest.mark.parametrize("name", samplers.INDEPENDENT[:2])
def test_some_look_at_nothing(name):
    spec, _ = sampler_spec(name)
    sampler = Sampler(spec, MIXED, ["minimize"], 0)
    known = search(spec, MIXED, 12)
    assert [plain(sampler.ask(i, [])) for i in range(12)] == [plain(t) for t in known]


def test_quasi_random_points_fill_the_space_evenly():
    params = [space.Param("x", space.Float(0.0, 1.0)), space.Param("y", space.Float(0.0, 1.0))]
    sampler = Sampler(sampler_spec("qmc")[0], params, ["minimize"], 3)
    points = [sampler.ask(i, []).params for i in range(64)]
    cells = {(int(p["x"] * 8), int(p["y"] * 8)) for p in points}
    assert len(cells) == 64  # a scrambled Sobol net: one point in each of 64 cells
    assert len({(p["x"], p["y"]) for p in points}) == 64


def test_seeds_of_trials_differ():
    seeds = {trial_seed(seed, number) for seed in range(20) for number in range(200)}
    assert len(seeds) == 4000 and all(0 <= s < 2**31 for s in seeds)
    assert trial_seed(1, 11) != trial_seed(11, 1)


# What they are taught ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "arguments"), [("tpe", {}), ("cmaes", {}), ("nsgaii", {"population_size": 8})])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_failed_trials_steer_away(name, arguments, sign):
    """Half of the space fails; the objective says nothing else."""

    def outcome(trial):
        if trial.params["x"] > 0:
            return told(trial, None, TrialState.FAIL)
        return told(trial, [sign * 0.01 * trial.number])

    spec, _ = sampler_spec({"name": name, **arguments})
    failed = [t.state == TrialState.FAIL for t in search(spec, NUMBERS[:2], 80, sign, outcome=outcome)]
    assert sum(failed[40:]) < 13  # of 40, where blind search has 20


@pytest.mark.parametrize(("name", "arguments"), [("tpe", {}), ("cmaes", {}), ("nsgaii", {"population_size": 8})])
def test_pruned_trials_teach_too(name, arguments):
    """Only the good third completes; the rest is pruned at step 1 with its value."""

    def outcome(trial):
        value = loss(trial.params)
        if value > 4:
            return told(trial, [value], TrialState.PRUNED, [(1, value)])
        return told(trial, [value], rows=[(1, value), (2, value)])

    spec, _ = sampler_spec({"name": name, **arguments})
    known = search(spec, NUMBERS, 80, outcome=outcome)
    pruned = [t.state == TrialState.PRUNED for t in known]
    assert sum(pruned[40:]) < 0.7 * sum(value > 4 for value in chance(40))


@pytest.mark.parametrize(("name", "arguments"), SPECS)
@pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.PRUNED])
def test_nothing_but_bad_news_is_borne(name, arguments, state):
    spec, _ = sampler_spec({"name": name, **arguments})
    known = search(spec, MIXED, 8, outcome=lambda t: told(t, None, state))
    assert len(known) == 8


@pytest.mark.parametrize("name", ["tpe", "nsgaii"])
def test_bad_news_of_several_objectives_is_borne(name):
    sampler = Sampler(sampler_spec(name)[0], NUMBERS, ["minimize", "maximize"], 0)
    known = []
    for number in range(40):
        trial = sampler.ask(number, known)
        state = [TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE, TrialState.COMPLETE][number % 4]
        known.append(told(trial, [1.0, trial.params["x"]] if state == TrialState.COMPLETE else None, state))
    assert len(known) == 40


def test_a_long_history_is_cut_to_the_best_and_the_latest():
    trial = Sampler(SamplerSpec("random"), NUMBERS[:1], ["minimize"], 0).ask(0, [])
    known = [told(trial, [i * 7919 % 701 / 700]) for i in range(700)]
    for i, t in enumerate(known):
        t.number = i
    for sign, directions in ((1, ["minimize"]), (-1, ["maximize"])):
        cap = teaching.Cap(directions)
        for n in (700, 500, 501, 640, 560, 700):  # a trial that is taken over from another worker is an earlier one
            seen = cap(known[:n])
            assert len(seen) == teaching.HISTORY_CAP and list(seen) == sorted(seen, key=lambda t: t.number)
            assert seen[-400:] == known[n - 400 : n]
            ranked = sorted(known[: n - 400], key=lambda t: sign * t.values[0])
            assert {t.number for t in seen[:100]} == {t.number for t in ranked[:100]}


# Conditional spaces ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "arguments"), SPECS)
def test_parameters_count_only_under_their_conditions(name, arguments):
    spec, _ = sampler_spec({"name": name, **arguments})
    known = search(spec, MIXED, 40, outcome=lambda t: told(t, [float(t.number % 7)]))
    seen = set()
    for t in known:
        expected = {"kind", "x"}
        if t.params["kind"] == "a":
            expected.add("lr [kind=a]")
        else:
            expected.add("inner [kind=b]")
            if t.params["inner [kind=b]"] is True:
                expected.add("depth [kind=b,inner=True]")
        assert set(t.params) == set(t.distributions) == expected
        seen |= expected
    assert seen == {p.name for p in MIXED}
    assert {t.params.get("depth [kind=b,inner=True]") for t in known} <= {None, 1, 3, 5, 7, 9}


def test_fixed_parameters_are_not_sampled_but_open_conditions():
    params = (space.Param("kind", space.Fixed("a")), *MIXED[1:])
    trial = Sampler(SamplerSpec("random"), params, ["minimize"], 0).ask(0, [])
    assert set(trial.params) == {"x", "lr [kind=a]"}


def test_a_space_may_be_extended_by_optunas_own_calls():
    def extend(trial):
        trial.suggest_float("extra", 0, 1)
        trial.set_user_attr("seen", trial.params["x"])

    trial = Sampler(SamplerSpec("tpe"), NUMBERS, ["minimize"], 0).ask(0, [], extend)
    assert 0 <= trial.params["extra"] <= 1 and list(trial.params) == ["x", "y", "n", "extra"]
