"""Files that may come with data ask for values alone: what runs, the app's own config names."""

import re

import pytest
from omegaconf import OmegaConf

from trivet import space
from trivet.errors import UserError
from trivet.sweep.foreign import Named

CONFIG = {
    "model": {"_target_": "nets.Small", "act": {"_target_": "nets.Relu"}},
    "size": "${eval:'2*3'}",
    "hydra": {"sweeper": {"params": {"model.act._target_": "choice(nets.Relu, nets.Gelu)"}}, "overrides": {"task": ["data=iris"]}},
}


@pytest.fixture
def named():
    return Named(OmegaConf.create(CONFIG))


@pytest.mark.parametrize(
    "entry",
    [
        {"lr": 0.1, "name": "os.system"},  # no target: a text
        {"model._target_": "nets.Small", "+x": [1, {"a": None}]},
        {"model": {"act": {"_target_": "nets.Gelu"}}},
        ["model._target_=nets.Gelu", "lr=0.1", "name='a=b'", "ref=${model.size}"],
        {"size": "${eval:'2*3'}"},
        3,
        "text",
    ],
    ids=str,
)
def test_values_and_what_the_config_names_are_taken(named, entry):
    named.check_trial(entry, "f")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"model._target_": "os.system"}, "model._target_: os.system"),
        ({"+model._target_": "nets.Small.evil"}, "nets.Small.evil"),  # part of a longer name is none
        ({"model._target_": "Small"}, "Small"),
        ({"model": {"act": {"_target_": "os.system"}}}, "model: os.system"),
        ({"cb": [1, {"_target_": "os.system"}]}, "cb: os.system"),
        (["model._target_=os.system"], "os.system"),
        (["++cb={a:{_target_:os.system}}"], "os.system"),
        ({"name": "${eval:'exit()'}"}, "${eval:'exit()'}"),
        ({"name": ["a ${ oc.env:HOME}"]}, "oc.env"),
        (["name=${oc.env:HOME}"], "oc.env"),
    ],
    ids=str,
)
def test_what_it_does_not_name_is_refused_in_one_line(named, entry, told):
    with pytest.raises(UserError, match=re.escape(told)) as error:
        named.check_trial(entry, "hydra.sweeper.sampler.file=t.yaml")
    assert str(error.value).startswith("hydra.sweeper.sampler.file=t.yaml: ")


def test_ranges_of_a_file(named):
    taken, refused = (
        space.parse_params({"model.act._target_": "nets.Relu, nets.Gelu", "lr": "interval(0, 1)"}),
        {"model._target_": ["nets.Small", "a.b"]},
    )
    for param in taken:
        named.check_range(param, "f")
    with pytest.raises(UserError, match=r"f: model._target_: a\.b: a file can name only"):
        named.check_range(space.parse_params(refused)[0], "f")
