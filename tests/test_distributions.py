"""Ranges and values as Optuna has them, and the way back."""

import math

import optuna
import pytest

from trivet import space
from trivet.search.samplers import SamplerSpec
from trivet.search.sampling import Sampler, distribution, external, internal


@pytest.mark.parametrize(
    ("spec", "theirs"),
    [
        (space.Int(1, 64, log=True), optuna.distributions.IntDistribution(1, 64, log=True)),
        (space.Int(1, 9, step=2), optuna.distributions.IntDistribution(1, 9, step=2)),
        (space.Float(1e-3, 1.0, log=True), optuna.distributions.FloatDistribution(1e-3, 1.0, log=True)),
        (space.Float(0.0, 1.0, step=0.25), optuna.distributions.FloatDistribution(0.0, 1.0, step=0.25)),
        (space.Choice(("a", None, [1])), optuna.distributions.CategoricalDistribution(("a", None, "[1]"))),
    ],
)
def test_a_range_as_optuna_has_it(spec, theirs):
    assert distribution(spec) == theirs


@pytest.mark.parametrize(
    ("spec", "value", "label"),
    [
        (space.Choice(("a", None, 3, 0.5)), None, None),
        (space.Choice(("a", None, 3, 0.5)), 3.0, 3),
        (space.Choice((1, 2)), 2, 2),
        (space.Choice((1, True)), True, "True"),
        (space.Choice((0.0, False)), 0, "0.0"),
        (space.Choice(("1", 1)), "1", "1"),
        (space.Choice(([1, 2], {"a": [3]}, "x")), [1, 2], "[1, 2]"),
        (space.Choice(([1, 2], "[1, 2]")), "[1, 2]", "'[1, 2]'"),
        (space.Choice((math.nan, 1.0)), math.nan, math.nan),
        (space.Int(1, 9), 3, 3),
        (space.Float(0.0, 1.0), 0.25, 0.25),
    ],
)
def test_what_optuna_calls_a_value(spec, value, label):
    assert repr(internal(spec, value)) == repr(label)
    back = external(spec, distribution(spec).to_external_repr(distribution(spec).to_internal_repr(label)))
    assert space.contains(space.Fixed(back), value)
    if isinstance(spec, space.Choice):
        labels = distribution(spec).choices
        assert [repr(external(spec, x)) for x in labels] == [repr(option) for option in spec.options]
        optuna.distributions.json_to_distribution(optuna.distributions.distribution_to_json(distribution(spec)))


def test_a_condition_goes_by_the_value_and_not_by_what_optuna_calls_it():
    params = (
        space.Param("flag", space.Choice((1, True))),
        space.Param("sizes", space.Choice(([1, 2], [3]))),
        space.Param("x", space.Float(0.0, 1.0), (("flag", "true"),)),
        space.Param("y", space.Float(0.0, 1.0), (("sizes", "[1,2]"),)),
    )
    sampler = Sampler(SamplerSpec("random"), params, ["minimize"], 0)
    found = [sampler.ask(number, []).params for number in range(12)]
    assert {trial["flag"] for trial in found} == {"1", "True"} and {trial["sizes"] for trial in found} == {"[1, 2]", "[3]"}
    assert all(("x [flag=true]" in trial) == (trial["flag"] == "True") for trial in found)
    assert all(("y [sizes=[1,2]]" in trial) == (trial["sizes"] == "[1, 2]") for trial in found)
