"""Every choice file of the groups model, optimizer, schedule, loss and data: it says what it is, and its defaults and ranges are valid."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from trivet import data, space
from trivet.data.sources import SOURCES
from trivet.search import pruning
from trivet.training import losses, models, optimizers, schedules

CONF = Path(__file__).parent.parent / "conf"
MODULES = {"model": models, "optimizer": optimizers, "schedule": schedules, "loss": losses, "data": data}
FILES = [(group, path.stem) for group in MODULES for path in sorted((CONF / group).glob("*.yaml"))]


def node(group: str, name: str) -> dict:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose(f"{group}/{name}"))[group]


def ends(spec) -> list:
    return list(spec.options) if isinstance(spec, space.Choice) else [spec.low, spec.high]


@pytest.mark.parametrize(("group", "name"), FILES)
def test_choice(group, name):
    assert (CONF / group / f"{name}.yaml").read_text().startswith("# ")
    config = node(group, name)
    MODULES[group].validate(config)
    for key, value in (config.get("space") or {}).items():
        assert key in config, f"{key} has a range and no default"
        for end in ends(space.parse(value, key)):
            MODULES[group].validate({**config, key: end})


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("model", models.FIELDS),
        ("optimizer", optimizers.FIELDS),
        ("schedule", schedules.FIELDS),
        ("loss", losses.FIELDS),
        ("data", SOURCES),
    ],
)
def test_every_name_has_a_file(group, names):
    assert set(names) <= {stem for its, stem in FILES if its == group}


def test_lookahead_inherits_the_ranges_of_adamw():
    config = node("optimizer", "lookahead")
    assert config["name"] == "adamw"
    assert config["lookahead"] == 5
    assert set(config["space"]) == set(node("optimizer", "adamw")["space"]) | {"lookahead", "lookahead_alpha"}


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "pruner").glob("*.yaml")))
def test_every_pruner_can_be_built(name):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", [f"pruner={name}"]), resolve=True)
    assert (pruning.build(config["pruner"]) is None) == (name == "none")


@pytest.mark.parametrize("group", ["data", "model", "optimizer", "schedule", "loss", "pruner", "experiment", "hparams", "debug"])
def test_an_option_that_does_not_exist_is_refused(group):
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(MissingConfigException, match="Available options"):
        compose("config", [f"{group}=ashaa"])
