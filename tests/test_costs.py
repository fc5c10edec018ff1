"""What models cost: numbers that can be counted by hand, where they go, and what is refused."""

import pytest
import torch
from small_training import blobs, config, numbers
from torch import nn

from trivet.errors import UserError
from trivet.study.tables import VARYING_METRICS
from trivet.training import check_config, costs, train

MLP = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
CNN = nn.Sequential(nn.Conv1d(1, 5, 3, padding=1), nn.BatchNorm1d(5), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(5, 3))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 4, batch_first=True)

    def forward(self, x):
        return self.gru(x)[0][:, -1]


@pytest.mark.parametrize(
    ("model", "shape", "n_parameters", "n_flops"),
    [
        (MLP, (4,), 4 * 8 + 8 + 8 * 3 + 3, 2 * (4 * 8 + 8 * 3)),
        (CNN, (1, 10), 5 * 3 + 5 + 10 + 18, 2 * (10 * 5 * 3 + 5 * 3)),
        (Recurrent(), (6, 2), 12 * 2 + 12 * 4 + 24, 2 * 6 * (12 * 2 + 12 * 4)),
    ],
    ids=["mlp", "cnn", "gru"],
)
def test_counts_by_hand(model, shape, n_parameters, n_flops):
    model.train()
    x = torch.randn(7, *shape)
    found = costs.of_model(costs.NAMES, model, x)
    assert (found["parameters"], found["flops"]) == (n_parameters, n_flops)
    assert model.training and found["latency"] > 0 and set(found) == {"parameters", "flops", "latency"}
    next(iter(model.parameters())).requires_grad_(False)
    assert costs.of_model(["parameters"], model, x)["parameters"] < n_parameters
    next(iter(model.parameters())).requires_grad_(True)


def test_those_of_a_run_so_far():
    found = costs.of_epoch(costs.NAMES, [{"seconds": 1.0}, {"seconds": 2.5}], torch.device("cpu"))
    assert found["train_seconds"] == 3.5 and 10 < found["peak_memory"] < 10**6
    assert costs.of_epoch(["flops"], [], torch.device("cpu")) == {}


def test_a_run_reports_them_and_gives_its_objectives():
    data, heard = blobs(), []
    plain = train(config(epochs=2), data)
    given = config(epochs=2, costs=["latency"], objectives=["parameters", "val/loss", "train_seconds"])
    result = train(given, data, lambda value, step, metrics: heard.append(metrics))
    best = result.curves[result.best_step - 1]
    assert result.objectives(given) == [result.value, best["parameters"], best["val/loss"], best["train_seconds"]]
    assert plain.objectives(config()) == plain.value == result.value
    assert [set(metrics) - set(plain.curves[0]) for metrics in heard] == [{"parameters", "latency", "train_seconds"}] * 2
    known = set(plain.curves[0])
    assert [{k: v for k, v in m.items() if k in known} for m in numbers(result.curves)] == numbers(plain.curves), "it trains as without"


def test_what_varies_is_known_to_the_tables():
    assert set(costs.VARYING) <= set(VARYING_METRICS) and not set(costs.REPEATED) & set(VARYING_METRICS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"costs": ["weight"]}, "costs=['weight']: must be a list of items, each one of parameters"),
        ({"objectives": ["size"]}, "objectives=['size']: must be a list"),
        ({"objectives": ["val/accuracy"]}, "objectives=val/accuracy: is an objective already"),
        ({"objectives": ["flops", "flops"]}, "objectives=flops: is an objective already"),
        ({"objectives": ["val/rmse"]}, "objectives=val/rmse: the data is a classification task"),
    ],
)
def test_what_is_refused(changes, said):
    with pytest.raises(UserError) as refused:
        check_config(config(**changes), "classification")
    assert said in str(refused.value) and "\n" not in str(refused.value)
