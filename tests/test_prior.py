"""The default as a belief: where points go, how it is forgotten, and what is refused."""

import numpy as np
import pytest

from trivet import space
from trivet.errors import UserError
from trivet.search.fidelity import Told
from trivet.search.gp import EXPLORE_EVERY, Process
from trivet.search.prior import Prior
from trivet.search.samplers import sampler_spec
from trivet.search.whole import Whole

X = space.Param("x", space.Float(0.0, 1.0))
LR = space.Param("lr", space.Float(1e-4, 1.0, log=True))
KIND = space.Param("kind", space.Choice(("a", "b", "c", "d")))


def prior_of(params, defaults, confidence):
    return Prior(Whole(params, defaults).dimensions, confidence)


@pytest.mark.parametrize(("confidence", "deviation"), [("low", 0.5), ("medium", 0.25), ("high", 0.125)])
def test_numbers_lie_about_the_default_on_the_scale_of_their_range(confidence, deviation):
    prior = prior_of([X, LR], {"x": 0.5, "lr": 1e-2}, confidence)
    places = np.array([prior.spread(np.array([share, share])) for share in (np.arange(4000) + 0.5) / 4000])
    assert places.min() >= 0 and places.max() <= 1
    assert np.allclose(places.mean(0), 0.5, atol=0.01) and np.allclose(places[:, 0], places[:, 1])
    near = np.mean(np.abs(places[:, 0] - 0.5) < deviation)
    assert near == pytest.approx(0.683 if deviation < 0.25 else 0.7152 if deviation < 0.5 else 1.0, abs=0.01)  # cut at both ends
    at = prior.log_density(np.array([[0.5, 0.5], [0.5 + deviation, 0.5], [0.5 + deviation, 0.5 - deviation]]))
    assert np.allclose(at, [0, -0.5, -1])


@pytest.mark.parametrize(("confidence", "chance"), [("low", 0.4375), ("medium", 0.625), ("high", 0.8125)])
def test_the_default_option_is_the_likeliest_and_none_is_left_out(confidence, chance):
    prior = prior_of([KIND], {"kind": "c"}, confidence)
    places = np.array([prior.spread(np.array([share]))[0] for share in np.arange(1600) / 1600])
    found = np.bincount(places.astype(int), minlength=4) / 1600
    assert found[2] == pytest.approx(chance, abs=0.002) and np.allclose(found[[0, 1, 3]], (1 - chance) / 3, atol=0.002)
    assert np.allclose(np.exp(prior.log_density(np.arange(4.0)[:, None])), found, atol=0.002)
    assert prior.spread(np.array([1.0]))[0] == 3


def test_an_end_of_a_range_may_be_the_default():
    prior = prior_of([X], {"x": 1.0}, "high")
    places = [prior.spread(np.array([share]))[0] for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert places == sorted(places) and places[0] >= 0 and places[2] > 0.9 and places[-1] == 1.0


def asked(number, known, confidence, default=0.2):
    return Process([X, KIND], {"x": default, "kind": "b"}, True, 0, prior_confidence=confidence).ask(number, 7, known, [])


def test_the_first_points_lie_about_it_and_every_eighth_knows_nothing_of_it():
    believed = [asked(i, [], "high") for i in range(EXPLORE_EVERY)]
    evenly = [asked(i, [], None) for i in range(EXPLORE_EVERY)]
    assert believed[-1] == evenly[-1] and evenly == [asked(i, [], "none") for i in range(EXPLORE_EVERY)]
    assert np.mean([abs(p["x"] - 0.2) for p in believed[:-1]]) < 0.15 < np.mean([abs(p["x"] - 0.2) for p in evenly[:-1]])
    assert sum(p["kind"] == "b" for p in believed) > sum(p["kind"] == "b" for p in evenly)


def test_what_trials_show_outweighs_it_in_the_end():
    def known(n):
        return [Told({"x": x, "kind": "b"}, -abs(x - 0.9)) for x in np.linspace(0.0, 1.0, n)]

    assert abs(asked(50, known(50), "medium")["x"] - 0.9) < 0.1  # the default says 0.2


@pytest.mark.parametrize("value", ["lots", 0.5, True, ["high"]])
def test_what_is_no_confidence_is_one_line(value):
    with pytest.raises(
        UserError, match=r"hydra\.sweeper\.sampler\.prior_confidence=.*: must be one of none, low, medium, high \(sampler gp\)"
    ):
        Process([X], {}, True, 0, **sampler_spec({"name": "gp", "prior_confidence": value})[0].arguments)


def test_a_search_without_it_is_the_study_that_it_was():
    assert "prior_confidence" not in sampler_spec("gp")[0].arguments
    assert sampler_spec({"name": "gp", "prior_confidence": "low"})[0].arguments["prior_confidence"] == "low"
