"""Every red flag at its threshold: the last table on which it is silent, the first on which it is raised, and the numbers it states."""

from __future__ import annotations

import numpy as np
import pytest
from test_diagnosis import case, creeping, curve, make, many_reasons, pruned, saturating, seeds_of, table, top, with_failures

from trivet.diagnosis import Scale, Seeds, fit_flags, limit, search_flags, space_flags, training_flags

ALL = np.arange(1, 21)


def short(n: int, of: int = 40, state: str = "PRUNED", step: float = 1.0, epochs: int = 20):
    """n of so many trials ended after one epoch; by the pruner, or by themselves."""
    frame = table(of, step=float(epochs))
    frame.loc[frame.index[of - n :], ["state", "step", "best_step"]] = [state, step, step]
    return make(frame, config={"epochs": epochs})


def losses(*rises: float, epochs: int = 20):
    """Five equal trials whose training loss rises by such factors at epochs 10, 11 ... and falls by a hundredth elsewhere."""
    factors = np.full(epochs - 1, 0.99)
    factors[8 : 8 + len(rises)] = rises
    return make(top(), curves=curve(value=saturating, **{"train/loss": np.append(1.0, np.cumprod(factors))}))


def late(at: float, gained: float, n: int = 5, of: int = 5):
    """n of the best have their best epoch at `at` of 20; of what training gained, the share `gained` came in the last quarter."""
    values = np.append(np.linspace(0.5, 0.7 - 0.2 * gained, 15), np.linspace(0.7 - 0.2 * gained, 0.7, 6)[1:])
    return make(top(of).assign(best_step=[at] * n + [5.0] * (of - n)), curves=curve(of, value=values))


def trained(train: float, val: float, rise: float = 0.0, n: int = 5):
    """Trials with such accuracies at their best epoch, the last; the validation loss ends so far above its least."""
    shape = {"train/accuracy": np.full(20, train), "val/accuracy": np.append(np.full(19, val - 0.1), val)}
    loss = np.append(np.full(19, 1.0), 1.0 + rise)
    return make(top(n), curves=curve(n, value=shape["val/accuracy"], **shape, **{"val/loss": loss}))


def errors(train: float, val: float):
    """The same with an error to be minimized."""
    shape = {"train/rmse": np.full(20, train), "val/rmse": np.append(np.full(19, val + 1), val)}
    return make(top(), curves=curve(value=shape["val/rmse"], **shape), direction="minimize", metric="val/rmse")


def stuck(share: float):
    """Trials whose training error ends at this share of what it was."""
    shape = {"train/rmse": np.linspace(1, share, 20), "val/rmse": np.linspace(1.01, share, 20)}
    return make(top(), curves=curve(value=shape["val/rmse"], **shape), direction="minimize", metric="val/rmse")


def reaching(epoch: int):
    """Nine tenths of the gain are made at this epoch of 20."""
    values = np.where(epoch > ALL, 0.1 + 0.001 * ALL, 0.9) + 1e-4 * ALL
    return make(top(), curves=curve(value=values))


def at_edge(place: float, crowd: int = 4):
    """The best has this place in the range (0 low, 1 high), and of the other four best `crowd` lie in the last fifth."""
    others = [0.85] * crowd + [0.5] * (4 - crowd)
    places = np.array([place, *others, *np.linspace(0.1, 0.7, 20)])
    values = np.append([0.95, 0.94, 0.93, 0.92, 0.91], np.linspace(0.5, 0.8, 20))
    return make(table(25, values=values, params={"lr": 10 ** (-3 + 3 * places)}))


def spread(share: float, n: int = 40):
    """Values around 0.9 of which nine tenths lie within this share of it."""
    return make(table(n, values=np.linspace(0.9 - 0.9 * share / 1.8, 0.9 + 0.9 * share / 1.8, n)))


def repeated(n: int, of: int = 40):
    """n trials repeat the configuration of the first."""
    lr = np.logspace(-3, 0, of)
    lr[of - n :] = lr[0]
    return make(table(of, params={"lr": lr}))


