"""The search-space language: every form of the grammar, every refusal, and the way back to text."""

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
    lint,
    load,
    n_configurations,
    n_points,
    parse,
    parse_overrides,
    parse_params,
    parse_search_space,
    to_text,
    value_text,
)

FORMS = [
    # continuous ranges: interval() is continuous even between whole numbers, as in hydra-optuna-sweeper
    ("interval(0.1, 1)", Float(0.1, 1.0)),
    ("interval(1,5)", Float(1.0, 5.0)),
    ("interval(-1e-3, .5)", Float(-0.001, 0.5)),
    ("interval(start=0, end=1)", Float(0.0, 1.0)),
    ("  interval( 0 , 1 )  ", Float(0.0, 1.0)),
    ("tag(log, interval(1e-4, 1e-1))", Float(1e-4, 1e-1, log=True)),
    ("tag(log, interval(1, 100))", Float(1.0, 100.0, log=True)),
    ("float(interval(1, 5))", Float(1.0, 5.0)),
    ("float(tag(log, interval(1, 5)))", Float(1.0, 5.0, log=True)),
    # whole numbers
    ("int(interval(1, 5))", Int(1, 5)),
    ("int(interval(1.0, 5.0))", Int(1, 5)),
    ("tag(log, int(interval(16, 256)))", Int(16, 256, log=True)),
    ("int(tag(log, interval(16, 256)))", Int(16, 256, log=True)),
    # ranges that do not touch their upper end
    ("range(1, 6, 2)", Int(1, 5, step=2)),
    ("range(0.0, 0.9, 0.25)", Float(0.0, 0.75, step=0.25)),
    # choices
    ("a,b", Choice(("a", "b"))),
    ("1,2.5,true,null", Choice((1, 2.5, True, None))),
    ("choice(a, b)", Choice(("a", "b"))),
    ("choice(one)", Choice(("one",))),
    ("choice(batch, null)", Choice(("batch", None))),
    ("choice(1, true)", Choice((1, True))),
    ("choice('1', \"a b\", 'it\\'s')", Choice(("1", "a b", "it's"))),
    ("choice([1,2], [3], [])", Choice(([1, 2], [3], []))),
    ("choice({a: 1}, {a: [x, null]})", Choice(({"a": 1}, {"a": ["x", None]}))),
    ("choice(a\\,b, c)", Choice(("a,b", "c"))),
    ("choice(${a.b}, c)", Choice(("${a.b}", "c"))),
    ("str(1, 2)", Choice(("1", "2"))),
    ("int(choice(1.0, 2.0))", Choice((1, 2))),
    ("float(1, 2)", Choice((1.0, 2.0))),
    ("bool(0, 1)", Choice((False, True))),
    ("sort(3, 1, 2)", Choice((1, 2, 3))),
    ("sort(choice(b, a), reverse=true)", Choice(("b", "a"))),
    ("shuffle(3, 1, 2)", Choice((3, 1, 2))),
    ("shuffle(choice(b, a))", Choice(("b", "a"))),
    ("shuffle(range(1, 4))", Choice((1, 2, 3))),
    ("-1,0,1e3", Choice((-1, 0, 1000.0))),
    ("inf,1", Choice((math.inf, 1))),
    # lists are choices
    ([1, None, "x"], Choice((1, None, "x"))),
    ((True, False), Choice((True, False))),
    (["interval(0, 1)", "b"], Choice(("interval(0, 1)", "b"))),
    (OmegaConf.create([1, None, [2]]), Choice((1, None, [2]))),
    # nothing to search
    ("adam", Fixed("adam")),
    ("", Fixed("")),
    ("a b", Fixed("a b")),
    ("'1'", Fixed("1")),
    ("1e-3", Fixed(0.001)),
    ("null", Fixed(None)),
    ("[1,2]", Fixed([1, 2])),
    (3, Fixed(3)),
    (0.5, Fixed(0.5)),
    (None, Fixed(None)),
    (False, Fixed(False)),
]


