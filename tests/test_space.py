"""A search space: collected from configs, its values and grids, and the way back to text."""

import math
import warnings
from collections import OrderedDict

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from trivet.errors import UserError
from trivet.space import (
    Choice,
    Fixed,
    Float,
    Int,
    Param,
    collect,
    contains,
    dump,
    grid_points,
    load,
    meets,
    n_configurations,
    n_points,
    parse,
    parse_overrides,
    parse_params,
    to_text,
    value_text,
)

# `space:` nodes ----------

CONFIG = {
    "seed": 0,
    "batch_size": 64,
    "space": {"batch_size": "choice(16, 32)", "optimizer": "choice(sgd, lookahead)", "model": "choice(cnn, mlp)"},
    "model": {
        "width": 8,
        "head": {"bias": True, "space": {"bias": [True, False]}},
        "space": {"width": "int(interval(4, 16))", "head.bias": None},
    },
    "optimizer": {
        "lr": 0.1,
        "space": {"lr": "tag(log, interval(1e-3, 1))", "inner": "choice(sgd, adam)"},
        "inner": {"momentum": 0.9, "space": {"momentum": "interval(0.8, 0.99)"}},
    },
    "backup": {"size": 1, "space": {"size": [1, 2]}},
    "loss": {"space": None},
}
CHOICES = {
    "model": "cnn",
    "optimizer": "lookahead",
    "optimizer/inner": "sgd",
    "db@backup": "local",
    "loss": None,
    "hydra/launcher": "basic",
}


def test_collect_walks_every_node_and_names_its_conditions():
    inner = (("optimizer", "lookahead"), ("optimizer/inner", "sgd"))
    assert collect(CONFIG, CHOICES) == [
        Param("batch_size", Choice((16, 32))),
        Param("optimizer", Choice(("sgd", "lookahead"))),
        Param("model", Choice(("cnn", "mlp"))),
        Param("model.width", Int(4, 16), (("model", "cnn"),)),
        Param("model.head.bias", Choice((True, False)), (("model", "cnn"),)),
        Param("optimizer.lr", Float(1e-3, 1, log=True), inner[:1]),
        Param("optimizer/inner", Choice(("sgd", "adam")), inner[:1]),
        Param("optimizer.inner.momentum", Float(0.8, 0.99), inner),
        Param("backup.size", Choice((1, 2)), (("db@backup", "local"),)),
    ]


@pytest.mark.parametrize(
    ("searched", "expected"),
    [
        (set(), ()),
        ({"optimizer"}, (("optimizer", "lookahead"),)),
        ({"optimizer/inner"}, (("optimizer/inner", "sgd"),)),
        ({"optimizer", "optimizer/inner", "model"}, (("optimizer", "lookahead"), ("optimizer/inner", "sgd"))),
    ],
)
def test_only_searched_groups_set_conditions(searched, expected):
    params = {param.key: param for param in collect(CONFIG, CHOICES, searched=searched)}
    assert params["optimizer.inner.momentum"].when == expected


@pytest.mark.parametrize(
    ("config", "mend"),
    [
        ({"space": 5}, "space=5"),
        ({"optimizer": {"space": ["lr"]}}, "optimizer.space=['lr']"),
        ({"optimizer": {"lr": 1, "space": {"lr": 0.1}}}, "optimizer.lr: 0.1 in `space` is a single value"),
        (
            {"optimizer": {"lr": 1, "space": {"lrr": "interval(0, 1)"}}},
            "optimizer.lrr: has a search range but no value in the config: did you mean lr?",
        ),
        ({"optimizer": {"lr": 1, "space": {"lr.x": "interval(0, 1)"}}}, "optimizer.lr.x"),
        ({"optimizer": {"lr": 1, "space": {"lr": {"low": 1}}}}, "a mapping is no range"),
        ({"optimizer": {"lr": 1, "space": {"lr": "interval(2, 1)"}}}, "optimizer.lr=interval(2, 1)"),
        ({"a": {"b": 1, "space": {"b": "1,2"}}, "space": {"a.b": "3,4"}}, "a.b: given twice"),
    ],
)
def test_collect_refused(config, mend):
    with pytest.raises(UserError) as error:
        collect(config, {"optimizer": "sgd"})
    assert mend in str(error.value)


def test_collect_takes_any_mapping_and_needs_no_groups():
    assert collect(OrderedDict(a=1, space=OrderedDict(a="1,2")), {}) == [Param("a", Choice((1, 2)))]
    assert collect({}, {}) == []


