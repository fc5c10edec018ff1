"""The mathematics of the Gaussian process beside others': kernel, posterior, fit, expected improvement; and what a proposal looks at."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from scipy.special import erfcx
from sklearn.gaussian_process.kernels import Matern

from trivet.search import gaussian
from trivet.search.gaussian import Features, Model, log_improvement, propose

TWO = Features(np.array([False, True]), np.array([1, 3]))
LINE = Features(np.array([False]), np.array([1]))


def data(n, n_dims, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((n, n_dims))
    y = np.sin(5 * x[:, 0]) + 0.1 * rng.standard_normal(n)
    return x, (y - y.mean()) / y.std()


def test_the_kernel_is_matern_with_5_halves():
    d = np.array([0.0, 1e-3, 0.3, 1.0, 2.5, 7.0])
    theirs = Matern(length_scale=1.0, nu=2.5)(np.zeros((1, 1)), d[:, None])[0]
    assert gaussian._matern(d * d) == pytest.approx(theirs, rel=1e-12)


def test_two_options_are_one_apart_and_numbers_as_far_as_they_are():
    points = np.array([[0.25, 0.0], [0.75, 0.0], [0.25, 2.0]])
    columns = TWO.columns(points)
    assert TWO.owner.tolist() == [0, 1, 1, 1] and columns.shape == (3, 4)
    apart = (columns[:, None] - columns[None]) ** 2
    assert apart[..., :1].sum(-1) == pytest.approx(np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]]))
    assert apart[..., 1:].sum(-1) == pytest.approx(np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]]))
    assert Features(np.array([], dtype=bool), np.array([], dtype=int)).columns(np.zeros((3, 0))).shape == (3, 0)


def posterior(model, theta):
    """The negative logarithm, by scipy: a normal likelihood, and Optuna's priors (gamma for scale and noise), without their constants."""
    weights, (scale, noise) = np.exp(theta[:-2]), np.exp(theta[-2:])
    distance = np.sqrt((((model.x[:, None] - model.x[None]) ** 2) * weights[model.owner]).sum(-1))
    covariance = scale * Matern(nu=2.5)(np.zeros((1, 1)), distance.reshape(-1, 1)).reshape(distance.shape)
    covariance += (noise + 1e-5) * np.eye(len(distance))
    likelihood = scipy.stats.multivariate_normal(np.zeros(len(model.y)), covariance).logpdf(model.y)
    prior = scipy.stats.gamma(2).logpdf(scale) + scipy.stats.gamma(1.1, scale=1 / 30).logpdf(noise)
    return (0.1 / weights + 0.1 * weights).sum() - likelihood - prior


THETAS = [np.array([0.3, -1.0, 0.5, 0.2, -2.0]), np.array([2.0, 0.0, -2.0, -1.0, -5.0]), np.array([-1.0, 1.5, 0.1, 1.0, 0.5])]


def test_what_is_fitted_is_the_posterior():
    x, y = data(15, 3)
    model = Model(x, y, np.arange(3))
    base = np.zeros(5)
    for theta in THETAS:
        ours, theirs = (of(theta) - of(base) for of in (lambda t: model._loss(t)[0], lambda t: posterior(model, t)))
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_the_fit_is_as_good_as_scipys():
    for n, seed in ((12, 0), (30, 1), (30, 2)):
        x, y = data(n, 3, seed)
        model = Model(x, y, np.arange(3))
        found = model._loss(np.log([*model.weights, model.scale, model.noise - 1e-5]))[0]
        theirs = scipy.optimize.minimize(model._loss, np.array([0, 0, 0, 0, math.log(0.1)]), jac=True)
        assert found <= theirs.fun + 2e-3


def test_a_fit_begins_with_one_length_and_a_tenth_of_noise(monkeypatch):
    begun = []
    monkeypatch.setattr(gaussian, "_minimize", lambda function, x: begun.append(x) or x)
    model = Model(*data(5, 2), np.arange(2))
    assert begun[0] == pytest.approx(np.log([1, 1, 1, 0.1]))
    assert (model.weights.tolist(), model.scale) == ([1, 1], 1) and model.noise == pytest.approx(0.1 + 1e-5)
    assert Model(np.zeros((3, 0)), np.array([1.0, -1.0, 0.0]), np.array([], dtype=int)).predict(np.zeros((2, 0)))[0].shape == (2,)


def test_a_model_that_knows_a_value_for_sure_is_still_a_little_unsure(monkeypatch):
    monkeypatch.setattr(gaussian, "MIN_NOISE", 0.0)
    monkeypatch.setattr(gaussian, "_minimize", lambda function, x: np.array([3.0, 0.0, -60.0]))
    x = np.linspace(0, 1, 5)[:, None]
    mean, deviation = Model(x, np.array([1.0, -1.0, 0.5, 0.0, -0.5]), np.array([0])).predict(x)
    assert mean == pytest.approx([1.0, -1.0, 0.5, 0.0, -0.5], abs=1e-6) and deviation == pytest.approx(1e-6, rel=0.1)


