"""Grids: every point of a space once, conditions included, its ends included, and never more than the limit."""

import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from trivet import space
from trivet.errors import UserError
from trivet.search.samplers import SamplerSpec
from trivet.search.sampling import Sampler
from trivet.sweep.planning import enumerate_grid


def points(mapping, limit=1000):
    return enumerate_grid(space.parse_params(mapping), limit)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"a": [1, None], "b": ["x", "y"]}, [{"a": a, "b": b} for a in (1, None) for b in ("x", "y")]),
        ({"a": "int(interval(1, 3))"}, [{"a": 1}, {"a": 2}, {"a": 3}]),
        ({"a": "range(0, 6, 2)"}, [{"a": 0}, {"a": 2}, {"a": 4}]),
        ({"a": "range(0, 0.5, 0.25)"}, [{"a": 0.0}, {"a": 0.25}]),
        ({"a": 3, "b": [1, 2]}, [{"a": 3, "b": 1}, {"a": 3, "b": 2}]),
        (
            {"o": ["s", "t", "u"], "o=s": {"x": [1, 2]}, "o=t": {"x": [3], "i": [True, False], "i=True": {"d": [7, 8]}}},
            [
                {"o": "s", "x [o=s]": 1},
                {"o": "s", "x [o=s]": 2},
                {"o": "t", "x [o=t]": 3, "i [o=t]": True, "d [o=t,i=True]": 7},
                {"o": "t", "x [o=t]": 3, "i [o=t]": True, "d [o=t,i=True]": 8},
                {"o": "t", "x [o=t]": 3, "i [o=t]": False},
                {"o": "u"},
            ],
        ),
    ],
)
def test_grids_are_complete(mapping, expected):
    assert points(mapping) == expected
    assert space.n_configurations(space.parse_params(mapping)) == len(expected)


def test_stepped_floats_have_their_upper_end():
    grid = enumerate_grid([space.Param("a", space.Float(0.0, 0.3, step=0.1)), space.Param("b", space.Int(1, 7, step=3))], 100)
    assert [(p["a"], p["b"]) for p in grid] == [(a, b) for a in (0.0, 0.1, 0.2, 0.3) for b in (1, 4, 7)]


def test_grids_that_explode_ask_for_a_limit():
    mapping = {f"p{i}": list(range(10)) for i in range(6)}
    with pytest.raises(UserError, match=r"1000000 points; 'hydra.sweeper.sampler=\{name: grid, limit: 1000000\}'") as error:
        points(mapping)
    word = OverridesParser.create().parse_override(str(error.value).split("'")[1])
    for given in ("grid", {"name": "auto"}):  # also beside `hydra.sweeper.sampler=grid`, where `hydra.sweeper.sampler.limit=...` is refused
        config = OmegaConf.create({"hydra": {"sweeper": {"sampler": given}}})
        OmegaConf.update(config, word.key_or_group, word.value(), merge=True)
        assert config.hydra.sweeper.sampler == {"name": "grid", "limit": 1_000_000}
    assert len(points({"a": list(range(1001))}, 1001)) == 1001
    with pytest.raises(UserError, match="1001 points"):
        points({"a": list(range(1001))})


def test_continuous_ranges_have_no_grid():
    with pytest.raises(UserError, match=r"b=interval\(0.0, 1.0\): continuous"):
        points({"a": [1, 2], "b": "interval(0, 1)"})


def test_random_conditional_grids_are_what_sampling_can_give():
    """The grid is the set of all points that a random sampler gives in the long run."""
    rng = random.Random(0)
    for _ in range(5):
        space_params = [space.Param("g", space.Choice(("a", "b", "c")))]
        for i in range(4):
            when = (("g", rng.choice("abc")),) if rng.random() < 0.7 else ()
            space_params.append(space.Param(f"p{i}", rng.choice([space.Choice((1, None)), space.Int(1, 2), space.Fixed(5)]), when))
        grid = enumerate_grid(space_params, 1000)
        fixed = {p.name for p in space_params if isinstance(p.spec, space.Fixed)}
        sampler = Sampler(SamplerSpec("random"), space_params, ["minimize"], 0)
        sampled = {repr(sorted(sampler.ask(i, []).params.items())) for i in range(400)}
        assert sampled == {repr(sorted((k, v) for k, v in p.items() if k not in fixed)) for p in grid}
        assert len(grid) == space.n_configurations(space_params)