def late_gain(gain: float, n: int = 40, lead: float = 0.1):
    """The last fifth improved the best by this share of its lead over the median."""
    values = np.full(n, 0.8)
    values[0], values[-1] = 0.8 + lead * (1 - gain), 0.8 + lead
    return make(table(n, values=values))


def stood(n: int, of: int = 40):
    """The best value came n trials before the end."""
    values = np.full(of, 0.8)
    values[of - 1 - n] = 0.9
    return make(table(of, values=values))


def defaulted(n: int):
    return make(table(n, values=np.linspace(0.9, 0.5, n), params={"lr": np.append(0.1, np.logspace(-3, -2, n - 1))}), defaults={"lr": 0.1})


def loud(n: int, reports: bool = True):
    """A pruner was set and none of n trials pruned."""
    return make(table(n), curves=curve(n, 3 if reports else 1, value=saturating), pruner={"name": "median"})


def linear(low: float):
    return make(table(), entries=[("lr", f"interval({low}, 1.0)", {})])


# check, silent on, raised on, what it then states
LIMITS = [
    (search_flags.pruned_most, make(pruned(36)), make(pruned(37)), "37 of 40 trials (92 %) were stopped early and only 3 ran to the end"),
    (search_flags.pruned_most, make(pruned(18, 19)), make(pruned(19, 20)), "19 of 20 trials (95 %)"),
    (search_flags.pruned_none, loud(19), loud(20), "The pruner median was set, yet all of 20 trials"),
    (
        search_flags.default_best,
        defaulted(9),
        defaulted(10),
        "The default configuration reached 90.00 %; the best of 9 other trials is 4.44",
    ),
    (
        search_flags.improving,
        late_gain(0.099),
        late_gain(0.101),
        "The last 8 trials improved the best value by 1.01 percentage points, to 90.00 %",
    ),
    (search_flags.improving, late_gain(0.5, 19), late_gain(0.5, 20), "The last 4 trials improved the best value by 5.00 percentage points"),
    (search_flags.flat, stood(20), stood(21), "The best value came with trial 18; 21 trials after it (52 %) did not improve it"),
    (search_flags.flat, stood(20, 29), stood(20, 30), "The best value came with trial 9; 20 trials after it (67 %)"),
    (
        training_flags.diverged,
        make(with_failures(4, "loss is nan")),
        make(with_failures(5, "loss is nan")),
        "5 of 40 trials (12 %) ended with",
    ),
    (
        training_flags.diverged,
        make(with_failures(2, "loss is nan", 10)),
        make(with_failures(3, "loss is nan", 10)),
        "3 of 10 trials (30 %)",
    ),
    (training_flags.failed, make(with_failures(4, "oom")), make(with_failures(5, "oom")), "5 of 40 trials (12 %) failed. 5 times: oom."),
    (training_flags.one_epoch, short(8), short(9), "9 of 40 trials ended after at most one of 20 epochs (9 PRUNED)"),
    (training_flags.one_epoch, short(9, 9), short(9, 10), "9 of 10 trials ended"),
    (training_flags.one_epoch, short(9, step=2.0), short(9), "after at most one"),
    (
        training_flags.one_epoch,
        short(9, state="COMPLETE", epochs=2),
        short(9, state="COMPLETE", epochs=3),
        "at most one of 3 epochs (9 COMPLETE)",
    ),
    (training_flags.noisy, losses(*[1.11] * 3), losses(*[1.11] * 4), "Of the best 5 trials, 5 have a loss that keeps rising"),
    (training_flags.noisy, losses(*[1.09] * 4), losses(*[1.11] * 4), "and 0 have an epoch where it jumps to more than 2 times"),
    (training_flags.noisy, losses(1.99), losses(2.01), "from epoch to epoch and 5 have an epoch where it jumps to more than 2"),
    (training_flags.best_last, late(15.0, 0.5), late(16.0, 0.5), "5 of the best 5 trials were best in the last quarter of their 20 epochs"),
    (training_flags.best_last, late(16.0, 0.5, n=3), late(16.0, 0.5, n=4), "4 of the best 5 trials"),
    (training_flags.best_last, late(16.0, 0.019), late(16.0, 0.021), "still brought 2 % of all that training gained"),
    (training_flags.best_last, late(16.0, 0.5, 2, 2), late(16.0, 0.5, 3, 3), "3 of the best 3 trials"),
    (
        training_flags.best_early,
        make(top().assign(best_step=3.0)),
        make(top().assign(best_step=2.0)),
        "5 of the best 5 trials were best in the first tenth of their 20 epochs (median: epoch 2)",
    ),
    (training_flags.best_early, make(top(2).assign(best_step=2.0)), make(top(3).assign(best_step=2.0)), "3 of the best 3"),
    (
        fit_flags.overfit,
        trained(0.949, 0.9),
        trained(0.951, 0.9),
        "a median accuracy of 95.1 % on training data and 90.0 % on validation data",
    ),
    (
        fit_flags.overfit,
        trained(0.9, 0.9, 0.099),
        trained(0.9, 0.9, 0.101),
        "In 5 of the best 5 trials the validation loss ends 10 % above its lowest value",
    ),
    (fit_flags.overfit, errors(1.0, 1.24), errors(1.0, 1.26), "a median rmse of 1 on training data and 1.26 on validation data"),
    (fit_flags.overfit, trained(0.951, 0.9, n=1), trained(0.951, 0.9, n=2), "the best 2 trials"),
    (fit_flags.underfit, trained(0.801, 0.8), trained(0.799, 0.79), "a median training accuracy of 79.9 %"),
    (fit_flags.underfit, stuck(0.69), stuck(0.71), "a training rmse that stays at 71 % of what it was"),
    (training_flags.slow, reaching(12), reaching(13), "The best 5 trials need 65 % of their 20 epochs"),
    (
        space_flags.edge,
        at_edge(0.94),
        at_edge(0.96),
        "the upper end of tag(log, interval(0.001, 1.0)), and 5 of the best 5 crowd at that end",
    ),
    (space_flags.edge, at_edge(0.99, 1), at_edge(0.99, 2), "and 3 of the best 5 crowd"),
    (space_flags.alike, spread(0.0011), spread(0.0009), "Nine tenths of 40 trials lie between"),
    (space_flags.alike, spread(0.0005, 9), spread(0.0005, 10), "Nine tenths of 10 trials"),
    (space_flags.linear, linear(0.11), linear(0.1), "The range of lr, interval(0.1, 1.0), is drawn evenly, over a factor of 10."),
    (space_flags.too_few, make(table(10)), make(table(9)), "9 trials for 1 parameter in play at a time: 9.0 per parameter"),
    (space_flags.duplicates, repeated(2), repeated(3), "3 trials of 40 (8 %) repeat a configuration"),
    (space_flags.duplicates, repeated(1, 10), repeated(2, 10), "2 trials of 10 (20 %)"),
]