# The minimizer ----------


def watched(function):
    seen = []

    def call(x):
        value, gradient = function(x)
        seen.append((x.copy(), value))
        return value, gradient

    return call, seen


def bowl(x):
    scales = np.array([1.0, 10.0, 0.1])
    return float(0.5 * (scales * x * x).sum()), scales * x


def banana(x):
    return float(scipy.optimize.rosen(x)) / 10, scipy.optimize.rosen_der(x) / 10


def test_it_finds_the_bottom():
    function, seen = watched(bowl)
    assert np.abs(gaussian._minimize(function, np.array([9.0, -3.0, 5.0]))).max() < 0.3 and len(seen) <= 20
    function, seen = watched(banana)
    assert gaussian._minimize(function, np.array([-1.0, 1.5])) == pytest.approx([1, 1], abs=0.15) and len(seen) <= 60


def test_steps_are_at_most_two_long_and_the_first_one():
    function, seen = watched(lambda x: (float((x * x).sum()), 2 * x))
    gaussian._minimize(function, np.array([50.0, 0.0]))
    steps = np.abs(np.diff([x for x, _ in seen], axis=0)).max(1)
    assert steps[0] == pytest.approx(1.0) and steps[1:].max() == pytest.approx(2.0)


def test_it_never_goes_up_and_ends_where_nothing_helps():
    function, seen = watched(banana)
    last = gaussian._minimize(function, np.array([-1.0, 1.5]))
    assert banana(last)[0] == min(value for _, value in seen)
    flat, seen = watched(lambda x: (1.0, np.full_like(x, 0.019)))
    assert gaussian._minimize(flat, np.array([3.0])) == [3.0] and len(seen) == 1  # a gradient as small as that is none
    rising, seen = watched(lambda x: (float(np.abs(x - 3.0).sum()), np.full_like(x, -1.0)))
    assert gaussian._minimize(rising, np.array([3.0])) == [3.0]  # the gradient lies
    assert [abs(x[0] - 3.0) for x, _ in seen] == [0.0, *(0.5**i for i in range(12))]  # twelve tries, each half as long
    wall, seen = watched(lambda x: (math.inf, x) if x[0] > 3.0 else (0.0, np.full_like(x, -1.0)))
    assert gaussian._minimize(wall, np.array([3.0])) == [3.0]
    assert [x[0] - 3.0 for x, _ in seen] == [0.0, *(0.25**i for i in range(12))]  # a quarter, where there is nothing


def test_it_takes_so_many_steps_at_most():
    for n_steps in (1, 3):
        function, seen = watched(lambda x: (float((x * x).sum()), 2 * x))
        gaussian._minimize(function, np.array([50.0]), n_steps)
        assert len(seen) == n_steps + 1
    function, seen = watched(lambda x: (float((x * x).sum()), 2 * x))
    gaussian._minimize(function, np.array([500.0]))
    assert len(seen) == 61 and seen[-1][0] == pytest.approx([500.0 - 1 - 59 * 2])


# Expected improvement ----------


@pytest.mark.parametrize(
    ("z", "error"),
    [*((z, 1e-9) for z in (4.0, 1.0, 0.0, -1.0, -3.0, -5.0)), (-5.001, 3e-3), (-8.0, 1e-4), (-20.0, 1e-7), (-60.0, 1e-11)],
)
def test_the_logarithm_of_the_improvement(z, error):
    """phi(z) + z Phi(z), for negative z by the scaled complementary error function; far out a series, exact to the term it leaves out."""
    log_phi = -0.5 * z * z - 0.5 * math.log(2 * math.pi)
    exact = log_phi + math.log1p(z * math.sqrt(math.pi / 2) * erfcx(-z / math.sqrt(2)))
    for best, deviation in ((0.0, 1.0), (2.0, 0.25)):
        found = log_improvement(np.array([best + z * deviation]), np.array([deviation]), best)[0]
        assert found - math.log(deviation) == pytest.approx(exact, abs=error * (1 if deviation == 1 else 2), rel=0)


# Proposals ----------


class Peak:
    """Believes that the best lies at `at`; keeps what it was asked."""

    def __init__(self, at, deviation=0.1):
        self.at, self.deviation, self.asked = np.array(at), deviation, []

    def predict(self, x):
        self.asked.append(x)
        return -((x - self.at) ** 2).sum(1), np.full(len(x), self.deviation)


def proposed(peak, features=LINE, known=None, seed=0, **more):
    known = np.random.default_rng(9).random((20, len(features.is_options))) if known is None else known
    return propose(peak, features, lambda points: points, known, np.random.default_rng(seed), **more)


