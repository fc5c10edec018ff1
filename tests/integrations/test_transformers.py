"""The transformers callback in a real Trainer."""

import pytest

import trivet
from trivet import ranks
from trivet.errors import UserError


def train(folder, *callback, **options):
    from transformers_line import train  # here, as each process of the tests reads this file, and one alone needs the library

    return train(folder, *callback, **options)


@pytest.mark.parametrize(
    ("step", "options", "expected"),
    [
        ("epoch", {"eval_strategy": "epoch"}, [1, 2, 3]),
        ("global_step", {"eval_strategy": "epoch"}, [2, 4, 6]),
        ("global_step", {"eval_strategy": "steps", "eval_steps": 1, "eval_on_start": True}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_evaluations_are_reported(heard, tmp_path, step, options, expected):
    trainer = train(tmp_path, "eval_loss", step, **options)
    assert heard.steps == expected
    assert "eval_runtime" in heard.rows[0][2]
    trainer.evaluate()
    assert heard.steps == expected, "an evaluation after the training is none of the trial's"


def test_a_pruned_training_ends(heard, tmp_path):
    heard.prune_at = 2
    with pytest.raises(trivet.TrialPruned):
        train(tmp_path, "eval_loss", eval_strategy="epoch")
    assert heard.steps == [1, 2]


@pytest.mark.parametrize(
    ("metric", "step", "options", "message"),
    [
        (
            "eval_f1",
            "epoch",
            {"eval_strategy": "epoch"},
            "metric=eval_f1: is not logged; the trainer's metrics are",
        ),
        (
            "eval_loss",
            "epoch",
            {"eval_strategy": "steps", "eval_steps": 1},
            "step=epoch: an evaluation came after 0.5",
        ),
        ("eval_loss", "steps", {}, "step='steps': must be epoch or global_step"),
    ],
)
def test_mistakes(heard, tmp_path, metric, step, options, message):
    with pytest.raises(UserError, match=message):
        train(tmp_path, metric, step, **options)


def test_every_process_of_a_trial_that_is_pruned_ends_in_order(monkeypatch, tmp_path):
    """A launcher takes any other end for a failure. Here a group of one process stands for all."""
    from torch import distributed

    from trivet.integrations.transformers import _together

    monkeypatch.setenv(ranks.VARIABLE, f"1 00 {tmp_path}")
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        ended = _together(trivet.TrialPruned("poor"))
        assert isinstance(ended, trivet.TrialPruned) and isinstance(ended, SystemExit) and ended.code == 0
        assert _together(None) is None
    finally:
        distributed.destroy_process_group()
