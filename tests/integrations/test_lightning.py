"""Lightning's callback in a real Trainer: what is reported when, how a pruned training ends, and two ranks that end together."""

import pytest
from apps.running import Running, rows

import trivet
from trivet.errors import UserError


def fit(*callback, **options):
    from lightning_line import fit  # here, as each process of the tests reads this file, and one alone needs the library

    fit(*callback, **options)


def test_an_epoch_is_reported_once_and_the_sanity_check_never(heard):
    fit("val/loss")
    assert heard.steps == [1, 2, 3]
    assert [metrics["validations"] for _, _, metrics in heard.rows] == [2, 3, 4]  # the first validation was the sanity check
    values = [value for _, value, _ in heard.rows]
    assert values == sorted(values, reverse=True)
    assert "val/loss" not in heard.rows[0][2]


def test_epochs_that_did_not_validate_are_not_reported(heard):
    fit("val/loss", max_epochs=4, check_val_every_n_epoch=2)
    assert heard.steps == [2, 4]


@pytest.mark.parametrize(("step", "expected"), [("epoch", [1, 2, 3]), ("global_step", [1, 2, 3, 4, 5, 6])])
def test_several_validations_in_an_epoch(heard, step, expected):
    fit("val/loss", step, val_check_interval=0.5)
    assert heard.steps == expected


def test_a_pruned_training_ends(heard):
    heard.prune_at = 2
    with pytest.raises(trivet.TrialPruned):
        fit("val/loss")
    assert heard.steps == [1, 2]


@pytest.mark.parametrize(
    ("metric", "step", "message"),
    [
        ("val/acc", "epoch", "metric=val/acc: is not logged; the trainer's metrics are val/loss, validations"),
        ("val/loss", "batch", "step='batch': must be epoch or global_step"),
    ],
)
def test_mistakes(heard, metric, step, message):
    with pytest.raises(UserError, match=message):
        fit(metric, step)


@pytest.mark.slow
def test_ddp_in_a_sweep_is_one_trial_whose_ranks_end_together(tmp_path):
    """Lightning re-runs the command line for rank 1, and rank 0 alone hears that the second trial, which learns nothing, is pruned.

    In the sweep's own process, as each process more imports Lightning; test_ranks.py has the same with workers.
    """
    sweep = ["-m", "hydra/sweeper=trivet", "+lr=0.1,0", "hydra.sweeper.sampler=grid", "hydra.sweep.dir=out", "hydra.sweeper.n_jobs=0"]
    with Running("ddp.py", *sweep, "hydra.sweeper.pruner={name: threshold, gaps: {3: 0.0}}", cwd=tmp_path, alone=True) as running:
        ended = running.wait()
        assert ended.code == 0, ended.text
        assert running.members() == []
    assert [(row["state"], row["step"]) for row in rows(tmp_path / "out")] == [("COMPLETE", "3"), ("PRUNED", "3")]
    for number in range(2):
        first, second = ((tmp_path / f"out/{number}/rank-{rank}").read_text() for rank in range(2))
        assert first == second
    assert "Traceback" not in ended.text