@pytest.mark.parametrize(("text", "expected"), FORMS, ids=[str(text) for text, _ in FORMS])
def test_every_form_of_the_grammar(text, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spec = parse(text, "key")
        assert spec == expected
        assert type(spec) is type(expected)
        assert parse(to_text(spec)) == spec


@pytest.mark.parametrize(
    ("text", "expected", "mend"),
    [
        ("range(1, 4)", Int(1, 3), "int(interval(1, 4))"),
        ("range(4)", Int(0, 3), "int(interval(0, 4))"),
        ("range(1, 5, 2)", Int(1, 3, step=2), "range(1, 6, 2)"),
        ("range(0, 1, 0.25)", Float(0.0, 0.75, step=0.25), "range(0.0, 1.125, 0.25)"),
        ("float(range(1, 4))", Float(1.0, 3.0, step=1.0), "range(1.0, 4.5, 1.0)"),
        ("range(0.1, 0.4, 0.1)", Float(0.1, 0.3, step=0.1), "range(0.1, 0.45, 0.1)"),
        ("tag(log, range(1, 9))", Int(1, 8, log=True), "int(interval(1, 9))"),
        ("tag(log, choice(1, 2))", Choice((1, 2)), "drop it"),
        ("tag(fast, interval(0, 1))", Float(0.0, 1.0), "fast means nothing"),
    ],
)
def test_what_is_ambiguous_warns_with_the_mend(text, expected, mend):
    with pytest.warns(UserWarning, match=r".") as caught:
        assert parse(text, "key") == expected
    assert len(caught) == 1
    assert mend in str(caught[0].message)
    assert text in str(caught[0].message)


REFUSED = [
    ("interval(5, 1)", "swap"),
    ("interval(a, b)", "interval(0.1, 1)"),
    ("interval(1)", "interval(0.1, 1)"),
    ("interval(nan, 1)", "finite"),
    ("interval(0, inf)", "finite"),
    ("interval('0', 1)", "cannot be read"),
    ("tag(log, interval(0, 1))", "above 0"),
    ("tag(log, interval(-1, 1))", "raise low"),
    ("tag(log, int(interval(0, 8)))", "from 1 on"),
    ("int(interval(8, 1))", "swap"),
    ("range(1, 9, 0)", "step above 0"),
    ("range(9, 1, -1)", "lower bound first"),
    ("range(1, 1)", "empty range"),
    ("range(5, 1)", "empty range"),
    ("range(0, inf)", "finite"),
    ("range(0.0, 1.0, nan)", "finite"),
    ("tag(log, range(1, 9, 2))", "drop the step"),
    ("choice()", "empty choice"),
    ("choice(choice(a))", "nesting"),
    ("choice(a, a)", "listed twice"),
    ("1,1.0", "listed twice"),
    ("choice(a", "cannot be read"),
    ("chioce(a, b)", "Unknown function"),
    ("a,,b", "cannot be read"),
    ("tag(log, 1)", "cannot be read"),
    ("glob(*)", "choice(a, b)"),
    ([], "at least one"),
    ([1, 1], "listed twice"),
    ([1j], "cannot be an option"),
    ({"low": 1}, "no range"),
]


@pytest.mark.parametrize(("value", "mend"), REFUSED, ids=[str(value) for value, _ in REFUSED])
def test_refusals_name_key_value_and_mend_in_one_line(value, mend):
    with pytest.raises(UserError) as error:
        parse(value, "optimizer.lr")
    message = str(error.value)
    assert message.startswith("optimizer.lr=")
    assert mend in message
    assert "\n" not in message
    if isinstance(value, str):
        assert value in message


@pytest.mark.parametrize(
    ("make", "mend"),
    [
        (lambda: Float("a", 1), "not a number"),
        (lambda: Float(True, 2), "not a number"),
        (lambda: Float(0, 1, step=-1), "step above 0"),
        (lambda: Float(0.1, 1, log=True, step=0.1), "drop the step"),
        (lambda: Float(1e12, 1e12 + 1, step=0.1), "larger step"),
        (lambda: Int(0.5, 3), "whole number"),
        (lambda: Int(1, 8, step=1.5), "whole number"),
        (lambda: Int(1, 8, step=0), "step above 0"),
        (lambda: Int(1, 8, log=True, step=2), "drop the step"),
        (lambda: Choice(()), "at least one"),
    ],
)
def test_specs_refuse_what_is_no_range(make, mend):
    with pytest.raises(UserError, match=mend):
        make()


def test_specs_settle_on_their_grid():
    assert Float(0, 1, step=0.3) == Float(0.0, 0.9, step=0.3)
    assert Int(1, 8, step=3).high == 7
    assert Float(0.1, 0.3, step=0.1).high == 0.3
    assert Choice((1, 2)) != Choice((True, 2))
    assert Choice((1, 2)) != Choice((1.0, 2))
    assert len({Choice(([1],)), Choice(([1],)), Choice(([2],))}) == 2


@pytest.mark.parametrize(
    "text",
    ["interval(1,5)", "interval(0.1,1)", "tag(log,interval(1,100))", "int(interval(1,5))", "int(tag(log,interval(1,9)))", "range(1,6,2)",
     "float(range(1,6,2))", "a,b", "choice(1,2.5,true)", "sort(3,1,2)", "shuffle(range(1,4))", "str(1,2)", "choice('1',b)"],
)  # fmt: skip
def test_forms_mean_what_they_mean_in_hydra_optuna_sweeper(text):
    stock = pytest.importorskip("hydra_plugins.hydra_optuna_sweeper._impl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = stock.create_params_from_overrides([f"x={text}"])[0]["x"]
    ours = parse(text)
    if isinstance(ours, Choice):
        assert sorted(theirs.choices, key=repr) == sorted(ours.options, key=repr)  # shuffle draws at random there
        return
    assert isinstance(theirs.low, int) == isinstance(ours, Int)
    log, step = getattr(theirs, "log", False), getattr(theirs, "step", None)
    assert (theirs.low, theirs.high, log, step) == (ours.low, ours.high, ours.log, ours.step)


# Command line ----------


def test_overrides_are_split_into_searched_and_fixed():
    overrides = [
        "optimizer=sgd,adam",
        "+x.y=1,2",
        "++z=3",
        "~w",
        "~v=1",
        "m/n@p.q=a,b",
        "epochs=3",
        "t=[1,2]",
        "hydra.job.name=a",
        "k.0=1,2",
        "e=",
    ]
    params, fixed = parse_overrides(overrides)
    assert params == [
        Param("optimizer", Choice(("sgd", "adam"))),
        Param("+x.y", Choice((1, 2))),
        Param("m/n@p.q", Choice(("a", "b"))),
        Param("k.0", Choice((1, 2))),
    ]
    assert fixed == ["++z=3", "~w", "~v=1", "epochs=3", "t=[1,2]", "hydra.job.name=a", "e="]


@pytest.mark.parametrize(
    ("overrides", "mend"),
    [
        (["lr=1,2", "lr=3,4"], "lr: swept and given twice"),
        (["lr=1,2", "+lr=3"], "lr: swept and given twice"),
        (["lr=3", "lr=1,2"], "give it once"),
        (["~lr=1,2"], "deletion"),
        (["lr"], "lr: this cannot be read"),
        (["lr=interval(2,1)"], "lr=interval(2,1): an empty range"),
        (["model=glob(*)"], "model=glob(*)"),
    ],
)
def test_overrides_refused(overrides, mend):
    with pytest.raises(UserError) as error:
        parse_overrides(overrides)
    assert mend in str(error.value)


def test_a_fixed_override_may_be_repeated_as_in_hydra():
    assert parse_overrides(["a=1", "a=2"]) == ([], ["a=1", "a=2"])


class Loader:
    def get_group_options(self, group, results_filter):
        return {"model": ["cnn", "mlp", "resnet"]}[group]


def test_glob_lists_the_options_of_a_group():
    assert parse_overrides(["model=glob(*n*)"], Loader())[0] == [Param("model", Choice(("cnn", "resnet")))]
    with pytest.raises(UserError, match="matches no option"):
        parse_overrides(["model=glob(zz)"], Loader())


# Mappings ----------

SPACE = {
    "batch_size": [16, 32],
    "optimizer": "choice(sgd, lookahead)",
    "epochs": 3,
    "optimizer=sgd": {"optimizer.lr": "tag(log, interval(1e-3, 1))"},
    "optimizer=lookahead": {
        "optimizer.lr": "tag(log, interval(1e-5, 1e-1))",
        "optimizer/inner": "adam,sgd",
        "optimizer/inner=sgd": {"optimizer.inner.momentum": "interval(0.8, 0.99)"},
    },
}


def test_params_with_conditions_to_any_depth():
    params = parse_params(SPACE)
    assert params == [
        Param("batch_size", Choice((16, 32))),
        Param("optimizer", Choice(("sgd", "lookahead"))),
        Param("epochs", Fixed(3)),
        Param("optimizer.lr", Float(1e-3, 1, log=True), (("optimizer", "sgd"),)),
        Param("optimizer.lr", Float(1e-5, 1e-1, log=True), (("optimizer", "lookahead"),)),
        Param("optimizer/inner", Choice(("adam", "sgd")), (("optimizer", "lookahead"),)),
        Param("optimizer.inner.momentum", Float(0.8, 0.99), (("optimizer", "lookahead"), ("optimizer/inner", "sgd"))),
    ]
    assert [param.name for param in params][-1] == "optimizer.inner.momentum [optimizer=lookahead,optimizer/inner=sgd]"
    assert params[0].name == "batch_size"
    assert load(dump(params)) == params
    assert params[-1].active({"optimizer": "lookahead", "optimizer/inner": "sgd"})
    assert not params[-1].active({"optimizer": "lookahead"})


def test_dump_is_plain_yaml():
    mapping = dump(parse_params(SPACE))
    assert mapping["optimizer=sgd"] == {"optimizer.lr": "tag(log, interval(0.001, 1.0))"}
    assert load(OmegaConf.to_container(OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create(mapping))))) == parse_params(SPACE)


