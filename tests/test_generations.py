"""Generations of a population, member by member: until when, from whom, with what; and a winner's way trained again."""

import random

import pytest

from trivet import space
from trivet.search import population
from trivet.search.population import Lineage, Population
from trivet.search.rounds import Searched, best, score
from trivet.search.sampling import trial_seed
from trivet.study.records import Official

X, LR = space.Param("x", space.Float(0.0, 1.0)), space.Param("+lr", space.Float(1e-3, 1.0, log=True))
KIND = space.Param("kind", space.Choice(("a", "b")))
GIVEN = {"population": 4, "interval": 2, "steps": 7, "quantile": 0.25, "perturb": [0.8, 1.25], "resample": 0.0, "change": ["*"], "held": []}


def done(number, value, params=None, last=2, state="COMPLETE"):
    curve = [(step, 0.0) for step in range(1, last + 1)]
    return Official(number, state, [value] if value is not None else [], "", curve, params or {"x": 0.5}, None, {})


def rule(params=(X,), seed=0, directions=("maximize",), **arguments):
    return Population({**GIVEN, **arguments}, Searched(list(params), {}, list(directions), seed))


@pytest.mark.parametrize(
    ("key", "patterns", "held", "may"),
    [
        ("opt.lr", ["*"], [], True),
        ("opt.lr", ["opt.*"], [], True),
        ("+opt.lr", ["opt.lr"], [], True),
        ("opt.lr", ["lr", "wd"], [], False),
        ("opt.lr", [], [], False),
        ("opt", ["*"], ["opt"], False),
        ("opt.LR", ["opt.lr"], [], False),
        ("Xavier.gain", ["Xavier*"], [], True),
    ],
)
def test_what_may_change_on_the_way(key, patterns, held, may):
    assert population.may_change(space.Param(key, X.spec), patterns, held) is may


def test_a_generation_ends_after_so_many_steps_and_the_last_where_the_training_does():
    assert [population.until({"interval": 3, "steps": 8}, generation) for generation in range(3)] == [3, 6, 8]
    assert population.until({"interval": 3, "steps": None}, 5) == population.until({"interval": 3}, 5) == 18


def test_what_a_member_is():
    assert population.member(GIVEN, 2, None) == {"attrs": {"generation": 0, "member": 2, "parent": None}, "until": 2}
    assert population.member(GIVEN, 13, done(9, 1.0, last=6)) == {
        "attrs": {"generation": 3, "member": 1, "parent": 9}, "until": 7, "start": {"trial": 9, "step": 6}
    }  # fmt: skip
    assert population.last_step(done(0, None, last=0)) == 0


def trained(plan, values, begin=()):
    """The rounds of a plan whose members come out as `values(number, params)`, as lists of what each was given."""
    known, rounds = list(begin), []
    made = next(plan, None)
    while made is not None:
        given = [made.propose(place, known, []) for place in range(made.n)]
        rounds.append(given)
        for one in given:
            value = values(len(known), one["params"])
            state = "FAIL" if value is None else "COMPLETE"
            known.append(done(len(known), value, one["params"], one.get("until", 2), state))
        try:
            made = plan.send(list(known))
        except StopIteration:
            return rounds
    return rounds


def test_there_are_as_many_generations_as_the_steps_take():
    for steps, n in ((8, 4), (7, 4), (6, 3), (2, 1), (1, 1)):
        rounds = trained(rule(steps=steps).plan([]), lambda number, params: float(number))
        assert [len(one) for one in rounds] == [4] * n and rounds[-1][0]["until"] == steps
    endless, known = rule(steps=None).plan([]), []
    made = next(endless)
    for generation in range(12):
        assert {made.propose(place, known, [])["until"] for place in range(4)} == {2 * generation + 2}
        known += [done(len(known), 1.0, last=2 * generation + 2) for _ in range(4)]
        made = endless.send(list(known))


def test_trials_that_were_given_outright_are_the_first_members():
    begin = [done(0, 3.0, {"x": 0.9}), done(1, 1.0, {"x": 0.1})]
    first, second = trained(rule(steps=4).plan(begin), lambda number, params: float(number) / 10, begin)
    assert [one["attrs"]["member"] for one in first] == [2, 3] and len(second) == 4
    assert second[0] == {"params": {"x": 0.9}, "overrides": None, **population.member(GIVEN | {"steps": 4}, 4, begin[0])}
    assert [one["attrs"]["parent"] for one in second] == [0, 1, 0, 3], "the worst, trial 2, goes on from the best"


def test_where_nobody_is_left_it_ends():
    assert len(trained(rule().plan([]), lambda number, params: None)) == 1
    assert len(trained(rule().plan([]), lambda number, params: None if number != 2 else 1.0)) == 2


def test_the_least_is_the_best_where_less_is_better():
    rounds = trained(rule(steps=4, directions=("minimize",)).plan([]), lambda number, params: float(number))
    assert [one["attrs"]["parent"] for one in rounds[1]] == [0, 1, 2, 0]


