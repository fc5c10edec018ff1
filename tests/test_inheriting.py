"""Going on from another training's checkpoint, with other settings from there on."""

import pytest
from small_training import Recorder, blobs, config, numbers, same
from test_checkpoint import CONTINUED

from trivet import UserError, training
from trivet.reports import StageOver
from trivet.training import inheriting

DATA = blobs()


def stage(c, until, folder, start=None, data=DATA):
    """Train up to an epoch, as a member of a population does; returns the result and what was reported."""
    folder.mkdir(exist_ok=True)
    heard = Recorder(until, StageOver)
    return training.train(c, data, heard, folder, start), heard


@pytest.mark.parametrize("name", [name for name in CONTINUED if name != "regression"])
def test_the_same_settings_in_three_stages_are_one_training_bit_for_bit(name, tmp_path):
    c = config(**CONTINUED[name])
    whole = training.train(c, DATA)
    first, heard = stage(c, 1, tmp_path / "0")
    assert heard.steps == [1] and len(first.curves) == 1
    stage(c, 3, tmp_path / "1", tmp_path / "0")
    last, heard = stage(c, len(whole.curves), tmp_path / "2", tmp_path / "1")
    same(whole, last)
    assert heard.steps == list(range(4, len(whole.curves) + 1))  # the parent's epochs are not told again
    assert (tmp_path / "0" / "checkpoint.pt").exists() and (tmp_path / "2" / "checkpoint.pt").exists()  # others may go on from each


SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.0}
CHANGED = {
    "lr": {"optimizer": {"name": "adam", "lr": 0.001}},
    "weight decay and betas": {"optimizer": {"name": "adam", "lr": 0.02, "weight_decay": 0.1, "beta1": 0.5}},
    "batch size": {"batch_size": 32},
    "dropout": {"model": {"name": "mlp", "width": 8, "depth": 1, "norm": "batch", "dropout": 0.0}},
    "label smoothing": {"loss": {"name": "cross_entropy", "label_smoothing": 0.2}},
    "schedule": {"schedule": {"name": "cosine", "warmup": 2}},
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_may_change_on_the_way_counts_from_there_on(name, tmp_path):
    before, after = config(), config(**CHANGED[name])
    whole = training.train(before, DATA)
    stage(before, 2, tmp_path / "0")
    child, heard = stage(after, 5, tmp_path / "1", tmp_path / "0")
    assert numbers(child.curves[:2]) == numbers(whole.curves[:2]) and heard.steps == [3, 4, 5]
    assert numbers(child.curves[2:]) != numbers(whole.curves[2:])
    back, _ = stage(after, 5, tmp_path / "2", tmp_path / "0")
    same(child, back)  # the parent's folder is as it was


def test_a_layer_of_dropout_more_or_less_is_no_other_shape(tmp_path):
    """Of the models of ours those without dropout lack its layers, so their weights have other names."""
    without = CHANGED["dropout"]["model"] | {"depth": 2}
    stage(config(model=without), 2, tmp_path / "0")
    child, _ = stage(config(model=without | {"dropout": 0.5}), 4, tmp_path / "1", tmp_path / "0")
    grandchild, _ = stage(config(model=without), 5, tmp_path / "2", tmp_path / "1")
    assert list(child.state) != list(grandchild.state) and len(grandchild.curves) == 5


def test_the_schedule_stands_where_it_would_had_the_rate_been_so_from_the_start(tmp_path):
    plan = {"schedule": {"name": "cosine", "warmup": 0.2}}
    first, second = ({"optimizer": {"name": "adam", "lr": lr}} for lr in (0.02, 0.005))
    stage(config(**plan, **first), 2, tmp_path / "0")
    child, _ = stage(config(**plan, **second, batch_size=32), 5, tmp_path / "1", tmp_path / "0")
    alone = training.train(config(**plan, **second, batch_size=32), DATA)
    assert [metrics["lr"] for metrics in child.curves[2:]] == [metrics["lr"] for metrics in alone.curves[2:]]


@pytest.mark.parametrize("lookahead", [None, 3])
def test_momentum_may_begin_on_the_way(lookahead, tmp_path):
    stage(config(optimizer={**SGD, "lookahead": lookahead}), 2, tmp_path / "0")
    child, _ = stage(config(optimizer={**SGD, "momentum": 0.9, "lookahead": lookahead}), 5, tmp_path / "1", tmp_path / "0")
    plain, _ = stage(config(optimizer={**SGD, "lookahead": lookahead}), 5, tmp_path / "2", tmp_path / "0")
    assert numbers(child.curves[2:]) != numbers(plain.curves[2:])


def test_a_child_that_is_killed_goes_on_from_its_own_checkpoint(tmp_path):
    c = config()
    stage(c, 2, tmp_path / "0")
    whole, _ = stage(c, 5, tmp_path / "1", tmp_path / "0")
    (tmp_path / "2").mkdir()
    with pytest.raises(KeyboardInterrupt):
        training.train(c, DATA, Recorder(3), tmp_path / "2", tmp_path / "0")
    again, heard = stage(c, 5, tmp_path / "2", tmp_path / "0")
    same(whole, again)
    assert heard.steps == [3, 4, 5]


WIDE = {"name": "mlp", "width": 16, "depth": 1, "norm": "batch", "dropout": 0.3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": WIDE}, "model.width=16: was 8 in the training that this one goes on from"),
        ({"optimizer": {"name": "sgd", "lr": 0.1}}, "optimizer.name=sgd: was adam in"),
        ({"optimizer": {"name": "adam", "lr": 0.02, "lookahead": 3}}, "optimizer.lookahead=3: was null in"),
        ({"metric": "val/loss", "direction": "minimize"}, "metric=val/loss: was val/accuracy in"),
        ({"loss": {"name": "focal", "gamma": 2.0}}, "loss.name=focal: was cross_entropy in"),
        ({"epochs": 9}, "epochs=9: was 5 in"),
    ],
)
def test_what_may_not_change_is_told_by_its_name(changes, message, tmp_path):
    stage(config(), 2, tmp_path / "0")
    with pytest.raises(UserError) as error:
        stage(config(**changes), 4, tmp_path / "1", tmp_path / "0")
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_a_start_that_is_none_is_told(tmp_path):
    (tmp_path / "0").mkdir()
    with pytest.raises(UserError, match="0: holds no checkpoint of a training to go on from"):
        stage(config(), 2, tmp_path / "1", tmp_path / "0")
    (tmp_path / "0" / "checkpoint.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UserError, match="0: holds no checkpoint"):
        stage(config(), 2, tmp_path / "1", tmp_path / "0")
    stage(config(), 5, tmp_path / "2")
    with pytest.raises(UserError, match="epochs=5: the training that this one goes on from has had 5"):
        stage(config(), 6, tmp_path / "1", tmp_path / "2")
    other = blobs(seed=1)
    with pytest.raises(UserError, match="is a training of other data"):
        stage(config(), 6, tmp_path / "1", tmp_path / "2", other)


def test_differences_are_found_at_any_depth_and_ranges_are_none():
    before = {"a": 1, "model": {"name": "cnn", "space": {"x": "1,2"}}, "gone": 2}
    now = {"a": 1, "model": {"name": "mlp", "space": {}}, "new": None}
    assert list(inheriting.differing(before, now)) == [("model.name", "cnn", "mlp"), ("gone", 2, None)]
