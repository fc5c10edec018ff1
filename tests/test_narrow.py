"""Narrowing: what the best trials say, and what they do not. The stage that writes it down: test_narrow_stage.py."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivet import space
from trivet.errors import UserError
from trivet.space import Choice, Float, Int, Param, contains, narrow, parse_params
from trivet.space.scale import widest

ROOT = Path(__file__).resolve().parent.parent
LR = Float(1e-5, 1e-1, log=True)


def one(values, scores=None, key="optimizer.lr", state="COMPLETE"):
    """Trials of one parameter; the score falls with the place in the list."""
    scores = scores or [-float(i) for i in range(len(values))]
    return [{"number": i, "state": state, "value": s, "params": {key: v}} for i, (v, s) in enumerate(zip(values, scores, strict=True))]


def spread(spec, n):
    """n values evenly over a range, on its scale."""
    if spec.log:
        return [math.exp(math.log(spec.low) + (i + 0.5) / n * math.log(spec.high / spec.low)) for i in range(n)]
    return [spec.low + (i + 0.5) / n * (spec.high - spec.low) for i in range(n)]


def peaked(spec, at, n=60, key="optimizer.lr"):
    """A search with its optimum at `at`, on the range's scale."""
    values = spread(spec, n)
    distance = [abs(math.log(v / at)) if spec.log else abs(v - at) for v in values]
    return one(values, [-d for d in distance], key)


def only(trials, spec, direction="maximize", key="optimizer.lr", **thresholds):
    narrowed = narrow(trials, [Param(key, spec)], direction, **thresholds)
    (param,), (move,) = narrowed.params, narrowed.moves
    assert move.fine == space.to_text(param.spec)
    assert move.coarse == space.to_text(spec)
    assert move.why.endswith(".")
    assert (move.change == "kept") == (param.spec == spec)
    return param.spec, move


# Ranges ----------


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_clear_optimum_narrows_the_range_around_it(direction):
    trials = peaked(LR, 1e-3)
    if direction == "minimize":
        trials = [{**t, "value": -t["value"]} for t in trials]
    fine, move = only(trials, LR, direction)
    assert move.change == "narrowed"
    assert 1e-5 < fine.low < 3e-4
    assert 3e-3 < fine.high < 1e-1
    assert fine.log
    # a dozen good trials: not below a third of the range
    assert math.log(fine.high / fine.low) >= math.log(1e4) / 3


def test_few_good_trials_keep_half_of_the_range():
    fine, _ = only(peaked(LR, 1e-3, n=30), LR)
    assert math.log(fine.high / fine.low) >= math.log(1e4) / 2


def test_the_other_direction_keeps_the_other_end():
    rising = one(spread(LR, 60), list(range(60)))
    up, _ = only(rising, LR, "maximize")
    down, _ = only(rising, LR, "minimize")
    assert up.high > LR.high > up.low > 1e-3
    assert down.low < LR.low < down.high < 1e-3


def test_ends_are_round_numbers():
    fine, _ = only(peaked(LR, 1e-3), LR)
    for end in (fine.low, fine.high):
        assert float(f"{end:.1e}") == end


@pytest.mark.parametrize("seed", range(5))
def test_a_parameter_that_does_not_matter_is_kept(seed):
    rng = random.Random(seed)
    fine, move = only(one([rng.uniform(0, 0.5) for _ in range(60)], key="model.dropout"), Float(0, 0.5), key="model.dropout")
    assert fine == Float(0, 0.5)
    assert "lie between" in move.why


def test_the_reason_names_the_trials_that_the_range_was_cut_to():
    trials = peaked(LR, 1e-3)
    trials[0] = {**trials[0], "value": -0.5}  # a lone good trial at the lower end
    fine, move = only(trials, LR)
    assert fine.low > 1e-5
    assert move.why == "10 of the best 12 trials lie between 0.00043 and 0.00171."


