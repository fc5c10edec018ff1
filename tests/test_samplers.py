"""Which sampler, with which arguments: the stock plugin's schemas, names and arguments of our own, and what is refused."""

import json

import pytest
from hydra_plugins.hydra_optuna_sweeper import config as stock
from omegaconf import OmegaConf
from test_sampling import NUMBERS, loss, told

from trivet.errors import UserError
from trivet.search import rounds, samplers
from trivet.search.ablation import Ablation
from trivet.search.ladder import Ladder
from trivet.search.population import Lineage, Population
from trivet.search.samplers import sampler_spec
from trivet.search.sampling import Sampler
from trivet.search.tiers import Tiers


@pytest.mark.parametrize(
    ("node", "name"),
    [
        (stock.GridSamplerConfig, "grid"),
        (stock.TPESamplerConfig, "tpe"),
        (stock.RandomSamplerConfig, "random"),
        (stock.CmaEsSamplerConfig, "cmaes"),
        (stock.NSGAIISamplerConfig, "nsgaii"),
        (stock.MOTPESamplerConfig, "tpe"),
    ],
)
@pytest.mark.parametrize("seed", [None, 7])
def test_the_stock_plugins_schemas_are_taken(node, name, seed):
    config = OmegaConf.to_container(OmegaConf.structured(node), resolve=True)
    if seed is not None:
        if name == "grid":
            config["search_space"] = {"x": [1, 2]}
        else:
            config["seed"] = seed
    spec, given = sampler_spec(config)
    assert spec.name == name and given == (None if name == "grid" else seed)
    json.dumps(spec.as_dict())
    if name != "grid":
        directions = ["minimize"] * (2 if name in ("nsgaii",) or "MOTPE" in config["_target_"] else 1)
        sampler, known = Sampler(spec, NUMBERS, directions, 0), []
        for number in range(14):
            trial = sampler.ask(number, known)
            known.append(told(trial, [loss(trial.params)] * len(directions)))


def test_arguments_of_the_stock_schemas_count():
    config = OmegaConf.to_container(OmegaConf.structured(stock.TPESamplerConfig(n_startup_trials=3, n_ei_candidates=7)))
    assert sampler_spec(config)[0].arguments == {**samplers.DEFAULTS["tpe"], "n_startup_trials": 3, "n_ei_candidates": 7}
    config = OmegaConf.to_container(OmegaConf.structured(stock.NSGAIISamplerConfig(population_size=9)))
    assert sampler_spec(config)[0].arguments["population_size"] == 9


