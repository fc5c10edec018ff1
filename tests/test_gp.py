"""The Gaussian process: its mathematics against plain formulas, its view of a space, and what it makes of trials told and pending."""

import math

import numpy as np
import pytest
from optuna.trial import TrialState

from trivet import space
from trivet.search import gp
from trivet.search.choosing import choose
from trivet.search.fidelity import Told
from trivet.search.gaussian import Features, Model, _matern, log_improvement, propose
from trivet.search.gp import Process
from trivet.search.samplers import sampler_spec
from trivet.search.sampling import Sampler
from trivet.search.teaching import blank, copied
from trivet.search.whole import MOST_STEPS, Whole

NAN, INF = math.nan, math.inf
X = space.Param("x", space.Float(0.0, 1.0))
Y = space.Param("y", space.Float(0.0, 1.0))
MIXED = (
    space.Param("kind", space.Choice(("a", "b", None))),
    space.Param("x", space.Float(-5.0, 5.0)),
    space.Param("width", space.Choice((16, 32, 64, 128))),
    space.Param("lr", space.Float(1e-4, 1.0, log=True), (("kind", "a"),)),
    space.Param("inner", space.Choice((True, False, 1)), (("kind", "b"),)),
    space.Param("depth", space.Int(1, 9, step=2), (("kind", "b"), ("inner", "True"))),
    space.Param("mode", space.Fixed("on")),
    space.Param("gate", space.Int(1, 500, log=True), (("mode", "on"),)),
    space.Param("never", space.Float(0.0, 1.0), (("mode", "off"),)),
    space.Param("tiny", space.Float(0.0, 0.5, step=0.001)),
)


