"""Apps whose config names the stock sweeper's classes, read under `hydra/sweeper=trivet`; no sweep is run."""

import logging
import warnings

import hydra_apps
import pytest
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from hydra_plugins.trivet_sweeper import SWEEPER, Takeover, TrivetSweeper
from trivet.search.samplers import DEFAULTS, sampler_spec
from trivet.sweep.settings import Settings

BLOCK = """
hydra:
  mode: MULTIRUN
  sweeper:
    _target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper
    storage: null
    study_name: null
    n_jobs: 1
    direction: maximize
    n_trials: 4
    sampler:
      _target_: optuna.samplers.{sampler}
      seed: 1234
    params:
      lr: interval(0.0001, 0.1)
"""
GLOBAL = "# @package _global_\n"
APP = {
    "config.yaml": "defaults:\n  - _self_\n  - optional hparams_search: null\nlr: 0.1\n",
    "callbacks.yaml": "defaults:\n  - _self_\n  - optional hparams_search: null\nlr: 0.1\n"
    "hydra: {callbacks: {mine: {_target_: hydra.experimental.callback.Callback}}}\n",
    "first.yaml": "defaults:\n  - override hydra/sweeper: trivet\n  - _self_\nlr: 0.1" + BLOCK.format(sampler="TPESampler"),
    "last.yaml": "defaults:\n  - _self_\n  - override hydra/sweeper: trivet\nlr: 0.1" + BLOCK.format(sampler="TPESampler"),
    "tpe_first.yaml": "defaults:\n  - override hydra/sweeper/sampler: tpe\n  - override hydra/sweeper: trivet\n  - _self_\nlr: 0.1"
    + BLOCK.format(sampler="TPESampler"),
    "tpe_last.yaml": "defaults:\n  - _self_\n  - override hydra/sweeper: trivet\n  - override hydra/sweeper/sampler: random\nlr: 0.1"
    + BLOCK.format(sampler="RandomSampler"),
    "hparams_search/optuna.yaml": GLOBAL + "defaults:\n  - override /hydra/sweeper: optuna\n" + BLOCK.format(sampler="TPESampler"),
    "hparams_search/trivet.yaml": GLOBAL + "defaults:\n  - override /hydra/sweeper: trivet\n" + BLOCK.format(sampler="CmaEsSampler"),
    "hparams_search/gone.yaml": GLOBAL + BLOCK.format(sampler="TPESampler").replace("hydra_optuna_sweeper", "uninstalled"),
}
ONE_WORD = ["hydra/sweeper=trivet"]


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    return hydra_apps.write(tmp_path_factory.mktemp("conf"), APP)


def sweeper_of(context, config):
    """The sweeper that Hydra makes of a config, in the order in which `Hydra.multirun` does it."""
    context.callbacks.on_multirun_start(config=config, config_name="config")
    return Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=lambda config: 0.0)


@pytest.mark.parametrize(
    ("name", "overrides", "sampler"),
    [
        ("config", ["hparams_search=trivet"], "cmaes"),
        ("config", [*ONE_WORD, "hparams_search=optuna"], "tpe"),
        ("config", ["hparams_search=optuna", *ONE_WORD], "tpe"),
        ("config", [*ONE_WORD, "hparams_search=gone"], "tpe"),
        ("config", [*ONE_WORD, "hparams_search=optuna", "hydra/sweeper/sampler=random"], "tpe"),  # the block's own class comes last
        ("callbacks", [*ONE_WORD, "hparams_search=optuna"], "tpe"),
        ("first", [], "tpe"),
        ("last", [], "tpe"),
        ("tpe_first", [], "tpe"),
        ("tpe_last", [], "random"),
    ],
)
def test_a_block_for_the_stock_sweeper_is_read_by_ours(conf, name, overrides, sampler, caplog):
    with caplog.at_level(logging.INFO, "trivet"), hydra_apps.app(conf, overrides, config_name=name) as (context, config):
        made = sweeper_of(context, config)
        assert type(made).__name__ == "TrivetSweeper" and config.hydra.sweeper._target_ == SWEEPER
        read = Settings(**made._given)
        given = OmegaConf.to_container(config.hydra.callbacks)
    assert (read.direction, read.n_trials, read.n_jobs, read.params) == ("maximize", 4, 1, {"lr": "interval(0.0001, 0.1)"})
    spec, seed = sampler_spec(read.sampler)
    assert (spec.name, seed) == (sampler, 1234)
    told = [record.message for record in caplog.records]
    assert len(told) == 1 and told[0].startswith("hydra.sweeper._target_=hydra_plugins.") and "\n" not in told[0]
    assert ("mine" in given) == (name == "callbacks")


@pytest.mark.parametrize(("sweeper", "wanted"), [("basic", "BasicSweeper"), ("optuna", "OptunaSweeper"), ("trivet", "TrivetSweeper")])
def test_nothing_is_taken_from_the_sweeper_that_was_chosen(conf, sweeper, wanted, caplog):
    with caplog.at_level(logging.INFO, "trivet"), hydra_apps.app(conf, [f"hydra/sweeper={sweeper}"]) as (context, config):
        assert type(sweeper_of(context, config)).__name__ == wanted
        assert list(config.hydra.callbacks) == (["trivet"] if sweeper == "trivet" else [])
    assert not caplog.records


class Own(TrivetSweeper):
    """A plugin of somebody's, built on ours."""


def test_a_sweeper_made_of_ours_stays(conf):
    Plugins.instance().class_name_to_class["hydra_plugins.own.Own"] = Own
    try:
        with hydra_apps.app(conf, [*ONE_WORD, "hydra.sweeper._target_=hydra_plugins.own.Own"]) as (context, config):
            assert type(sweeper_of(context, config)) is Own
    finally:
        del Plugins.instance().class_name_to_class["hydra_plugins.own.Own"]


def test_for_jobs_the_callback_does_nothing():
    assert [name for name in vars(Takeover) if name.startswith("on_")] == ["on_multirun_start"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"consider_prior": True, "prior_weight": 1.0, "multivariate": False, "warn_independent_sampling": True}, []),  # the schema's own
        ({"multivariate": True}, []),  # so it is here
        ({"consider_endpoints": True}, ["hydra.sweeper.sampler.consider_endpoints=True: not taken over"]),
        ({"prior_weight": 2.0, "n_startup_trials": 3}, ["hydra.sweeper.sampler.prior_weight=2.0: not taken over"]),
    ],
)
def test_what_of_a_sampler_cannot_be_taken_over_is_told(arguments, told):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        spec, _ = sampler_spec({"_target_": "optuna.samplers.TPESampler", **arguments})
    assert spec.arguments == {**DEFAULTS["tpe"], **{k: v for k, v in arguments.items() if k == "n_startup_trials"}}
    assert [str(w.message).partition(", as")[0] for w in heard] == told
