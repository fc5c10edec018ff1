"""Models: shapes for every kind of input, sizes by hand, many at once, and the refusals."""

import copy
import math
import sys
import types

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from trivet.errors import UserError
from trivet.training import models

SIGNAL = {"task": "classification", "n_classes": 10, "input_shape": [1, 40]}
IMAGE = {"task": "classification", "n_classes": 3, "input_shape": [2, 12, 16]}
FLAT = {"task": "classification", "n_classes": 2, "input_shape": [7]}
TARGETS = {"task": "regression", "n_classes": None, "n_outputs": 2, "input_shape": [7], "y_mean": [10.0, -10.0], "y_std": [2.0, 0.5]}

MLP = {"name": "mlp", "width": 8, "depth": 2}
CNN = {"name": "cnn", "channels": 6, "depth": 2, "kernel": 3}
RESNET = {"name": "resnet", "channels": 4, "depth": 1, "kernel": 3}
GRU = {"name": "gru", "width": 5, "depth": 1}
TRANSFORMER = {"name": "transformer", "width": 8, "depth": 2, "heads": 2, "patch": 4}
SPATIAL = [CNN, {**CNN, "norm": "batch", "dropout": 0.2}, {**CNN, "norm": "group", "activation": "gelu"}, {**CNN, "kernel": 7, "depth": 7}]
SPATIAL += [RESNET, {**RESNET, "norm": "group", "dropout": 0.2}, GRU, {**GRU, "depth": 2, "bidirectional": True, "dropout": 0.2}]
SPATIAL += [TRANSFORMER, {**TRANSFORMER, "dropout": 0.2}]
ANY = [{"name": "linear"}, MLP, {**MLP, "norm": "batch", "dropout": 0.2, "activation": "silu"}, {**MLP, "norm": "layer"}]


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("config", "meta"),
    [(config, meta) for config in ANY for meta in (SIGNAL, IMAGE, FLAT)] + [(c, m) for c in SPATIAL for m in (SIGNAL, IMAGE)],
)
def test_output_and_gradients(config, meta):
    model = models.build(config, meta)
    y = model(torch.randn(4, *meta["input_shape"]))
    assert y.shape == (4, meta["n_classes"])
    y.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    model.eval()
    x = torch.randn(3, *meta["input_shape"])
    assert torch.equal(model(x), model(x))
    assert torch.allclose(model(x)[:1], model(x[:1]), atol=1e-5)  # a sample's output does not depend on its neighbours


@pytest.mark.parametrize(
    ("config", "meta", "expected"),
    [
        ({"name": "linear"}, SIGNAL, 40 * 10 + 10),
        (MLP, SIGNAL, (40 * 8 + 8) + (8 * 8 + 8) + (8 * 10 + 10)),
        ({**MLP, "norm": "batch"}, SIGNAL, (40 * 8 + 16) + (8 * 8 + 16) + (8 * 10 + 10)),
        (CNN, SIGNAL, (3 * 6 + 6) + (6 * 6 * 3 + 6) + (6 * 10 * 10 + 10)),
        (CNN, IMAGE, (2 * 9 * 6 + 6) + (6 * 6 * 9 + 6) + (6 * 3 * 4 * 3 + 3)),
        (GRU, SIGNAL, 3 * (5 * 1 + 5 * 5 + 5 + 5) + (5 * 10 + 10)),
        (GRU, IMAGE, 3 * (5 * 32 + 5 * 5 + 5 + 5) + (5 * 3 + 3)),
    ],
)
def test_number_of_weights(config, meta, expected):
    assert count(models.build(config, meta)) == expected


def test_the_seed_decides_the_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in models.build(CNN, SIGNAL).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    "config", [{"name": "linear"}, {**MLP, "norm": "batch"}, {**CNN, "norm": "batch"}, RESNET, TRANSFORMER], ids=lambda c: c["name"]
)
@pytest.mark.filterwarnings("ignore:There is a performance drop")  # attention on CPU runs one model at a time
def test_many_models_run_as_one(config):
    """What the next storey needs; the gru has no such rule in torch."""
    several = [models.build(config, SIGNAL) for _ in range(3)]
    params, buffers = stack_module_state(several)
    skeleton, x = copy.deepcopy(several[0]).to("meta"), torch.randn(8, 1, 40)

    def outputs(p, b):
        return functional_call(skeleton, (p, b), (x,))

    together = vmap(outputs, randomness="different")(params, buffers)
    assert torch.allclose(together, torch.stack([model(x) for model in several]), atol=1e-5)
    slopes = vmap(grad(lambda p, b: outputs(p, b).square().sum()), randomness="different")(params, buffers)
    assert all(torch.isfinite(slope).all() for slope in slopes.values())