@pytest.mark.parametrize(
    ("mapping", "mend"),
    [
        (["a"], "mapping from key to range"),
        ({"optimizer": {"lr": "1,2"}}, "group=option"),
        ({"=sgd": {"lr": "1,2"}}, "group=option"),
        ({"optimizer=": {"lr": "1,2"}}, "group=option"),
        ({"a b=c": {"lr": "1,2"}}, "group=option"),
        ({"optimizer=sgd": "1,2"}, "a condition holds a mapping"),
        ({"lr": "1,2", "+lr": "3,4"}, "given twice"),
        ({"lr": "1,2", "optimizer=sgd": {"lr": "3,4"}}, "given twice"),
        ({"optimizer=sgd": {"lr": "3,4"}, "model=cnn": {"lr": "3,4"}}, "given twice"),
        ({"optimizer=sgd": {"lr": "interval(2, 1)"}}, "lr=interval(2, 1)"),
    ],
)
def test_params_refused(mapping, mend):
    with pytest.raises(UserError) as error:
        parse_params(mapping)
    assert mend in str(error.value)


def test_dump_refuses_what_it_could_not_keep_apart():
    with pytest.raises(UserError, match="given twice"):
        dump([Param("a", Int(1, 2)), Param("a", Int(1, 3))])


LEGACY = [
    ({"type": "categorical", "choices": ["a", 1, True]}, Choice(("a", 1, True))),
    ({"type": "int", "low": 1, "high": 5}, Int(1, 5)),
    ({"type": "int", "low": 1, "high": 6, "step": 2}, Int(1, 5, step=2)),
    ({"type": "int", "low": 1, "high": 64, "log": True}, Int(1, 64, log=True)),
    ({"type": "int_uniform", "low": 1, "high": 6, "q": 2}, Int(1, 5, step=2)),
    ({"type": "int_loguniform", "low": 1, "high": 64}, Int(1, 64, log=True)),
    ({"type": "float", "low": 0, "high": 1}, Float(0.0, 1.0)),
    ({"type": "float", "low": 0, "high": 1, "step": 0.25}, Float(0.0, 1.0, step=0.25)),
    ({"type": "float", "low": 0.1, "high": 1, "log": True, "choices": None}, Float(0.1, 1.0, log=True)),
    ({"type": "uniform", "low": 0, "high": 1}, Float(0.0, 1.0)),
    ({"type": "loguniform", "low": 0.1, "high": 1}, Float(0.1, 1.0, log=True)),
    ({"type": "discrete_uniform", "low": 0, "high": 1, "q": 0.5}, Float(0.0, 1.0, step=0.5)),
]


