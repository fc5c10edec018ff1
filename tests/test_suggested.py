"""Code written for Optuna, over a config."""

import pytest
from omegaconf import OmegaConf

import trivet
from trivet import reports, trial
from trivet.errors import UserError
from trivet.integrations.metrics import pick

CONFIG = {"lr": 0.1, "model": {"width": 32, "act": "relu"}, "bias": True, "share": 1}


@pytest.mark.parametrize("config", [CONFIG, OmegaConf.create(CONFIG)])
def test_suggestions_are_what_the_config_says(config):
    t = trial(config)
    assert t.suggest_float("lr", 1e-5, 1, log=True) == 0.1
    assert t.suggest_int("model.width", 16, 64, step=16) == 32
    assert t.suggest_categorical("model.act", ["relu", "tanh"]) == "relu"
    assert t.suggest_float("share", 0, 1) == 1.0
    assert t.params == {"lr": 0.1, "model.width": 32, "model.act": "relu", "share": 1.0}
    assert t.number == 0


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda t: t.suggest_float("lr", 0.2, 1), "lr=0.1: must be a number from 0.2 to 1"),
        (lambda t: t.suggest_float("bias", 0, 1), "bias=True: must be a number"),
        (lambda t: t.suggest_int("lr", 0, 1), "lr=0.1: must be a whole number"),
        (lambda t: t.suggest_int("model.width", 64, 128), "model.width=32: must be a whole number from 64 to 128"),
        (lambda t: t.suggest_categorical("model.act", ["gelu"]), "model.act='relu': must be one of gelu"),
        (lambda t: t.suggest_float("momentum", 0, 1), "momentum: is not in the config"),
        (lambda t: t.suggest_float("lr.deep", 0, 1), "lr.deep: is not in the config"),
    ],
)
def test_what_the_call_does_not_allow_is_refused(ask, message):
    t = trial(CONFIG)
    with pytest.raises(UserError, match=message):
        ask(t)
    assert t.params == {}


class Heard:
    def __init__(self):
        self.steps = []

    def report(self, value, step, metrics):
        self.steps.append(step)
        if len(self.steps) == 2:
            raise trivet.TrialPruned


@pytest.mark.parametrize("options", [{}, {"first_step": 1}])
def test_report_says_what_should_prune_answers(options):
    heard, first = Heard(), options.get("first_step", 0)
    reports.set_reporter(heard)
    try:
        t = trial(CONFIG, **options)
        t.report(0.5, first)
        assert not t.should_prune()
        t.report(0.6, first + 1)
        assert t.should_prune()
    finally:
        reports.set_reporter(None)
    assert heard.steps == [1, 2], "the study's steps count from 1"


def test_the_integration_is_the_same():
    from trivet.integrations import optuna

    assert optuna.trial is trivet.trial


def test_outside_a_sweep_nothing_is_pruned():
    t = trial(CONFIG)
    t.report(0.5, 1)
    assert not t.should_prune()


def test_metrics_that_are_no_numbers():
    with pytest.raises(UserError, match="metric=a: is not a number; the trainer's metrics are b"):
        pick({"a": "x", "b": 1}, "a")
    assert trivet.report(1.0, 1) is None
