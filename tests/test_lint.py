"""What the lint says of a search space."""

import re

import pytest

from trivet.space import (
    lint,
    parse,
    parse_params,
)

FORM = re.compile(r"(?:tag|int|choice|interval)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")

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


def test_every_suggested_form_can_be_written():
    """What a mend shows of the grammar, the grammar reads."""
    mends = [finding.mend for mapping, defaults, _, _ in LINT for finding in lint(parse_params(mapping), defaults)]
    shown = [form for mend in mends for form in FORM.findall(mend)]
    assert {form.partition("(")[0] for form in shown} == {"tag", "int", "interval", "choice"}
    for form in shown:
        parse(form)


# Both sides of every threshold, and the whole of what is said ----------

EVENLY = "is sampled evenly, so {} of the trials fall in its top decade: write tag(log, {})"
NARROW = "is narrower than one order of magnitude, less than what is unknown about a learning rate: write e.g. tag(log, {})"
FROM_0 = "starts at 0 on a linear scale, where hardly a trial comes near the small values that matter: write tag(log, {})"
SEED = "a search over seeds picks the luckiest run: leave the seed fixed, and repeat the best trials with fresh seeds"
GRID = "points, and most of them repeat values that do not matter: sample it (hydra/sweeper/sampler random or tpe), or search fewer values"
BATCH = (
    "is searched with a fixed learning rate, whose best value moves with the batch size, so the sizes are not compared fairly: "
    "search the learning rate too, e.g. optimizer.lr=tag(log, interval(1e-4, 1e-1))"
)
NOTHING = "nothing is searched: give a key a range: interval(0.1, 1), tag(log, interval(1e-4, 1e-1)), int(interval(1, 8)) or choice(a, b)"
OUTSIDE = (
    "{0}: the default {1} lies outside {2}, so the search never looks at what is known to work: "
    "take {1} into the range, or change the default"
)
UNITS = "{} reaches {}, and above 0.9 hardly a unit is left: stay within 0 and 0.9"
SINGLE = "holds a single value, so nothing is searched: write"
WHOLE = "its default is the whole number 2, and {} gives fractions: write {}"


