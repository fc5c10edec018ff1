"""Metrics by name: against numbers worked out by hand, as the objective of a training, and where they have no value."""

import math

import pytest
import torch
from small_training import ORDER, REGRESSION, blobs, config, line, numbers, same

from trivet import UserError, training
from trivet.training import metrics

P = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
Y = torch.tensor([0, 0, 1, 1])  # predicted: 0 0 1 0; class 2 is neither there nor predicted
OUT, TARGETS = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 3.0]]), torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 3.0]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 3 / 4),
        ("balanced_accuracy", (1 + 1 / 2) / 2),
        ("f1_macro", (2 * 2 / (2 * 2 + 1) + 2 / 3) / 2),
        ("f1_weighted", (2 * 2 / (2 * 2 + 1) + 2 / 3) / 2),  # two samples of each
        ("auc", (3 / 4 + 3 / 4) / 2),
        ("log_loss", -(math.log(0.7) + math.log(0.5) + math.log(0.7) + math.log(0.3)) / 4),
    ],
)
def test_classification(name, expected):
    assert metrics.compute(name, P.log(), Y, "classification") == pytest.approx(expected, rel=1e-6)


def test_weighted_f1_counts_samples():
    y = torch.tensor([0, 0, 0, 1])  # predicted 0 0 1 0
    assert metrics.compute("f1_weighted", P.log(), y, "classification") == pytest.approx((3 * 2 * 2 / (2 * 2 + 2) + 0) / 4)
    assert metrics.compute("f1_macro", P.log(), y, "classification") == pytest.approx(2 * 2 / (2 * 2 + 2) / 2)


def test_auc_of_two_classes_is_that_of_the_second():
    p = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]])
    assert metrics.compute("auc", p.log(), torch.tensor([0, 0, 1, 1]), "classification") == 3 / 4


@pytest.mark.parametrize(("name", "expected"), [("rmse", math.sqrt(5 / 6)), ("mae", 3 / 6), ("r2", (1 - 5 / 2 + 1) / 2)])
def test_regression(name, expected):
    assert metrics.compute(name, OUT, TARGETS, "regression") == pytest.approx(expected, rel=1e-6)


def test_where_a_metric_has_no_value():
    assert math.isnan(metrics.compute("auc", P.log(), torch.zeros(4, dtype=torch.int64), "classification"))
    assert math.isnan(metrics.compute("f1_macro", P.log() * math.nan, Y, "classification"))


@pytest.mark.parametrize("name", metrics.NAMES["classification"])
@pytest.mark.parametrize("split", ["val", "train"])
def test_any_can_be_the_objective(split, name):
    direction = "minimize" if name in metrics.LOWER_IS_BETTER else "maximize"
    result = training.train(config(metric=f"{split}/{name}", direction=direction, epochs=3), blobs())
    plain = training.train(config(epochs=3), blobs())
    best = min if direction == "minimize" else max
    assert result.value == best(metrics[f"{split}/{name}"] for metrics in result.curves)
    extra = [] if name == "accuracy" else [f"train/{name}", f"val/{name}"]
    assert set(result.curves[0]) == {*ORDER, *extra}
    assert [{key: row[key] for key in ORDER if key != "seconds"} for row in result.curves] == numbers(plain.curves)  # nothing else moves


def test_more_metrics_are_told_beside_the_objective(tmp_path):
    c, data = config(metrics=["auc", "f1_macro", "auc"]), blobs()
    result = training.train(c, data)
    assert {"train/auc", "val/auc", "val/f1_macro"} < set(result.curves[0])
    same(training.train(config(), data), plain_of(result))
    training.save_model(tmp_path / "model.pt", c, result, data.meta)
    again = training.evaluate(training.load_model(tmp_path / "model.pt"), data.val)
    at_best = result.curves[result.best_step - 1]
    assert again == pytest.approx({key: at_best[f"val/{key}"] for key in ("loss", "accuracy", "auc", "f1_macro")}, rel=1e-5)


def plain_of(result):
    """The result without the metrics that were asked for."""
    curves = [{key: row[key] for key in ORDER} for row in result.curves]
    return training.Result(result.value, result.best_step, curves, result.state)


def test_a_regression_by_its_mean_absolute_error():
    result = training.train(config(**REGRESSION | {"metric": "val/mae"}, metrics=["r2"], epochs=3), line())
    assert result.value == min(row["val/mae"] for row in result.curves) and "val/r2" in result.curves[0]


def test_class_weights_move_the_training_and_not_the_validation_loss():
    data = blobs(n_train=60)
    first, weighted = (
        training.Run(config(loss={"name": "cross_entropy", "class_weights": weights}), data) for weights in (None, [1.0, 1.0, 50.0])
    )
    assert torch.equal(first._validate()[0], weighted._validate()[0])
    x, y = next(iter(first.batches(1)))
    assert first.step(x, y, False)[0] != weighted.step(x, y, False)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "val/f1_macr"}, "did you mean val/f1_macro"),
        ({"metric": "val/log_loss"}, "metric=val/log_loss is to be minimized; set direction=minimize"),
        ({"metric": "val/r2"}, "metric=val/r2: the data is a classification task; set metric=val/accuracy direction=maximize"),
        ({"metrics": ["mae"]}, "metrics=mae: the data is a classification task: choose among balanced_accuracy, f1_macro"),
        ({"metrics": "auc"}, "metrics=auc: must be a list of items, each one of balanced_accuracy"),
        ({"metrics": ["accuracy"]}, "must be a list of items"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(UserError) as error:
        training.train(config(**changes), blobs())
    assert message in str(error.value)


def test_auc_needs_two_classes():
    data = blobs()
    data.val.y[:] = 0
    with pytest.raises(UserError, match="all of one class"):
        training.train(config(metric="val/auc"), data)
