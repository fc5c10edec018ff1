"""Schedules: learning rates against closed forms, with and without warm-up, and checkpoints at every point of a run."""

import io
import math
import warnings

import pytest
import torch

from trivet.errors import UserError
from trivet.training import optimizers, schedules

EPOCHS, STEPS = 4, 5
TOTAL = EPOCHS * STEPS
LR = 0.5


def cosine(t, total, end=0.0):
    return end + (1 - end) * (1 + math.cos(math.pi * t / total)) / 2


def onecycle(t):
    """Up over 6 steps from 1/25, down to 0.001 at the last batch."""
    if t <= 6:
        return 1 + (1 / 25 - 1) * (1 + math.cos(math.pi * t / 6)) / 2
    return 0.001 + (1 - 0.001) * (1 + math.cos(math.pi * (t - 6) / (TOTAL - 1 - 6))) / 2


def epoch(t):
    return t // STEPS


# config, factor of lr at batch t without warm-up, factor at t batches after the warm-up of a run of `rest` batches (None: as without)
CASES = [
    ({"name": "constant"}, lambda t: 1.0, None),
    ({"name": "step", "every": 2, "gamma": 0.1}, lambda t: 0.1 ** (epoch(t) // 2), None),
    ({"name": "step", "every": 0.25, "gamma": 0.1}, lambda t: 0.1 ** epoch(t), None),
    ({"name": "multistep", "milestones": [3, 1], "gamma": 0.5}, lambda t: 0.5 ** ((epoch(t) >= 1) + (epoch(t) >= 3)), None),
    ({"name": "multistep", "milestones": [0.25, 0.75], "gamma": 0.5}, lambda t: 0.5 ** ((epoch(t) >= 1) + (epoch(t) >= 3)), None),
    ({"name": "exponential", "gamma": 0.8}, lambda t: 0.8 ** epoch(t), None),
    ({"name": "linear"}, lambda t: 1 - t / TOTAL, lambda t, rest: 1 - t / rest),
    ({"name": "linear", "end": 0.2}, lambda t: 1 - 0.8 * t / TOTAL, lambda t, rest: 1 - 0.8 * t / rest),
    ({"name": "cosine"}, lambda t: cosine(t, TOTAL), lambda t, rest: cosine(t, rest)),
    ({"name": "cosine", "end": 0.1}, lambda t: cosine(t, TOTAL, 0.1), lambda t, rest: cosine(t, rest, 0.1)),
    # the loss falls until epoch 1 and then stands still, so that the fourth epoch has half the rate
    ({"name": "plateau", "factor": 0.5, "patience": 0}, lambda t: [1, 1, 1, 0.5][epoch(t)], None),
]
LOSSES = [3.0, 2.0, 2.0, 2.0]


def sgd(lr=LR):
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr)


def run(schedule, optimizer, start=0, stop=TOTAL):
    """The lr of each batch from `start` to `stop`; epochs end as they do in a training."""
    rates = []
    for t in range(start, stop):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step_batch()
        if (t + 1) % STEPS == 0:
            schedule.step_epoch(LOSSES[epoch(t)])
    return rates


@pytest.mark.parametrize(("config", "factor", "_after"), CASES, ids=lambda value: value["name"] if isinstance(value, dict) else "")
def test_without_warmup(config, factor, _after):
    optimizer = sgd()
    rates = run(schedules.build(config, optimizer, EPOCHS, STEPS), optimizer)
    assert rates == pytest.approx([LR * factor(t) for t in range(TOTAL)], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("config", "factor", "after"), CASES, ids=lambda value: value["name"] if isinstance(value, dict) else "")
@pytest.mark.parametrize(("warmup", "n"), [(1, 1), (7, 7), (0.2, 4), (0.001, 1), (19, 19), (0.99, 19)])
def test_with_warmup(config, factor, after, warmup, n):
    optimizer = sgd()
    rates = run(schedules.build({**config, "warmup": warmup}, optimizer, EPOCHS, STEPS), optimizer)
    warm = [(t + 1) / (n + 1) * (1 if after else factor(t)) for t in range(n)]
    main = [after(t - n, TOTAL - n) if after else factor(t) for t in range(n, TOTAL)]
    assert rates == pytest.approx([LR * value for value in warm + main], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("warmup", [6, 0.3])
def test_onecycle(warmup):
    optimizer = sgd()
    config = {"name": "onecycle", "warmup": warmup, "div_factor": 25, "end": 0.001}
    rates = run(schedules.build(config, optimizer, EPOCHS, STEPS), optimizer)
    assert rates == pytest.approx([LR * onecycle(t) for t in range(TOTAL)], rel=1e-9)


def test_onecycle_leaves_the_momentum_alone():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=LR, momentum=0.7)
    run(schedules.build({"name": "onecycle", "warmup": 0.3, "div_factor": 25, "end": 0.001}, optimizer, EPOCHS, STEPS), optimizer)
    assert optimizer.param_groups[0]["momentum"] == 0.7


EVERY = [case[0] for case in CASES] + [{"name": "onecycle", "warmup": 0.3, "div_factor": 25, "end": 0.001}]


@pytest.mark.parametrize("config", EVERY, ids=lambda config: config["name"])
@pytest.mark.parametrize("warmup", [None, 0.3])
@pytest.mark.parametrize("lookahead", [None, 2])
def test_a_checkpoint_continues_exactly_at_every_point(config, warmup, lookahead):
    config = {**config, "warmup": warmup or config.get("warmup")}

    def build():
        optimizer = optimizers.build({"name": "sgd", "lr": LR, "lookahead": lookahead}, [torch.nn.Parameter(torch.ones(1))])
        return schedules.build(config, optimizer, EPOCHS, STEPS), optimizer

    whole = run(*build())
    for stop in range(TOTAL):
        schedule, optimizer = build()
        run(schedule, optimizer, 0, stop)
        file = io.BytesIO()
        torch.save({"schedule": schedule.state_dict(), "optimizer": optimizer.state_dict()}, file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        schedule, optimizer = build()
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        assert run(schedule, optimizer, stop) == whole[stop:], f"stopped after batch {stop}"


@pytest.mark.parametrize("config", EVERY, ids=lambda config: config["name"])
@pytest.mark.parametrize(("epochs", "n"), [(1, 1), (1, 2), (2, 1), (3, 7)])
def test_short_runs_warn_of_nothing_and_keep_the_rate_finite(config, epochs, n):
    for warmup in (config.get("warmup"), 0.05, 0.9):
        if config["name"] == "onecycle" and warmup is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            optimizer = sgd()
            schedule = schedules.build({**config, "warmup": warmup}, optimizer, epochs, n)
            for _ in range(epochs):
                for _ in range(n):
                    assert 0 <= optimizer.param_groups[0]["lr"] <= LR * (1 + 1e-9)
                    optimizer.step()
                    schedule.step_batch()
                schedule.step_epoch(1.0)


def test_past_the_plan_the_rate_stays():
    optimizer = sgd()
    schedule = schedules.build({"name": "cosine"}, optimizer, EPOCHS, STEPS)
    last = run(schedule, optimizer)[-1]
    assert run(schedule, optimizer, 0, 5) == [last] * 5


def test_plateau_needs_a_loss():
    schedule = schedules.build({"name": "plateau", "factor": 0.5, "patience": 1}, sgd(), EPOCHS, STEPS)
    with pytest.raises(ValueError, match="validation loss"):
        schedule.step_epoch()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"name": "cos"},
            "schedule.name=cos: must be one of constant, step, multistep, exponential, linear, cosine, onecycle, plateau; "
            "did you mean cosine?",
        ),
        ({"name": "cosine", "end": 2}, "schedule.end=2: must be a number >= 0 and <= 1"),
        ({"name": "cosine", "warmup": 0}, "schedule.warmup=0: must be null or a whole number >= 1 or a number > 0 and < 1"),
        ({"name": "cosine", "warmup": 1.0}, "schedule.warmup=1.0: must be null or a whole number >= 1 or a number > 0 and < 1"),
        (
            {"name": "cosine", "warmup": 20},
            "schedule.warmup=20: must be less than the 20 batches of the run, or a fraction of it in (0, 1)",
        ),
        (
            {"name": "onecycle", "div_factor": 25, "end": 0.001},
            "schedule.warmup is missing: must be a whole number >= 1 or a number > 0 and < 1",
        ),
        ({"name": "step", "every": 1}, "schedule.gamma is missing: must be a number > 0 and < 1"),
        ({"name": "step", "every": 1, "gamma": 1.5}, "schedule.gamma=1.5: must be a number > 0 and < 1"),
        ({"name": "constant", "gamma": 0.5}, "schedule.gamma is not a key of schedule=constant: allowed are warmup"),
    ],
)
def test_refusals(config, message):
    with pytest.raises(UserError) as error:
        schedules.build(config, sgd(), EPOCHS, STEPS)
    assert str(error.value) == message
