"""Optimizers: one step against the formula, checkpoints that continue exactly, and the refusals."""

import io

import pytest
import torch

from trivet.errors import UserError
from trivet.training import optimizers

CONFIGS = [
    {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"name": "adam", "lr": 0.1, "weight_decay": 0.01},
    {"name": "adamw", "lr": 0.1, "weight_decay": 0.01},
    {"name": "rmsprop", "lr": 0.1, "momentum": 0.5, "weight_decay": 0.01},
    {"name": "radam", "lr": 0.1, "decoupled": True, "weight_decay": 0.01},
    {"name": "nadam", "lr": 0.1, "weight_decay": 0.01},
]
ALL = CONFIGS + [{**config, "lookahead": 3, "lookahead_alpha": 0.4} for config in CONFIGS]


def name(config):
    return config["name"] + ("+lookahead" if config.get("lookahead") else "")


def parameters():
    return [torch.nn.Parameter(torch.tensor([1.0, -2.0])), torch.nn.Parameter(torch.ones(2, 2))]


def steps(optimizer, params, n):
    """n steps down a bowl whose bottom is at 3."""
    for _ in range(n):
        optimizer.zero_grad()
        sum(((p - 3) ** 2).sum() for p in params).backward()
        optimizer.step()


def first_step(config):
    """The weight after one step from 1 with gradient 2."""
    param = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = optimizers.build(config, [param])
    (2 * param).sum().backward()
    optimizer.step()
    return param.item()


@pytest.mark.parametrize("config", ALL, ids=name)
def test_a_first_step_left_out_in_fp16_leaves_nothing(config, monkeypatch):
    """Gradients often overflow there; what an optimizer makes without filling it is NaN here."""
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True)
    try:
        ends = []
        for scales in ([2.0**127, 1.0], [1.0]):
            params = parameters()
            optimizer = optimizers.build(config, params)
            for scale in scales:
                scaler = torch.amp.GradScaler("cpu", init_scale=scale)
                optimizer.zero_grad()
                scaler.scale(sum(((p - 3) ** 2).sum() for p in params) * 4).backward()
                scaler.unscale_(optimizer)
                scaler.step(optimizer)
                scaler.update()
            ends.append(params)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"name": "sgd", "lr": 0.1}, 0.8),
        ({"name": "sgd", "lr": 0.1, "weight_decay": 0.5}, 1 - 0.1 * 2.5),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.9}, 0.8),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}, 1 - 0.1 * (2 + 0.9 * 2)),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.0, "nesterov": True}, 0.8),  # the same update as plain SGD, not torch's ValueError
        ({"name": "adam", "lr": 0.1}, 0.9),
        ({"name": "adam", "lr": 0.1, "weight_decay": 0.5}, 0.9),  # L2: Adam divides it away
        ({"name": "adamw", "lr": 0.1, "weight_decay": 0.5}, 1 * (1 - 0.05) - 0.1),
        ({"name": "radam", "lr": 0.1, "weight_decay": 0.5, "decoupled": True}, 1 * (1 - 0.05) - 0.1 * 2),
        ({"name": "rmsprop", "lr": 0.1}, 1 - 0.1 * 2 / (0.01 * 4) ** 0.5),
        ({"name": "sgd", "lr": 0.1, "lookahead": 1, "lookahead_alpha": 0.25}, 1 - 0.25 * 0.2),
        ({"name": "sgd", "lr": 0.1, "lookahead": 2, "lookahead_alpha": 0.25}, 0.8),
    ],
)
def test_first_step(config, expected):
    assert first_step(config) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("config", ALL, ids=name)
def test_finds_the_bottom(config):
    params = parameters()
    before = sum(((p - 3) ** 2).sum() for p in params).item()
    steps(optimizers.build({**config, "weight_decay": 0.0}, params), params, 60)
    assert sum(((p - 3) ** 2).sum() for p in params).item() < before / 2


@pytest.mark.parametrize("config", ALL, ids=name)
@pytest.mark.parametrize("n", [1, 4, 6])  # inside and at the end of a lookahead round of 3
def test_a_checkpoint_continues_bit_for_bit(config, n):
    whole = parameters()
    steps(optimizers.build(config, whole), whole, 10)

    first = parameters()
    optimizer = optimizers.build(config, first)
    steps(optimizer, first, n)
    file = io.BytesIO()
    torch.save({"params": [p.data for p in first], "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)

    second = [torch.nn.Parameter(p) for p in saved["params"]]
    optimizer = optimizers.build(config, second)
    optimizer.load_state_dict(saved["optimizer"])
    steps(optimizer, second, 10 - n)
    assert all(torch.equal(a, b) for a, b in zip(whole, second, strict=True))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "lion", "lr": 1}, "optimizer.name=lion: must be one of sgd, adam, adamw, rmsprop, radam, nadam"),
        ({"name": "sgd"}, "optimizer.lr is missing: must be a number > 0"),
        ({"name": "sgd", "lr": 0}, "optimizer.lr=0: must be a number > 0"),
        ({"name": "sgd", "lr": "1e-3"}, "optimizer.lr=1e-3: must be a number > 0"),
        ({"name": "sgd", "lr": 1, "momentum": 1}, "optimizer.momentum=1: must be a number >= 0 and < 1"),
        ({"name": "adam", "lr": 1, "weight_decay": -1}, "optimizer.weight_decay=-1: must be a number >= 0"),
        ({"name": "adam", "lr": 1, "lookahead": 0}, "optimizer.lookahead=0: must be null or a whole number >= 1"),
        (
            {"name": "adam", "lr": 1, "momentum": 0.9},
            "optimizer.momentum is not a key of optimizer=adam: "
            "allowed are lr, weight_decay, lookahead, lookahead_alpha, encoder_lr, layer_decay, beta1, beta2, eps",
        ),
    ],
)
def test_refusals(config, message):
    with pytest.raises(UserError) as error:
        optimizers.build(config, parameters())
    assert str(error.value) == message


def test_a_model_without_parameters():
    with pytest.raises(UserError, match="no parameters"):
        optimizers.build({"name": "sgd", "lr": 1}, [])