def test_chance_seldom_moves_a_parameter_that_does_not_matter():
    moved = 0
    for seed in range(200):
        rng = random.Random(seed)
        _, move = only(one([10 ** rng.uniform(-5, -1) for _ in range(60)]), LR)
        moved += move.change != "kept"
    assert moved <= 200 * 0.2  # three tests (span, two ends) at one in twenty each


@pytest.mark.parametrize(
    ("key", "spec", "at", "expected"),
    [
        ("optimizer.lr", Float(1e-3, 1, log=True), 1.0, 5.7),  # a quarter of three decades more, rounded up
        ("optimizer.lr", Float(1e-1, 10, log=True), 10.0, 10.0),  # as far as it goes
        ("optimizer.lr", Float(1e-1, 100, log=True), 100.0, 100.0),  # a person's range stays
        ("optimizer.weight_decay", Float(1e-6, 0.5, log=True), 0.5, 1.0),
        ("model.dropout", Float(0, 0.5), 0.5, 0.63),
        ("model.dropout", Float(0, 0.8), 0.8, 0.9),
        ("optimizer.momentum", Float(0.8, 0.99), 0.99, 0.995),
        ("loss.label_smoothing", Float(0, 0.2), 0.2, 0.25),
        ("loss.gamma", Float(0.5, 5), 5, 6.2),
        ("model.channels", Int(16, 96, log=True), 96, 96),  # sizes cost time
        ("batch_size", Int(16, 256, log=True), 256, 512),
        ("a.mix", Float(0, 1), 1.0, 1.0),  # seems to be a fraction
        ("a.scale", Float(0, 4), 4.0, 5.0),
        ("a.count", Int(1, 20), 20, 25),
        ("a.stepped", Float(0, 4, step=0.5), 4.0, 5.0),
        ("model.dropout", Float(0, 0.8, step=0.2), 0.8, 0.8),
    ],
)
def test_the_best_at_the_upper_end_widen_it_within_limits(key, spec, at, expected):
    values = spread(spec, 60)
    if isinstance(spec, Int) or spec.step:
        grid = space.grid_points(spec)
        values = [min(grid, key=lambda point, value=value: abs(point - value)) for value in values]
    fine, move = only(one(values, [-abs(v - at) for v in values], key), spec, key=key)
    assert fine.high == pytest.approx(expected)
    assert "upper end" in move.why
    assert (move.change == "widened") == (expected > spec.high)
    assert fine.low > spec.low


@pytest.mark.parametrize(
    ("key", "spec", "expected"),
    [
        ("optimizer.lr", LR, 1e-6),
        ("optimizer.lr", Float(1e-7, 1e-1, log=True), 1e-7),
        ("model.dropout", Float(0, 0.5), 0.0),
        ("a.count", Int(1, 20), 1),
        ("a.offset", Float(-1, 1), -1.5),
        ("a.rate", Float(1e-3, 1, log=True), 1e-3 / 10**0.75),
    ],
)
def test_the_best_at_the_lower_end_widen_it_within_limits(key, spec, expected):
    values = [round(v) for v in spread(spec, 60)] if isinstance(spec, Int) else spread(spec, 60)
    fine, move = only(one(values, key=key), spec, key=key)
    assert fine.low == pytest.approx(expected, rel=0.06)
    assert "lower end" in move.why


def test_no_widening_into_failures():
    trials = peaked(LR, 1e-1)
    failed = [{"number": 100 + i, "state": "FAIL", "value": None, "params": {"optimizer.lr": 0.09}} for i in range(12)]
    assert only(trials, LR)[0].high > 0.1
    fine, move = only(trials + failed, LR)
    assert fine.high == 0.1
    assert "failed, so not beyond" in move.why


def test_widening_can_be_switched_off():
    fine, _ = only(peaked(LR, 1e-1), LR, widen=0)
    assert fine.high == LR.high


