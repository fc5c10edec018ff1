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
