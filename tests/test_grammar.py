"""The search-space language: every form of the grammar and every refusal, in overrides and in files."""

import math
import warnings

import pytest
from hydra_plugins.hydra_optuna_sweeper.config import DistributionType
from omegaconf import OmegaConf

from trivet.errors import UserError
from trivet.space import (
    Choice,
    Fixed,
    Float,
    Int,
    Param,
    dump,
    load,
    parse,
    parse_overrides,
    parse_params,
    parse_search_space,
    to_text,
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


def test_params_in_the_form_of_search_space():
    old = {"lr": {"type": "float", "low": 1e-4, "high": 0.1, "log": True}, "act": {"type": "categorical", "choices": ["a", "b"]}}
    assert parse_params(old) == parse_search_space(old)
    below = parse_params({"type": "a,b", "optimizer=sgd": {"lr": old["lr"]}})  # a key may be called type
    assert below == [Param("type", Choice(("a", "b"))), Param("lr", Float(1e-4, 0.1, log=True), (("optimizer", "sgd"),))]
    with pytest.raises(UserError, match=r"lr.*needs high"):
        parse_params({"lr": {"type": "float", "low": 1}})


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


def test_the_deprecated_search_space_takes_the_types_of_the_stock_sweeper():
    entry = {"type": DistributionType.int, "low": 1, "high": 5}
    assert parse_search_space({"key": entry}) == [Param("key", Int(1, 5))]


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