@pytest.mark.parametrize(("check", "silent", "raised", "words"), LIMITS, ids=[f"{row[0].__name__}-{at}" for at, row in enumerate(LIMITS)])
def test_a_flag_begins_at_its_threshold_and_states_the_tables_numbers(check, silent, raised, words):
    assert check(case(silent)) is None
    flag = check(case(raised))
    assert flag is not None and words in flag.evidence, flag
    assert flag.where == "coarse" and flag.level in ("serious", "warning", "hint")


@pytest.mark.parametrize(
    ("check", "sweep", "level", "mend"),
    [
        (training_flags.failed, make(with_failures(40, "oom")), "serious", "Read the log of one such trial"),
        (training_flags.failed, make(with_failures(39, "oom")), "warning", "exclude what cannot work"),
        (training_flags.one_epoch, short(9), "hint", "Train a sample of them to the end"),
        (training_flags.one_epoch, short(9, state="COMPLETE"), "warning", "Read the log of one such trial"),
        (search_flags.pruned_none, loud(20), "hint", "Use a stricter pruner"),
        (search_flags.pruned_none, loud(20, reports=False), "hint", "Call trivet.report"),
        (training_flags.diverged, make(with_failures(12, "loss is nan")), "warning", "Let the range of lr end near 0.1425"),
        (
            training_flags.diverged,
            make(with_failures(12, "loss is nan").assign(lr=0.1)),
            "warning",
            "Lower the upper end of the learning rate",
        ),
        (fit_flags.overfit, trained(0.96, 0.9), "warning", "Search dropout, weight decay or label smoothing"),
    ],
)
def test_how_bad_and_what_to_do(check, sweep, level, mend):
    flag = check(case(sweep))
    assert flag.level == level and mend in flag.mend