def test_whole_numbers_stay_whole_and_on_their_step():
    trials = one([1 + i % 12 for i in range(96)], [-abs(1 + i % 12 - 6) for i in range(96)], "a.n")
    fine, move = only(trials, Int(1, 12), key="a.n")
    assert move.change == "narrowed"
    assert contains(fine, 6)
    trials = one([16 * 2 ** (i % 6) for i in range(96)], [-abs(i % 6 - 2) for i in range(96)], "batch_size")
    fine, _ = only(trials, Int(16, 512, log=True), key="batch_size")
    assert fine == Int(32, 128, log=True)
    trials = one([i % 21 * 5 for i in range(105)], [-abs(i % 21 - 10) for i in range(105)], "a.n")
    fine, _ = only(trials, Int(0, 100, step=5), key="a.n")
    assert fine.step == 5 and fine.low % 5 == 0 and 0 < fine.low < 50 < fine.high < 100


@pytest.mark.parametrize(
    "trials", [[], one([1e-3] * 9), one([1e-3] * 30, state="FAIL"), one([1e-3] * 30, state="PRUNED"), one([1e-3] * 30, [math.nan] * 30)]
)
def test_too_few_complete_trials_keep_everything_and_say_so(trials):
    fine, move = only(trials, LR)
    assert fine == LR
    assert "complete trial" in move.why


def test_pruned_trials_are_only_weak_evidence():
    """They never count as good, however good their last value looks."""
    trials = peaked(LR, 1e-3)
    pruned = [{"number": 100 + i, "state": "PRUNED", "value": 1e9, "params": {"optimizer.lr": 1e-5}} for i in range(10)]
    assert contains(only(trials + pruned, LR)[0], 1e-3)
    assert only(trials + pruned, LR)[0].low > 1e-5


def test_values_outside_the_range_do_no_harm():
    trials = [*peaked(LR, 1e-3), {"number": 99, "state": "COMPLETE", "value": 1e9, "params": {"optimizer.lr": 5.0}}]
    fine, _ = only(trials, LR)
    assert fine.high <= 0.5
    trials[-1]["params"]["optimizer.lr"] = -1.0
    only(trials, LR)


# Choices ----------


def options(pattern, scores=None, key="model.act"):
    return one(list(pattern), scores, key)


def test_an_option_clearly_out_is_dropped():
    trials = options(["relu", "gelu"] * 15 + ["tanh"] * 20)
    fine, move = only(trials, Choice(("relu", "gelu", "tanh")), key="model.act")
    assert fine == Choice(("relu", "gelu"))
    assert move.change == "narrowed"
    assert "tanh, tried 20 times" in move.why


def test_an_option_tried_too_seldom_is_kept():
    trials = options(["relu", "gelu"] * 23 + ["tanh"] * 4)
    fine, _ = only(trials, Choice(("relu", "gelu", "tanh", "never")), key="model.act")
    assert fine == Choice(("relu", "gelu", "tanh", "never"))


def test_one_survivor_is_fixed_as_a_choice_of_one():
    trials = options([True] * 25 + [False] * 25, key="optimizer.nesterov")
    fine, move = only(trials, Choice((True, False)), key="optimizer.nesterov")
    assert fine == Choice((True,))
    assert move.change == "fixed"
    assert "All of the best 10 trials have true" in move.why


def test_null_and_true_and_one_are_different_options():
    trials = options([None] * 30 + [1] * 20 + [True] * 20, key="a.b")
    fine, _ = only(trials, Choice((None, 1, True)), key="a.b")
    assert fine == Choice((None,))


def test_pruned_trials_count_against_an_option_by_half():
    good = options(["relu"] * 20)
    few = [{"number": 50 + i, "state": "PRUNED", "value": 0.0, "params": {"model.act": "tanh"}} for i in range(10)]
    many = [{"number": 50 + i, "state": "PRUNED", "value": 0.0, "params": {"model.act": "tanh"}} for i in range(30)]
    spec = Choice(("relu", "tanh"))
    assert only(good + few, spec, key="model.act")[1].change == "kept"
    assert only(good + many, spec, key="model.act")[1].change == "fixed"