@pytest.mark.parametrize(("entry", "expected"), LEGACY)
def test_the_deprecated_search_space(entry, expected):
    assert parse_search_space({"key": entry}) == [Param("key", expected)]


@pytest.mark.parametrize(
    ("entry", "mend"),
    [
        ({"type": "complex", "low": 0, "high": 1}, "unknown type 'complex'"),
        ({"low": 0, "high": 1}, "unknown type None"),
        ({"type": "int", "low": 0}, "needs high"),
        ({"type": "float", "low": "a", "high": 1}, "not a number"),
        ({"type": "float", "low": 2, "high": 1}, "swap"),
        ({"type": "float", "low": 0, "high": 1, "log": True}, "above 0"),
        ({"type": "float", "low": 0, "high": 1, "step": 0}, "step above 0"),
        ({"type": "int", "low": 0.5, "high": 1}, "whole number"),
        ({"type": "categorical"}, "choices: [a, b]"),
        ({"type": "categorical", "choices": []}, "at least one"),
        ({"type": "categorical", "choices": "ab"}, "choices: [a, b]"),
        ({"type": "float", "low": 0, "hihg": 1}, "unknown key 'hihg'"),
        ("interval(0, 1)", "mapping"),
    ],
)
def test_the_deprecated_search_space_refused(entry, mend):
    with pytest.raises(UserError) as error:
        parse_search_space({"optimizer.lr": entry})
    assert str(error.value).startswith("optimizer.lr=")
    assert mend in str(error.value)


