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
