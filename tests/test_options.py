"""Each kind of field: what it takes, what it refuses, and how it says so."""

import math

import pytest

from trivet.errors import UserError
from trivet.options import Either, Flag, ListOf, MapOf, Maybe, OneOf, Real, Text, Whole, choose, read

FIELDS = [
    (Real(0, 1), [0, 0.5, 1, 1.0], [-0.1, 1.1, math.nan, math.inf, "0.5", True, None], "a number >= 0 and <= 1"),
    (Real(0, 1, open="both"), [0.5], [0, 1], "a number > 0 and < 1"),
    (Real(0, open="low"), [1e-30, 1e30], [0, -1], "a number > 0"),
    (Real(), [-5, 0.0], [math.nan], "a number"),
    (Whole(1), [1, 10**9], [0, 1.0, True, "1", None], "a whole number >= 1"),
    (Whole(1, 4), [4], [5], "a whole number >= 1 and <= 4"),
    (OneOf((None, "batch")), [None, "batch"], ["Batch", False], "one of null, batch"),
    (OneOf((1, 3)), [3], [True, 3.0], "one of 1, 3"),
    (Flag(), [True, False], [0, "true", None], "true or false"),
    (Text(), ["a"], ["", "  ", 1, None], "a text"),
    (ListOf(Whole(1)), [[1, 2], (1,)], [[], [0], 1, "12"], "a list of at least 1 items, each a whole number >= 1"),
    (ListOf(Text(), low=0), [[]], [[1]], "a list of items, each a text"),
    (MapOf(Real()), [{}, {"a": 1}], [{"a": "b"}, {1: 1}, []], "a mapping from names to values, each a number"),
    (Maybe(Whole(1)), [None, 1], [0], "null or a whole number >= 1"),
    (Either((Whole(1), Real(0, 1, open="both"))), [1, 3, 0.5], [0, 1.0, 1.5], "a whole number >= 1 or a number > 0 and < 1"),
]


@pytest.mark.parametrize(("field", "accepted", "refused", "allowed"), FIELDS)
def test_fields(field, accepted, refused, allowed):
    assert [value for value in accepted if not field.accepts(value)] == []
    assert [value for value in refused if field.accepts(value)] == []
    assert field.allowed() == allowed


def test_read_fills_defaults_and_leaves_name_and_space_out():
    fields = {"width": Whole(1), "dropout": Real(0, 1, default=0.0), "warmup": Maybe(Whole(1))}
    config = {"name": "mlp", "width": 8, "space": {"width": [1, 2]}}
    assert read(config, "model", fields) == {"width": 8, "dropout": 0.0, "warmup": None}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "mlp", "width": 0}, "model.width=0: must be a whole number >= 1"),
        ({"name": "mlp", "width": None}, "model.width=null: must be a whole number >= 1"),
        ({"name": "mlp", "width": "x" * 90}, "model.width=" + "x" * 57 + "...: must be a whole number >= 1"),
        ({"name": "mlp"}, "model.width is missing: must be a whole number >= 1"),
        ({"name": "mlp", "width": 1, "wdith": 2}, "model.wdith is not a key of model=mlp: allowed are width; did you mean width?"),
    ],
)
def test_read_refuses(config, message):
    with pytest.raises(UserError) as error:
        read(config, "model", {"width": Whole(1)})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "cn"}, "model.name=cn: must be one of cnn, mlp; did you mean cnn?"),
        ({}, "model.name is missing: must be one of cnn, mlp"),
        (None, "model=null: must be a mapping with `name`, one of cnn, mlp"),
    ],
)
def test_choose_refuses(config, message):
    with pytest.raises(UserError) as error:
        choose(config, "model", ("cnn", "mlp"))
    assert str(error.value) == message
