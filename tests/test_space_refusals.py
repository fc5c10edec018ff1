"""What the language of ranges refuses or warns of, word for word: key, value, what is wrong, and what to write instead."""

import functools
import warnings

import pytest

from trivet.errors import UserError
from trivet.space import (
    Choice,
    Fixed,
    Float,
    Int,
    Param,
    collect,
    grid_points,
    parse,
    parse_overrides,
    parse_params,
    parse_search_space,
    sweep_text,
    to_text,
    value_text,
)

FORMS = "write interval(0.1, 1), tag(log, interval(1e-4, 1e-1)), int(interval(1, 8)) or choice(a, b)"
STEP = "write a step above 0, with the lower bound first"
EXCLUDED = "and the upper end is excluded: raise the second number"
LOG_STEP = "on a log scale: drop the step, or drop `log`"
GLOB = "glob(...) needs the options of a config group: list them with choice(a, b)"
TYPES = "categorical, int, int_uniform, int_loguniform, float, uniform, loguniform, discrete_uniform"
CHOICES = "write choices: [a, b]"
KINDS = "cannot be an option: use null, true/false, numbers, strings, lists or mappings"
CONDITION = "holds a mapping, so it must be a condition: write it as group=option, e.g. optimizer=sgd"
NODE = "`space` holds search ranges, a mapping from key to range: write e.g. {lr: 'tag(log, interval(1e-4, 1e-1))'}"
UNHELD = "has a search range but no value in the config:"
BESIDE = "give the key a value beside `space`, or drop the range"
DICT_KEY = "cannot be written in Hydra's grammar: use letters, digits, '_' and '-'"


def refused(make, *given, **more):
    with pytest.raises(UserError) as error:
        make(*given, **more)
    return str(error.value)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("interval(5, 1)", "lr=interval(5, 1): an empty range: low 5.0 is above high 1.0: swap them"),
        ("int(interval(8, 1))", "lr=int(interval(8, 1)): an empty range: low 8 is above high 1: swap them"),
        ("interval(nan, 1)", "lr=interval(nan, 1): low is nan: write finite numbers as bounds"),
        ("interval(0, inf)", "lr=interval(0, inf): high is inf: write finite numbers as bounds"),
        (
            "tag(log, interval(0, 1))",
            "lr=tag(log, interval(0, 1)): a log scale needs bounds above 0, and low is 0.0: raise low, or drop `log`",
        ),
        (
            "tag(log, int(interval(0, 8)))",
            "lr=tag(log, int(interval(0, 8))): a log scale needs whole numbers from 1 on, and low is 0: raise low, or drop `log`",
        ),
        ("range(1, 9, 0)", f"lr=range(1, 9, 0): step is 0: {STEP}"),
        ("range(9, 1, -1)", f"lr=range(9, 1, -1): step is -1: {STEP}"),
        ("range(1, 1)", f"lr=range(1, 1): an empty range: 1 is not below 1, {EXCLUDED}"),
        ("range(0, inf)", "lr=range(0, inf): inf in a range: write finite numbers"),
        ("tag(log, range(1, 9, 2))", f"lr=tag(log, range(1, 9, 2)): step 2 {LOG_STEP}"),
        ("tag(log, range(0.1, 0.9, 0.2))", f"lr=tag(log, range(0.1, 0.9, 0.2)): step 0.2 {LOG_STEP}"),
        ("shuffle(range(0, 1001))", "lr=shuffle(range(0, 1001)): shuffle makes 1001 separate options: drop shuffle"),
        ("choice(a, a)", "lr=choice(a, a): the option a is listed twice: list it once"),
        ("1,1.0", "lr=1,1.0: the option 1.0 is listed twice: list it once"),
        ("glob(*)", f"lr=glob(*): {GLOB}"),
        (
            "choice(a",
            f"lr=choice(a: this cannot be read (no viable alternative at input 'choice(a'): write a range as {FORMS[6:]}, "
            "and quote special characters",
        ),
        ([], "lr=[]: a choice without options: list at least one"),
        ([1j], f"lr=[1j]: 1j (complex) {KINDS}"),
        ({"low": 1}, f"lr={{'low': 1}}: a mapping is no range: {FORMS}"),
        ({1}, f"lr={{1}}: a set is no range: {FORMS}"),
        (b"x", f"lr=b'x': a bytes is no range: {FORMS}"),
    ],
    ids=str,
)
def test_a_range(value, line):
    assert refused(parse, value, "lr") == line
    if isinstance(value, str):
        assert refused(parse, value) == line.removeprefix("lr=")  # nobody knows the key
        assert refused(parse_overrides, [f"lr={value}"]).startswith("lr")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Float("a", 1), "low is 'a', which is not a number: write numbers as bounds"),
        (lambda: Float(1, True), "high is True, which is not a number: write numbers as bounds"),
        (lambda: Float(0, 1, step=-1), f"step is -1.0: {STEP}"),
        (lambda: Float(0.1, 1, log=True, step=0.1), f"step 0.1 {LOG_STEP}"),
        (lambda: Int(1, 8, step=1.5), "step is 1.5, which is not a whole number: write whole numbers, or a float range"),
        (lambda: Int(0.5, 3), "low is 0.5, which is not a whole number: write whole numbers, or a float range"),
        (lambda: Float(0, 1e9, step=0.9), "step 0.9 is too small beside the bounds 0.0 and 1000000000.0: write a larger step, or none"),
        (lambda: Float(-1e9, 0, step=0.9), "step 0.9 is too small beside the bounds -1000000000.0 and 0.0: write a larger step, or none"),
        (
            lambda: grid_points(Float(0, 1)),
            "interval(0.0, 1.0) is continuous and has no grid: write choice(...) or range(low, high, step), or use another sampler",
        ),
        *((functools.partial(value_text, {key: 1}), f"the mapping key {key!r} {DICT_KEY}") for key in ("a\n", "", "1a", "null", "+b")),
    ],
)
def test_a_spec_and_a_value(make, line):
    assert refused(make) == line