@pytest.mark.parametrize(
    ("given", "defaults", "lines"),
    [
        # a known multiplicative quantity over a factor of ten, any other over a hundred
        ("a.wd=interval(0.01, 0.1)", {}, ["a.wd: interval(0.01, 0.1) " + EVENLY.format("99%", "interval(0.01, 0.1)")]),
        ("a.wd=interval(0.011, 0.1)", {}, []),
        ("a.odd=interval(1, 100)", {}, ["a.odd: interval(1.0, 100.0) " + EVENLY.format("91%", "interval(1.0, 100.0)")]),
        ("a.odd=interval(1.1, 100)", {}, []),
        ("a.odd=interval(-1, 100)", {}, []),
        ("a.odd=tag(log, interval(1, 100))", {}, []),
        ("a.odd=1,100", {}, []),
        ("a.wd=interval(-0.1, 0)", {}, ["a.wd: interval(-0.1, 0.0) reaches -0.1, and below 1e-9 it is lost in rounding, above 1 it wipes "
                                      "out the weights: stay within 1e-09 and 1"]),
        ("a.lr=interval(0, 0.3)", {}, ["a.lr: " + FROM_0.format("interval(3e-05, 0.3)")]),
        ("a.odd=interval(0, 100)", {}, []),
        ("a.l1=int(interval(0, 100))", {}, ["the full grid has 101 " + GRID]),
        # the good rates of a new problem are unknown by a factor of ten
        ("lr=tag(log, interval(0.01, 0.099))", {}, ["lr: tag(log, interval(0.01, 0.099)) " + NARROW.format("interval(0.003, 0.3)")]),
        ("lr=tag(log, interval(0.01, 0.1))", {}, []),
        ("lr=0.01,0.02", {}, []),
        ("other=tag(log, interval(0.01, 0.03))", {}, []),
        # averages act by their distance from 1: over a factor of a hundred of it
        ("momentum=interval(0.5, 0.995)", {}, []),
        ("momentum=interval(0.5, 0.9951)", {}, ["momentum: acts by its distance from 1, and interval(0.5, 0.9951) hardly samples "
                                                 "values near 0.9951: write choice(0.5, 0.9, 0.95, 0.98, 0.99, 0.995)"]),
        ("ema=interval(0.9, 0.9999)", {}, ["ema: acts by its distance from 1, and interval(0.9, 0.9999) hardly samples values near 0.9999: "
                                            "write choice(0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)"]),
        ("odd=interval(0.9, 0.9999)", {}, []),
        # how far a quantity of a name reaches; 0 is off, and a count of steps is no fraction
        ("a.dropout=interval(0, 0.9)", {}, []),
        ("a.dropout=interval(0, 0.91)", {}, ["a.dropout: " + UNITS.format("interval(0.0, 0.91)", 0.91)]),
        ("a.dropout=-0.1,0.5,0.95", {}, ["a.dropout: " + UNITS.format("choice(-0.1, 0.5, 0.95)", 0.95)]),
        ("clip=0,1", {}, []),
        ("clip=true,1", {}, []),
        ("warmup=5,10", {}, []),
        ("warmup=0.2,0.6", {},
         ["warmup: choice(0.2, 0.6) reaches 0.6, and more than half of the training is no warm-up: stay within 0 and 0.5"]),
        ("a.decay=1,2", {}, ["a.decay: choice(1, 2) reaches 2, and a decay factor lies between 0 and 1: stay within 0 and 1"]),
        # a whole number by its default, over more than one step
        ("n=interval(1, 3)", {"n": 2}, ["n: " + WHOLE.format("interval(1.0, 3.0)", "int(interval(1, 3))")]),
        ("n=tag(log, interval(1, 3))", {"n": 2}, ["n: " + WHOLE.format("tag(log, interval(1.0, 3.0))", "tag(log, int(interval(1, 3)))")]),
        ("n=interval(0, 1)", {"n": 1}, []),
        ("n=interval(1.5, 3)", {"n": 2}, []),
        ("n=interval(1, 3.5)", {"n": 2}, []),
        ("n=interval(0, 2)", {"n": True}, [OUTSIDE.format("n", "true", "interval(0.0, 2.0)")]),
        ("n=interval(1, 3)", {"n": 2.0}, []),
        ("n=interval(1, 3)", {"n": 4.5}, [OUTSIDE.format("n", "4.5", "interval(1.0, 3.0)")]),
        # seeds, single values
        ("random_state=1,2", {}, ["random_state: " + SEED]),
        ("a.random_seed=1,2", {}, ["a.random_seed: " + SEED]),
        ("a.seed=1,2", {}, ["a.seed: " + SEED]),
        ("seeds=1,2", {}, []),
        ("a.seed=choice(1)", {}, [f"a.seed: choice(1) {SINGLE} a.seed=1", NOTHING]),
        ("x=interval(0.5, 0.5)", {}, [f"x: interval(0.5, 0.5) {SINGLE} x=0.5", NOTHING]),
        # the space as a whole
        ("a.bs=16,32", {}, ["a.bs: " + BATCH]),
        ("batchsize=16,32 lr=choice(0.1)", {}, [f"lr: choice(0.1) {SINGLE} lr=0.1", "batchsize: " + BATCH]),
        ("n=int(interval(1, 100))", {}, ["n: int(interval(1, 100)) " + EVENLY.format("91%", "int(interval(1, 100))")]),
        ("n=int(interval(2, 101))", {}, []),
        ("n=int(interval(2, 102))", {}, ["the full grid has 101 " + GRID]),
    ],
)  # fmt: skip
def test_what_the_lint_says_and_from_where_on(given, defaults, lines):
    params = parse_params(dict(text.split("=", 1) for text in re.split(r" (?=\w+=)", given)))
    assert [str(finding) for finding in lint(params, defaults)] == lines


@pytest.mark.parametrize(
    ("offered", "option", "line"),
    [
        ("a,b", "c", "x: counts only where o=c, and the search does not offer c: add c to the choice of o, or drop this range"),
        ("a,b", "b", None),
        ("1,2", "2", None),
        ("a", "b", None),  # a fixed group is no choice of the search's
    ],
)
def test_a_condition_that_no_trial_meets_is_named(offered, option, line):
    said = [str(finding) for finding in lint(parse_params({"o": offered, f"o={option}": {"x": "1,2"}}), {})]
    assert said == ([] if line is None else [line])


def test_trials_are_weighed_against_the_fullest_option_of_each_group():
    ranges = {
        "m": "a,b",
        "m=a": {"x": "1,2", "x2": "1,2"},
        "m=b": {"y": "1,2", "m/i": "p,q", "m/i=p": {"z": "1,2", "w": "1,2"}},
        "t": "1,2",
    }
    params = parse_params(ranges)  # m, t, and of m=b four
    assert lint(params, {}, n_trials=30, grid=False) == []
    (finding,) = lint(params, {}, n_trials=29, grid=False)
    assert str(finding) == (
        "29 trials for 6 parameters at once: with fewer than 5 per parameter effects blur: "
        "run at least 30 trials, or fix the parameters that matter least"
    )


def test_a_space_without_any_continuous_range_is_taken_for_a_grid():
    small, large = parse_params({"a": "int(interval(1, 10))", "b": "int(interval(1, 10))"}), parse_params({"a": "int(interval(2, 102))"})
    assert lint(small, {}, grid=True) == [] == lint(large, {}, grid=False)
    for grid in (True, None):
        (finding,) = lint(large, {}, grid=grid)
        assert finding.key == "" and str(finding).startswith("the full grid has 101 points")
    assert lint([*large, *parse_params({"c": "interval(0, 1)"})], {}) == []