def data(n, n_dims, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((n, n_dims))
    y = np.sin(5 * x[:, 0]) + 0.1 * rng.standard_normal(n)
    return x, (y - y.mean()) / y.std()


# Mathematics ---------------------------------------------------------------------------------------------------------------------


def test_the_gradient_of_the_fit_is_the_slope():
    x, y = data(20, 3)
    model = Model(x, y, np.arange(3))
    for theta in (np.array([0.3, -1.0, 0.5, 0.2, -2.0]), np.zeros(5)):
        _, gradient = model._loss(theta)
        slopes = [(model._loss(theta + step)[0] - model._loss(theta - step)[0]) / 2e-6 for step in 1e-6 * np.eye(5)]
        assert gradient == pytest.approx(slopes, rel=1e-4, abs=1e-4)


def test_the_fit_ends_where_no_neighbour_is_better():
    x, y = data(30, 3)
    model = Model(x, y, np.arange(3))
    theta = np.log([*model.weights, model.scale, model.noise - 1e-5])
    best = model._loss(theta)[0]
    assert all(model._loss(theta + step)[0] > best - 1e-3 for step in [*0.1 * np.eye(5), *-0.1 * np.eye(5)])
    assert model.weights[0] > 5 * max(model.weights[1:])  # only the first dimension matters


def test_predictions_follow_the_textbook():
    x, y = data(15, 2)
    model = Model(x, y, np.arange(2))
    at = np.random.default_rng(1).random((4, 2))

    def kernel(a, b):
        return model.scale * _matern((((a[:, None] - b[None]) ** 2) * model.weights).sum(-1))

    k = kernel(x, x) + model.noise * np.eye(15)
    mean = kernel(at, x) @ np.linalg.solve(k, y)
    variance = model.scale - np.einsum("ij,ji->i", kernel(at, x), np.linalg.solve(k, kernel(x, at)))
    assert model.predict(at)[0] == pytest.approx(mean) and model.predict(at)[1] ** 2 == pytest.approx(variance, rel=1e-6)


@pytest.mark.parametrize("z", [3.0, 0.0, -1.0, -4.9, -5.1, -8.0])
def test_log_improvement_is_the_logarithm_of_the_integral(z):
    grid = np.linspace(max(0.0, -z) + 0.0, max(0.0, -z) + 12, 400_001)  # of a standard normal above -z
    integral = np.trapezoid((grid + z) * np.exp(-grid * grid / 2) / math.sqrt(2 * math.pi), grid)
    if z > 0:
        low = np.linspace(-z, 0, 400_001)
        integral += np.trapezoid((low + z) * np.exp(-low * low / 2) / math.sqrt(2 * math.pi), low)
    found = log_improvement(np.array([2.0 * z + 1]), np.array([2.0]), 1.0)[0]
    assert found == pytest.approx(math.log(2 * integral), abs=2e-3)


def test_log_improvement_orders_what_is_hopeless():
    values = log_improvement(-np.arange(1.0, 60), np.ones(59), 0.0)
    assert np.isfinite(values).all() and (np.diff(values) < 0).all()


def test_what_is_pending_is_not_proposed_again():
    x, y = data(12, 1)
    features = Features(np.array([False]), np.array([1]))
    first = propose(Model(x, y, features.owner), features, lambda p: p, x, np.random.default_rng(0))
    model = Model(x, y, features.owner)
    spread = model.predict(first[None])[1][0]
    model.believe(first[None])
    assert model.predict(first[None])[1][0] < 0.7 * spread  # it is known there now, but for the noise


# The space -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "places"),
    [
        (space.Float(2.0, 4.0), {2.0: 0.0, 3.0: 0.5, 4.0: 1.0}),
        (space.Float(0.01, 100.0, log=True), {0.01: 0.0, 1.0: 0.5, 100.0: 1.0}),
        (space.Float(0.0, 1.0, step=0.25), {0.0: 0.0, 0.25: 0.25, 1.0: 1.0}),
        (space.Int(1, 5), {1: 0.0, 2: 0.25, 5: 1.0}),
        (space.Int(1, 100, log=True), {1: 0.0, 10: 0.5, 100: 1.0}),
        (space.Int(0, 10 * MOST_STEPS, step=2), {0: 0.0, 5 * MOST_STEPS: 0.5, 10 * MOST_STEPS: 1.0}),
        (space.Choice((16, 32, 512)), {16: 0.0, 32: 0.5, 512: 1.0}),  # rising numbers: steps
        (space.Choice((32, 16, 512)), {32: 0.0, 16: 1.0, 512: 2.0}),  # in no order: options
        (space.Choice((0, True, "1", None)), {0: 0.0, True: 1.0, "1": 2.0, None: 3.0}),
        (space.Choice(([1, 2], [3])), {}),
        (space.Int(7, 7), {7: 0.5}),
        (space.Float(7.0, 7.0), {7.0: 0.5}),
    ],
)
def test_values_have_places_and_come_back(spec, places):
    dimension = Whole([space.Param("p", spec)], {}).dimensions[0]
    for value, place in places.items():
        assert dimension.place(value) == pytest.approx(place)
        back = dimension.value(place)
        inner = isinstance(value, float) and 0 < place < 1
        assert type(back) is type(value) and (back == pytest.approx(value) if inner else space.contains(space.Fixed(back), value))
    rng = np.random.default_rng(0)
    drawn = rng.integers(dimension.n, size=50) if dimension.is_options else rng.random(50)
    for place in dimension.snap(np.asarray(drawn, dtype=float)):
        assert space.contains(spec, dimension.value(place))