def test_the_smallest_step_beside_a_bound_is_a_billionth():
    assert Float(0, 1e9, step=1).step == 1.0 and Int(1, 3, log=True, step=1) == Int(1, 3, log=True)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["lr=1,2", "+lr=3"], "lr: swept and given twice (+lr=3): give it once"),
        (["lr=3", "lr=1,2"], "lr: swept and given twice (lr=1,2): give it once"),
        (["~lr=1,2"], "~lr=1,2: a deletion cannot be swept: delete one value, or sweep with lr=..."),
        (["m=glob(*)"], f"m=glob(*): {GLOB}"),
    ],
)
def test_overrides(overrides, line):
    assert refused(parse_overrides, overrides) == line


def test_what_is_hydras_own_may_be_given_twice():
    assert parse_overrides(["hydra.x=1,2", "hydra.x=3"]) == ([], ["hydra.x=1,2", "hydra.x=3"])


class Nothing:
    def get_group_options(self, group, results_filter):
        return []


def test_a_glob_without_a_match():
    line = "m=glob(z): glob(...) matches no option of this config group: correct the pattern, or list them with choice(a, b)"
    assert refused(parse_overrides, ["m=glob(z)"], Nothing()) == line


@pytest.mark.parametrize(
    ("mapping", "line"),
    [
        (["a"], "params=['a']: write a mapping from key to range, e.g. {optimizer.lr: 'tag(log, interval(1e-4, 1e-1))'}"),
        ({"optimizer": {"lr": "1,2"}}, f"optimizer: {CONDITION}"),
        ({"o=s": "1,2"}, "o=s: a condition holds a mapping of ranges, not '1,2': write the keys with their ranges under it"),
        ({"lr": "1,2", "+lr": "3,4"}, "+lr: given twice, as lr=choice(1, 2) and +lr=choice(3, 4): keep one"),
        ({"lr": "1,2", "o=s": {"lr": "3,4"}}, "lr: given twice, as lr=choice(1, 2) and lr [o=s]=choice(3, 4): keep one"),
        ({"o=s": {"lr": "interval(2, 1)"}}, "lr=interval(2, 1): an empty range: low 2.0 is above high 1.0: swap them"),
    ],
)
def test_a_mapping_of_ranges(mapping, line):
    assert refused(parse_params, mapping) == line


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"type": "complex"}, f"unknown type 'complex': allowed are {TYPES}"),
        ({"low": 0}, f"unknown type None: allowed are {TYPES}"),
        ({"type": "int"}, "type int needs low: write low and high"),
        ({"type": "int_uniform", "low": 1}, "type int needs high: write low and high"),
        ({"type": "categorical"}, f"type categorical needs a list of choices, not None: {CHOICES}"),
        ({"type": "categorical", "choices": "ab"}, f"type categorical needs a list of choices, not 'ab': {CHOICES}"),
        ({"type": "categorical", "choices": 3}, f"type categorical needs a list of choices, not 3: {CHOICES}"),
        ({"type": "categorical", "choices": 0.5}, f"type categorical needs a list of choices, not 0.5: {CHOICES}"),
        ({"type": "float", "hihg": 1}, "unknown key 'hihg': allowed are type, low, high, step, q, log, choices"),
        (7, "write a mapping with type, low and high, or with type: categorical and choices"),
    ],
)
def test_the_old_search_space(entry, line):
    assert refused(parse_search_space, {"o.lr": entry}) == f"o.lr={entry!r}: {line}"
    if isinstance(entry, dict) and "type" in entry:
        assert refused(parse_params, {"o.lr": entry}) == f"o.lr={entry!r}: {line}"


