"""Where a range that the best sit at the end of goes on, and where it does not."""

import pytest

from trivet import space
from trivet.diagnosis.widening import natural_end, ordered, reach, widened

LR = "tag(log, interval(0.001, 1.0))"
MOVED = [  # key, range, whether the low end, what it becomes
    ("key", LR, False, "tag(log, interval(0.001, 10.0))"),
    ("key", LR, True, "tag(log, interval(0.0001, 1.0))"),
    ("model.width", "tag(log, int(interval(16, 64)))", False, "tag(log, int(interval(16, 128)))"),
    ("model.width", "tag(log, int(interval(16, 64)))", True, "tag(log, int(interval(8, 64)))"),
    ("trees", "tag(log, int(interval(5, 50)))", True, "tag(log, int(interval(1, 50)))"),
    ("key", "interval(0.0, 0.5)", False, "interval(0.0, 0.75)"),
    ("key", "interval(0.1, 0.5)", True, "interval(0.0, 0.5)"),
    ("key", "interval(0.2, 0.3)", True, "interval(0.15, 0.3)"),
    ("key", "interval(-1.0, 0.0)", True, "interval(-1.5, 0.0)"),
    ("key", "interval(-1.0, 0.0)", False, "interval(-1.0, 0.5)"),
    ("key", "interval(1.0, 3.0)", False, "interval(1.0, 4.0)"),
    ("key", "int(interval(2, 6))", False, "int(interval(2, 8))"),
    ("key", "int(interval(2, 6))", True, "int(interval(1, 6))"),
    ("key", "range(16, 65, 16)", False, "range(16, 97, 16)"),
    ("key", "range(48, 97, 16)", True, "range(16, 97, 16)"),
    ("key", "range(0.2, 0.45, 0.1)", False, "range(0.2, 0.55, 0.1)"),
    ("key", "range(0.2, 0.45, 0.1)", True, "range(0.1, 0.45, 0.1)"),
    ("key", "choice(16, 32, 64)", False, "choice(16, 32, 64, 128)"),
    ("key", "choice(16, 32, 64)", True, "choice(8, 16, 32, 64)"),
    ("key", "choice(2, 8, 64)", True, "choice(1, 2, 8, 64)"),
    # the numbers that people write, not those of floating point
    ("loss.label_smoothing", "interval(0.0, 0.2)", False, "interval(0.0, 0.3)"),
    ("key", "choice(0.1, 0.2, 0.3)", False, "choice(0.1, 0.2, 0.3, 0.4)"),
    # equal steps go on in steps
    ("model.kernel", "choice(3, 5, 7)", False, "choice(3, 5, 7, 9)"),
    ("model.kernel", "choice(3, 5, 7)", True, "choice(1, 3, 5, 7)"),
    ("key", "choice(0, 10, 20)", False, "choice(0, 10, 20, 30)"),
    # what acts by its distance from 1 at most halves it
    ("optimizer.beta1", "interval(0.8, 0.95)", False, "interval(0.8, 0.975)"),
    ("optimizer.momentum", "interval(0.8, 0.99)", False, "interval(0.8, 0.995)"),
    ("optimizer.beta1", "interval(0.8, 0.95)", True, "interval(0.725, 0.95)"),
    # as far as the name allows
    ("model.dropout", "interval(0.0, 0.8)", False, "interval(0.0, 0.9)"),
    ("optimizer.weight_decay", "tag(log, interval(0.000001, 0.5))", False, "tag(log, interval(0.000001, 1.0))"),
    ("batch_size", "choice(1024, 2048, 4000)", False, "choice(1024, 2048, 4000, 4096)"),
    ("colsample_bytree", "interval(0.3, 0.9)", False, "interval(0.3, 1.0)"),
    ("augment.flip_prob", "choice(0.1, 0.4, 0.8)", False, "choice(0.1, 0.4, 0.8, 1.0)"),
    ("key", "interval(0.3, 0.9)", False, "interval(0.3, 1.2)"),  # of other names nobody knows
    ("model.mlp_ratio", "interval(1.0, 4.0)", False, "interval(1.0, 5.5)"),  # no fraction by its values
]
NATURAL = [
    ("model.dropout", "interval(0.0, 0.5)", True),
    ("model.dropout", "interval(0.0, 0.9)", False),
    ("model.layers", "int(interval(1, 6))", True),
    ("model.layers", "choice(1, 2, 4)", True),
    ("model.layers", "choice(0, 1, 2)", True),
    ("subsample", "interval(0.5, 1.0)", False),
    ("subsample", "choice(0.6, 0.8, 1.0)", False),
    ("optimizer.lr", "tag(log, interval(0.0001, 10.0))", False),
    ("key", "range(8, 65, 16)", True),  # the next point would be below nought
    ("model.dropout", "range(0.1, 0.86, 0.25)", False),  # the next is beyond the limit
    ("batch_size", "choice(8, 16, 32)", True),
]


@pytest.mark.parametrize(("key", "text", "low_end", "expected"), MOVED, ids=str)
def test_a_range_goes_on_beyond_an_end(key, text, low_end, expected):
    spec = space.parse(text, key)
    assert not natural_end(spec, key, low_end)
    assert space.to_text(widened(spec, low_end, key)) == space.to_text(space.parse(expected, key))


@pytest.mark.parametrize(("key", "text", "low_end"), NATURAL, ids=str)
def test_an_end_that_cannot_be_moved_stays(key, text, low_end):
    spec = space.parse(text, key)
    assert natural_end(spec, key, low_end)
    assert widened(spec, low_end, key) == spec


@pytest.mark.parametrize("text", ["choice(a, b, c)", "choice(1, 2)", "choice(1, x, 3)", "choice(true, false)"])
@pytest.mark.parametrize("low_end", [True, False])
def test_what_has_no_order_has_no_ends(text, low_end):
    spec = space.parse(text, "key")
    assert ordered(spec) is None
    assert not natural_end(spec, "key", low_end) and widened(spec, low_end, "key") == spec
    fixed = space.Fixed(3)
    assert not natural_end(fixed, "key", low_end) and widened(fixed, low_end, "key") == fixed


def test_what_a_person_wrote_stays_within_reach():
    assert reach(space.parse("interval(0.0, 0.99)", "dropout"), "dropout") == (0.0, 0.99)
    assert reach(space.parse("choice(2, 4, 8)", "batch_size"), "batch_size") == (2.0, 4096.0)