def test_points_of_conditional_spaces_are_whole_and_come_back():
    whole = Whole(MIXED, {"kind": "b", "inner": True, "depth": 5, "x": 2.5})
    rng = np.random.default_rng(0)
    n_options = np.array([d.n if d.is_options else 0 for d in whole.dimensions])
    u = rng.random((300, len(whole.dimensions)))
    points = whole.settled(np.where(n_options > 0, np.floor(u * n_options), u))
    names = [d.name for d in whole.dimensions]
    for point in points:
        values = whole.values(point)
        back = whole.point(values)
        long = np.array([d.n is None and d.spec.step is not None for d in whole.dimensions])  # held as continuous, rounded on the way out
        assert back[~long] == pytest.approx(point[~long]) and np.abs(back - point).max() < 0.12
        inactive = [names.index(n) for n in names if n not in values]
        assert point[inactive] == pytest.approx(whole.defaults[inactive])
        expected = {"kind", "x", "width", "gate [mode=on]", "tiny"}
        expected |= {"lr [kind=a]"} if values["kind"] == "a" else set()
        expected |= {"inner [kind=b]"} if values["kind"] == "b" else set()
        expected |= {"depth [kind=b,inner=True]"} if values.get("inner [kind=b]") is True else set()
        assert set(values) == expected
    assert whole.values(whole.defaults)["x"] == 2.5 and whole.values(whole.point({"x": 99.0}))["x"] == 2.5  # outside counts as not given


def test_a_parameter_under_two_conditions_counts_where_both_hold():
    both = space.Param("x", space.Float(0.0, 1.0), (("a", "on"), ("b", "on")))
    whole = Whole([*(space.Param(key, space.Choice(("on", "off"))) for key in "ab"), both], {both.name: 0.25})
    points = whole.settled(np.array([[a, b, 0.75] for a in (0.0, 1.0) for b in (0.0, 1.0)]))
    assert points[:, 2].tolist() == [0.75, 0.25, 0.25, 0.25]
    assert [both.name in whole.values(point) for point in points] == [True, False, False, False]


def test_a_parameter_may_count_under_a_number_of_many():
    long = space.Param("n", space.Int(0, 500))
    whole = Whole([long, space.Param("x", space.Float(0.0, 1.0), (("n", "3"),))], {"x [n=3]": 0.25})
    points = whole.settled(np.array([[n / 500, 0.75] for n in (0, 2.6, 3, 3.4, 4)]))
    assert points[:, 1].tolist() == [0.25, 0.75, 0.75, 0.75, 0.25]
    assert [whole.values(point).get("x [n=3]") for point in points] == [None, 0.75, 0.75, 0.75, None]
    fixed = Whole([space.Param("n", space.Fixed(3)), space.Param("x", space.Float(0.0, 1.0), (("n", "3"),))], {})
    assert fixed.settled(np.array([[0.75]])).tolist() == [[0.75]] and fixed.values(np.array([0.75])) == {"x [n=3]": 0.75}


@pytest.mark.parametrize(("spec", "n"), [(space.Int(0, 63), 64), (space.Int(0, 64), None), (space.Choice(tuple(range(99))), 99)])
def test_ranges_of_few_points_are_held_as_they_are(spec, n):
    dimension = Whole([space.Param("p", spec)], {}).dimensions[0]
    assert dimension.n == n and [dimension.value(dimension.place(value)) for value in (0, 17, 62)] == [0, 17, 62]


@pytest.mark.parametrize(
    ("spec", "default", "place"),
    [
        (space.Float(0.0, 1.0), 0.3, 0.3),
        (space.Float(0.0, 1.0), None, 0.5),
        (space.Float(0.0, 1.0), 7.0, 0.5),  # outside
        (space.Int(0, 1), None, 0.0),  # the point that is nearest to the middle, of two the first
        (space.Int(1, 5), None, 0.5),
        (space.Choice(("a", "b", "c")), "c", 2.0),
        (space.Choice(("a", "b", "c")), "z", 0.0),
        (space.Choice((1, 2, 4, 8)), 4, 2 / 3),
    ],
)
def test_where_the_default_is(spec, default, place):
    assert Whole([space.Param("p", spec)], {"p": default}).defaults == pytest.approx([place])


# Trials told ---------------------------------------------------------------------------------------------------------------------


def run(params, n, outcome, maximize=False, seed=0, **arguments):
    process, known = Process(params, {}, maximize, seed, **arguments), []
    for number in range(n):
        values = process.ask(number, number, known, [])
        known.append(Told(values, outcome(values)))
    return [told.values for told in known], [told.result for told in known]


