"""Losses against values worked out by hand, and the refusals."""

import math

import pytest
import torch

from trivet.errors import UserError
from trivet.training import losses

CLASSES = {"task": "classification", "n_classes": 2}
TARGETS = {"task": "regression", "n_classes": None, "n_outputs": 1, "y_mean": [0.0], "y_std": [2.0]}
LOGITS = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # p of class 0: 0.75, 0.5
Y = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"name": "cross_entropy"}, -(math.log(0.75) + math.log(0.5)) / 2),
        ({"name": "cross_entropy", "label_smoothing": 0.0, "space": {"label_smoothing": [0, 0.1]}}, -(math.log(0.75) + math.log(0.5)) / 2),
        ({"name": "cross_entropy", "label_smoothing": 0.2}, -(0.9 * math.log(0.75) + 0.1 * math.log(0.25) + math.log(0.5)) / 2),
        ({"name": "focal", "gamma": 0}, -(math.log(0.75) + math.log(0.5)) / 2),
        ({"name": "focal", "gamma": 2.0}, -(0.25**2 * math.log(0.75) + 0.5**2 * math.log(0.5)) / 2),
    ],
)
def test_classification(config, expected):
    assert losses.build(config, CLASSES)(LOGITS, Y).item() == pytest.approx(expected, rel=1e-6)


def test_focal_is_finite_where_the_model_is_sure():
    logits = torch.tensor([[100.0, -100.0]], requires_grad=True)
    loss = losses.build({"name": "focal", "gamma": 0.5}, CLASSES)(logits, torch.tensor([0]))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(logits.grad).all()


def test_mse_is_in_deviations_of_the_target():
    loss = losses.build({"name": "mse"}, TARGETS)
    assert loss(torch.tensor([[4.0], [0.0]]), torch.tensor([[0.0], [0.0]])).item() == pytest.approx((4 / 2) ** 2 / 2)


def test_mse_refuses_to_broadcast():
    with pytest.raises(UserError, match=r"output has shape \(3, 1\), the target \(3,\)"):
        losses.build({"name": "mse"}, TARGETS)(torch.zeros(3, 1), torch.zeros(3))


@pytest.mark.parametrize(
    ("config", "meta", "message"),
    [
        ({"name": "hinge"}, CLASSES, "loss.name=hinge: must be one of cross_entropy, focal, mse"),
        ({"name": "mse"}, CLASSES, "loss=mse: the data is a classification task: choose loss=cross_entropy or loss=focal"),
        ({"name": "focal", "gamma": 1}, TARGETS, "loss=focal: the data is a regression task: choose loss=mse"),
        ({"name": "focal", "gamma": -1}, CLASSES, "loss.gamma=-1: must be a number >= 0"),
        ({"name": "cross_entropy", "label_smoothing": 1}, CLASSES, "loss.label_smoothing=1: must be a number >= 0 and < 1"),
        ({"name": "mse", "gamma": 1}, TARGETS, "loss.gamma is not a key of loss=mse: it has none"),
    ],
)
def test_refusals(config, meta, message):
    with pytest.raises(UserError) as error:
        losses.build(config, meta)
    assert str(error.value) == message


# Class weights

MANY = torch.tensor([0, 0, 0, 1])


@pytest.mark.parametrize(("given", "weights"), [(None, None), ("balanced", [4 / (2 * 3), 4 / 2]), ([1, 3.0], [1.0, 3.0])])
@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_class_weights_count_in_training_alone(name, given, weights):
    config = {"name": name, "class_weights": given, **({"gamma": 2.0} if name == "focal" else {})}
    powers = (0.25**2, 0.5**2) if name == "focal" else (1, 1)
    each = [-powers[0] * math.log(0.75), -powers[1] * math.log(0.5)]  # of LOGITS and Y
    w = weights or [1, 1]
    assert losses.build(config, CLASSES, MANY)(LOGITS, Y).item() == pytest.approx((w[0] * each[0] + w[1] * each[1]) / sum(w), rel=1e-6)
    assert losses.build(config, CLASSES)(LOGITS, Y).item() == pytest.approx(sum(each) / 2, rel=1e-6)


def test_a_class_that_is_not_there_weighs_nothing():
    assert losses.class_weights("balanced", 3, MANY).tolist() == pytest.approx([4 / 9, 4 / 3, 0.0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, 2, 3], "loss.class_weights=[1, 2, 3]: must be null, balanced, or 2 numbers, one for each class"),
        ([1, 0], "loss.class_weights=[1, 0]: must be null or one of balanced or a list of at least 1 items, each a number > 0"),
        ("equal", "loss.class_weights=equal: must be null or one of balanced or a list of at least 1 items, each a number > 0"),
    ],
)
def test_odd_class_weights(given, message):
    with pytest.raises(UserError) as error:
        losses.build({"name": "cross_entropy", "class_weights": given}, CLASSES, MANY)
    assert str(error.value) == message