SIZES = Choice((16, 32, 64, 128, 256))


def test_numeric_options_lose_their_ends_but_get_no_hole():
    pattern = [16, 64] * 20 + [32] * 20 + [128] * 20 + [256] * 20
    fine, move = only(options(pattern, key="batch_size"), SIZES, key="batch_size")
    assert fine.options == (16, 32, 64)  # 32 is in none of the best 20, yet stays
    assert move.change == "narrowed"


@pytest.mark.parametrize(
    ("key", "ladder", "best", "expected"),
    [
        ("batch_size", (16, 32, 64, 128), 128, (64, 128, 256)),
        ("batch_size", (16, 32, 64, 128), 16, (16, 32)),  # smaller batches cost time
        ("batch_size", (8, 16, 32, 64), 8, (8, 16)),
        ("optimizer.weight_decay", (1e-5, 1e-4, 1e-3), 1e-3, (1e-4, 1e-3, 1e-2)),
        ("model.dropout", (0.0, 0.1, 0.2), 0.2, (0.1, 0.2, 0.3)),
        ("model.width", (32, 64, 128), 128, (64, 128)),
        ("a.odd", (1, 3, 4), 4, (3, 4)),
        ("optimizer.lookahead", (5, 10, 20), 5, (5, 10)),
    ],
)
def test_the_best_at_the_end_of_a_ladder_add_a_rung(key, ladder, best, expected):
    pattern = sorted(ladder * 15, key=lambda value: abs(ladder.index(value) - ladder.index(best)))
    fine, move = only(options(pattern, key=key), Choice(ladder), key=key)
    assert fine.options == pytest.approx(expected)
    assert (move.change == "widened") == (len(expected) == 3)


# Conditions ----------

NESTED = {
    "optimizer": "choice(sgd, adam, lookahead)",
    "optimizer=sgd": {"optimizer.lr": "tag(log, interval(1e-3, 1))"},
    "optimizer=adam": {"optimizer.lr": "tag(log, interval(1e-5, 1e-1))"},
    "optimizer=lookahead": {
        "optimizer/inner": "choice(rmsprop, radam)",
        "optimizer/inner=radam": {"optimizer.inner.beta": "interval(0.8, 0.95)"},
    },
}


