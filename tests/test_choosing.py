"""What choosing does to the best of several means, and when a gain is sure: against the literature, and against plain experiments."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trivet.diagnosis.choosing import choosing, expected_max, gain, raced, sampling_error


def test_expected_maxima_are_those_of_the_literature():
    """David and Nagaraja 2003, table of expected values of normal order statistics."""
    assert [round(expected_max(k), 3) for k in (1, 2, 3, 4, 5, 10)] == [0, 0.564, 0.846, 1.029, 1.163, 1.539]


def test_equal_finalists_gain_by_being_chosen_what_order_statistics_say():
    found = choosing([0.98] * 5, 3, 0.0033)
    assert found.luck == found.most == pytest.approx(0.0022, abs=5e-5) and found.found == 0.2 and found.alike


@pytest.mark.parametrize(
    ("means", "noise", "luck", "found"),
    [
        ([0.95, 0.90, 0.85], 0.001, (0, 1e-5), (1, 1)),  # far apart: nothing of it is luck
        ([0.95, 0.94, 0.93], 0.01, (0.0001, 0.003), (0.7, 0.99)),
        ([0.95], 0.01, (0, 0), (1, 1)),
        ([0.95, 0.94], 0.0, (0, 0), (1, 1)),
    ],
)
def test_luck_of_the_chosen(means, noise, luck, found):
    got = choosing(means, 3, noise)
    assert luck[0] <= round(got.luck, 9) <= luck[1] and found[0] <= got.found <= found[1] and got.luck <= got.most + 1e-9


@pytest.mark.parametrize("choose", [lambda means, noise: choosing(means, 3, noise), lambda means, noise: raced(means, [2, 1, 1], noise)])
@pytest.mark.parametrize(("means", "noise", "k"), [([0.95], 0.01, 1), ([0.95, 0.94], 0.0, 2)])
def test_where_nothing_is_chosen_or_nothing_is_noise(choose, means, noise, k):
    found = choose(means, noise)
    assert (found.k, found.n, found.noise, found.luck, found.found, found.loss, found.alike) == (k, 3, noise, 0.0, 1.0, 0.0, False)


@pytest.mark.parametrize(("apart", "alike"), [(0.999, True), (1.001, False)])
def test_two_are_alike_up_to_what_noise_alone_would_make(apart, alike):
    """Two means differ by sqrt(2) standard errors where their variance is that of the noise."""
    assert choosing([0.9, 0.9 + apart * 0.01 * math.sqrt(2)], 1, 0.01).alike == alike
    assert raced([0.9, 0.9 + apart * 0.01 * math.sqrt(2)], [2], 0.01).alike == alike


def test_the_bootstrap_of_choosing_is_what_happens():
    """Against the plain experiment: three configurations of known quality, three seeds each, the best mean taken."""
    rng, truth = np.random.default_rng(7), np.array([0.90, 0.91, 0.92])
    luck, right, told = [], [], []
    for _ in range(300):
        means = rng.normal(truth, 0.02, (3, 3)).mean(axis=0)
        best = means.argmax()
        luck.append(means[best] - truth[best])
        right.append(best == 2)
        told.append(choosing(means, 3, 0.02))
    assert np.mean([one.luck for one in told]) == pytest.approx(np.mean(luck), abs=0.003)
    assert np.mean([one.found for one in told]) == pytest.approx(np.mean(right), abs=0.2)  # too low: few means often look alike


def test_a_gain_is_judged_by_its_whole_interval():
    ours, theirs = {1: 0.913, 2: 0.912, 3: 0.914}, {1: 0.900, 2: 0.901, 3: 0.899}
    assert gain(ours, theirs, True).verdict == "sure"
    one = gain(ours, theirs, True, n_test=1000)
    assert one.verdict == "samples" and one.samples == pytest.approx(np.hypot(sampling_error(0.913, 1000), sampling_error(0.9, 1000)))
    assert gain(ours, theirs, True, n_test=100_000).verdict == "sure"
    assert gain(theirs, ours, False).mean == pytest.approx(0.013) and gain({7: 1.0}, theirs, True) is None
    assert gain(ours, ours, True).verdict == "equal" and gain({1: 0.9}, {1: 0.8}, True).verdict == "unknown"


@pytest.mark.parametrize(
    ("ours", "alike"), [([0.95, 0.94, 0.96], True), ([0.95, 0.94, 0.9601], False), ([0.95], False), ([0.9, 0.89, 0.91], True)]
)
def test_pairs_that_all_differ_by_the_same_tell_nothing_of_the_noise(ours, alike):
    found = gain(dict(enumerate(ours)), dict(enumerate([0.9, 0.89, 0.91])), True)
    assert found.alike == alike
    assert (found.pair.p is None) == (found.low is None) == (found.whole is None) == (alike or len(ours) == 1)
    assert found.verdict == ("equal" if found.mean == 0 else "sure" if not alike and len(ours) > 1 else "unknown")


def test_the_interval_excludes_zero_where_p_says_so():
    rng = np.random.default_rng(0)
    for _ in range(200):
        one = gain(dict(enumerate(rng.normal(0.012, 0.01, 3))), dict(enumerate(rng.normal(0, 0.01, 3))), True, comparisons=5)
        assert (one.pair.p < 0.05) == (one.low > 0 or one.high < 0)
