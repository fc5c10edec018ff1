"""Numbers, times, scales and settings in words, as the report writes them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trivet.reporting.words import Scale, duration, listing, log_ticks, number, override_list, settings


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1, "1"), (12345, "12,345"), (0.5, "0.5"), (0.123456, "0.1235"), (1e-5, "1e-5"), (1.5e-7, "1.5e-7"), (123456.7, "123,457"),
     (-0.25, "-0.25"), (1e9, "1e9"), (float("nan"), "not a number"), (float("inf"), "infinite"), (1999.96, "2,000"), (99.996, "100")],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "0.5 s"), (42, "42 s"), (90, "1.5 min"), (5400, "1.5 h"), (200000, "2.3 days"), (None, "not known")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_scales():
    percent, plain = Scale("val/accuracy", [0.1, 0.9]), Scale("val/rmse", [0.1, 3])
    assert (percent.show(0.9432), percent.delta(0.01), percent.label) == ("94.32 %", "1.00 percentage points", "val/accuracy (%)")
    assert (plain.show(0.9432), plain.delta(0.01), plain.label) == ("0.9432", "0.01", "val/rmse")
    assert not Scale("val/accuracy", [0.1, 94.0]).percent
    assert listing(["a", "b", "c"]) == "a, b and c"


ACCURACIES = (
    "val/accuracy",
    "val_acc",
    "acc",
    "Acc",
    "Accuracy",
    "valAcc",
    "valacc",
    "MulticlassAccuracy",
    "ACC",
    "VAL_ACCURACY",
    "acc@5",
    "acc1",
    "top1_acc",
)
OTHERS = (
    "jaccard",
    "JaccardIndex",
    "acceleration",
    "vaccine_rate",
    "accumulated_cost",
    "AccumulatedCost",
    "maccs",
    "ACCELERATION",
    "accident_rate",
)


def test_an_accuracy_says_so_in_a_word_of_its_own():
    assert [name for name in (*ACCURACIES, *OTHERS) if Scale(name, [0.1, 0.9]).percent] == list(ACCURACIES)
    assert Scale("val/accuracy", [0.5]).share and Scale("acc@5", [0.5]).share and not Scale("val/accuracy", [50.0]).share
    for averaged in ("val/balanced_accuracy", "macro_acc", "mean_class_accuracy", "MeanClassAccuracy", "acc_per_class"):
        assert Scale(averaged, [0.5]).percent and not Scale(averaged, [0.5]).share


@pytest.mark.parametrize(
    ("metric", "values", "expected"),
    [
        ("val/f1_macro", [0.5, 0.7], "0.33 to 1"), ("val/auc", [0.5, 0.7], "0.33 to 1"), ("r2", [-2.0, 0.7], "0.33 to 1"),
        ("val/rmse", [0.5, 0.7], "0.33 to 1.11"), ("bleu", [30.0, 0.7], "0.33 to 1.11"), ("val/accuracy", [0.5], "33.00 % to 100.00 %"),
    ],
)  # fmt: skip
def test_an_interval_ends_where_the_metric_does(metric, values, expected):
    assert Scale(metric, values).interval(0.33, 1.11) == expected


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-5, 1e-1, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]),
        (16, 130, [20, 50, 100]),
        (0.01, 0.032, [0.01, 0.02, 0.03]),
        (0.021, 0.029, [0.022, 0.025, 0.028]),
        (1e-12, 1, [1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1]),
        (0, 1, []),
        (1, 1, []),
    ],
)
def test_log_ticks(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_settings_become_overrides_that_hydra_reads_back():
    row = pd.Series({
        "optimizer.lr": 0.1, "optimizer": "adam", "width": 32.0, "off": np.nan, "act": "null", "odd": "a b", "warmup": "0.05", "on": "true",
        "version": "5", "shape": "[1,2]",
    })  # fmt: skip
    values = settings(row, list(row.index), {"version": {"5": "5"}, "shape": {"[1,2]": [1, 2]}})
    assert values == {
        "optimizer.lr": 0.1, "optimizer": "adam", "width": 32, "act": None, "odd": "a b", "warmup": 0.05, "on": True, "version": "5",
        "shape": [1, 2],
    }  # fmt: skip
    assert override_list(values) == [
        "optimizer=adam", "width=32", "act=null", "odd='a b'", "warmup=0.05", "on=true", "version='5'", "shape=[1,2]", "optimizer.lr=0.1",
    ]  # fmt: skip