def test_of_several_best_each_is_a_parent_as_chance_has_it():
    parents = set()
    for seed in range(12):
        second = trained(rule(seed=seed, quantile=0.5, steps=4).plan([]), lambda number, params: float(number))[1]
        assert [one["attrs"]["parent"] for one in second[2:]] == [2, 3]
        parents |= {one["attrs"]["parent"] for one in second[:2]}
        again = random.Random(trial_seed(seed, 4)).choice([3, 2])  # as the study's seed and the trial's number have it
        assert second[0]["attrs"]["parent"] == again
    assert parents == {2, 3}


def test_a_quarter_is_drawn_anew_and_the_rest_is_turned_up_or_down():
    params = [space.Param(f"x{i}", space.Float(0.0, 10.0)) for i in range(40)]
    values = {param.name: 1.0 for param in params}
    found = [v for n in range(20) for v in rule(params, resample=0.25).explored(values, n, random.Random(n)).values()]
    up, down = sum(v == 1.25 for v in found), sum(v == 0.8 for v in found)
    assert up == pytest.approx(300, abs=50) and down == pytest.approx(300, abs=50)
    assert len({v for v in found if v not in (1.25, 0.8)}) == 800 - up - down
    assert rule(params, resample=0.0, perturb=[1.0]).explored(values, 3, random.Random(0)) == values


def test_only_what_may_change_and_is_searched_does():
    params = (KIND, space.Param("+lr", LR.spec, (("kind", "a"),)), space.Param("fixed", space.Fixed(3)))
    values = {"kind": "a", "+lr [kind=a]": 0.1, "fixed": 3, "of.nobody": 7}
    made = rule(params, change=["lr", "kind", "fixed"], held=["kind"], resample=1.0)
    found = [made.explored(values, n, random.Random(0)) for n in range(5)]
    assert len({one["+lr [kind=a]"] for one in found}) == 5, "drawn by the trial's number"
    assert all({**one, "+lr [kind=a]": 0.1} == values for one in found)
    assert made.explored({"kind": "b"}, 0, random.Random(0)) == {"kind": "b"}


@pytest.mark.parametrize(
    ("spec", "value", "factor", "expected"),
    [
        (space.Int(1, 9), 4, 1.0, 4),
        (space.Int(1, 9), 9, 1.25, 9),
        (space.Int(0, 100, step=10), 50, 1.25, 60),  # 62.5 is nearest to 60
        (space.Int(0, 100, step=10), 50, 1.01, 60),
        (space.Int(0, 100, step=10), 50, 0.99, 40),
        (space.Int(-8, 8), -4, 1.25, -5),
        (space.Float(0.1, 0.7, step=0.3), 0.4, 1.25, 0.7),
        (space.Float(0.0, 1.0), True, 1.25, True),
        (space.Float(0.0, 1.0), "x", 1.25, "x"),
        (space.Choice((3, 1, 2)), 2, 0.5, 1),
        (space.Choice((3, 1, 2)), 3, 0.5, 2),
        (space.Choice((3, 1, 2)), 1, 1.25, 2),
        (space.Choice((3, 1, 2)), 1, 0.5, 1),
        (space.Choice((3, 1, 2)), "x", 1.25, "x"),
    ],
)
def test_a_step_of_a_value(spec, value, factor, expected):
    found = population.perturbed(spec, value, factor)
    assert found == pytest.approx(expected) if isinstance(expected, float) else found == expected and type(found) is type(expected)


SEGMENTS = [
    {"trial": 2, "until": 3, "params": {"x": 0.1}, "overrides": ["x=0.1"]},
    {"trial": 6, "until": 6, "params": {"x": 0.2}, "overrides": ["x=0.2"]},
]


def test_a_winners_way_is_trained_segment_by_segment():
    rounds = trained(Lineage({"segments": SEGMENTS}).plan([]), lambda number, params: 1.0)
    assert [one for (one,) in rounds] == [
        {"params": {"x": 0.1}, "overrides": ["x=0.1"], "until": 3, "attrs": {"segment": 0, "replayed": 2}},
        {
            "params": {"x": 0.2},
            "overrides": ["x=0.2"],
            "until": 6,
            "attrs": {"segment": 1, "replayed": 6},
            "start": {"trial": 0, "step": 3},
        },
    ]
    assert len(trained(Lineage({"segments": SEGMENTS}).plan([]), lambda number, params: None)) == 1, "it ends where one fails"


def test_the_score_and_the_best_of_trials():
    up = [done(0, 1.0), done(1, 3.0), done(2, 3.0), done(3, 9.0, state="PRUNED"), done(4, float("nan")), done(5, None)]
    inf = float("inf")
    assert [score(trial, True) for trial in up] == [1.0, 3.0, 3.0, -inf, -inf, -inf] and score(up[1], False) == -3.0
    assert best(up, True).number == 1 and best(up, False).number == 0 and best(up[3:], True) is None
    assert Searched([], {}, ["maximize", "minimize"], 0).maximize and not Searched([], {}, ["minimize"], 0).maximize
