"""Searches by rule: rounds as a function of the fixed history, the same with any workers and after kills; tiers and ablation."""

import itertools
import math
import random

import pytest
from simulated_workers import PARAMS, SimulatedWorker, curve_of, run_alone, run_scheduled, spec_of, table

from trivet import changes, space
from trivet.search import ablation, tiers
from trivet.search.rounds import Round, Rounds, Searched
from trivet.search.teaching import blank
from trivet.study.records import Official, Outcome

DEFAULTS = {"x": 0.0, "kind": "a", "lr [kind=a]": 1e-3}
TIERS = {
    "tiers": [
        {"name": "rates", "keys": ["lr", "x"], "share": 50},
        {"name": "kinds", "keys": ["kind"], "share": 30},
        {"name": "rest", "keys": ["*"], "share": 20},
    ],
    "trials": 24,
    "sampler": "gp",
}
CHANGES = [{"name": text, "overrides": [text]} for text in ("x=1.0", "kind=b", "depth=5", "lr=0.01")]
ABLATION = {"changes": CHANGES, "seeds": [11, 12], "seed_key": "seed"}
LADDER = {"key": "x", "start": 0.1, "metric": None, "most": 5}
PBT = {
    "population": 4,
    "interval": 6,
    "steps": 24,
    "quantile": 0.25,
    "perturb": [0.8, 1.25],
    "resample": 0.25,
    "change": ["*"],
    "held": ["kind"],
}
BASELINE = ({"params": DEFAULTS, "overrides": []},)
SEARCHES = {
    "ladder": ("ladder", LADDER, {}),
    "tiers": ("tiers", TIERS, {"explicit": BASELINE, "defaults": DEFAULTS}),
    "tiers by tpe, pruned": ("tiers", {**TIERS, "sampler": "tpe"}, {"explicit": BASELINE, "pruner": "median", "reuse": True}),
    "ablation": ("ablation", ABLATION, {"n_trials": changes.most(4, 2)}),
    "pbt": ("pbt", PBT, {"explicit": BASELINE, "n_trials": 16, "reuse": True}),
}  # fmt: skip


def spec(folder, which):
    name, arguments, more = SEARCHES[which]
    return spec_of(folder, (name, arguments), **{"n_trials": TIERS["trials"] if name == "tiers" else 5, **more})


def done(number, value, params=None, state="COMPLETE", curve=(), metrics=None):
    values = [value] if value is not None else []
    return Official(number, state, values, "", list(curve), params or {}, blank(number, {}, {}), metrics or {})


def trials_of(folder, which, trial=curve_of):
    return [dict(zip(rows[0], row, strict=True)) for rows in [run_alone(spec(folder, which), trial)[0]] for row in rows[1:]]


# The engine -----------------------------------------------------------------------------------------------------------------------


class Doubling:
    """Rounds of 1, 2, 4 ... trials while the last trial's value is below `bar`; remembers what it was sent."""

    def __init__(self, bar):
        self.bar, self.sent = bar, []

    def plan(self, done):
        for n in itertools.accumulate(itertools.repeat(2), lambda a, b: a * b, initial=1):
            done = yield Round.of([{"params": {"n": n, "place": place}} for place in range(n)])
            self.sent.append([trial.number for trial in done])
            if done[-1].values[0] >= self.bar:
                return


def test_a_round_begins_when_all_before_it_are_settled_and_the_rule_is_asked_once():
    rule = Doubling(bar=6)
    rounds, known = Rounds(rule, first=1), [done(0, 0.0)]
    assert not rounds.is_known(1, []) and not rounds.is_over(1, [])
    assert rounds.is_known(1, known) and not rounds.is_known(2, known)
    known += [done(n, float(n)) for n in range(1, 8)]
    assert rounds.is_known(3, known[:2]) and not rounds.is_known(4, known[:3])
    assert rounds.propose(3, known[:3], 1, lambda n: {})["params"] == {"n": 2, "place": 1}
    assert rounds.is_known(7, known) and rounds.propose(5, known, 1, lambda n: {})["params"] == {"n": 4, "place": 1}
    assert rounds.is_over(8, known) and not rounds.is_over(7, known)
    assert rule.sent == [[0, 1], [0, 1, 2, 3], list(range(8))]  # each once, and of its own past alone


