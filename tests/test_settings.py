"""The keys of `hydra.sweeper`: one declaration that checks, makes Hydra's schema, and documents."""

import dataclasses

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from hydra_plugins.trivet_sweeper import TrivetSweeperConf
from trivet.errors import UserError
from trivet.search.samplers import sampler_spec
from trivet.search.sampling import Sampler
from trivet.space import Float, Param
from trivet.sweep import settings
from trivet.sweep.settings import Settings

KINDS = {
    "text": "some text",
    "number": 2.5,
    "whole": 3,
    "negative": -2,
    "huge": 10**30,
    "nan": float("nan"),
    "flag": True,
    "list": [1],
    "mapping": {"some": 1},
    "odd mapping": {1: 2},
    "empty": "",
    "no value": "???",
    "control": "a\x1b[31m",
}
# key -> the kinds that it takes; every other one is refused, and so is what is not named here at all
TAKEN = {
    "sampler": ["text", "mapping"],
    "direction": [],
    "storage": ["text"],
    "study_name": ["text", "whole", "huge"],
    "n_trials": ["whole"],
    "n_jobs": ["whole", "huge"],
    "max_failure_rate": [],
    "params": ["mapping"],
    "search_space": ["mapping"],
    "custom_search_space": [],
    "pruner": ["text", "mapping"],
    "weights": ["list"],
    "scales": ["list"],
    "constraints": ["mapping"],
    "replicates": [],
    "metric": ["text"],
    "seed": ["whole"],
    "lag": ["whole"],
    "baseline": ["flag"],
    "enqueue": ["list"],
    "warm_start": [],
    "warm_start_prunes": ["flag"],
    "stop": [],
    "trial_timeout": ["whole", "number", "huge"],
    "max_restarts": ["whole"],
    "threads": ["whole"],
    "trials_per_gpu": ["whole"],
    "gpus_per_trial": ["whole"],
    "config_space": ["flag"],
    "params_file": ["text"],
    "identity": [],
    "duplicates": [],
    "retry": [],
    "publish": ["text"],
    "publish_files": [],
    "storage_timeout": ["whole", "number"],
}


def test_every_key_is_in_the_table_and_in_hydras_schema():
    names = [f.name for f in dataclasses.fields(Settings)]
    assert list(TAKEN) == names
    schema = [f.name for f in dataclasses.fields(TrivetSweeperConf)]
    assert schema == ["_target_", "_readable_", "_recursive_", "defaults", *names]
    node = ConfigStore.instance().load("hydra/sweeper/trivet.yaml").node
    given = OmegaConf.to_container(node, resolve=False)
    assert {k: given[k] for k in names[1:]} == {k: v for k, v in settings.defaults().items() if k != "sampler"}


@pytest.mark.parametrize("key", TAKEN)
def test_every_kind_of_value_is_taken_or_refused_in_one_line(key):
    for kind, value in KINDS.items():
        if kind in TAKEN[key]:
            assert getattr(Settings(**{key: value}), key) in (value, str(value))
            continue
        with pytest.raises(UserError, match=rf"^hydra\.sweeper\.{key}[.=]") as error:
            Settings(**{key: value})
            pytest.fail(f"{key} took {kind}")
        assert str(error.value).isprintable()


@pytest.mark.parametrize("key", TAKEN)
def test_null_is_the_default_or_refused(key):
    if settings.defaults()[key] in (None, [], {}):
        assert getattr(Settings(**{key: None}), key) == settings.defaults()[key]
    elif key != "n_jobs":
        with pytest.raises(UserError, match=key):
            Settings(**{key: None})


@pytest.mark.parametrize(
    "storage", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite://", "sqlite:///:memory:?cache=shared"]
)
def test_a_database_in_memory_is_refused(storage):
    with pytest.raises(UserError, match="lives in one process alone"):
        Settings(storage=storage)
    assert Settings(storage="sqlite:///study.db").storage


@pytest.mark.parametrize("name", [".", "..", "a/b", "x" * 201, "\n"])
def test_names_that_are_no_folder(name):
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.study_name="):
        Settings(study_name=name)


def test_the_documentation_names_every_key_with_its_default():
    text = settings.documentation()
    for name in TAKEN:
        assert f"hydra.sweeper.{name}=" in text
    assert "hydra.sweeper.max_restarts=3\n" in text and "hydra.sweeper.stop={}\n" in text


# Samplers that a made-up history finds out ------------------------------------------------------------------------------------------

PARAMS = [Param("x", Float(0.0, 1.0)), Param("y", Float(0.1, 10.0, log=True))]


@pytest.mark.parametrize(
    "config",
    [
        {"name": "tpe", "n_ei_candidates": "abc"},
        {"name": "tpe", "n_ei_candidates": -3},
        {"name": "tpe", "gamma": 5},
        {"name": "tpe", "constraints_func": "abc"},
        {"name": "nsgaii", "constraints_func": "abc"},
        {"name": "nsgaii", "population_size": 1},
        {"name": "nsgaii", "mutation_prob": "x"},
        {"name": "nsgaii", "crossover": "x"},
        {"name": "cmaes", "sigma0": "x"},
        {"name": "cmaes", "popsize": "x"},
        {"name": "cmaes", "x0": 3},
        {"name": "random", "seed": -1},
    ],
    ids=str,
)
def test_arguments_that_only_fail_later_are_refused_before_trial_0(config):
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.sampler") as error:
        spec, seed = sampler_spec(config)
        Sampler(spec, PARAMS, ["minimize"], seed or 0).try_out()
    assert str(error.value).isprintable()


@pytest.mark.parametrize("config", ["tpe", {"name": "tpe", "n_startup_trials": 400}, "random", "qmc", "cmaes", "nsgaii"], ids=str)
def test_sampler_that_work_are_taken(config):
    Sampler(sampler_spec(config)[0], PARAMS, ["minimize"], 0).try_out()


@pytest.mark.parametrize("path", ["search.configure", "a.b.configure", "custom-search-space.configure"])  # a script may be called so
def test_a_function_is_a_dotted_path(path):
    assert Settings(custom_search_space=path).custom_search_space == path
    for wrong in (f"{path}()", f"{path}-x", ".", "configure", f"/{path}"):
        with pytest.raises(UserError, match="dotted path"):
            Settings(custom_search_space=wrong)
