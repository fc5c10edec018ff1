"""The range test on curves whose answer is known, and on a small problem."""

import math

import pytest
import torch
import yaml
from small_training import blobs, config

from trivet import UserError
from trivet.space import parse
from trivet.training import lr_range

LRS = [10 ** (-6 + 7 * i / 199) for i in range(200)]


def valley(start=1e-3, floor=1e-1, top=2.3, low=0.7):
    """A loss that is flat, falls evenly in log lr from `start` to `floor`, and then grows fast."""
    losses = []
    for lr in LRS:
        share = (math.log10(lr) - math.log10(start)) / (math.log10(floor) - math.log10(start))
        losses.append(top - (top - low) * min(max(share, 0.0), 1.0) + max(0.0, math.log10(lr / floor)) * 3)
    return losses


@pytest.mark.parametrize(("start", "floor"), [(1e-3, 1e-1), (1e-5, 1e-2), (1e-4, 1.0)])
def test_the_region_of_a_valley(start, floor):
    region = lr_range.suggest(LRS, valley(start, floor))
    quarter = start * (floor / start) ** 0.25
    assert quarter / 2 < region.low < quarter * 2
    assert floor / 4 < region.high < floor * 1.2  # the smoothing rounds the corner towards the safe side
    assert region.low <= region.steepest <= region.suggested <= region.high
    assert region.blew_up is None


def test_smoothing_keeps_the_place_of_the_minimum_and_takes_off_noise():
    generator = torch.Generator().manual_seed(0)
    noisy = [loss + 0.2 * torch.randn((), generator=generator).item() for loss in valley()]
    region = lr_range.suggest(LRS, noisy, blew_up=5.0)
    assert 0.02 < region.high < 0.12 and 1e-3 < region.low < 1e-2
    assert region.blew_up == 5.0


def test_the_steepest_place_is_found():
    losses = [2.0 - 1.5 / (1 + math.exp(-8 * math.log10(lr / 3e-3))) for lr in LRS]
    assert lr_range.suggest(LRS, losses).steepest == pytest.approx(3e-3, rel=0.2)


@pytest.mark.parametrize("losses", [[2.0] * 200, [2.0 + i for i in range(200)], [2.0 - 0.0001 * i for i in range(200)]])
def test_a_loss_that_does_not_fall_has_no_region(losses):
    assert lr_range.suggest(LRS, losses) is None


@pytest.mark.parametrize("losses", [[], [1.0], [2.0, 1.0]])
def test_too_short_a_curve_has_no_region(losses):
    assert lr_range.suggest(LRS[: len(losses)], losses) is None


def test_a_fall_to_the_very_end():
    region = lr_range.suggest(LRS, [3.0 - i / 100 for i in range(200)])
    assert region.high == pytest.approx(LRS[-1]) and region.steepest <= region.suggested <= region.high


@pytest.mark.parametrize(
    ("losses", "expected"), [([5.0] * 9, [5.0] * 9), ([1.0], [1.0]), ([], []), ([1.0, 3.0], [(1 + 0.4 / 0.19 - 0.01 / 0.19) / 2, None])]
)
def test_smoothing_by_hand(losses, expected):
    smoothed = lr_range.smooth(losses)
    assert len(smoothed) == len(losses)
    if None not in expected:
        assert smoothed == pytest.approx(expected)
    else:  # symmetric: what the first gains the second loses
        assert sum(smoothed) == pytest.approx(sum(losses)) and 1 < smoothed[0] < smoothed[1] < 3


REGION = lr_range.Region(low=1e-3, steepest=1e-2, high=1e-1, suggested=3e-2, blew_up=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tag(log, interval(1e-4, 1))", True),
        ("tag(log, interval(1e-3, 1e-1))", True),
        ("tag(log, interval(1e-2, 1))", False),
        ("interval(1e-4, 0.05)", False),
        ("choice(1e-4, 0.01, 0.2)", True),
        ("choice(0.01, 0.2)", False),
        ("choice(a, b)", None),
        ("choice(0.1)", None),
    ],
)
def test_whether_a_search_range_covers_the_region(text, expected):
    assert lr_range.covers(parse(text), REGION) is expected


def test_a_real_problem():
    c = config(optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9}, lr_range={"low": 1e-5, "high": 1e4, "n_steps": 100})
    summary, lrs, losses = lr_range.examine(c, blobs(), [parse("tag(log, interval(1e-4, 1e-3))")])
    assert summary["found"] and 1e-4 < summary["low"] < summary["high"] < 100
    assert summary["covered"] is False and summary["searched"] == "tag(log, interval(0.0001, 0.001))"
    assert lrs[0] == 1e-5 and len(lrs) == len(losses) <= 100
    assert (summary["blew_up"] is None) == (len(lrs) == 100)
    assert lr_range.examine(c, blobs(), [])[2] == losses  # repeatable
    told = "\n".join(lr_range.describe(summary))
    assert "does not hold this region" in told and f"{summary['suggested']:.2g}" in told


def test_run_writes_curve_and_summary(tmp_path, capsys):
    c = config(lr_range={"low": 1e-4, "high": 1.0, "n_steps": 40})
    c["optimizer"]["space"] = {"lr": "tag(log, interval(1e-7, 1e2))"}
    suggested = lr_range.run(c, blobs(), tmp_path, {"optimizer": "adam"})
    summary = yaml.safe_load((tmp_path / "lr_range.yaml").read_text())
    assert summary["suggested"] == suggested and summary["covered"] is True and summary["optimizer"] == "adam"
    rows = (tmp_path / "lr_range.csv").read_text().splitlines()
    assert rows[0] == "lr,loss,smoothed" and len(rows) == 41
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lr_range.csv", "lr_range.yaml"]
    assert "holds this region" in capsys.readouterr().out


def test_rates_are_those_of_the_config_whatever_scaling_makes_of_them():
    """What is trained with is a quarter of each: the losses are those of a test of quarters."""
    settings = {"low": 1e-3, "high": 0.1, "n_steps": 20}
    lrs, losses, _ = lr_range.measure(config(lr_scaling="linear"), blobs(), settings)  # batches of 16, meant for 64
    quarters = lr_range.measure(config(), blobs(), {**settings, "low": 1e-3 / 4, "high": 0.1 / 4})
    assert lrs[0] == 1e-3 and lrs[-1] == pytest.approx(0.1)
    assert losses == pytest.approx(quarters[1], rel=1e-4)


def test_nothing_to_learn_is_said(tmp_path, capsys):
    data = blobs()
    data.train.y.copy_(torch.randint(0, 3, data.train.y.shape, generator=torch.Generator().manual_seed(1)))
    data.train.x.zero_()
    c = config(model={"name": "linear"}, optimizer={"name": "sgd", "lr": 1e-3}, lr_range={"low": 1e-9, "high": 1e-8, "n_steps": 200})
    assert math.isnan(lr_range.run(c, data, tmp_path, {}))
    assert "did not fall" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"low": 1.0, "high": 0.1}, "lr_range.low=1: must be less than lr_range.high=0.1"),
        ({"low": 0}, "lr_range.low=0: must be a number > 0"),
        ({"n_steps": 5}, "lr_range.n_steps=5"),
        ({"steps": 50}, "lr_range.steps is not a key"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(UserError) as error:
        lr_range.measure(config(), blobs(), settings)
    assert message in str(error.value)
