"""The config group that trivet brings to every app: each option composes, means what it says, and needs nothing of the app."""

import pytest
import yaml
from hydra.core.plugins import Plugins
from hydra_apps import app, write
from omegaconf import OmegaConf

from trivet import app as description
from trivet.search.samplers import ENUMERATING

OPTIONS = {"search": None, "coarse": None, "fine": None, "seeds": "list", "audit": "list", "check": "ends"}  # None: one that learns
OPTIONS |= {"ladder": "ladder", "tiers": "tiers", "ablation": "ablation", "pbt": "pbt", "replay": "replay"}


@pytest.fixture
def conf(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "conf", {"config.yaml": "lr: 0.1\n", "stock.yaml": "defaults:\n  - override hydra/sweeper: basic\nlr: 0.1\n"})


def sweeper(conf, *overrides, config_name="config"):
    Plugins.instance()
    with app(conf, overrides, config_name) as (_, config):
        subdir = OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"]
        return OmegaConf.to_container(config.hydra.sweeper, resolve=True), config.hydra.runtime.choices["hydra/sweeper"], subdir


@pytest.mark.parametrize(("option", "sampler"), OPTIONS.items())
def test_every_option_composes_in_an_app(conf, option, sampler):
    found, chosen, _ = sweeper(conf, f"+trivet={option}")
    assert chosen == "trivet" and found["study_name"] == option
    assert found["sampler"]["name"] == sampler or (sampler is None and found["sampler"]["name"] not in ENUMERATING)
    assert (found["direction"], found["metric"], found["params_file"] if option not in ("fine",) else None) == ("minimize", None, None)
    assert bool(found["pruner"]) == (sampler not in ("list", "ladder", "ablation", "pbt", "replay"))


def test_what_the_app_is_comes_from_its_description(conf, tmp_path):
    described = {"app": "python a.py", "objective": "val/acc", "direction": "maximize", "keep": "a/b.pt"}
    described |= {"data": ["x.csv"], "ignore": ["log"]}
    (tmp_path / description.FILE).write_text(yaml.safe_dump(described))
    found, _, _ = sweeper(conf, "+trivet=seeds")
    assert (found["direction"], found["metric"], found["publish_files"]) == ("maximize", "val/acc", ["a/b.pt"])
    assert found["identity"] == {"files": ["x.csv"], "ignore": ["log"]}
    assert sweeper(conf, "+trivet=coarse")[0]["params_file"] == "space.yaml"


def test_an_app_with_a_sweeper_of_its_own_takes_one_word_more(conf):
    assert sweeper(conf, "+trivet=coarse", "hydra/sweeper=trivet", config_name="stock")[1] == "trivet"


@pytest.mark.parametrize("option", OPTIONS)
def test_a_trial_lives_in_its_number(conf, option):
    assert sweeper(conf, f"+trivet={option}")[2] == "${hydra:job.num}"
