"""Every key of every choice of model, optimizer, schedule and loss, and of the config itself, with values of wrong types and at its ends.

Each is either trained with, or refused in one line before anything starts.
"""

import datetime
import math

import pytest
import torch
from resuming import FACTORS, GROUPS, node_of
from small_training import REGRESSION, blobs, config, line

from trivet import UserError, training
from trivet.options import Real
from trivet.reports import Diverged
from trivet.training import losses, optimizers, settings

ODD = [None, "abc", "", "1e-3", [], [1], {"a": 1}, True, -1, 0, 10**30, 10**400, 10**5000, math.nan, math.inf, -math.inf, 1j]
ODD += [datetime.date(2020, 1, 1), "\x1b[31m\n", "\udc80", (1, 2)]
KEYS = [(group, name) for group in GROUPS for name in FACTORS[group]]


def with_node(group, node):
    """A training of this node, and data that fits it."""
    if group == "loss" and losses.TASKS.get(node["name"]) == "regression":
        return config(**REGRESSION | {"loss": node}), line()
    return config(**{group: node}), blobs(shape=(1, 16))


def refused(c, data):
    """Whether it is refused; AssertionError when that takes more than a line."""
    try:
        training.check_config(c, data.meta["task"])
        with training.reproducible(c, torch.device("cpu")):
            training.Run(c, data)
    except UserError as error:
        assert str(error).isprintable() and len(str(error)) < 400, str(error)
        return True
    return False


@pytest.mark.parametrize(("group", "name"), KEYS)
def test_odd_values_of_a_choice(group, name):
    node = node_of(group, name)
    for key in ["name", *(key for key in node if key not in ("name", "space"))]:
        verdicts = [refused(*with_node(group, node | {key: value})) for value in ODD if key != "name" or isinstance(value, str)]
        assert any(verdicts), key
    for value in ODD:
        assert refused(config(**{group: value}), blobs(shape=(1, 16))) or value == {"a": 1}


@pytest.mark.parametrize("key", [*settings.FIELDS, "more"])
def test_odd_values_of_the_config(key):
    verdicts = [refused(config(**{key: value}), blobs()) for value in ODD]
    assert any(verdicts) or key == "more", "a key that the trainer does not read is the app's own"


@pytest.mark.parametrize("name", optimizers.FIELDS)
def test_the_ends_of_an_optimizers_ranges(name):
    """As ints too: `optimizer.beta1=0` is one on the command line, and torch takes no mixture of ints and floats."""
    for key, field in optimizers.FIELDS[name].items():
        if not isinstance(field, Real) or key == "lr":
            continue
        low, high = field.low if field.open not in ("low", "both") else 1e-12, min(field.high, 1.0)
        high = high if field.open not in ("high", "both") or field.high > 1 else 0.999
        for value in {low, high, *(int(end) for end in (low, high) if end == int(end))}:
            c = config(optimizer={"name": name, "lr": 0.01, "lookahead": 2, key: value}, epochs=1)
            try:
                training.train(c, blobs())
            except Diverged:
                continue