def test_a_trial_may_know_what_the_lag_lets_it():
    heard = []

    class Asking:
        def plan(self, known):
            yield Round(4, lambda place, known, pending: heard.append((place, len(known), list(pending))) or {"params": {}})

    rounds, known = Rounds(Asking(), first=2), [done(n, 0.0) for n in range(6)]
    for number in range(2, 6):
        rounds.propose(number, known, 2, lambda n: {"n": n})
    assert heard == [(0, 2, []), (1, 2, [{"n": 2}]), (2, 2, [{"n": 2}, {"n": 3}]), (3, 3, [{"n": 3}, {"n": 4}])]


@pytest.mark.parametrize("which", SEARCHES)
def test_the_table_is_the_same_with_any_number_of_workers_and_after_kills(which, tmp_path):
    alone = run_alone(spec(tmp_path / "alone", which))
    for seed, n_workers, p_kill in ((0, 2, 0.0), (1, 4, 0.02)):
        again = run_scheduled(spec(tmp_path / f"{seed}", which), random.Random(seed), n_workers, p_kill)
        assert again == alone
    assert len(alone[0]) > 2


def test_a_search_by_rule_says_that_its_rule_ended_it_and_goes_on_where_it_was(tmp_path):
    worker = SimulatedWorker(spec(tmp_path, "ladder"), trial=lambda number, params: ([], Outcome("FAIL", reason="diverged")))
    assert worker.run() == "stop: rule"
    rows = table(spec(tmp_path, "ladder"))
    worker = SimulatedWorker(spec(tmp_path, "ladder"))
    assert worker.run() == "stop: rule" and table(spec(tmp_path, "ladder")) == rows
    assert len(rows[0]) == 2


# Tiers ----------------------------------------------------------------------------------------------------------------------------


def tiered(folder, loss, arguments, params, defaults, n_trials=24, direction="minimize"):
    """Rows of a search by tiers for the least `loss(params)`, or for the most of what it lacks."""

    def trial(number, params):
        value = loss({name.partition(" [")[0]: v for name, v in params.items()}) * (1 if direction == "minimize" else -1)
        return [(1, value)], Outcome("COMPLETE", (value,))

    explicit = ({"params": defaults, "overrides": []},)
    given = {"params": params, "defaults": defaults, "explicit": explicit, "groups": (), "directions": (direction,)}
    made = spec_of(folder, ("tiers", {"sampler": "gp", "trials": n_trials, **arguments}), n_trials=n_trials, **given)
    header, *rows = run_alone(made, trial)[0]
    return [dict(zip(header, row, strict=True)) for row in rows]


SEPARABLE = (
    space.Param("lr", space.Float(1e-4, 1.0, log=True)),
    space.Param("wd", space.Float(0.0, 1.0)),
    space.Param("size", space.Int(1, 9)),
)
THREE = {"tiers": [{"name": key, "keys": [key], "share": share} for key, share in (("lr", 50), ("size", 30), ("wd", 20))]}


def test_each_tier_searches_its_own_around_the_winner_of_those_before(tmp_path):
    def loss(p):
        return abs(math.log10(p["lr"]) + 2) + abs(p["size"] - 7) + abs(p["wd"] - 0.8)

    rows = tiered(tmp_path, loss, THREE, SEPARABLE, {"lr": 1.0, "wd": 0.1, "size": 1})
    assert [row["tier"] for row in rows] == ["", *["lr"] * 12, *["size"] * 7, *["wd"] * 4]  # 50 of 23, 30 / 50 of 11, all of the rest
    best = {}
    for tier in ("lr", "size", "wd"):
        mine = [row for row in rows if row["tier"] == tier]
        others = {key for key in ("lr", "size", "wd") if key != tier}
        for key in others:
            assert len({row[key] for row in mine}) == 1 and mine[0][key] == best.get(key, {"lr": "1.0", "wd": "0.1", "size": "1"}[key])
        best[tier] = min([row for row in rows[: rows.index(mine[-1]) + 1]], key=lambda row: float(row["value"]))[tier]
    assert abs(math.log10(float(best["lr"])) + 2) < 0.3 and best["size"] == "7"


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_tier_that_brings_nothing_gives_its_other_half_to_those_after_it(tmp_path, direction):
    defaults = {"lr": 1e-4, "wd": 0.1, "size": 1}
    rows = tiered(tmp_path, lambda p: abs(p["wd"] - 0.8) + p["lr"], THREE, SEPARABLE, defaults, direction=direction)
    names = [row["tier"] for row in rows]
    assert names.count("lr") == 6 and names.count("size") == 5 and names.count("wd") == 12 and len(rows) == 24  # halves of 12 and of 10