# Values and grids ----------


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        (Float(0, 1), 0, True),
        (Float(0, 1), 1.0, True),
        (Float(0, 1), 1.1, False),
        (Float(0, 1), True, False),
        (Float(0, 1), "0.5", False),
        (Float(0, 1), None, False),
        (Float(0, 1), math.nan, False),
        (Float(0, math.pi), math.inf, False),
        (Float(0, 1, step=0.1), 0.3, True),
        (Float(0, 1, step=0.1), 0.1 + 0.2, True),
        (Float(0, 1, step=0.1), 0.35, False),
        (Int(1, 5), 3, True),
        (Int(1, 5), 3.0, True),
        (Int(1, 5), 3.5, False),
        (Int(1, 5), 6, False),
        (Int(1, 5, step=2), 4, False),
        (Choice((1, "a", None)), None, True),
        (Choice((1, "a", None)), 1.0, True),
        (Choice((1, "a", None)), True, False),
        (Choice((1, "a", None)), "1", False),
        (Choice(([1, 2], "a")), (1, 2), True),
        (Fixed(2), 2, True),
        (Fixed(2), 3, False),
    ],
)
def test_contains(spec, value, expected):
    assert contains(spec, value) is expected


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("sgd", "sgd", True),
        ("sgd", "adam", False),
        (1, "1", True),
        (1.0, "1", True),
        ("1", "1", True),  # an option of that name
        (True, "1", False),
        (True, "true", True),
        ("true", "true", True),
        (None, "null", True),
        (0.001, "1e-3", True),
        ("a b", "'a b'", True),
        ([1, 2], "[1,2]", True),
        ("a,b", "a,b", True),  # sweeps nothing in a condition
        ("(", "(", True),
    ],
)
def test_what_meets_a_condition(value, text, expected):
    assert meets(value, text) is expected
    assert Param("x", Float(0, 1), (("key", text),)).active({"key": value}) is expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Int(1, 4), [1, 2, 3, 4]),
        (Int(1, 5, step=2), [1, 3, 5]),
        (Int(1, 4, log=True), [1, 2, 3, 4]),
        (Float(0, 1, step=0.25), [0.0, 0.25, 0.5, 0.75, 1.0]),
        (Float(0.1, 0.3, step=0.1), [0.1, 0.2, 0.3]),
        (Float(2, 2), [2.0]),
        (Choice(("a", None)), ["a", None]),
        (Fixed("x"), ["x"]),
    ],
)
def test_grids_include_their_upper_end(spec, expected):
    assert grid_points(spec) == expected
    assert n_points(spec) == len(expected)


def test_a_continuous_range_has_no_grid():
    assert n_points(Float(0, 1)) is None
    with pytest.raises(UserError, match=r"choice\(...\) or range"):
        grid_points(Float(0, 1))


def test_grids_count_conditions_once():
    params = parse_params(
        {
            "bs": "1,2",
            "opt": "a,b",
            "opt=a": {"x": "1,2,3", "opt/in": "p,q", "opt/in=p": {"y": "1,2"}},
            "opt=b": {"x": "int(interval(1, 5))"},
        }
    )
    assert n_configurations(params) == 2 * (3 * (2 + 1) + 5)
    assert n_configurations([*params, Param("lr", Float(0, 1))]) is None
    assert n_configurations([]) == 1


# Properties ----------

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
positive = st.floats(1e-9, 1e6, allow_subnormal=False)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
names = st.from_regex(r"[a-z_][a-z0-9_-]{0,6}", fullmatch=True)
options = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2), max_leaves=5)


@st.composite
def specs(draw):
    kind = draw(st.sampled_from(["float", "log", "step", "int", "intlog", "intstep", "choice"]))
    low, high = sorted(draw(st.tuples(numbers, numbers)))
    whole = sorted(draw(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6))))
    if kind == "float":
        return Float(low, high)
    if kind == "log":
        return Float(*sorted(draw(st.tuples(positive, positive))), log=True)
    if kind == "step":
        step = draw(st.floats(1e-6, 1e5))
        assume(step > 1e-6 * max(abs(low), abs(high)) and (high - low) / step < 500)
        return Float(low, high, step=step)
    if kind == "int":
        return Int(-whole[1], whole[0])
    if kind == "intlog":
        return Int(*whole, log=True)
    if kind == "intstep":
        return Int(*whole, step=draw(st.integers(1, 1000)))
    unique = draw(st.lists(options, min_size=1, max_size=4, unique_by=repr))
    try:
        return Choice(tuple(unique))
    except UserError:  # 1 and 1.0 are one option
        assume(False)


@settings(deadline=None, max_examples=200)
@given(specs())
def test_text_reads_back_as_the_same_spec(spec):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse(to_text(spec)) == spec


@settings(deadline=None, max_examples=150)
@given(options)
def test_an_override_sets_exactly_this_value(value):
    assert parse(value_text(value)) == Fixed(value)
    assert parse_overrides([f"a.b={value_text(value)}"]) == ([], [f"a.b={value_text(value)}"])


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["a", "b.c", "d/e", "+f"]), specs(), st.sampled_from(["", "x", "y"]), st.booleans()), max_size=6))
def test_dump_loads_back(entries):
    params = []
    for key, spec, option, deep in entries:
        when = (("g", option),) if option else ()
        params.append(Param(key, spec, (*when, ("g/h", "z")) if deep and when else when))
    try:
        mapping = dump(params)
    except UserError:  # two for one key at once
        return
    again = load(mapping)
    assert sorted(again, key=lambda p: p.name) == sorted(params, key=lambda p: p.name)
    assert load(OmegaConf.to_container(OmegaConf.create(mapping), resolve=False)) == again


@settings(deadline=None, max_examples=100)
@given(specs())
def test_every_grid_point_is_contained(spec):
    n = n_points(spec)
    assume(n is not None and n < 2000)
    points = grid_points(spec)
    assert len(points) == n
    assert all(contains(spec, point) for point in points)
    if isinstance(spec, (Float, Int)):
        assert points[0] == spec.low
        assert points[-1] == pytest.approx(spec.high, rel=1e-9)
        assert points == sorted(set(points))