def test_the_deprecated_search_space_ignores_a_step_on_a_log_scale():
    with pytest.warns(UserWarning, match="drop the step"):
        assert parse_search_space({"a": {"type": "float", "low": 1, "high": 2, "log": True, "step": 1}}) == [
            Param("a", Float(1, 2, log=True))
        ]


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


# Lint ----------

LINT = [
    # (params, defaults, what the finding says, its mend); None: nothing to find
    ({"optimizer.lr": "interval(0.001, 0.1)"}, {}, "sampled evenly", "tag(log, interval(0.001, 0.1))"),
    ({"optimizer.lr": "interval(0, 0.1)"}, {}, "starts at 0", "tag(log, interval(1e-05, 0.1))"),
    ({"optimizer.weight_decay": "interval(1e-6, 1e-2)"}, {}, "sampled evenly", "tag(log"),
    ({"a.odd": "interval(0.01, 1)"}, {}, "sampled evenly", "tag(log, interval(0.01, 1.0))"),
    ({"a.odd": "int(interval(1, 1000))"}, {}, "sampled evenly", "tag(log, int(interval(1, 1000)))"),
    ({"a.odd": "interval(0.1, 1)"}, {}, None, None),
    ({"a.odd": "interval(0, 1)"}, {}, None, None),
    ({"optimizer.lr": "tag(log, interval(1e-4, 1e-1))"}, {}, None, None),
    ({"optimizer.lr": "tag(log, interval(0.01, 0.03))"}, {}, "narrower than one order", "tag(log, interval(0.002, 0.2))"),
    ({"optimizer.lr": "tag(log, interval(0.01, 0.1))"}, {}, None, None),
    ({"optimizer.momentum": "interval(0.5, 0.999)"}, {}, "distance from 1", "choice(0.5, 0.9, 0.95"),
    ({"optimizer.momentum": "interval(0.8, 0.99)"}, {}, None, None),
    ({"optimizer.momentum": "interval(0.8, 1)"}, {}, "reaches 1.0", "0.9999"),
    ({"model.dropout": "interval(0, 0.95)"}, {}, "reaches 0.95", "stay within 0 and 0.9"),
    ({"model.dropout": [0.0, 0.5, 0.99]}, {}, "reaches 0.99", "stay within"),
    ({"model.dropout": "interval(0, 0.5)"}, {"model.dropout": 0.1}, None, None),
    ({"optimizer.lr": "tag(log, interval(1e-3, 100))"}, {}, "reaches 100.0", "stay within 1e-07 and 10"),
    ({"optimizer.weight_decay": [0, 1e-4, 1e-2]}, {}, None, None),
    ({"schedule.warmup": [0, 100, 500]}, {}, None, None),
    ({"optimizer.lr": "tag(log, interval(1e-4, 1e-1))"}, {"optimizer.lr": 0.5}, "default 0.5 lies outside", "take 0.5 into the range"),
    ({"model.norm": ["batch", "layer"]}, {"model.norm": None}, "default null lies outside", "take null"),
    ({"model.depth": "interval(1, 8)"}, {"model.depth": 2}, "whole number 2", "int(interval(1, 8))"),
    ({"model.dropout": "interval(0, 1)"}, {"model.dropout": 0}, "reaches 1.0", "0.9"),
    ({"model.act": "choice(relu)"}, {}, "single value", "model.act=relu"),
    ({"model.depth": "int(interval(3, 3))"}, {}, "single value", "model.depth=3"),
    ({"seed": "1,2,3"}, {}, "luckiest", "fresh seeds"),
    ({"batch_size": "16,32"}, {}, "fixed learning rate", "search the learning rate too"),
    ({"batch_size": "16,32", "optimizer.lr": "tag(log, interval(1e-3, 1))"}, {}, None, None),
    ({"a": "int(interval(1, 11))", "b": "int(interval(1, 10))"}, {}, "110 points", "sample it"),
    ({"a": "int(interval(1, 10))", "b": "int(interval(1, 10))"}, {}, None, None),
    ({"o": "a,b", "o=c": {"x": "1,2"}}, {}, "does not offer c", "add c to the choice of o"),
    ({"o": "a,b", "o=a": {"x": "1,2"}}, {"o": "b", "x": 7}, None, None),
    ({"o": "a,b", "o=a": {"x": "1,2"}}, {"o": "a", "x": 7}, "default 7 lies outside", "take 7"),
    ({"epochs": 3}, {}, "nothing is searched", "interval(0.1, 1)"),
    ({}, {}, "nothing is searched", "interval(0.1, 1)"),
]