def test_the_old_search_space_is_a_mapping():
    line = "search_space=['a']: write a mapping, e.g. {lr: {type: float, low: 0.001, high: 0.1, log: true}}"
    assert refused(parse_search_space, ["a"]) == line


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"space": 5}, f"space=5: {NODE}"),
        ({"o": {"space": ["a"]}}, f"o.space=['a']: {NODE}"),
        ({"o": {"a": 1, "space": {"a": 0.1}}}, f"o.a: 0.1 in `space` is a single value, not a range: set o.a itself, or {FORMS}"),
        ({"o": {"lr": 1, "space": {"lrr": "1,2"}}}, f"o.lrr: {UNHELD} did you mean lr?"),
        ({"o": {"lr": 1, "space": {"zzz": "1,2"}}}, f"o.zzz: {UNHELD} {BESIDE}"),
        ({"o": {"lr": 1, "space": {"lr.x": "1,2"}}}, f"o.lr.x: {UNHELD} {BESIDE}"),
        ({"o": {"x": 1, "space": {"spac": "1,2"}}}, f"o.spac: {UNHELD} {BESIDE}"),  # `space` itself is no key to mean
        ({"o": {"lr": {"a": 1}, "space": {"lr.b": "1,2"}}}, f"o.lr.b: {UNHELD} {BESIDE}"),
        ({"spac": 1, "space": {"spca": "1,2"}}, f"spca: {UNHELD} did you mean spac?"),
    ],
)
def test_a_node_of_a_config(config, line):
    assert refused(collect, config, {}) == line


def test_what_stands_below_a_space_node_is_no_node_of_its_own():
    config = {"a": {"x": 1}, "space": {"a.x": "1,2"}}
    assert collect(config, {}) == [Param("a.x", Choice((1, 2)))]
    assert collect({"a": {"x": 1, "space": {"x": None}}}, {"_": "y", "g@_global_": "z"}) == []


@pytest.mark.parametrize(
    ("make", "lines"),
    [
        (
            lambda: parse("range(1, 4)"),
            [
                "range(1, 4): range excludes its upper end here, as Hydra documents, so the last value is 3; hydra-optuna-sweeper's random "
                "and TPE include 4: write int(interval(1, 4)) to include it"
            ],
        ),
        (
            lambda: parse_overrides(["a=1", "x=tag(fast, interval(0, 1))"]),
            ["tag(fast, interval(0, 1)): the tag fast means nothing here and is ignored; log is the one that does"],
        ),
        (
            lambda: parse("tag(log, choice(1, 2))"),
            ["tag(log, choice(1, 2)): options have no scale, so the tag log is ignored: drop it"],
        ),
        (
            lambda: parse("tag(b, a, log, interval(1, 2))"),
            [
                f"tag(b, a, log, interval(1, 2)): the tag {tag} means nothing here and is ignored; log is the one that does"
                for tag in ("a", "b")
            ],
        ),
        (
            lambda: parse_search_space({"a": {"type": "int_loguniform", "low": 1, "high": 8, "q": 2}}),
            ["a: step 2 on a log scale is ignored, as in hydra-optuna-sweeper: drop the step"],
        ),
    ],
)
def test_warnings(make, lines):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        make()
    assert [str(warning.message) for warning in heard] == lines


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("google/vit", "google/vit"),
        ("a b", "'a b'"),
        ("", "''"),
        ("1", "'1'"),
        ("null", "'null'"),
        ("a,b", "'a,b'"),
        (r"a\b", r"'a\b'"),
        ("x=y", "'x=y'"),
        ("${x}", "'${x}'"),
        ("a{b", "'a{b'"),
        (True, "True"),
        (None, "null"),
        (0.5, "0.5"),
        ([1, "p/q", False, [None]], "[1,p/q,False,[null]]"),
        ({"a": 1}, "{a:1}"),
    ],
)
def test_how_a_value_is_written_into_an_override(value, text):
    """As Hydra's own sweepers do: quotes only where the grammar needs them; and it is read as what it was."""
    assert sweep_text(value) == text
    assert parse_overrides([f"a={text}"]) == ([], [f"a={text}"]) and parse(text) == Fixed(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "'a b'"),
        ("true", "'true'"),
        ("NaN", "'NaN'"),
        ("a-b_1", "a-b_1"),
        ("-a", "'-a'"),
        ([1, "x y", None, True], "[1,'x y',null,true]"),
        ({"a b:=c": 2, 3: False}, "{a\\ b\\:\\=c:2,3:false}"),
    ],
)
def test_how_a_value_is_written(value, text):
    assert value_text(value) == to_text(Fixed(value)) == text
    assert parse(text) == Fixed(value)
    assert to_text(Choice((None,))) == "choice(null)" and to_text(Choice((None, 1))) == "null,1"