def test_searched_regularisers_are_named():
    sweep = trained(0.96, 0.9)
    sweep.trials["model.dropout"] = 0.1
    sweep.params = ["lr", "model.dropout"]
    flag = fit_flags.overfit(case(sweep))
    assert "Of the means against it model.dropout was searched." in flag.evidence and flag.mend.startswith("Allow more of model.dropout")


@pytest.mark.parametrize(
    ("values", "bad", "expected"),
    [
        ([1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1], (4.0, 3, 3, 0, 3)),
        ([6, 5, 4, 3, 2, 1], [1, 1, 1, 0, 0, 0], (4.0, 3, 3, 0, 3)),
        ([1, 2, 3, 4, 5, 6], [0, 1, 0, 1, 1, 1], (4.0, 3, 3, 1, 3)),
        ([1, 2, 3, 4, 5, 6], [1, 1, 1, 0, 0, 0], None),  # bad below, not above
        ([1, 2, 3], [0, 0, 1], None),
        ([1, 2, 3, 4], [1, 1, 1, 1], None),
        ([1, 1, 1, 1], [0, 0, 1, 1], None),
    ],
)
def test_where_a_value_parts_bad_from_good(values, bad, expected):
    assert training_flags.stump(np.array(values, dtype=float), np.array(bad, dtype=bool)) == expected


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (10, 8)])
def test_most_are_four_of_five(n, expected):
    assert training_flags.most(n) == expected


SCALE = Scale("val/accuracy", [0.5, 0.9])


def test_seed_noise_is_held_against_the_spread_of_the_means():
    others = (0.902, 0.901)  # with 0.9: a spread of 0.002
    assert search_flags.seed_noise(seeds_of(0.9, 0.8, 0.0019, others=others), SCALE) is None
    flag = search_flags.seed_noise(seeds_of(0.9, 0.8, 0.0021, others=others), SCALE)
    assert "differ by 0.21 percentage points" in flag.evidence and "means of 3 finalists differ by only 0.20" in flag.evidence


def test_the_default_beats_from_equal_on():
    assert search_flags.default_beats(seeds_of(0.9001, 0.9), SCALE) is None
    flag = search_flags.default_beats(seeds_of(0.9, 0.9), SCALE)
    assert "the default reaches 90.00 % on average, the best finalist (1) 90.00 %" in flag.evidence and flag.level == "warning"


def test_failures_are_counted_by_what_they_have_in_common():
    text = training_flags.failed(case(make(many_reasons()))).evidence
    assert "4 times: value=0 is too large; 3 times: oom; 1 time: RuntimeError: mat1 and mat2" in text
    assert text.endswith(" ...; 2 times: something else.") and len(text) < 250


def measured(winner: float, default: float | None, n: int | None = None) -> dict:
    sides = {"winner": winner} | ({} if default is None else {"default": default})
    return {"default": {}, "n_test": n} | {side: {101: value, 102: value, 103: value} for side, value in sides.items()}


@pytest.mark.parametrize("n", [None, 1000])
def test_an_accuracy_parts_from_its_validation_at_three_standard_errors(n):
    seeds = seeds_of(0.92, 0.85, 0.003)
    for factor, raised in ((2.97, False), (3.03, True)):
        error = np.sqrt(2 * seeds.noise**2 / 3)
        for _ in range(5):  # the error is that of the share that it is subtracted from
            value = 0.92 - factor * error
            error = np.sqrt(2 * seeds.noise**2 / 3 + (2 * value * (1 - value) / n if n else 0))
        flag = search_flags.val_test(seeds, SCALE, measured(value, None, n))
        assert (flag is not None) == raised
    assert limit("test_sigma") == 3
    assert f"where a standard error of {SCALE.delta(error)} is expected" in flag.evidence and "percentage points worse" in flag.evidence


