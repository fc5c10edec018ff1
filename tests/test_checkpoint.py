"""Stopping and going on changes no number of a training, wherever and however it was stopped."""

import copy
import math
from pathlib import Path

import pytest
import torch
from resuming import change
from small_training import REGRESSION, Recorder, blobs, config, line, numbers, same

from trivet import TrialPruned, training
from trivet.training import checkpoint

DEEP = {"name": "mlp", "width": 8, "depth": 2, "norm": "batch", "dropout": 0.3}
SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9}
CONTINUED = {
    "dropout and adam": {},
    "plateau": {"schedule": {"name": "plateau", "factor": 0.5, "patience": 0, "threshold": 0.5}, "optimizer": {"name": "sgd", "lr": 2.0}},
    "cosine with warm-up": {"schedule": {"name": "cosine", "warmup": 0.3}, "optimizer": {"name": "adamw", "lr": 0.02}},
    "onecycle, clipped": {"schedule": {"name": "onecycle", "warmup": 0.3, "div_factor": 25.0, "end": 1e-4}, "clip_norm": 0.5},
    "multistep": {"schedule": {"name": "multistep", "milestones": [2, 3], "gamma": 0.1, "warmup": 3}},
    "lookahead": {"optimizer": {"name": "sgd", "lr": 0.1, "lookahead": 3, "lookahead_alpha": 0.5}},
    "patience": {"patience": 2, "epochs": 9, "optimizer": {"name": "sgd", "lr": 3.0}},
    "fp16": {"precision": "fp16"},
    "frozen for two epochs": {
        "model": DEEP | {"freeze": 1, "unfreeze_at": 3},
        "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.1},
    },
    "frozen by name, with momentum": {"model": DEEP | {"freeze": "[0-3].*", "unfreeze_at": 4}, "optimizer": SGD | {"encoder_lr": 0.01}},
    "frozen, lookahead": {"model": DEEP | {"freeze": -1, "unfreeze_at": 2}, "optimizer": SGD | {"lookahead": 3}},
    "groups under cosine": {
        "model": DEEP,
        "optimizer": SGD | {"layer_decay": 0.5},
        "schedule": {"name": "cosine", "warmup": 0.3, "end": 0.1},
    },
    "regression": REGRESSION,
}


@pytest.mark.parametrize("name", CONTINUED)
def test_continuing_at_every_epoch_gives_the_same_numbers(name, tmp_path):
    c = config(**CONTINUED[name])
    data = line() if c["metric"] == "val/rmse" else blobs()
    whole = training.train(c, data)
    for stop in range(1, len(whole.curves) + 1):
        with pytest.raises(KeyboardInterrupt):
            training.train(c, data, Recorder(stop), tmp_path)
        assert (tmp_path / "checkpoint.pt").exists()
        heard = Recorder()
        same(whole, training.train(c, data, heard, tmp_path))
        assert heard.steps == list(range(1, len(whole.curves) + 1))  # the earlier epochs are told again
        assert numbers(heard.metrics) == numbers(whole.curves)
        assert list(tmp_path.iterdir()) == []  # nothing is left when a run is over


def test_stopped_twice_in_other_states_of_the_process(tmp_path):
    whole = training.train(config(), blobs())
    for stop in (1, 3, 4):
        torch.manual_seed(stop)
        with pytest.raises(KeyboardInterrupt):
            training.train(config(), blobs(), Recorder(stop), tmp_path)
    same(whole, training.train(config(), blobs(), None, tmp_path))


def test_pruned_keeps_a_checkpoint_that_continues(tmp_path):
    with pytest.raises(TrialPruned):
        training.train(config(), blobs(), Recorder(2, TrialPruned), tmp_path)
    with pytest.raises(TrialPruned):  # the earlier epochs are told again, and that is enough to be pruned
        heard = Recorder(2, TrialPruned)
        training.train(config(), blobs(), heard, tmp_path)
    assert heard.steps == [1, 2]
    same(training.train(config(), blobs()), training.train(config(), blobs(), None, tmp_path))


ODD_STATES = {  # by someone who knows the run's identity
    "curves": lambda state: state.update(curves=[1, 2, 3]),
    "numbers": lambda state: state["curves"][0].update({"val/accuracy": "0.5"}),
    "best_step": lambda state: state.update(best_step=4),
    "best": lambda state: state["best"].clear(),
    "scheduled": lambda state: state.update(schedule=7),
}


