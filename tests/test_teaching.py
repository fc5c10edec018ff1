"""What samplers are shown of failed, pruned and infeasible trials, and of a long history; what trying a sampler out asks of it."""

import json
from datetime import datetime

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from test_sampling import NUMBERS, told

from trivet import space
from trivet.search import sampling, teaching
from trivet.search.samplers import SamplerSpec, sampler_spec
from trivet.search.sampling import Sampler, configuration, trial_seed
from trivet.search.teaching import blank, copied, teach

COMPLETE, PRUNED, FAIL, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING


def trial(number, state, values, broken=False):
    made = told(blank(number, {"x": 0.5}, {"x": FloatDistribution(0, 1)}), values, state, [(1, 9.0)])
    made.system_attrs = {"constraints:size": 1.0} if broken else {}
    return made


def shown(known, name, directions=("minimize",)):
    taught = teach(known, name, list(directions))
    assert all(t.params == {"x": 0.5} and t._trial_id == t.number + 1 for t in taught)
    return [(t.number, t.state.name, t.values) for t in taught]


PLAIN = [trial(0, COMPLETE, [3.0]), trial(1, FAIL, None), trial(2, PRUNED, [2.0]), trial(3, PRUNED, None), trial(4, COMPLETE, [5.0])]
HELD = [trial(0, COMPLETE, [3.0]), trial(1, COMPLETE, [9.0], True), trial(2, FAIL, None), trial(3, PRUNED, [1.0], True)]


@pytest.mark.parametrize(
    ("known", "name", "directions", "expected"),
    [
        # TPE has pruned trials of its own: a failed one is one without a value, which it ranks behind all others
        (PLAIN, "tpe", ["minimize"], [(0, "COMPLETE", [3.0]), (1, "PRUNED", None), (2, "PRUNED", [2.0]), (3, "PRUNED", None),
                                      (4, "COMPLETE", [5.0])]),
        # of several objectives it knows no pruned ones: the worst of each
        ([trial(0, COMPLETE, [3.0, 1.0]), trial(1, FAIL, None), trial(2, COMPLETE, [1.0, 4.0])], "tpe", ["minimize", "maximize"],
         [(0, "COMPLETE", [3.0, 1.0]), (1, "COMPLETE", [3.0, 1.0]), (2, "COMPLETE", [1.0, 4.0])]),
        # the others: a pruned one with its last value, one without a value with the worst there is
        *((PLAIN, name, ["minimize"], [(0, "COMPLETE", [3.0]), (1, "COMPLETE", [5.0]), (2, "COMPLETE", [2.0]), (3, "COMPLETE", [5.0]),
                                       (4, "COMPLETE", [5.0])]) for name in ("gp", "cmaes", "nsgaii", "optuna_gp")),
        (PLAIN, "cmaes", ["maximize"], [(0, "COMPLETE", [3.0]), (1, "COMPLETE", [3.0]), (2, "COMPLETE", [2.0]), (3, "COMPLETE", [3.0]),
                                        (4, "COMPLETE", [5.0])]),
        # where nothing completed there is no worst, and nothing to say
        ([trial(0, FAIL, None), trial(1, PRUNED, [2.0])], "cmaes", ["minimize"], [(1, "COMPLETE", [2.0])]),
        ([trial(0, FAIL, None)], "tpe", ["minimize"], [(0, "PRUNED", None)]),
        # an infeasible trial is as bad as the worst that holds its bounds to those who know none, and itself to those who do
        (HELD, "gp", ["minimize"], [(0, "COMPLETE", [3.0]), (1, "COMPLETE", [3.0]), (2, "COMPLETE", [3.0]), (3, "COMPLETE", [3.0])]),
        (HELD, "nsgaii", ["minimize"], [(0, "COMPLETE", [3.0]), (1, "COMPLETE", [9.0]), (2, "COMPLETE", [3.0]), (3, "COMPLETE", [1.0])]),
        (HELD[1:], "cmaes", ["minimize"], [(1, "COMPLETE", [9.0]), (2, "COMPLETE", [9.0]), (3, "COMPLETE", [9.0])]),
    ],
)  # fmt: skip
def test_what_a_sampler_is_told(known, name, directions, expected):
    assert shown(known, name, directions) == expected
    for t in teach(known, name, directions):
        original = next(o for o in known if o.number == t.number)
        assert t is original or t.intermediate_values == {}


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes", "nsgaii"])
def test_what_needs_no_telling_is_shown_as_it_is(name):
    known = [trial(0, COMPLETE, [3.0]), trial(1, COMPLETE, [5.0])]
    assert teach(known, name, ["minimize"]) is known
    pruned = [*known, trial(2, PRUNED, [1.0])]
    assert (teach(pruned, name, ["minimize"]) is pruned) == (name == "tpe")


