"""Samplers and pruners of one's own: the examples as users run them, the same table for every schedule, and what is refused."""

import itertools
import random
import shutil
import sys
import time
import typing
from pathlib import Path

import numpy as np
import optuna
import pytest
from hydra_apps import app, sweep
from simulated_workers import run_alone, run_scheduled, spec_of
from test_sampling import MIXED, NUMBERS, best, search

from trivet.errors import UserError
from trivet.search import own, pruning
from trivet.search.samplers import SamplerSpec, sampler_spec
from trivet.search.sampling import Sampler
from trivet.study import tables
from trivet.sweep.settings import Settings
from trivet.sweep.sweep import Sweep
from trivet.targets import build

HERE = f"{__name__}."
EXAMPLES = Path(__file__).parent.parent / "examples" / "strategies"


@pytest.fixture
def examples(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in ("nearby", "projected", "app"):
        sys.modules.pop(name, None)


# What goes wrong ------------------------------------------------------------------------------------------------------------------


class Middle(optuna.samplers.BaseSampler):
    """Always the middle; subclasses differ."""

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, name, distribution):
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            return distribution.choices[0]
        return self.turn(distribution, study) if name == "x" else distribution.low

    def turn(self, distribution, study):
        return (distribution.low + distribution.high) / 2


class Unseeded(Middle):
    def turn(self, distribution, study):
        return random.uniform(distribution.low, distribution.high)


class Remembering(Middle):
    count = itertools.count()

    def turn(self, distribution, study):
        return min(distribution.high, distribution.low + next(self.count) / 100)


class Clock(Middle):
    def turn(self, distribution, study):
        return distribution.low + time.perf_counter_ns() % 1000 / 1000


class Outside(Middle):
    def turn(self, distribution, study):
        return distribution.high + 1


class Raising(Middle):
    def turn(self, distribution, study):
        raise KeyError("two\nlines")


class Heard(Middle):
    def after_trial(self, study, trial, state, values):
        raise AssertionError


class Seeing(Middle):
    """Keeps what it was shown, for a test."""

    shown: typing.ClassVar = []

    def turn(self, distribution, study):
        self.shown.append([(t.number, t.state.name, t.value, dict(t.intermediate_values)) for t in study.get_trials() if t.number >= 0])
        return 0.0


def function(kind=optuna.samplers.RandomSampler, **arguments):
    """A function that gives a sampler, and takes whatever that takes."""
    return kind(**arguments)