def damaged(path, how):
    content = path.read_bytes()
    match how:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "text":
            path.write_text("not a checkpoint")
        case "flipped":
            path.write_bytes(content[:300] + bytes(b ^ 0xFF for b in content[300:400]) + content[400:])
        case "pickle":
            torch.save({"identity": torch.nn.Linear(2, 2)}, path)  # a class: refused by weights_only
        case "list":
            torch.save([1, 2], path)
        case "lacking":
            state = torch.load(path, weights_only=True)
            del state["tree"]["model"]
            torch.save(state, path)
        case "curves" | "numbers" | "best_step" | "best" | "scheduled":
            change(path, ODD_STATES[how])
        case "shapes":
            state = torch.load(path, weights_only=True)
            state["tree"]["model"] = {name: ("<tensor>", kind, 0, (1,), (1,)) for name, (_, kind, *_) in state["tree"]["model"].items()}
            torch.save(state, path)


@pytest.mark.parametrize("how", ["empty", "cut", "text", "flipped", "pickle", "list", "lacking", "shapes", *ODD_STATES])
def test_a_damaged_checkpoint_starts_over(how, tmp_path, caplog):
    with pytest.raises(KeyboardInterrupt):
        training.train(config(), blobs(), Recorder(3), tmp_path)
    damaged(tmp_path / "checkpoint.pt", how)
    same(training.train(config(), blobs()), training.train(config(), blobs(), None, tmp_path))
    assert "starting over" in caplog.text


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"epochs": 6}, {"model": {"name": "mlp", "width": 9, "depth": 1}}, {"optimizer": {"name": "adam", "lr": 0.01}}]
)
def test_a_foreign_checkpoint_starts_over(other, tmp_path, caplog):
    with pytest.raises(KeyboardInterrupt):
        training.train(config(**other), blobs(), Recorder(3), tmp_path)
    same(training.train(config(), blobs()), training.train(config(), blobs(), None, tmp_path))
    assert "another configuration" in caplog.text


def test_other_data_is_foreign_and_what_is_kept_is_not(tmp_path, caplog):
    with pytest.raises(KeyboardInterrupt):
        training.train(config(), blobs(seed=1), Recorder(3), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        training.train(config(), blobs(), Recorder(2), tmp_path)
    assert "another configuration" in caplog.text
    caplog.clear()
    training.train(config(save_model=True), blobs(), None, tmp_path)
    assert "starting over" not in caplog.text


def test_a_failed_write_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, "key", {"a": torch.ones(2)})

    def full(content, path):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(tmp_path, "key", {"a": torch.zeros(2)})
    assert torch.equal(checkpoint.load(tmp_path, "key", torch.device("cpu"))["a"], torch.ones(2))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("killed_at", ["unlink", "rename"])
def test_a_kill_while_a_checkpoint_is_replaced_leaves_one(killed_at, tmp_path, monkeypatch):
    """Killed before the old file goes, and between that and the new one's renaming."""
    checkpoint.save(tmp_path, "key", {"epoch": 1})

    def kill(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink" if killed_at == "unlink" else "rename", kill)
        checkpoint.save(tmp_path, "key", {"epoch": 2})
    assert checkpoint.load(tmp_path, "key", torch.device("cpu"))["epoch"] == (1 if killed_at == "unlink" else 2)
    checkpoint.save(tmp_path, "key", {"epoch": 3})
    assert checkpoint.load(tmp_path, "key", torch.device("cpu"))["epoch"] == 3
    checkpoint.remove(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_half_a_file_under_the_temporary_name_is_no_checkpoint(tmp_path, caplog):
    checkpoint.save(tmp_path, "key", {"a": torch.ones(200)})
    (tmp_path / checkpoint.NEXT).write_bytes((tmp_path / "checkpoint.pt").read_bytes()[:500])
    assert checkpoint.load(tmp_path, "key", torch.device("cpu")) is not None
    (tmp_path / "checkpoint.pt").unlink()
    assert checkpoint.load(tmp_path, "key", torch.device("cpu")) is None
    assert "starting over" in caplog.text


def test_pack_and_unpack_give_back_what_went_in():
    state = {
        "a": [torch.arange(6).reshape(2, 3), {"b": (torch.tensor(1.5), None, "x")}],
        3: {"e": torch.empty(0), "n": math.inf},
        "t": torch.tensor([True, False]),
        "empty": {},
        "betas": (0.9, 0.99),
    }
    tree, flat = checkpoint.pack(copy.deepcopy(state))
    again = checkpoint.unpack(tree, flat, torch.device("cpu"))
    assert str(again) == str(state)
    assert again["a"][0].dtype == torch.int64 and again["t"].dtype == torch.bool and again["a"][1]["b"][0].shape == ()