@pytest.mark.parametrize("metric", ["val/rmse", "val/balanced_accuracy"])
def test_what_is_no_share_is_judged_beside_the_default(metric):
    """The sets may differ: the default tells by how much."""
    seeds = seeds_of(0.92, 0.85, 0.003)
    scale, error = Scale(metric, [0.5, 0.9]), np.sqrt(4 * seeds.noise**2 / 3)
    assert search_flags.val_test(seeds, scale, measured(0.5, None, 1000)) is None  # without a default nobody knows
    for more, raised in ((2.99, False), (3.01, True)):
        flag = search_flags.val_test(seeds, scale, measured(0.92 - 0.06 - more * error, 0.85 - 0.06, 1000))
        assert (flag is not None) == raised
    assert f"the winner lost {scale.delta(3.01 * error)} more, where a standard error of {scale.delta(error)} is expected" in flag.evidence


def test_an_order_that_turns_round_within_noise_is_none():
    seeds = seeds_of(0.92, 0.85, 0.003)
    error = np.sqrt(2 * seeds.noise**2 / 3)
    for factor, raised in ((2.99, False), (3.01, True)):
        flag = search_flags.val_test(seeds, SCALE, measured(0.92, 0.92 + factor * error))
        assert (flag is not None) == raised
    assert "on test data the default is better (92.74 %) than the winner (92.00 %), by more than noise" in flag.evidence.lower()
    once = Seeds({0: {101: 0.85}, 1: {101: 0.92}}, 1, True)
    assert search_flags.val_test(once, SCALE, measured(0.9, 0.95)) is None  # one seed each tells no noise
    even = Seeds({0: {101: 0.85, 102: 0.85}, 1: {101: 0.92, 102: 0.92}}, 1, True)
    assert search_flags.val_test(even, SCALE, measured(0.91, 0.92)) is None
    assert search_flags.val_test(even, SCALE, measured(0.85, 0.92, 1000)) is not None  # the size of the file tells some


def told_apart(metric: str, train: float, val: float, objective: str = "val/loss", direction: str = "minimize"):
    shape = {f"train/{metric}": np.full(20, train), f"val/{metric}": np.full(20, val), "value": np.linspace(0.9, 0.5, 20)}
    return fit_flags.overfit(case(make(top(), curves=curve(**shape), direction=direction, metric=objective)))


@pytest.mark.parametrize(
    ("metric", "train", "val", "raised"),
    [
        ("auc", 0.99, 0.9, True), ("auroc", 0.99, 0.9, True), ("mAP", 0.6, 0.5, True), ("iou", 0.6, 0.5, True),  # greater is better
        ("r2", 0.95, 0.94, False), ("macro_f1", 0.96, 0.9, True),
        ("brier_score", 0.1, 0.101, False), ("brier_score", 0.1, 0.2, True), ("fid_score", 10.0, 9.0, False),  # errors by any name
        ("acceleration_error", 0.96, 0.9, False), ("layer2_loss", 0.96, 0.9, False), ("perplexity", 20.0, 30.0, True),
        ("precision", 96.0, 90.0, False),  # in per cent: nothing is known of its scale
    ],
)  # fmt: skip
def test_which_way_a_metric_is_better_follows_from_its_name(metric, train, val, raised):
    assert (told_apart(metric, train, val) is not None) == raised


def test_the_objective_is_better_the_way_the_study_says():
    assert told_apart("score", 0.96, 0.9, "val/score", "maximize") is not None
    assert told_apart("score", 0.96, 0.9, "val/score", "minimize") is None
    assert told_apart("reward", 900.0, 700.0, "val/reward", "maximize") is None  # on no known scale


def test_a_slow_table_of_falling_trials_is_none():
    assert training_flags.slow(case(make(top(), curves=curve(value=lambda s: 0.9 - creeping(s) / 2)))) is None