@pytest.mark.parametrize(("mapping", "defaults", "message", "mend"), LINT)
def test_lint(mapping, defaults, message, mend):
    found = lint(parse_params(mapping), defaults)
    if message is None:
        assert found == []
        return
    said = [finding for finding in found if message in finding.message]
    assert len(said) == 1
    assert mend in said[0].mend
    assert said[0].key == "" or said[0].key in str(said[0])


def test_lint_weighs_parameters_against_trials_and_knows_a_grid():
    params = parse_params({"o": "a,b", "lr": "tag(log, interval(1e-4, 1))", "o=a": {"x": "1,2", "y": "1,2"}, "o=b": {"x": "3,4"}})
    assert lint(params, {}, n_trials=20) == []
    (finding,) = lint(params, {}, n_trials=19)
    assert "19 trials for 4 parameters" in finding.message
    assert "20 trials" in finding.mend
    large = parse_params({"a": "int(interval(1, 200))", "b": "1,2"})
    assert any("points" in finding.message for finding in lint(large, {}, grid=True))
    assert not any("points" in finding.message for finding in lint(large, {}, grid=False))


def test_lint_suggestions_can_be_read():
    for mapping, defaults, _, _ in LINT:
        for finding in lint(parse_params(mapping), defaults):
            for word in ("tag(log, ", "int(interval(", "choice("):
                if finding.mend.startswith(f"write {word}"):
                    parse(finding.mend.removeprefix("write "))
