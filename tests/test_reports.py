"""The one call between a training loop and its study."""

import math
from fractions import Fraction

import numpy as np
import pytest

import trivet
from trivet import reports
from trivet.errors import UserError


class Heard:
    def __init__(self, stop_at=None):
        self.calls, self.stop_at = [], stop_at

    def report(self, value, step, metrics):
        self.calls.append((value, step, metrics))
        if step == self.stop_at:
            raise trivet.TrialPruned


@pytest.fixture
def heard():
    reporter = Heard()
    reports.set_reporter(reporter)
    yield reporter
    reports.set_reporter(None)


def test_outside_a_sweep_nothing_happens():
    assert trivet.report(0.5, 1) is None
    assert trivet.report(math.nan, 10**9, {"loss": 1}) is None


@pytest.mark.parametrize(
    ("value", "step", "metrics", "expected"),
    [
        (0.5, 1, None, (0.5, 1, {})),
        (1, 3, {"loss": 2}, (1.0, 3, {"loss": 2.0})),
        (np.float32(0.25), np.int64(2), {"a": np.float64(0.5), "b": True}, (0.25, 2, {"a": 0.5, "b": 1.0})),
        (Fraction(1, 4), 1, {}, (0.25, 1, {})),
        (math.inf, 1, {}, (math.inf, 1, {})),
        ("0.5", 1, {}, (0.5, 1, {})),
    ],
)
def test_what_is_heard_is_plain(heard, value, step, metrics, expected):
    trivet.report(value, step, metrics)
    assert heard.calls == [expected]
    assert [type(x) for x in heard.calls[0]] == [float, int, dict]


@pytest.mark.parametrize("step", [0, -1, 1.0, 1.5, "1", None, True, math.nan])
def test_bad_steps_are_refused_even_outside_a_sweep(step):
    with pytest.raises(UserError, match=r"step=.* must be a whole number >= 1"):
        trivet.report(0.5, step)


@pytest.mark.parametrize("value", [None, "high", [1], 1j, 10**400, pytest.param(10**5000, id="huge")])
def test_bad_values_are_refused_even_outside_a_sweep(value):
    with pytest.raises(UserError, match=r"value=.* must be a number"):
        trivet.report(value, 1)


def test_a_loop_that_counts_from_0_is_told_the_mend():
    with pytest.raises(UserError, match=r"step=0 must be a whole number >= 1 .*reports epoch \+ 1"):
        trivet.report(0.5, 0)


def test_metrics_named_as_columns_are_and_odd_names_get_names_that_can_be_written(heard, caplog, monkeypatch):
    monkeypatch.setattr(reports, "_told", set())
    for _ in range(2):
        trivet.report(0.5, 1, {"step": 7, "value": 1, "number": 2, "seconds": 3, "a\nb": 4, "c\ud800": 5, 6: 6})
    expected = {"metric/step": 7.0, "metric/value": 1.0, "metric/number": 2.0, "seconds": 3.0, "a b": 4.0, "c\\ud800": 5.0, "6": 6.0}
    assert heard.calls[0][2] == expected
    assert len(caplog.messages) == 3, "each name is told once"
    assert "metric/step" in caplog.messages[0]


@pytest.mark.parametrize("metrics", [{"a": "b"}, {"a": None}, {"a": [1]}, [1, 2], "loss", {"a": 10**400}])
def test_bad_metrics_are_refused_by_name(heard, metrics):
    with pytest.raises(UserError, match="metrics"):
        trivet.report(0.5, 1, metrics)
    assert heard.calls == []


def test_a_prune_passes():
    reports.set_reporter(Heard(stop_at=2))
    try:
        trivet.report(0.5, 1)
        with pytest.raises(trivet.TrialPruned):
            trivet.report(0.5, 2)
    finally:
        reports.set_reporter(None)


@pytest.mark.parametrize(("value", "bad"), [(0.0, False), (-1e308, False), (math.nan, True), (math.inf, True), (-math.inf, True)])
def test_is_bad(value, bad):
    assert reports.is_bad(value) is bad