def test_the_best_are_those_that_completed_and_hold_their_bounds():
    known = [trial(i, COMPLETE, [1.0 + i]) for i in range(510)]
    for number, other in ((50, trial(50, PRUNED, [-1.0])), (60, trial(60, FAIL, None)), (70, trial(70, COMPLETE, [-5.0], broken=True))):
        known[number] = other
    cap = teaching.Cap(["minimize"])
    seen = [t.number for t in cap(known)]
    assert seen == [*(i for i in range(103) if i not in (50, 60, 70)), *range(110, 510)]
    assert cap(known[:500]) == known[:500] and len(cap(known[:501])) == 500


def test_a_sampler_finds_the_trials_it_may_know_and_its_own_by_their_states():
    known = [trial(0, COMPLETE, [3.0]), trial(1, FAIL, None), trial(2, COMPLETE, [5.0])]
    study = optuna.create_study(storage=sampling._View(known, 9))
    assert study.ask().number == 9
    found = {state: [t.number for t in study.get_trials(states=state)] for state in (None, (COMPLETE,), (FAIL, PRUNED), (RUNNING,))}
    assert found == {None: [0, 1, 2, 9], (COMPLETE,): [0, 2], (FAIL, PRUNED): [1], (RUNNING,): [9]}


def test_a_copy_has_all_that_its_original_has():
    original = trial(7, COMPLETE, [3.0])
    original.user_attrs, original.system_attrs = {"a": 1}, {"b": 2}
    original.datetime_start, original.datetime_complete = datetime(2026, 1, 1), datetime(2026, 1, 2)
    again = copied(original)
    assert again == original and again._trial_id == original._trial_id == 8
    changed = copied(original, state=PRUNED, values=None, user_attrs={})
    assert (changed.state, changed.values, changed.user_attrs, changed.system_attrs) == (PRUNED, None, {}, {"b": 2})
    new = blank(4, {"x": 0.1}, {"x": FloatDistribution(0, 1)})
    assert (new.number, new._trial_id, new.state, new.values, new.params) == (4, 5, TrialState.RUNNING, None, {"x": 0.1})
    assert new.datetime_start == datetime.min and new.datetime_complete is None
    assert new.user_attrs == new.system_attrs == new.intermediate_values == {}


def test_seeds_of_trials_stay_what_they_are():
    """A study that goes on after an update would else go another way: the first 31 bits of SHA-256 of `study seed:number`."""
    pairs = ((0, 0), (0, 1), (7, 123), (123456789, 99999))
    assert [trial_seed(*pair) for pair in pairs] == [
        1446583109,
        2005510037,
        1286853366,
        1603582138,
    ]


@pytest.mark.parametrize(
    ("config", "n"),
    [
        ("tpe", 8),
        ({"name": "tpe", "n_startup_trials": 3}, 8),
        ("random", 8),
        ("qmc", 8),
        ("gp", 8),
        ("optuna_gp", 8),  # which would fill the space for ten
        ("nsgaii", 52),  # a generation and what follows from it
        ({"name": "nsgaii", "population_size": 7}, 9),
        ({"name": "nsgaii", "population_size": 200}, 102),
    ],
)
def test_how_many_trials_a_sampler_is_tried_for(config, n, monkeypatch):
    """Each knows those before it, which have results that differ."""
    asked, specs = [], []

    def ask(self, number, known, *_):
        asked.append((number, [(t.number, t.values) for t in known]))
        specs.append(self.spec)
        return blank(number, {}, {})

    monkeypatch.setattr(Sampler, "ask", ask)
    monkeypatch.setattr(Sampler, "_build", lambda *_: None)  # torch takes seconds to import
    Sampler(sampler_spec(config)[0], NUMBERS, ["minimize"], 0).try_out()
    assert [number for number, _ in asked] == list(range(n))
    assert [known for _, known in asked] == [asked[-1][1][:number] for number in range(n)]
    values = [values for _, (*_, values) in zip(asked, asked[-1][1], strict=False)]
    assert len({json.dumps(v) for v in values}) == n - 1 and all(len(v) == 1 and -1 <= v[0] <= 1 for v in values)
    given = 10 if config == "optuna_gp" else sampler_spec(config)[0].arguments.get("n_startup_trials")
    assert specs[0].arguments.get("n_startup_trials") == (None if given is None else min(4, given))


def test_the_values_of_a_trial_from_what_a_sampler_asked_for():
    params = (
        space.Param("kind", space.Fixed("a")),
        space.Param("x", space.Choice(([1], [2]))),
        space.Param("y", space.Float(0.0, 1.0), (("kind", "a"),)),
        space.Param("z", space.Float(0.0, 1.0), (("kind", "b"),)),
    )
    assert configuration(params, {"x": "[2]", "y [kind=a]": 0.5, "z [kind=b]": 0.1}) == {"kind": "a", "x": [2], "y [kind=a]": 0.5}
    assert Sampler(SamplerSpec("random"), params, ["minimize"], 0).ask(0, []).params.keys() == {"x", "y [kind=a]"}