@pytest.mark.parametrize(
    ("config", "name", "arguments", "seed"),
    [
        (None, "auto", {}, None),
        ("gp", "gp", samplers.DEFAULTS["gp"], None),
        ({"_target_": "optuna.samplers.GPSampler", "seed": 3}, "optuna_gp", {}, 3),
        ("random", "random", {}, None),
        ({"name": "random", "seed": 0}, "random", {}, 0),
        (
            {"name": "tpe", "multivariate": False, "group": False},
            "tpe",
            {**samplers.DEFAULTS["tpe"], "multivariate": False, "group": False},
            None,
        ),
        ({"name": "grid", "limit": 5}, "grid", {"limit": 5}, None),
        ({"name": "list", "trials": [{"x": 1}]}, "list", {"trials": [{"x": 1}]}, None),
        ({"_target_": "optuna.samplers.QMCSampler", "seed": 3}, "qmc", samplers.DEFAULTS["qmc"], 3),
        ({"name": "random", "seed": None}, "random", {}, None),
    ],
)
def test_names_arguments_and_seeds(config, name, arguments, seed):
    spec, given = sampler_spec(config)
    assert (spec.name, dict(spec.arguments), given) == (name, dict(arguments), seed)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("tpee", ["tpee", "tpe"]),
        ({"name": "bohb"}, ["bohb", "cmaes"]),
        ({}, ["must be one of"]),
        ({"_target_": "optuna.samplers.BruteFarceSampler"}, ["BruteFarceSampler", "cannot be imported"]),
        (["tpe"], ["tpe", "name"]),
        ({"name": "auto", "multivariate": True}, ["auto", "multivariate"]),
        ({"name": "gp", "deterministic_objective": True}, ["gp", "deterministic_objective", "n_startup_trials"]),
        (3, ["3", "name"]),
        ({"name": ["tpe"]}, ["tpe"]),
        ({"name": "tpe", "n_startup": 3}, ["n_startup", "n_startup_trials"]),
        ({"name": "random", "n_startup_trials": 3}, ["n_startup_trials", "random"]),
        ({"name": "grid", "steps": 3}, ["steps", "limit"]),
        ({"name": "list", "limit": 3}, ["limit", "trials"]),
        ({"_target_": "optuna.samplers.TPESampler", "n_startup": 3}, ["n_startup", "n_startup_trials"]),
        ({"name": "random", "seed": "x"}, ["seed=x"]),
        ({"name": "random", "seed": -1}, ["seed=-1"]),
        ({"name": "random", "seed": 1.5}, ["seed", "1.5"]),
    ],
)
def test_bad_configs_are_named_in_one_line(config, said):
    with pytest.raises(UserError) as error:
        sampler_spec(config)
    assert "\n" not in str(error.value)
    for word in said:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"name": "nsgaii", "population_size": 1}, ["nsgaii", "population_size"]),
        ({"name": "nsgaii", "mutation_prob": 3}, ["nsgaii", "mutation_prob"]),
        ({"name": "qmc", "qmc_type": "sobbol"}, ["qmc", "sobbol"]),
        ({"name": "tpe", "group": True, "multivariate": False}, ["tpe", "group"]),
        ({"name": "gp", "n_startup_trials": "x"}, ["n_startup_trials=x", "whole number"]),
    ],
)
def test_values_that_a_sampler_refuses_are_found_by_trying(config, said):
    with pytest.raises(UserError) as error:
        Sampler(sampler_spec(config)[0], NUMBERS, ["minimize"], 0).try_out()
    assert "\n" not in str(error.value)
    for word in said:
        assert word in str(error.value)


def test_a_gaussian_process_takes_one_objective():
    with pytest.raises(UserError, match="gp: takes a single objective; use tpe, nsgaii or optuna_gp"):
        Sampler(sampler_spec("gp")[0], NUMBERS, ["minimize", "maximize"], 0)


ARGUMENTS = {
    "ladder": {"key": "x", "start": 0.1},
    "tiers": {"tiers": [], "trials": 3, "sampler": "gp"},
    "ablation": {"changes": [], "seeds": [1]},
    "pbt": {"population": 2, "interval": 1, "steps": 2, "change": ["*"], "held": []},
    "replay": {"segments": [{"trial": 0, "until": 3, "params": {}, "overrides": []}]},
}
RULES = {"ladder": Ladder, "tiers": Tiers, "ablation": Ablation, "pbt": Population, "replay": Lineage}


def test_of_each_search_by_rule_there_is_its_rule_and_those_in_stages_say_until_when():
    searched = rounds.Searched(NUMBERS, {}, ["minimize"], 0)
    rules = {name: rounds.build(name, ARGUMENTS[name], searched) for name in samplers.RULED}
    assert {name: type(rule) for name, rule in rules.items()} == RULES
    first = {name: next(rules[name].plan([])).propose(0, [], []) for name in ("ladder", "pbt", "replay", "ablation")}
    assert [name for name, given in first.items() if "until" in given] == list(samplers.STAGED)
    assert set(samplers.REPEATING) == {"ablation", *samplers.STAGED} and set(samplers.USES_PENDING) == {"gp", *RULES}


def test_what_is_no_class_of_optunas_is_ours_and_enumerates_or_goes_by_a_rule_or_a_model():
    assert set(samplers.OWN) == {"gp", "auto", *samplers.ENUMERATING, *samplers.RULED} and set(samplers.ENUMERATING) == {
        "grid",
        "list",
        "ends",
    }
    assert set(samplers.INDEPENDENT) == {"random", "qmc", *samplers.ENUMERATING} and not set(samplers.OWN) & set(samplers.CLASSES)
    for name in samplers.CLASSES:
        assert Sampler(sampler_spec(name)[0], NUMBERS, ["minimize"], 0).ask(0, []).params.keys() == {"x", "y", "n"}


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(samplers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="cmaes: needs the library cmaes; install it with: pip install cmaes"):
        sampler_spec("cmaes")
    assert sampler_spec("tpe")[0].name == "tpe"