def test_one_loss_of_a_billion_does_not_hide_the_rest():
    def outcome(values):
        return 1e9 if values["x"] > 0.9 else math.inf if values["x"] < 0.05 else (values["x"] - 0.7) ** 2 + (values["y"] - 0.2) ** 2

    _, results = run([X, Y], 25, outcome)
    assert min(results) < 2e-3


def test_a_constant_result_is_borne():
    known, _ = run(MIXED, 14, lambda values: 1.0)
    assert len({repr(values) for values in known}) == 14


@pytest.mark.parametrize("maximize", [False, True])
def test_the_order_of_numbers_to_choose_from_is_used(maximize):
    """Ten widths of which the last is best: the model leaves the low ones alone when the trend is seen."""
    params = [space.Param("width", space.Choice(tuple(2**i for i in range(10)))), X]
    known, _ = run(params, 20, lambda values: (1 if maximize else -1) * math.log(values["width"]), maximize)
    assert sum(values["width"] >= 256 for values in known[10:]) >= 8


def test_a_fifth_of_a_search_is_spread_evenly():
    process = Process([X, Y], {}, False, 1, n_startup_trials=64)
    points = [process.ask(i, i, [], []) for i in range(64)]
    assert len({(int(4 * p["x"]), int(4 * p["y"])) for p in points}) == 16
    assert points != [Process([X, Y], {}, False, 2).ask(i, i, [], []) for i in range(64)]


@pytest.mark.parametrize(("n", "ratio"), [(1, (1 + 5**0.5) / 2), (2, 1.32471795724474602596)])
def test_even_points_follow_roberts_sequence_from_a_place_of_the_seeds(n, ratio):
    """Steps of the powers of the golden and the plastic number; options take the part of 0 to 1 that is theirs."""
    begins = set()
    for seed in range(4):
        process = Process([X, Y][:n], {}, True, seed, n_startup_trials=99)
        points = np.array([list(process.ask(i, i, [], []).values()) for i in range(20)])
        assert (np.diff(points, axis=0) % 1.0) == pytest.approx(np.tile(ratio ** -np.arange(1.0, n + 1), (19, 1)))
        begins.add(points[0, 0])
    assert len(begins) == 4
    options = Process([space.Param("kind", space.Choice(("a", "b", "c")))], {}, True, 0)
    place = (Process([X], {}, True, 0).ask(i, i, [], [])["x"] for i in range(6))
    assert [options.ask(i, i, [], [])["kind"] for i in range(6)] == ["abc"[int(3 * x)] for x in place]


@pytest.mark.parametrize(("n_startup", "n_even"), [(6, 6), (3, 3), (0, 2), (1, 2)])
def test_when_the_model_has_a_say(n_startup, n_even):
    """After so many trials with a result, two at least."""
    process = Process([X], {}, True, 0, n_startup_trials=n_startup)
    known = [Told({"x": x}, -abs(x - 0.3)) for x in np.linspace(0, 1, 9)]
    even = process.ask(0, 0, [], [])
    assert process.ask(0, 0, known[: n_even - 1], []) == even != process.ask(0, 0, known[:n_even], [])