@pytest.mark.parametrize(
    ("begin", "found", "sizes"),
    [
        (None, [3.0, 2.0, 2.5], [3, 3]),  # six trials in all, and nothing to be beaten
        (1.0, [3.0, 0.5, 2.0], [3, 2]),  # of five the larger half first
        (1.0, [3.0, 1.0, 2.0], [3]),  # as good is no better
        (1.0, [None, None, None], [3]),
    ],
)
def test_a_tiers_second_half_is_for_those_that_found_something_and_a_tier_without_parameters_has_none(begin, found, sizes):
    defaults = {"lr": 0.1, "wd": 0.1, "size": 1}
    two = [{"name": "none", "keys": ["zzz"], "share": 50}, {"name": "all", "keys": ["*"], "share": 50}]
    given = {"tiers": two, "trials": 6, "sampler": "random"}
    known = [] if begin is None else [done(0, begin, defaults)]
    plan, rounds = tiers.Tiers(given, Searched(SEPARABLE, defaults, ["minimize"], 0)).plan(known), []
    made = next(plan)
    while made is not None:
        rounds.append([made.propose(place, known, []) for place in range(made.n)])
        values = found if len(rounds) == 1 else [9.0] * made.n
        known = [*known, *(done(len(known) + i, v, state="FAIL" if v is None else "COMPLETE") for i, v in enumerate(values))]
        made = next_of(plan, known)
    assert [len(one) for one in rounds] == sizes
    drawn = [trial for one in rounds for trial in one]
    assert all(trial["attrs"] == {"tier": "all"} and trial["params"].keys() == defaults.keys() for trial in drawn)
    assert len({trial["params"]["lr"] for trial in drawn}) == len(drawn), "the second half goes on where the first ended"


def next_of(plan, known):
    try:
        return plan.send(known)
    except StopIteration:
        return None


def test_a_choice_of_a_later_tier_brings_its_own_parameters_along():
    params = (
        space.Param("optimizer", space.Choice(("adam", "sgd"))),
        space.Param("lr", space.Float(1e-4, 1.0, log=True), (("optimizer", "adam"),)),
        space.Param("lr", space.Float(1e-2, 10.0, log=True), (("optimizer", "sgd"),)),
        space.Param("momentum", space.Float(0.0, 1.0), (("optimizer", "sgd"),)),
    )
    three = [tiers.Tier("rate", ("lr",), 1), tiers.Tier("choice", ("optimizer",), 1), tiers.Tier("rest", ("*",), 1)]
    incumbent = {"optimizer": "adam", "lr [optimizer=adam]": 0.003}

    def free(tier, values):
        return [p.name for p in tiers.subspace(params, three, tier, values) if not isinstance(p.spec, space.Fixed)]

    assert free(0, incumbent) == ["lr [optimizer=adam]"]
    assert free(1, incumbent) == ["optimizer", "lr [optimizer=sgd]"]  # not momentum: its tier is to come
    assert free(2, incumbent) == []
    assert free(2, {"optimizer": "sgd", "lr [optimizer=sgd]": 0.1}) == ["momentum [optimizer=sgd]"]
    held = {p.name: p.spec for p in tiers.subspace(params, three, 1, incumbent)}
    assert held["lr [optimizer=adam]"] == space.Fixed(0.003)


def test_of_a_key_the_first_pattern_counts():
    three = [tiers.Tier("a", ("*.lr", "schedule*"), 1), tiers.Tier("b", ("optimizer*",), 1), tiers.Tier("c", ("model.*",), 1)]
    assert [tiers.level(key, three) for key in ("optimizer.lr", "+schedule", "optimizer", "model.depth", "seed")] == [0, 0, 1, 2, None]


# Ablation -------------------------------------------------------------------------------------------------------------------------