def test_a_proposal_lies_where_the_improvement_is_largest():
    assert proposed(Peak([0.3137])) == pytest.approx([0.3137], abs=2e-3)
    assert proposed(Peak([1.2])) == [1.0] and proposed(Peak([-0.2])) == [0.0]  # steps beyond an end stop there
    grid = np.linspace(0, 1, 2001)[:, None]
    model = Model(*data(12, 1), LINE.owner)
    best = model.predict(data(12, 1)[0])[0].max()
    dense = log_improvement(*model.predict(grid), best)
    at = propose(model, LINE, lambda points: points, data(12, 1)[0], np.random.default_rng(0))
    assert log_improvement(*model.predict(at[None]), best)[0] > dense.max() - 1e-3
    three = Features(np.array([True, False]), np.array([3, 1]))
    option = three.columns(np.array([[2.0, 0.6]]))[0]
    assert proposed(Peak(option), three, np.array([[0.0, 0.1], [1.0, 0.9]])) == pytest.approx([2.0, 0.6], abs=0.01)


def test_a_belief_adds_to_the_logarithm():
    def belief(points):
        return np.where(points[:, 0] < 0.5, 50.0, 0.0)

    assert proposed(Peak([0.8]), belief=belief)[0] == pytest.approx(0.5, abs=0.01) and proposed(Peak([0.8]))[0] > 0.79


def test_what_a_proposal_looks_at():
    """The points tried; 600 random ones and the best six of those; then six times the best six, with sixty neighbours each, ever nearer."""
    known = np.linspace(0, 1, 11)[:, None]
    peak = Peak([0.52])
    proposed(peak, known=known)
    assert [len(x) for x in peak.asked] == [11, 606, *[6, 360] * 6]
    first = peak.asked[1][:, 0]
    assert (
        first[600:].tolist() == pytest.approx([0.5, 0.6, 0.4, 0.7, 0.3, 0.8]) and scipy.stats.kstest(first[:600], "uniform").pvalue > 0.01
    )
    for starts, near, spread in zip(peak.asked[2::2], peak.asked[3::2], (0.2, 0.1, 0.05, 0.025, 0.0125, 0.006), strict=True):
        assert len(np.unique(starts)) == 6
        assert (near - np.repeat(starts, 60, axis=0)).std() == pytest.approx(spread, rel=0.12)
    level = Peak([math.nan])
    level.predict = lambda x: (level.asked.append(x), (np.zeros(len(x)), np.ones(len(x))))[1]
    proposed(level, known=np.linspace(0, 1, 300)[:, None])
    assert level.asked[1][600:] == pytest.approx(np.linspace(0, 1, 300)[:6, None])  # of equals the first
    few = Peak([0.52])
    proposed(few, known=known[:3])
    assert [len(x) for x in few.asked[:2]] == [3, 603]


def test_how_much_of_a_point_a_step_moves():
    """A quarter, half or all of its dimensions, as chance has it, one at least; of options three in ten are drawn anew."""
    many = Features(np.array([False] * 10), np.array([1] * 10))
    peak = Peak([0.5] * 10)
    proposed(peak, many)
    moved = np.concatenate([near != np.repeat(starts, 60, axis=0) for starts, near in zip(peak.asked[2::2], peak.asked[3::2], strict=True)])
    share = moved.mean(1)
    assert moved.any(1).all() and share.mean() == pytest.approx((0.25 + 0.5 + 1) / 3 * 0.9 + 0.1, abs=0.02)
    assert (share == 1).mean() == pytest.approx(1 / 3, abs=0.04) and (share < 0.3).mean() == pytest.approx(0.15, abs=0.06)
    options = Features(np.array([True]), np.array([100]))
    asked = []

    class Even:
        def predict(self, x):
            asked.append(x.argmax(1))
            return np.zeros(len(x)), np.ones(len(x))

    proposed(Even(), options, np.arange(20.0)[:, None])
    assert np.bincount(asked[1][:600], minlength=100).max() < 20  # each of them
    changed = np.concatenate([new != np.repeat(old, 60) for old, new in zip(asked[2::2], asked[3::2], strict=True)])
    assert changed.mean() == pytest.approx(0.3 * 0.99, abs=0.03)


def test_the_best_points_that_differ():
    points = np.array([[0.0], [1.0], [1.0], [2.0], [3.0]])
    assert gaussian._distinct(points, np.array([1.0, 5.0, 5.0, 4.0, 1.0]), 3) == [1, 3, 0]
    assert gaussian._distinct(points, np.zeros(5), 9) == [0, 1, 3, 4]
    assert gaussian._distinct(np.arange(300.0)[:, None], np.tile([1.0, 2.0], 150), 4) == [1, 3, 5, 7]  # of equals the first
