"""Values of a range that are tried before a search."""

import math
import random

import pytest

from trivet import space
from trivet.space.probing import draw, ends, middle


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tag(log, interval(1e-4, 1e-1))", [1e-4, 1e-1]),
        ("int(interval(2, 5))", [2, 5]),
        ("choice(a, b, c)", ["a", "b", "c"]),
        ("choice([1, 2], [3])", [[1, 2], [3]]),
        ("choice(1, true, null)", [1, True, None]),
    ],
)
def test_the_ends_of_a_range(text, expected):
    assert ends(space.parse(text)) == expected


@pytest.mark.parametrize(
    "text", ["tag(log, interval(1e-4, 1e-1))", "interval(0, 0.5)", "int(interval(2, 5))", "tag(log, int(interval(16, 96)))"]
)
def test_random_values_lie_in_their_range(text):
    spec, rng = space.parse(text), random.Random(0)
    values = [draw(spec, rng) for _ in range(300)]
    assert all(space.contains(spec, value) for value in values)
    middle = math.sqrt(spec.low * spec.high) if getattr(spec, "log", False) else (spec.low + spec.high) / 2
    assert 0.35 < sum(value <= middle for value in values) / 300 < 0.65


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tag(log, interval(1e-4, 1e-2))", 1e-3),
        ("interval(0, 0.5)", 0.25),
        ("int(interval(2, 5))", 4),
        ("tag(log, int(interval(16, 64)))", 32),
        ("choice(a, b)", "a"),
    ],
)
def test_the_middle_of_a_range(text, expected):
    assert middle(space.parse(text)) == pytest.approx(expected)
