"""A ladder of learning rates: what a curve did, and which rate comes next."""

import math

import pytest
from test_rounds import done

from trivet.search import ladder


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.0, 1.8, 1.6, 1.4], "falls"),
        ([2.0, 1.0, 0.6, 0.45, 0.38, 0.34], "falls"),
        ([2.0, 1.0, 0.9995, 0.9990, 0.9988, 0.9986], "plateaus"),
        ([2.0, 0.2, 0.05, 0.03, 0.02, 0.015], "falls"),  # little is left to fall, and it does
        ([2.0, 2.0, 2.0], "plateaus"),
        ([2.0, 1.0, 1.6, 0.9, 1.5, 1.0], "oscillates"),
        ([2.0, 1.7, 1.72, 1.4, 1.1], "falls"),  # one small step up is noise
        ([2.0, 1.0, 2.5], "unstable"),
        ([2.0, 1.0, math.nan], "unstable"),
        ([2.0, 1.5], "falls"),
        ([2.0, 2.0], "plateaus"),
        # it climbs by a quarter of what it falls, and by more
        ([3.0, 2.0, 2.5, 1.5], "falls"),
        ([3.0, 2.0, 2.51, 1.51], "oscillates"),
        ([2.0, 1.0, 2.0], "oscillates"),  # back where it began
        ([2.0, 1.0, 1.26], "oscillates"),  # three values tell it
        ([2.0, 1.0, 0.99], "plateaus"),
        ([200.0, 150.0, 100.0, 98.0], "falls"),
        ([2.0, 1.0, 2.01], "unstable"),
        ([2.0, 2.01], "unstable"),
        # in the last third, rounded up, it falls by a fiftieth of itself, and by less
        ([2.0, 1.5, 1.0, 0.979], "falls"),
        ([2.0, 1.5, 1.0, 0.981], "plateaus"),
        ([2.0, 1.8, 1.6, 1.4, 1.0, 0.985, 0.975], "falls"),
        ([2.0, 1.8, 1.6, 1.4, 1.2, 1.0, 0.99, 0.985, 0.975], "falls"),
        ([-1.0, -1.5, -2.0, -2.039], "plateaus"),
        ([-1.0, -1.5, -2.0, -2.041], "falls"),
    ],
)
def test_what_a_loss_did(losses, expected):
    assert ladder.course(losses) == expected


def test_the_curve_is_a_metric_where_it_is_reported_else_the_objective_turned():
    metrics = {"columns": ["seconds", "train/loss"], "rows": [[1, 9.0, 2.0], [2, 9.0, None], [3, 9.0, 1.0]]}
    trial = done(0, 0.5, curve=[(1, 0.4), (2, 0.5)], metrics=metrics)
    assert ladder.losses_of(trial, "train/loss", True)[0] == 2.0 and math.isnan(ladder.losses_of(trial, "train/loss", True)[1])
    assert len(ladder.losses_of(trial, "train/loss", True)) == 2  # what was trained past a verdict does not count
    assert ladder.losses_of(trial, "val/loss", True) == [-0.4, -0.5] and ladder.losses_of(trial, None, False) == [0.4, 0.5]


def climb(shape, start=0.01, most=5):
    """Rates and reasons of a ladder whose trial at a rate has the losses `shape(rate)`; None: it failed."""
    plan, known, seen = ladder.Ladder({"key": "lr", "start": start, "metric": None, "most": most}, maximize=False).plan([]), [], []
    made = next(plan)
    while made is not None:
        given = made.propose(0, known, [])
        rate = given["params"]["lr"]
        assert given["overrides"] == [f"lr={rate}"]
        seen.append((rate, given["attrs"]["why"]))
        losses = shape(rate)
        curve = list(enumerate(losses or [], start=1))
        known = [*known, done(len(known), losses[-1] if losses else None, state="COMPLETE" if losses else "FAIL", curve=curve)]
        try:
            made = plan.send(known)
        except StopIteration:
            made = None
    return seen


FALLING, FLAT, WILD = [2.0, 1.6, 1.2, 0.8], [2.0, 1.0, 0.999, 0.998, 0.997], [2.0, 1.0, 1.8, 0.9, 1.7, 1.0]


@pytest.mark.parametrize(
    ("shape", "rates"),
    [
        (lambda rate: FALLING, [0.01, 0.03, 0.09, 0.27, 0.81]),  # never more than five
        (lambda rate: FALLING if rate < 0.05 else None, [0.01, 0.03, 0.09]),  # unstable: stop
        (lambda rate: WILD, [0.01, 0.005, 0.0025, 0.00125, 0.000625]),
        (lambda rate: FLAT, [0.01, 0.00333, 0.00111, 0.00037, 0.000123]),
        (lambda rate: FALLING if rate < 0.02 else FLAT, [0.01, 0.03]),  # a third of it was tried
        (lambda rate: FALLING if rate < 0.02 else WILD, [0.01, 0.03, 0.015, 0.045, 0.0225]),
        (lambda rate: FLAT if rate > 0.005 else FALLING, [0.01, 0.00333]),  # three times 0.00333 is 0.01, as near as makes no difference
        (lambda rate: None, [0.01]),
        (lambda rate: [rate], [0.01, 0.03]),  # no curve, and worse than the one before
        (lambda rate: [abs(rate - 0.1)], [0.01, 0.03, 0.09, 0.27]),  # no curve: while the result gets better
    ],
)
def test_the_rates_of_a_ladder(shape, rates):
    assert [rate for rate, _ in climb(shape)] == rates


def test_each_run_has_its_reason():
    assert [why for _, why in climb(lambda rate: FALLING if rate < 0.02 else WILD, most=3)] == [
        "begins small",
        "the loss at 0.01 fell steadily: three times the rate",
        "the loss at 0.03 oscillated: half the rate",
    ]
    assert len(climb(lambda rate: FALLING, most=None)) == 5
    assert climb(lambda rate: FLAT, most=2)[1][1] == "the loss at 0.01 reached a plateau: a third of the rate"