def not_a_sampler():
    return 3


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"_target_": "no.such.Sampler"}, ["sampler._target_=no.such.Sampler", "ModuleNotFoundError", "module.function"]),
        ({"_target_": HERE + "Absent"}, [HERE + "Absent", "AttributeError"]),
        ({"_target_": "Alone"}, ["sampler='Alone'", "must be one of"]),
        ({"_target_": "optuna.samplers.NoSampler"}, ["NoSampler", "cannot be imported"]),
        ({"_target_": "nearby.Nearby", "widht": 1}, ["sampler.widht", "nearby.Nearby has no such argument", "width, seed"]),
        ({"_target_": "nearby.Nearby", "_args_": [1]}, ["sampler._args_", "by name"]),
        ({"_target_": "nearby.Nearby", "seed": "x"}, ["sampler.seed=x", "whole number"]),
        ({"_target_": HERE + "not_a_sampler"}, ["gives a int", "BaseSampler"]),
        ({"_target_": HERE + "Unseeded"}, [HERE + "Unseeded", "proposed", "`seed`"]),
        ({"_target_": HERE + "Remembering"}, ["Remembering", "same trial and history"]),
        ({"_target_": HERE + "Clock"}, ["Clock", "same trial and history"]),
        ({"_target_": HERE + "Outside"}, ["Outside", "gave x=6.0, which is not in FloatDistribution"]),
        ({"_target_": HERE + "Raising"}, ["Raising", "KeyError: 'two\\nlines'", "trial 0"]),
        ({"_target_": "optuna.samplers.PartialFixedSampler", "base_sampler": {"_target_": "no.where"}}, ["sampler.base_sampler=no.where"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_samplers_that_are_refused(examples, config, said):
    with pytest.raises(UserError) as refused:
        Sampler(sampler_spec(config)[0], NUMBERS, ["minimize"], 0).try_out()
    assert "\n" not in str(refused.value)
    for word in said:
        assert word in str(refused.value)


class Rule:
    """Never stops; subclasses differ."""

    def prune(self, number, steps, values, peers):
        return False


class Dice(Rule):
    def prune(self, number, steps, values, peers):
        return random.random() < 0.5


class Counting(Rule):
    asked = 0

    def prune(self, number, steps, values, peers):
        self.asked += 1
        return self.asked % 3 == 0


class Text(Rule):
    def prune(self, number, steps, values, peers):
        return "no"


class Faulty(Rule):
    def prune(self, number, steps, values, peers):
        return values[7] > 0


class Needy(Rule):
    def __init__(self, low, high):
        assert low < high, "low must be below high"


class Numpy(Rule):
    def prune(self, number, steps, values, peers):
        return np.bool_(values[-1] < 0)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"_target_": "no.such.Rule"}, ["pruner._target_=no.such.Rule", "cannot be imported"]),
        ({"_target_": "Alone"}, ["pruner._target_=Alone", "dotted path"]),
        ({"_target_": HERE + "Needy", "low": 2}, ["Needy", "missing", "'high'"]),
        ({"_target_": HERE + "Needy", "low": 2, "high": 1}, ["Needy", "low must be below high"]),
        ({"_target_": HERE + "Rule", "rate": 1}, ["pruner.rate", "has no such argument; it takes none"]),
        ({"_target_": HERE + "Dice"}, ["Dice", "other verdicts"]),
        ({"_target_": HERE + "Counting"}, ["Counting", "other verdicts", "memory"]),
        ({"_target_": HERE + "Text"}, ["Text", "prune gave 'no'", "true or false"]),
        ({"_target_": HERE + "Faulty"}, ["Faulty", "IndexError", "trial 0 at step 1"]),
        ({"_target_": HERE + "Middle"}, ["Middle", "no method prune(number, steps, values, peers)"]),
        ({"_target_": "optuna.pruners.MedianPruner"}, ["MedianPruner", "take pruner.name=median"]),
        ({"name": "patient", "pruner": {"_target_": HERE + "Dice"}}, ["Dice", "other verdicts"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_pruners_that_are_refused(config, said):
    with pytest.raises(UserError) as refused:
        pruning.build(config)
    assert "\n" not in str(refused.value)
    for word in said:
        assert word in str(refused.value)


def test_answers_of_numpy_are_answers():
    assert pruning.build(HERE + "Numpy").prune(0, [1], [-1.0], None) is True


def test_arguments_that_a_command_line_was_merged_over_go(examples):
    merged = {"name": "asha", "max_resource": 9, "reduction_factor": 3, "_target_": "projected.Projected", "until": 8}
    assert pruning.plain(merged) == {"name": "projected.Projected", "until": 8}
    assert sampler_spec({"name": "gp", "n_startup_trials": 6, "_target_": "nearby.Nearby", "seed": 4}) == (
        SamplerSpec("nearby.Nearby", {}),
        4,
    )


def test_a_sampler_that_waits_for_news_is_told_of(caplog):
    Sampler(SamplerSpec(HERE + "Heard"), NUMBERS, ["minimize"], 0).try_out()
    assert [r.getMessage().partition(",")[0] for r in caplog.records] == [
        f"hydra.sweeper.sampler={HERE}Heard: its after_trial is not called"
    ]


# What works ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [NUMBERS, MIXED], ids=["numbers", "conditional"])
def test_the_example_beats_chance(examples, params):
    spec = SamplerSpec("nearby.Nearby", {"width": 0.1})
    Sampler(spec, params, ["minimize"], 0).try_out()
    ours, chance = ([best(search(s, params, 60, seed=seed)) for seed in range(4)] for s in (spec, SamplerSpec("random")))
    assert sum(ours) < sum(chance)
    assert search(spec, params, 12, seed=5)[7].params == search(spec, params, 8, seed=5)[7].params


@pytest.mark.parametrize(
    "config",
    [
        {"_target_": "optuna.samplers.NSGAIIISampler", "population_size": 4},
        {"_target_": HERE + "function"},
        {
            "_target_": "optuna.samplers.PartialFixedSampler",
            "fixed_params": {"x": 1.0},
            "base_sampler": {"_target_": "optuna.samplers.TPESampler"},
        },
    ],
    ids=lambda config: config["_target_"].rpartition(".")[2],
)
def test_samplers_of_optuna_functions_and_samplers_in_samplers_are_seeded(config):
    spec, _ = sampler_spec(config)
    Sampler(spec, NUMBERS, ["minimize"], 0).try_out()
    ys = [[t.params["y"] for t in search(spec, NUMBERS, 3, seed=seed)] for seed in (0, 0, 1)]
    assert ys[0] == ys[1] != ys[2] and len(set(ys[0])) == 3


def test_a_seed_that_is_not_taken_is_not_given():
    assert build("builtins.dict", {}, "key", seed=3) == {"seed": 3}
    assert isinstance(build(HERE + "function", {"kind": Middle}, "key", seed=3), Middle)


STRATEGIES = (("nearby.Nearby", {"width": 0.2}), {"name": "projected.Projected", "until": 6, "n_startup_trials": 2})


def test_every_schedule_gives_the_table_of_one_worker(examples, tmp_path):
    expected = run_alone(spec_of(tmp_path / "alone", *STRATEGIES, n_trials=16))
    assert {row[1] for row in expected[0][1:]} >= {"COMPLETE", "PRUNED"}
    for i, (n_workers, p_kill) in enumerate([(1, 0.1), (2, 0.0), (3, 0.04)]):
        assert run_scheduled(spec_of(tmp_path / str(i), *STRATEGIES, n_trials=16), random.Random(i), n_workers, p_kill) == expected


def test_the_whole_fixed_history_is_shown_as_it_is_and_nothing_that_runs(tmp_path):
    Seeing.shown.clear()
    run_scheduled(spec_of(tmp_path, (HERE + "Seeing", {}), "median", 14, lag=2), random.Random(1), 3)
    seen = {shown[-1][0]: shown for shown in Seeing.shown}
    assert sorted(seen) == list(range(14))
    for number, shown in seen.items():
        assert [row[0] for row in shown] == [*range(max(0, number - 2)), number]
        assert all(state in ("COMPLETE", "PRUNED", "FAIL") for _, state, *_ in shown[:-1]) and shown[-1][1] == "RUNNING"
        assert shown[:-2] == seen[max(0, number - 1)][: len(shown) - 2]
    assert any(state == "PRUNED" and value is not None and curve for _, state, value, curve in seen[13])


def test_the_example_as_a_sweep(examples, tmp_path, monkeypatch):
    """And what its study is: the targets, their arguments and their code."""
    monkeypatch.chdir(tmp_path)
    here = tmp_path / "strategies"
    shutil.copytree(EXAMPLES, here)
    monkeypatch.syspath_prepend(str(here))
    from app import main

    task = main.__wrapped__
    value = sweep(here / "conf", task, ["hydra.sweep.dir=out", "hydra.sweeper.seed=1", "hydra.sweeper.n_trials=14"])
    study = tables.load_study(tmp_path / "out")
    assert study["sampler"] == {"name": "nearby.Nearby", "width": 0.05}
    assert study["pruner"] == {"name": "projected.Projected", "until": 8}
    rows = tables.read_csv(tmp_path / "out" / "trials.csv")
    assert value == min(float(row["value"]) for row in rows if row["state"] == "COMPLETE") < 2
    assert any(row["state"] == "PRUNED" for row in rows) and len(rows) == 14

    def identity(*overrides):
        with app(here / "conf", ["hydra/sweeper=trivet", "hydra.sweeper.n_jobs=0", *overrides]) as (context, config):
            given = {k: v for k, v in config.hydra.sweeper.items() if k in Settings.__dataclass_fields__}
            return Sweep(Settings(**given), context, config, task).plan([])[1]["identity"]

    first = identity()
    assert {"nearby.py", "projected.py", "app.py"} <= {Path(name).name for name in first["code"]}
    (here / "projected.py").write_text((here / "projected.py").read_text().replace("max(0.0,", "max(0.1,"))
    other = identity("hydra.sweeper.sampler.width=0.2", "+hydra.sweeper.pruner.n_startup_trials=2")
    assert {key for key in first if first[key] != other[key]} == {"sampler", "pruner", "code"}


def test_a_sampler_that_fails_later_ends_the_sweep_in_one_line():
    sampler = Sampler(SamplerSpec(HERE + "Raising"), NUMBERS, ["minimize"], 0)
    with pytest.raises(UserError, match=r"Raising: KeyError: .* \(asked for trial 9\)"):
        sampler.ask(9, [])
    assert own.is_own("a.b") and not own.is_own("tpe") and not own.is_own(None)