def taken_apart(value, n, seeds=(1,)):
    """Masks of an ablation of n changes in the order in which they are trained; `value(mask, seed)`, higher is better."""
    given = [{"name": f"k{i}=1", "overrides": [f"k{i}=1"]} for i in range(n)]
    plan = ablation.Ablation({"changes": given, "seeds": list(seeds), "seed_key": "seed"}, maximize=True).plan([])
    known, masks = [], []
    made = next(plan, None)
    while made is not None:
        for place in range(made.n):
            given = made.propose(place, known, [])
            mask = changes.mask_of(given["attrs"]["changes"], n)
            assert given["overrides"] == [f"seed={given['params']['seed']}", *(f"k{i}=1" for i in range(n) if mask[i])]
            masks.append((mask, given["params"]["seed"]))
        known = [done(i, value(mask, seed)) for i, (mask, seed) in enumerate(masks)]
        try:
            made = plan.send(known)
        except StopIteration:
            made = None
    return masks


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
def test_an_ablation_trains_no_more_than_it_planned_and_each_configuration_with_each_seed(n, seeds):
    weights = random.Random(n).sample(range(1, 20), n)
    masks = taken_apart(lambda mask, seed: sum(w for w, on in zip(weights, mask, strict=True) if on), n, seeds)
    assert len(masks) == len(set(masks)) <= changes.most(n, len(seeds)) < 3 * n * len(seeds)
    trained = {mask for mask, _ in masks}
    assert set(masks) == set(itertools.product(trained, seeds))
    order = sorted(range(n), key=lambda i: -weights[i])  # the largest gain first
    assert set(changes.path(order)) <= trained and set(changes.undone(n)) <= trained and set(changes.ends_and_singles(n)) <= trained


def test_a_trial_of_an_ablation_has_what_it_sets_and_its_seed_once():
    given = [{"name": "a", "overrides": ["opt=sgd", "opt.lr=0.5"]}, {"name": "b", "overrides": ["x=true"]}]

    def last(seed_key):
        plan = ablation.Ablation({"changes": given, "seeds": [7], "seed_key": seed_key}, maximize=True).plan([])
        made = next(plan)
        return made.propose(made.n - 1, [], []), made.propose(1, [], [])

    single, both = last("seed")
    assert both == {
        "params": {"seed": 7, "opt": "sgd", "opt.lr": 0.5, "x": True},
        "overrides": ["seed=7", "opt=sgd", "opt.lr=0.5", "x=true"],
        "attrs": {"changes": "1+2"},
    }
    assert single["attrs"] == {"changes": "2"} and last("trainer.seed")[1]["attrs"] == {"changes": "1+2", "seed": 7}
    assert last("trainer.seed")[1]["params"]["trainer.seed"] == 7
    assert last(None)[1] == {
        "params": {"opt": "sgd", "opt.lr": 0.5, "x": True}, "overrides": both["overrides"][1:], "attrs": {"changes": "1+2", "seed": 7}
    }  # fmt: skip


def test_a_change_that_fails_alone_comes_last():
    masks = taken_apart(lambda mask, seed: None if mask == (True, False, False) else float(sum(mask)), 3)
    assert ((False, True, True), 1) in masks and ((True, True, False), 1) in masks
    assert changes.path([1, 2, 0])[2] == (False, True, True)


@pytest.mark.parametrize(("mask", "text"), [((False, False), "none"), ((True, False), "1"), ((True, True), "1+2")])
def test_masks_as_cells(mask, text):
    assert changes.label(mask) == text and changes.mask_of(text, 2) == mask


def test_runs_of_one_configuration_are_trained_though_they_look_the_same(tmp_path):
    """An app without a key for the seed: the three runs are repeats."""
    arguments = {**ABLATION, "changes": CHANGES[:1], "seeds": [1, 2, 3], "seed_key": None}
    made = spec_of(tmp_path, ("ablation", arguments), n_trials=6, reuse=True)
    header, *rows = run_alone(made)[0]
    assert len(rows) == 6 and [row[header.index("seed")] for row in rows] == ["1", "2", "3"] * 2
    assert not any("copied" in row[header.index("reason")] for row in rows)


def test_parameters_that_no_search_names_are_in_the_table(tmp_path):
    rows = trials_of(tmp_path, "ablation")
    assert {row["changes"] for row in rows} >= {"none", "1+2+3+4", "1", "4", "2+3+4"}
    assert all(("depth" in row) and (row["depth"] == "5") == ("3" in row["changes"]) for row in rows)
    assert PARAMS[0].key in rows[0]