def test_each_eighth_trial_fills_the_space_whatever_the_model_says():
    process, known = Process([X], {}, True, 0), [Told({"x": x}, -abs(x - 0.3)) for x in np.linspace(0, 1, 7)]
    same = [number for number in range(17) if process.ask(number, 0, known, []) == process.ask(number, 0, [], [])]
    assert same == [7, 15]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1, 2, 3, 4, 5], [-(2**0.5), -(0.5**0.5), 0, 0.5**0.5, 2**0.5]),
        ([2, 2, 2], [0, 0, 0]),
        ([NAN, NAN], [0, 0]),
        ([NAN, 1, 2, -INF, 3], [1, 1, 2, 1, 3]),  # what is no number is as bad as the worst number
        ([INF, 1, 2], [2, 1, 2]),
        # the worst fifth of ten ends 7 behind the best: what is further than 21 behind is not
        ([-100, 1, 2, 3, 4, 5, 6, 7, 8, 9], [-12, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ([-11.9, 1, 2, 3, 4, 5, 6, 7, 8, 9], [-11.9, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ([-100, -90, 2, 3, 4, 5, 6, 7, 8, 9], [-12, -12, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_what_the_model_is_told_of_results(scores, expected):
    found = Process([X], {}, True, 0)._scores(np.array(scores, dtype=float))
    values = np.array(expected, dtype=float)
    assert found == pytest.approx((values - values.mean()) / (values.std() or 1), abs=1e-9)


@pytest.mark.parametrize(
    ("confidence", "number", "expected"),
    [
        (None, 0, (0.9558459292, 0.5547937178, "b")),
        (None, 9, (0.2924152953, 0.4516049692, "c")),
        (None, 10, (0.5508938728, 0.7105207955, "c")),
        ("medium", 0, (0.8787322733, 0.5328689840, "b")),
        ("medium", 9, (0.5359760053, 0.6996039680, "b")),
        ("medium", 10, (0.5596968934, 0.7020661273, "b")),
    ],
)
def test_a_study_that_goes_on_with_another_version_goes_the_same_way(confidence, number, expected):
    """The proposals of this version, the same with OpenBLAS's kernels of 2008 and of today. Whoever changes them on purpose writes the new
    ones here: the table of a study that was begun before is then another one than in one go."""
    kind = space.Param("kind", space.Choice(("a", "b", "c")))
    process = Process([X, Y, kind], {"x": 0.5, "kind": "b"}, False, 3, prior_confidence=confidence)
    told = zip(np.linspace(0, 1, 9), "abcabcabc", strict=True)
    known = [Told({"x": x, "y": 1 - x, "kind": k}, (x - 0.4) ** 2 + 0.1 * (k == "a")) for x, k in told]
    pending = [{"x": 0.4, "y": 0.6, "kind": "b"}] if number == 10 else []
    found = process.ask(number, number, known if number else [], pending)
    assert (found["x"], found["y"]) == pytest.approx(expected[:2], rel=1e-6) and found["kind"] == expected[2]


def test_the_model_sees_a_bounded_history(monkeypatch):
    sizes = []
    monkeypatch.setattr(Process, "ask", lambda self, number, seed, known, pending: sizes.append(len(known)) or {"x": 0.5, "y": 0.5})
    sampler = Sampler(sampler_spec("gp")[0], [X, Y], ["minimize"], 0)
    known = [copied(blank(i, {"x": 0.1, "y": 0.2}, {}), state=TrialState.COMPLETE, values=[float(i)]) for i in range(900)]
    for n in (100, 250, 900):
        sampler.ask(n, known[:n])
    assert sizes == [100, 250, gp.HISTORY_CAP]


# auto ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "directions", "extended", "name", "said"),
    [
        ([X, Y], ["minimize"], False, "gp", "one objective, 2 parameters"),
        (MIXED, ["maximize"], False, "gp", "one objective, 9 parameters"),
        ([X, Y], ["minimize", "maximize"], False, "tpe", "several objectives"),
        ([X, Y], ["minimize"], True, "tpe", "custom_search_space adds parameters as it goes"),
        ([space.Param(f"x{i}", space.Float(0.0, 1.0)) for i in range(60)], ["minimize"], False, "gp", "one objective, 60 parameters"),
        (
            [space.Param(f"x{i}", space.Float(0.0, 1.0)) for i in range(61)],
            ["minimize"],
            False,
            "tpe",
            "61 parameters are many for a Gaussian process",
        ),
    ],
)
def test_the_choice_is_named_with_its_reason(params, directions, extended, name, said):
    spec, why = choose(sampler_spec({"name": "auto", "n_startup_trials": 7})[0], params, directions, extended)
    assert spec.name == name and said == why and spec.arguments["n_startup_trials"] == 7
    assert choose(sampler_spec("auto")[0], params, directions, extended)[0] == sampler_spec(name)[0]
