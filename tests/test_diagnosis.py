"""Every red flag on a table where it must be raised and on one where it must not; how often chance alone raises some of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from fake_results import parse

from trivet import copied
from trivet.diagnosis import (
    EVERY,
    LAST,
    THRESHOLDS,
    Case,
    Entry,
    Scale,
    Seeds,
    Sweep,
    diagnose,
    fit_flags,
    search_flags,
    space_flags,
    training_flags,
)
from trivet.diagnosis.importance import importance
from trivet.diagnosis.progress import progress
from trivet.reporting.sections.spot import longest_epoch
from trivet.reporting.sections.went import best_so_far, costs

LR = "tag(log, interval(0.001, 1.0))"
RNG = np.random.default_rng


def table(n: int = 40, values=None, direction: str = "maximize", params: dict | None = None, **columns) -> pd.DataFrame:
    """n completed trials of 20 epochs; any column can be given."""
    rng = RNG(0)
    frame = {
        "number": np.arange(n), "state": "COMPLETE", "reason": "", "value": rng.uniform(0.7, 0.9, n) if values is None else values,
        "step": 20.0, "best_step": 12.0, **(params if params is not None else {"lr": 10 ** rng.uniform(-3, 0, n)}), "seconds": 1.0,
        "worker": "0", "started": "",
    }  # fmt: skip
    return pd.DataFrame(frame | columns)


def make(
    trials: pd.DataFrame, entries=(("lr", LR, {}),), curves: pd.DataFrame | None = None, direction: str = "maximize", **study
) -> Sweep:
    fixed = {"number", "state", "reason", "value", "step", "best_step", "seconds", "worker", "started"}
    params = [column for column in trials.columns if column not in fixed]
    lines = [Entry(key, parse(spec, key), tuple(when.items())) for key, spec, when in entries]
    nothing = pd.DataFrame({"number": pd.Series(dtype=int), "step": pd.Series(dtype=float)})
    study = {"metric": "val/accuracy", "config": {"epochs": 20}} | study
    return Sweep("coarse", trials, nothing if curves is None else curves, params, ["value"], [direction], lines, study)


def case(sweep: Sweep, noise: float | None = None) -> Case:
    return Case(sweep, Scale(sweep.metric, sweep.trials["value"]), noise)


def curve(n: int = 5, epochs: int = 20, **columns) -> pd.DataFrame:
    """The same curves for trials 0..n-1: each column a function of the epochs (1, 2, ...) or an array."""
    steps = np.arange(1, epochs + 1)
    one = {name: part(steps) if callable(part) else np.asarray(part) for name, part in columns.items()}
    return pd.concat([pd.DataFrame({"number": number, "step": steps, **one}) for number in range(n)], ignore_index=True)


def top(n: int = 5) -> pd.DataFrame:
    """n equally good trials, so that all of them are the best."""
    return table(n, values=np.full(n, 0.9) - np.arange(n) * 1e-4)


def saturating(steps):
    return 0.9 - 0.8 * np.exp(-steps / 3.0)


def creeping(steps):
    return 0.1 + 0.04 * steps


def lrs(best: float, others: np.ndarray) -> pd.DataFrame:
    """The best five have the learning rate `best` (a little apart), the rest `others`."""
    values = np.append([0.95, 0.94, 0.93, 0.92, 0.91], np.linspace(0.5, 0.8, len(others)))
    return table(5 + len(others), values=values, params={"lr": np.append(best * np.array([1, 1.01, 0.99, 1.02, 0.98]), others)})


SPREAD = np.logspace(-3, 0, 30)
FAILED = {"state": "FAIL", "value": np.nan, "best_step": np.nan}


def with_failures(n_bad: int, reason: str, n: int = 40) -> pd.DataFrame:
    """The n_bad trials with the highest learning rates failed."""
    frame = table(n, params={"lr": np.logspace(-3, 0, n)}).astype({"step": float})
    frame.loc[frame.index[n - n_bad :], ["state", "reason", "value", "best_step", "step"]] = ["FAIL", reason, np.nan, np.nan, 2.0]
    return frame


def many_reasons() -> pd.DataFrame:
    """Ten trials that failed: four by one thing and another number each, the others by four things, one of them with a long story."""
    long = f"RuntimeError: {'mat1 and mat2 shapes cannot be multiplied, ' * 5}"
    told = [*(f"value={number} is too large" for number in range(4)), "oom", "oom", "oom", long, "no file a", "no file b"]
    return with_failures(10, "").assign(reason=["" for _ in range(30)] + told)


def pruned(n_pruned: int, n: int = 40, step: float = 5.0) -> pd.DataFrame:
    frame = table(n)
    frame.loc[frame.index[n - n_pruned :], ["state", "step", "best_step"]] = ["PRUNED", step, step]
    return frame


def sized(train: float, val: float, **more) -> Sweep:
    shape = {"train/accuracy": lambda s: saturating(s) * train / 0.9, "val/accuracy": lambda s: saturating(s) * val / 0.9}
    return make(top(), curves=curve(value=lambda s: saturating(s) * val / 0.9, **shape, **more))


ALIKE = RNG(1).normal(0.9, 1e-5, 40)
TWICE = np.tile(np.logspace(-3, 0, 20), 2)
CASES = [
    # check, table where it is raised, table where it is not
    (space_flags.edge, make(lrs(0.99, SPREAD)), make(lrs(0.05, SPREAD))),
    (space_flags.edge, make(lrs(0.00101, SPREAD)), make(table(4))),
    (space_flags.alike, make(table(values=ALIKE)), make(table())),
    (search_flags.default_best,
     make(table(values=np.linspace(0.9, 0.5, 40), params={"lr": np.append(0.1, SPREAD.repeat(2)[:39])}), defaults={"lr": 0.1}),
     make(table(values=np.linspace(0.5, 0.9, 40), params={"lr": np.append(0.1, SPREAD.repeat(2)[:39])}), defaults={"lr": 0.1})),
    (search_flags.pruned_most, make(pruned(38)), make(pruned(30))),
    (search_flags.pruned_none, make(table(), pruner={"name": "median"}), make(pruned(5), pruner={"name": "median"})),
    (search_flags.pruned_none, make(table(), pruner={"name": "median"}), make(table(), pruner={"name": "none"})),
    (training_flags.diverged, make(with_failures(12, "diverged: loss is nan")), make(with_failures(3, "diverged: loss is nan"))),
    (training_flags.diverged, make(with_failures(12, "loss is infinite")), make(with_failures(12, "out of memory"))),
    (training_flags.failed, make(with_failures(12, "out of memory")), make(with_failures(12, "diverged: loss is nan"))),
    (training_flags.one_epoch, make(pruned(12, step=1.0)), make(pruned(12, step=3.0))),
    (training_flags.noisy,
     make(top(), curves=curve(value=saturating, **{"train/loss": lambda s: 2 * np.exp(-s / 9) * (1 + 0.5 * (s % 2))})),
     make(top(), curves=curve(value=saturating, **{"train/loss": lambda s: 2 * np.exp(-s / 9)}))),
    (training_flags.noisy,
     make(top(), curves=curve(value=saturating, **{"train/loss": lambda s: 2 * np.exp(-s / 9) + 3 * (s == 15)})),
     make(top(), curves=curve(value=saturating))),
    (training_flags.best_last,
     make(top().assign(best_step=20.0), curves=curve(value=creeping)), make(top(), curves=curve(value=saturating))),
    (training_flags.best_last,  # late, but nothing was gained late: a decaying rate does that
     make(top().assign(best_step=19.0), curves=curve(value=creeping)), make(top().assign(best_step=19.0), curves=curve(value=saturating))),
    (training_flags.best_early, make(top().assign(best_step=2.0)), make(top().assign(best_step=9.0))),
    (fit_flags.overfit, sized(0.999, 0.8), sized(0.92, 0.9)),
    (fit_flags.overfit,
     sized(0.92, 0.9, **{"val/loss": lambda s: 1 / s + 0.05 * s}), sized(0.92, 0.9, **{"val/loss": lambda s: 1 / s})),
    (fit_flags.underfit, sized(0.55, 0.54), sized(0.95, 0.93)),
    (fit_flags.underfit, sized(0.55, 0.54), sized(0.75, 0.5)),
    (training_flags.slow, make(top(), curves=curve(value=creeping)), make(top(), curves=curve(value=saturating))),
    (space_flags.duplicates, make(table(params={"lr": TWICE})), make(table())),
    (space_flags.linear, make(table(), entries=[("lr", "interval(0.001, 1.0)", {})]), make(table())),
    (space_flags.linear,
     make(table(), entries=[("opt.weight_decay", "interval(0.0, 0.1)", {})]),
     make(table(), entries=[("dropout", "interval(0.0, 0.5)", {})])),
    (space_flags.too_few, make(table(9)), make(table(10))),
    (search_flags.improving, make(table(values=np.linspace(0.5, 0.9, 40))), make(table(values=np.linspace(0.9, 0.5, 40)))),
    (search_flags.flat, make(table(values=np.append(0.95, RNG(2).uniform(0.5, 0.9, 39)))), make(table(values=np.linspace(0.5, 0.9, 40)))),
]  # fmt: skip


@pytest.mark.parametrize(("check", "bad", "good"), CASES, ids=[f"{check.__name__}-{place}" for place, (check, *_) in enumerate(CASES)])
def test_flag_is_raised_where_it_must_be_and_only_there(check, bad, good):
    flag = check(case(bad))
    assert flag is not None
    assert flag.evidence.endswith(".") and flag.cause.endswith(".") and flag.mend.endswith(".")
    assert check(case(good)) is None


@pytest.mark.parametrize(("check", "bad", "good"), CASES, ids=[f"{check.__name__}-{place}" for place, (check, *_) in enumerate(CASES)])
def test_flags_hold_for_objectives_to_minimize(check, bad, good):
    def turned(sweep: Sweep) -> Sweep:
        trials = sweep.trials.assign(value=1 - sweep.trials["value"])
        curves = sweep.curves.assign(value=1 - sweep.curves["value"]) if "value" in sweep.curves else sweep.curves
        return Sweep("coarse", trials, curves, sweep.params, ["value"], ["minimize"], sweep.space, {**sweep.study, "metric": "val/error"})

    assert check(case(turned(bad))) is not None
    assert check(case(turned(good))) is None


def three_parameters(n: int, used: bool) -> Sweep:
    rng = RNG(4)
    params = {"lr": 10 ** rng.uniform(-3, 0, n), "width": rng.uniform(0, 1, n), "idle": rng.uniform(0, 1, n)}
    value = 0.9 - 0.1 * (np.log10(params["lr"]) + 1.5) ** 2 - 0.1 * params["width"] - (0.3 * params["idle"] if used else 0)
    entries = [("lr", LR, {}), ("width", "interval(0.0, 1.0)", {}), ("idle", "interval(0.0, 1.0)", {})]
    return make(table(n, values=value, params=params), entries=entries)


def test_a_parameter_that_changed_nothing():
    flag = space_flags.no_effect(case(three_parameters(200, used=False)))
    assert flag is not None and flag.evidence.startswith("idle:")
    assert space_flags.no_effect(case(three_parameters(200, used=True))) is None
    assert space_flags.no_effect(case(three_parameters(20, used=False))) is None  # too few trials to say so


def seeds_of(winner: float, default: float, spread: float = 0.002, shown: dict | None = None, others: tuple = ()) -> Seeds:
    offsets = (-spread, 0.0, spread)
    values = {0: default, 1: winner, **{place: value for place, value in enumerate(others, 2)}}
    runs = {f: {101 + i: value + offset for i, offset in enumerate(offsets)} for f, value in values.items()}
    return Seeds(runs, max(values, key=values.get), True, shown or {1: winner + 0.01})


SCALE = Scale("val/accuracy", [0.5, 0.9])
ALL_THREE = (0.902, 0.901)
SEED_CASES = [
    (search_flags.default_beats, seeds_of(0.89, 0.90), seeds_of(0.91, 0.90)),
    (search_flags.winner_differs,
     seeds_of(0.90, 0.80, others=(0.92,), shown={1: 0.93, 2: 0.92}), seeds_of(0.92, 0.80, others=(0.90,), shown={1: 0.93, 2: 0.92})),
    (search_flags.seeds_alike, seeds_of(0.9, 0.8, 0.0), seeds_of(0.9, 0.8)),
    (search_flags.seed_noise, seeds_of(0.9, 0.8, 0.02, others=ALL_THREE), seeds_of(0.9, 0.8, 0.002, others=(0.88, 0.87))),
]  # fmt: skip


@pytest.mark.parametrize(("check", "bad", "good"), SEED_CASES, ids=[check.__name__ for check, *_ in SEED_CASES])
def test_flags_of_the_seeds(check, bad, good):
    assert check(bad, SCALE) is not None
    assert check(good, SCALE) is None


def test_validation_and_test_disagree():
    seeds = seeds_of(0.92, 0.85)
    side = lambda value: {101: value, 102: value + 0.001}  # noqa: E731 - a table in words
    agree = {"winner": side(0.915), "default": side(0.85), "n_test": 10000}
    assert search_flags.val_test(seeds, SCALE, agree) is None
    worse = search_flags.val_test(seeds, SCALE, agree | {"winner": side(0.86)})
    assert worse is not None and "standard error" in worse.evidence
    turned = search_flags.val_test(seeds, SCALE, agree | {"default": side(0.95)})
    assert turned is not None and "the default is better" in turned.evidence


def test_trials_that_differ_less_than_seeds_are_alike():
    sweep = make(table(values=RNG(3).normal(0.9, 0.004, 40)))
    assert space_flags.alike(case(sweep)) is None
    flag = space_flags.alike(case(sweep, noise=0.01))
    assert flag is not None and "seeds of one and the same configuration" in flag.evidence


def test_a_gain_within_seed_noise_is_no_improvement():
    sweep = make(table(values=np.linspace(0.5, 0.9, 40)))
    gain = search_flags.progress(sweep).recent_gain
    assert search_flags.improving(case(sweep, noise=0.9 * gain)) is not None
    assert search_flags.improving(case(sweep, noise=1.1 * gain)) is None


def test_divergence_names_the_learning_rate_it_begins_at():
    flag = training_flags.diverged(case(make(with_failures(12, "diverged: loss is nan"))))
    assert "From lr=0.1425 on 12 of 12 diverged, below it 0 of 28." in flag.evidence


def test_an_edge_that_cannot_be_moved_is_no_flag():
    frame = lrs(0.5, SPREAD).drop(columns="lr").assign(dropout=np.append([0.0, 0.001, 0.002, 0.0, 0.001], np.linspace(0, 0.5, 30)))
    assert space_flags.edge(case(make(frame, entries=[("dropout", "interval(0.0, 0.5)", {})]))) is None
    upper = frame.assign(dropout=0.5 - frame["dropout"])
    assert space_flags.edge(case(make(upper, entries=[("dropout", "interval(0.0, 0.5)", {})]))) is not None


def test_a_parameter_that_makes_no_difference_has_no_edge():
    rates = np.linspace(-2.9, -0.1, 60)[::-1]
    entries = [("lr", LR, {}), ("width", "interval(0.0, 1.0)", {})]
    for width, edges in (
        (np.append(np.full(5, 0.99), RNG(1).uniform(0.1, 0.9, 55)), ["lr"]),
        (np.linspace(0.99, 0.02, 60), ["lr", "width"]),
    ):
        sweep = make(table(60, values=rates / 3 + 1 + width * (len(edges) - 1), params={"lr": 10**rates, "width": width}), entries=entries)
        assert importance(sweep).trusted and importance(sweep).idle == ["width"][len(edges) - 1 :]
        assert [entry.key for entry, *_ in space_flags.at_edges(case(sweep))] == edges


def test_one_worker_is_never_faster_than_several():
    quick = make(table(10).assign(seconds=0.1), seconds=5.0)  # nearly all of it passed between the trials
    cost = costs(quick)
    assert cost["alone"] == cost["wall"] == 5.0 and cost["alone_unpruned"] == cost["wall_unpruned"]
    busy = costs(make(table(10).assign(seconds=2.0), seconds=11.0))
    assert busy["alone"] == pytest.approx(20.0) and busy["wall"] == 11.0


def test_an_edge_of_a_conditional_range_counts_only_its_own_trials():
    frame = lrs(0.0999, SPREAD).assign(optimizer=["adam"] * 5 + ["sgd"] * 30)
    entries = [("lr", "tag(log, interval(0.00001, 0.1))", {"optimizer": "adam"}), ("lr", LR, {"optimizer": "sgd"})]
    flag = space_flags.edge(case(make(frame, entries=entries)))
    assert flag is not None and "optimizer=adam" in flag.evidence


def test_every_check_survives_every_odd_table():
    odd = [
        make(table(1)), make(table(2, values=[0.5, 0.5])), make(table(5).assign(**FAILED)), make(table(30, values=np.zeros(30))),
        make(table(8, values=[np.nan, np.inf, 0.5, -np.inf, 0.6, 0.7, np.nan, 0.8])), make(table(30, params={})),
        make(table(30, params={"lr": np.full(30, np.nan)})), make(table(30, params={"lr": np.full(30, 0.1)})),
        make(table(30).assign(state="PRUNED")), make(table(0, values=[], params={"lr": []})),
        make(table(30, params={"act": ["relu", "gelu", "tanh"] * 10}), entries=[("act", "choice(relu, gelu, tanh)", {})]),
        make(top(), curves=curve(epochs=1, value=saturating)), make(top(), curves=curve(value=lambda s: s * np.nan)),
    ]  # fmt: skip
    for sweep in odd:
        assert isinstance(diagnose([sweep]), list)


def test_worst_first_and_thresholds_are_known():
    flags = diagnose([make(with_failures(12, "out of memory")), make(table(values=ALIKE))])
    assert [flag.level for flag in flags] == sorted((flag.level for flag in flags), key=["serious", "warning", "hint"].index)
    assert all(limit in THRESHOLDS.values() for flag in flags for limit in flag.limits)
    assert all(row.source and row.unit and row.meaning for row in THRESHOLDS.values())


def test_a_healthy_search_gets_a_clean_bill():
    rng = RNG(7)
    n = 100
    lr = 10 ** rng.uniform(-3, 0, n)
    value = 0.92 - 0.1 * (np.log10(lr) + 1.5) ** 2 + rng.normal(0, 0.002, n)
    shapes = {"train/accuracy": lambda s: saturating(s) + 0.02, "val/accuracy": saturating, "train/loss": lambda s: 2 * np.exp(-s / 4)}
    sweep = make(table(n, values=value, params={"lr": lr}), curves=curve(n, value=saturating, **shapes))
    assert [flag.key for flag in diagnose([sweep]) if flag.key not in ("improving", "flat")] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "draw", "most"),
    [
        (("lr", LR, {}), lambda rng: 10 ** rng.uniform(-3, 0, 50), 0.04),
        (("bs", "choice(16, 32, 64, 128, 256)", {}), lambda rng: rng.choice([16.0, 32, 64, 128, 256], 50), 0.03),
    ],
)
def test_false_alarms_of_the_edge_rule_are_rare(entry, draw, most, monkeypatch):
    """On values that have nothing to do with the parameter: what the table of thresholds quotes, with room for chance."""
    monkeypatch.setattr(space_flags, "importance", lambda sweep: None)  # which would rule some out, and takes its time
    rng = RNG(11)
    tables = [table(50, values=rng.normal(size=50), params={entry[0]: draw(rng)}) for _ in range(400)]
    assert np.mean([bool(space_flags.at_edges(case(make(frame, entries=[entry])))) for frame in tables]) < most


def test_progress_counts_what_the_last_trials_brought():
    state = progress(make(table(40, values=np.append(np.full(38, 0.5), [0.6, 0.55]))))
    assert (state.best, state.best_trial, state.same_for, state.recent) == (0.6, 38, 1, 8)
    assert state.recent_gain == pytest.approx(0.1) and state.could_stop == 38
    assert state.trials_for(0.1) == pytest.approx(40)  # 0.1 per doubling
    flat = progress(make(table(40, values=np.full(40, 0.5))))
    assert flat.trials_for(0.01) == np.inf and flat.trials_for(0) == 0


def test_the_default_is_known_by_its_values():
    frame = table(10, params={"lr": np.full(10, 0.1), "act": ["null"] * 10})
    assert make(frame, defaults={"lr": 0.1, "act": None}).default_number == 0
    assert make(frame, defaults={"lr": 0.2, "act": None}).default_number is None
    assert make(frame.assign(number=frame["number"] + 1), defaults={"lr": 0.1}).default_number is None


def test_a_copy_costs_nothing():
    once = make(table(6).assign(state=["COMPLETE", "PRUNED", "FAIL"] * 2, step=[20.0, 5.0, np.nan] * 2))
    copies = once.trials.assign(reason=[copied.reason(0)] * 6, seconds=0.0)
    both = make(pd.concat([once.trials, copies[copies["state"] != "FAIL"]], ignore_index=True).assign(number=range(10)))
    assert (once.epochs, once.epochs_unpruned) == (both.epochs, both.epochs_unpruned) == (50, 80)
    assert costs(once) == costs(both)
    assert best_so_far(both)["epochs"].iloc[-1] == 50 and longest_epoch(both) == longest_epoch(once) == 0.2


def test_every_check_is_in_the_tables_above():
    tested = {check.__name__ for check, *_ in CASES} | {"no_effect"}
    assert {check.__name__ for check in (*EVERY, *LAST)} == tested


def test_flags_are_plain_values():
    flag = space_flags.too_few(case(make(table(9))))
    assert dataclasses.asdict(flag)["key"] == "too_few"


def test_equal_trials_are_ranked_by_their_loss():
    trials = table(3, values=[0.9, 0.9, 0.8])
    assert list(make(trials).ranked["number"]) == [0, 1, 2]
    curves = pd.DataFrame({"number": [0, 0, 1, 2], "step": [11.0, 12.0, 12.0, 12.0], "val/loss": [0.1, 0.5, 0.4, 0.0]})
    assert list(make(trials, curves=curves).ranked["number"]) == [1, 0, 2]