def nested_trials(n=150, bad="lookahead"):
    rng = random.Random(0)
    trials = []
    for number in range(n):
        option = ("sgd", "adam", "lookahead")[number % 3]
        params = {"optimizer": option}
        value = -10.0 if option == bad else 0.0
        if option == "lookahead":
            params["optimizer/inner"] = ("rmsprop", "radam")[number // 3 % 2]
            if params["optimizer/inner"] == "radam":
                params["optimizer.inner.beta"] = rng.uniform(0.8, 0.95)
                value -= 1
        else:
            low, high, at = (-3, 0, -1) if option == "sgd" else (-5, -1, -4)
            exponent = rng.uniform(low, high)
            params["optimizer.lr"] = 10**exponent
            value -= abs(exponent - at)
        trials.append({"number": number, "state": "COMPLETE", "value": value, "params": params})
    return trials


def test_ranges_are_narrowed_per_option_and_dropped_with_it():
    params = parse_params(NESTED)
    narrowed = narrow(nested_trials(), params, "maximize")
    assert [param.name for param in narrowed.params] == ["optimizer", "optimizer.lr [optimizer=sgd]", "optimizer.lr [optimizer=adam]"]
    choice, sgd, adam = (param.spec for param in narrowed.params)
    assert choice == Choice(("sgd", "adam"))
    assert contains(sgd, 0.1) and sgd.low > 1e-3
    assert contains(adam, 1e-4) and adam.high < 1e-1
    assert [(move.key, move.when, move.change) for move in narrowed.moves] == [
        ("optimizer", "", "narrowed"),
        ("optimizer.lr", "optimizer=sgd", "narrowed"),
        ("optimizer.lr", "optimizer=adam", "narrowed"),
        ("optimizer/inner", "optimizer=lookahead", "dropped"),
        ("optimizer.inner.beta", "optimizer=lookahead,optimizer/inner=radam", "dropped"),
    ]
    assert all(move.fine == "" for move in narrowed.moves if move.change == "dropped")


def test_an_inner_option_is_dropped_with_its_ranges():
    narrowed = narrow(nested_trials(bad="sgd"), parse_params(NESTED), "maximize")
    by_key = {move.key: move for move in narrowed.moves}
    assert by_key["optimizer/inner"].change == "fixed"
    assert by_key["optimizer.inner.beta"].change == "dropped"
    assert "optimizer/inner=radam, which is dropped" in by_key["optimizer.inner.beta"].why


def test_conditions_may_stand_before_their_group():
    params = parse_params(NESTED)
    narrowed = narrow(nested_trials(), params[::-1], "maximize")
    assert [param.name for param in narrowed.params][-1] == "optimizer"
    assert len(narrowed.params) == 3


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        ({"direction": "up"}, "maximize or minimize"),
        ({"top": 0}, "narrow.top=0"),
        ({"top": 0.9}, "up to 0.5"),
        ({"min_good": 2}, "from 3 on"),
        ({"min_good": 4.5}, "from 3 on"),
        ({"widen": -0.1}, "narrow.widen=-0.1"),
        ({"min_share": 1.5}, "up to 1"),
        ({"level": "a"}, "narrow.level='a'"),
    ],
)
def test_thresholds_are_checked(arguments, mend):
    with pytest.raises(UserError) as error:
        narrow([], [], **{"direction": "maximize", **arguments})
    assert mend in str(error.value)


RANGES = [
    ("optimizer.lr", LR),
    ("model.dropout", Float(0, 0.5)),
    ("optimizer.momentum", Float(0.8, 0.99)),
    ("a.x", Float(-3, 7, step=0.5)),
    ("a.n", Int(1, 7)),
    ("batch_size", Int(16, 256, log=True)),
    ("batch_size", SIZES),
    ("model.norm", Choice((None, "batch", True))),
]


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(RANGES), st.integers(0, 60), st.randoms(use_true_random=False), st.booleans(), st.floats(0.2, 5))
def test_whatever_the_trials_the_result_is_sound(case, n, rng, maximize, skew):
    key, spec = case
    points = space.grid_points(spec) if space.n_points(spec) else None
    trials = []
    for number in range(n):
        unit = rng.random() ** skew
        if points:
            value = points[min(int(unit * len(points)), len(points) - 1)]
        else:
            value = spec.low * (spec.high / spec.low) ** unit if spec.log else spec.low + unit * (spec.high - spec.low)
        score = rng.choice([rng.gauss(0, 1), unit, -unit, 0.0])
        trials.append(
            {"number": number, "state": rng.choice(["COMPLETE"] * 4 + ["PRUNED", "FAIL"]), "value": score, "params": {key: value}}
        )
    fine, _ = only(trials, spec, "maximize" if maximize else "minimize", key=key)
    assert type(fine) is type(spec)
    complete = [t for t in trials if t["state"] == "COMPLETE"]
    if complete:
        best = min(complete, key=lambda t: (-t["value"] if maximize else t["value"], t["number"]))
        assert contains(fine, best["params"][key])
    if isinstance(spec, Choice):
        assert set(map(repr, fine.options)) - set(map(repr, spec.options)) <= {"8", "512"}
    else:
        low, high, _ = widest(key, spec.low, spec.high, isinstance(spec, Int))
        assert low <= fine.low <= fine.high <= high
        assert (fine.log, fine.step) == (spec.log, spec.step)