def test_regression_answers_in_the_units_of_the_target():
    model = models.build({"name": "linear"}, TARGETS)
    torch.nn.init.zeros_(model[0][1].weight)
    torch.nn.init.ones_(model[0][1].bias)
    assert model(torch.randn(3, 7)).tolist() == [[12.0, -9.5]] * 3
    assert {"1.mean", "1.std"} <= set(model.state_dict())


class Own(torch.nn.Module):
    def __init__(self, input_shape, n_outputs, width=3):
        super().__init__()
        if width < 1:
            raise ValueError("width must be positive")
        self.body = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(math.prod(input_shape), width), torch.nn.Linear(width, n_outputs)
        )

    def forward(self, x):
        return self.body(x)


@pytest.fixture(autouse=True)
def own_module(monkeypatch):
    module = types.ModuleType("own_models")
    module.Own, module.number, module.size = Own, lambda input_shape, n_outputs: 7, 7
    monkeypatch.setitem(sys.modules, "own_models", module)


def test_a_model_of_your_own():
    model = models.build({"_target_": "own_models.Own", "width": 5, "space": {"width": [3, 5]}}, SIGNAL)
    assert count(model) == 40 * 5 + 5 + 5 * 10 + 10
    assert models.build({"_target_": "own_models.Own"}, TARGETS)(torch.zeros(4, 7)).shape == (4, 2)


@pytest.mark.parametrize(
    ("config", "meta", "message"),
    [
        ({"name": "vgg"}, SIGNAL, "model.name=vgg: must be one of linear, mlp, cnn, resnet, gru, transformer"),
        ({**MLP, "width": 0}, SIGNAL, "model.width=0: must be a whole number >= 1 and <= 65536"),
        ({**MLP, "depth": 1.5}, SIGNAL, "model.depth=1.5: must be a whole number >= 1 and <= 100"),
        ({**MLP, "dropout": 1}, SIGNAL, "model.dropout=1: must be a number >= 0 and < 1"),
        ({**MLP, "activation": "elu"}, SIGNAL, "model.activation=elu: must be one of relu, gelu, silu, tanh, leaky_relu"),
        ({**MLP, "norm": "group"}, SIGNAL, "model.norm=group: must be one of null, batch, layer"),
        ({**MLP, "kernel": 3}, SIGNAL, "model.kernel is not a key of model=mlp: allowed are width, depth, activation, norm, dropout"),
        ({**CNN, "kernel": 4}, SIGNAL, "model.kernel=4: must be one of 3, 5, 7, 9, 11"),
        (CNN, FLAT, "model=cnn: takes inputs of shape (C, L) or (C, H, W), and the data has (7,): use model=mlp or model=linear"),
        ({**TRANSFORMER, "heads": 3}, SIGNAL, "model.heads=3: must divide model.width=8"),
        ({**TRANSFORMER, "patch": 3}, IMAGE, "model.patch=3: must divide the sides of the input, 12 x 16"),
        ({"_target_": "Own"}, SIGNAL, "model._target_=Own: must be an import path such as package.module.Class"),
        ({"_target_": "own_models.number"}, SIGNAL, "model._target_=own_models.number: must give a torch.nn.Module, not int"),
        (
            {"_target_": "own_models.Own", "width": 0},
            SIGNAL,
            "model._target_=own_models.Own: called with input_shape, n_outputs, width, it answers: width must be positive",
        ),
    ],
)
def test_refusals(config, meta, message):
    with pytest.raises(UserError) as error:
        models.build(config, meta)
    assert str(error.value) == message


@pytest.mark.parametrize("target", ["own_models.Other", "no_such_module.Net", "own_models.size"])
def test_a_target_that_is_not_there(target):
    with pytest.raises(UserError, match=f"model._target_={target}: "):
        models.build({"_target_": target}, SIGNAL)
