"""Training on problems with a known answer: what it reaches, when it stops, and that stopping and going on changes no number."""

import copy
import functools
import json
import math
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from trivet import Diverged, TrialPruned, UserError, training
from trivet.data import Data, Split, prepared
from trivet.training import checkpoint, console, settings
from trivet.training.run import Run, n_steps

ROOT = Path(__file__).resolve().parent.parent
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "OMP_NUM_THREADS": "1"}
VARYING = ("seconds", "peak_gpu_mb")
ORDER = ["train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr", "grad_norm", "weight_norm", "seconds"]


def blobs(n_train=90, n_val=40, seed=0, shape=(4,)):
    """Three classes that a line separates, with plenty of room."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n_train + n_val) % 3
    x = torch.randn(len(y), math.prod(shape), generator=generator) * 0.3
    x[torch.arange(len(y)), y] += 3
    x = x.reshape(-1, *shape)
    meta = {"name": "blobs", "task": "classification", "n_classes": 3, "n_outputs": 3, "input_shape": list(shape), "sha256": f"{seed}"}
    meta |= {"mean": [0.0] * shape[0], "std": [1.0] * shape[0], "classes": ["a", "b", "c"]}
    return Data(Split(x[:n_train], y[:n_train]), Split(x[n_train:], y[n_train:]), meta)


def line(n=120):
    """One target, 100 + 20 * (2 a - b), without noise."""
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    y = 100 + 20 * (2 * x[:, :1] - x[:, 1:])
    meta = {"name": "line", "task": "regression", "n_classes": None, "n_outputs": 1, "input_shape": [2], "sha256": "l"}
    meta |= {"mean": [0.0, 0.0], "std": [1.0, 1.0], "y_mean": [100.0], "y_std": [45.0]}
    return Data(Split(x[:80], y[:80]), Split(x[80:], y[80:]), meta)


def config(**changes):
    base = {
        "seed": 0,
        "epochs": 5,
        "batch_size": 16,
        "metric": "val/accuracy",
        "direction": "maximize",
        "data": {"name": "blobs"},
        "model": {"name": "mlp", "width": 8, "depth": 1, "norm": "batch", "dropout": 0.3},
        "optimizer": {"name": "adam", "lr": 0.02},
        "schedule": {"name": "constant"},
        "loss": {"name": "cross_entropy"},
    }
    return base | changes


REGRESSION = {"metric": "val/rmse", "direction": "minimize", "loss": {"name": "mse"}, "model": {"name": "linear"}}


def numbers(curves):
    return [{name: value for name, value in metrics.items() if name not in VARYING} for metrics in curves]


def same(a, b):
    assert numbers(a.curves) == numbers(b.curves)
    assert (a.value, a.best_step, list(a.state)) == (b.value, b.best_step, list(b.state))
    assert all(torch.equal(a.state[name], b.state[name]) for name in a.state)


class Recorder:
    """A report that remembers, and raises `error` at step `stop`."""

    def __init__(self, stop=None, error=KeyboardInterrupt):
        self.steps, self.values, self.metrics, self.stop, self.error = [], [], [], stop, error

    def __call__(self, value, step, metrics):
        self.steps.append(step)
        self.values.append(value)
        self.metrics.append(metrics)
        if step == self.stop:
            raise self.error


# What a training reaches and reports


def test_separable_classes_are_learnt():
    heard = Recorder()
    result = training.train(config(epochs=12, model={"name": "linear"}, optimizer={"name": "sgd", "lr": 0.5}), blobs(), heard)
    assert result.value == 1.0
    assert heard.steps == list(range(1, 13))
    assert [list(metrics) for metrics in result.curves] == [ORDER] * 12
    assert heard.values == [metrics["val/accuracy"] for metrics in result.curves]
    assert result.best_step == heard.values.index(1.0) + 1  # the earliest of equals


def test_a_line_is_found_in_its_own_units():
    result = training.train(config(**REGRESSION, epochs=60, optimizer={"name": "sgd", "lr": 0.1}), line())
    assert result.value < 0.01
    assert list(result.curves[0])[:4] == ["train/loss", "train/rmse", "val/loss", "val/rmse"]
    worst = max(range(60), key=lambda i: result.curves[i]["val/rmse"])
    assert worst == 0 and result.value == min(metrics["val/rmse"] for metrics in result.curves)


def test_the_state_is_that_of_the_best_epoch():
    data, c = blobs(), config(epochs=8, metric="val/loss", direction="minimize", optimizer={"name": "sgd", "lr": 30.0, "momentum": 0.0})
    result = training.train(c, data)
    losses = [metrics["val/loss"] for metrics in result.curves]
    assert result.best_step == losses.index(min(losses)) + 1 != 8
    predictor = training.Predictor(training.Run(c, data).model, c, data.meta, torch.device("cpu"))
    predictor.model.load_state_dict(result.state)
    assert training.evaluate(predictor, data.val)["loss"] == pytest.approx(result.value, rel=1e-6)


def test_metrics_are_those_of_a_plain_computation():
    """One full batch without dropout: train/loss and grad_norm are those before the step."""
    data, c = blobs(), config(epochs=1, batch_size=90, model={"name": "linear"}, optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.0})
    metrics = training.train(c, data).curves[0]
    with training.reproducible(c, torch.device("cpu")):
        model = Run(c, data).model
    loss = nn.functional.cross_entropy(model(data.train.x), data.train.y)
    loss.backward()
    assert metrics["train/loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert metrics["grad_norm"] == pytest.approx(math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters())), rel=1e-5)
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.1 * p.grad
        out = model(data.val.x)
    assert metrics["val/loss"] == pytest.approx(nn.functional.cross_entropy(out, data.val.y).item(), rel=1e-5)
    assert metrics["val/accuracy"] == pytest.approx((out.argmax(1) == data.val.y).double().mean().item())
    assert metrics["weight_norm"] == pytest.approx(math.sqrt(sum(p.square().sum().item() for p in model.parameters())), rel=1e-5)
    assert metrics["lr"] == 0.1


@pytest.mark.parametrize(
    ("n", "batch_size", "expected"),
    [(64, 16, 4), (65, 16, 4), (71, 16, 4), (72, 16, 5), (79, 16, 5), (10, 64, 1), (1, 64, 1), (33, 64, 1), (1, 1, 1), (3, 2, 2)],
)
def test_a_last_batch_below_half_waits(n, batch_size, expected):
    assert n_steps(n, batch_size) == expected


@pytest.mark.parametrize(
    ("n_train", "batch_size", "sizes"), [(90, 16, [16] * 5 + [10]), (85, 16, [16] * 5), (90, 128, [90]), (33, 32, [32])]
)
def test_batches(n_train, batch_size, sizes):
    run = Run(config(batch_size=batch_size), blobs(n_train))
    first, second = list(run.batches(1)), list(run.batches(2))
    assert [len(y) for _, y in first] == sizes
    rows = torch.cat([x for x, _ in first])
    assert len(torch.unique(rows, dim=0)) == sum(sizes)  # each sample at most once
    assert not torch.equal(rows, torch.cat([x for x, _ in second]))


def test_patience_counts_epochs_without_improvement():
    frozen = config(epochs=20, patience=3, optimizer={"name": "sgd", "lr": 1e-12, "momentum": 0.0}, model={"name": "linear"})
    result = training.train(frozen, blobs())
    assert (len(result.curves), result.best_step) == (4, 1)  # epochs 2, 3, 4 are no better than 1
    assert len(training.train(frozen | {"patience": None, "epochs": 6}, blobs()).curves) == 6


def test_max_batches_overfits_one_batch():
    c = config(epochs=60, max_batches=1, metric="train/accuracy", model={"name": "linear"}, optimizer={"name": "sgd", "lr": 0.5})
    assert len(Run(c, blobs()).x) == 16
    assert training.train(c, blobs()).value == 1.0


@pytest.mark.parametrize("lr", [1e30, 3e38])
def test_divergence_names_epoch_and_rate(lr):
    heard = Recorder()
    with pytest.raises(Diverged, match=r"(train|val)/loss is (nan|inf) in epoch \d at lr \d"):
        training.train(
            config(optimizer={"name": "sgd", "lr": lr}, model={"name": "mlp", "width": 8, "depth": 3, "norm": None}), blobs(), heard
        )
    assert heard.steps in ([], [1])


def test_clipping_bounds_the_step():
    sgd = {"name": "sgd", "lr": 1.0, "momentum": 0.0}
    data = blobs()
    c = config(epochs=1, batch_size=90, clip_norm=0.01, model={"name": "linear"}, optimizer=sgd)
    result = training.train(c, data)
    with training.reproducible(c, torch.device("cpu")):
        before = Run(c, data).model.state_dict()
    moved = math.sqrt(sum((result.state[k] - before[k]).square().sum().item() for k in before))
    assert moved == pytest.approx(0.01, rel=1e-3)
    assert result.curves[0]["grad_norm"] > 0.01  # before clipping


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_learns(precision):
    result = training.train(config(epochs=10, precision=precision, clip_norm=1.0, schedule={"name": "cosine"}), blobs())
    assert result.value > 0.9


def test_fp16_leaves_out_steps_that_overflow(monkeypatch):
    monkeypatch.setattr(torch.amp, "GradScaler", functools.partial(torch.amp.GradScaler, init_scale=2.0**127))
    c = config(epochs=1, precision="fp16", model={"name": "linear"}, schedule={"name": "cosine"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = training.train(c, blobs())
    with training.reproducible(c, torch.device("cpu")):
        untouched = Run(c, blobs()).model.state_dict()
    assert all(torch.equal(result.state[name], untouched[name]) for name in untouched)


# Reproducible


def test_nothing_outside_matters_and_nothing_is_left_behind():
    first = training.train(config(), blobs())
    torch.manual_seed(99), np.random.seed(99), random.seed(99)
    torch.set_num_threads(2)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()

    def meddling(value, step, metrics):
        torch.manual_seed(step), np.random.seed(step)

    same(first, training.train(config(), blobs(), meddling))
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all() and before[2] == random.getstate()
    assert torch.get_num_threads() == 2 and not torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)


def test_another_seed_is_another_run():
    values = {training.train(config(seed=seed, epochs=1), blobs()).curves[0]["train/loss"] for seed in (0, 1, 2)}
    assert len(values) == 3


def test_the_same_seed_starts_from_the_same_weights_whatever_the_optimizer():
    a, b = Run(config(), blobs()).model, Run(config(optimizer={"name": "sgd", "lr": 0.1}), blobs()).model
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_reproducible_flags_follow_the_config():
    cpu = torch.device("cpu")
    with settings.reproducible({"deterministic": False, "threads": 2}, cpu):
        assert not torch.are_deterministic_algorithms_enabled() and torch.get_num_threads() == 2
    with settings.reproducible({}, cpu):
        assert torch.are_deterministic_algorithms_enabled() and torch.get_num_threads() == 1


def test_an_operation_without_a_deterministic_form_is_named():
    with (
        pytest.raises(UserError, match=r"deterministic=true: .*put_.*Set deterministic=false"),
        settings.reproducible({}, torch.device("cpu")),
    ):
        raise RuntimeError("put_ does not have a deterministic implementation, but you set ...\nmore")
    with pytest.raises(RuntimeError, match="else"), settings.reproducible({}, torch.device("cpu")):
        raise RuntimeError("something else")


# Stopped and continued

CONTINUED = {
    "dropout and adam": {},
    "plateau": {"schedule": {"name": "plateau", "factor": 0.5, "patience": 0, "threshold": 0.5}, "optimizer": {"name": "sgd", "lr": 2.0}},
    "cosine with warm-up": {"schedule": {"name": "cosine", "warmup": 0.3}, "optimizer": {"name": "adamw", "lr": 0.02}},
    "onecycle, clipped": {"schedule": {"name": "onecycle", "warmup": 0.3, "div_factor": 25.0, "end": 1e-4}, "clip_norm": 0.5},
    "multistep": {"schedule": {"name": "multistep", "milestones": [2, 3], "gamma": 0.1, "warmup": 3}},
    "lookahead": {"optimizer": {"name": "sgd", "lr": 0.1, "lookahead": 3, "lookahead_alpha": 0.5}},
    "patience": {"patience": 2, "epochs": 9, "optimizer": {"name": "sgd", "lr": 3.0}},
    "fp16": {"precision": "fp16"},
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
        case "shapes":
            state = torch.load(path, weights_only=True)
            state["tree"]["model"] = {name: ("<tensor>", kind, 0, (1,)) for name, (_, kind, _, _) in state["tree"]["model"].items()}
            torch.save(state, path)


@pytest.mark.parametrize("how", ["empty", "cut", "text", "flipped", "pickle", "list", "lacking", "shapes"])
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


def test_other_data_is_foreign_and_a_label_is_not(tmp_path, caplog):
    with pytest.raises(KeyboardInterrupt):
        training.train(config(), blobs(seed=1), Recorder(3), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        training.train(config(), blobs(), Recorder(2), tmp_path)
    assert "another configuration" in caplog.text
    caplog.clear()
    training.train(config(save_model=True, finalist=3), blobs(), None, tmp_path)
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


# Refused at once

BAD = [
    ({"epochs": 0}, "epochs=0: must be a whole number >= 1"),
    ({"epochs": 2.5}, "epochs=2.5"),
    ({"batch_size": -1}, "batch_size=-1"),
    ({"batch_size": True}, "batch_size=true"),
    ({"seed": -1}, "seed=-1"),
    ({"seed": None}, "seed=null"),
    ({"metric": "val/acc"}, "metric=val/acc: must be one of val/accuracy"),
    ({"metric": "test/accuracy"}, "metric=test/accuracy"),
    ({"direction": "up"}, "direction=up: must be one of maximize, minimize"),
    ({"direction": "minimize"}, "direction=minimize: metric=val/accuracy is to be maximized; set direction=maximize"),
    ({"metric": "val/loss"}, "set direction=minimize"),
    ({"metric": "val/rmse", "direction": "minimize"}, "the data is a classification task; set metric=val/accuracy direction=maximize"),
    ({"precision": "fp8"}, "precision=fp8: must be one of fp32, bf16, fp16"),
    ({"threads": 0}, "threads=0"),
    ({"deterministic": "yes"}, "deterministic=yes: must be true or false"),
    ({"patience": 0}, "patience=0: must be null or a whole number >= 1"),
    ({"clip_norm": 0}, "clip_norm=0: must be null or a number > 0"),
    ({"clip_norm": float("nan")}, "clip_norm=nan"),
    ({"max_batches": 0}, "max_batches=0"),
    ({"save_model": 1}, "save_model=1"),
    ({"model": None}, "model=null: must be one of the choices in conf/model"),
    ({"model": {"name": "cnnn"}}, "did you mean cnn"),
    ({"optimizer": {"name": "adam", "lr": -1}}, "optimizer.lr=-1"),
    ({"schedule": {"name": "cosin"}}, "schedule.name=cosin"),
    ({"loss": {"name": "mse"}}, "loss=mse: the data is a classification task"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_bad_values_are_refused_in_one_line(changes, message, tmp_path):
    with pytest.raises(UserError) as error:
        training.train(config(**changes), blobs(), None, tmp_path)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["seed", "epochs", "batch_size", "metric", "direction", "model", "loss"])
def test_a_missing_key_is_named(key):
    c = config()
    del c[key]
    with pytest.raises(UserError, match=key):
        training.check_config(c)


@pytest.mark.parametrize("name", ["gpu", "cuda:77", "tpu", "cpu:3", "meta"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(UserError, match=f"device={name}: "):
        training.pick_device(name)


def test_devices_that_are_there():
    assert training.pick_device("cpu") == torch.device("cpu")
    assert training.pick_device("auto").type in ("cpu", "cuda", "mps")


# The model that is left


def trained(tmp_path, data=None, **changes):
    data, c = data or blobs(), config(**changes)
    result = training.train(c, data)
    training.save_model(tmp_path / "kept" / "model.pt", c, result, data.meta)
    return data, result, training.load_model(tmp_path / "kept" / "model.pt")


def test_a_saved_model_predicts_raw_samples(tmp_path):
    data = blobs()
    data.meta.update(mean=[10.0, 0.0, 0.0, 0.0], std=[1.0, 2.0, 1.0, 1.0])
    raw = data.val.x * torch.tensor(data.meta["std"]) + torch.tensor(data.meta["mean"])
    data, result, model = trained(tmp_path, data, epochs=10)
    assert training.evaluate(model, data.val)["accuracy"] == pytest.approx(result.value)
    expected = np.array(["a", "b", "c"])[data.val.y.numpy()]
    assert (model.predict(raw) == expected).mean() == pytest.approx(result.value)
    for x in (raw.numpy(), raw.double(), raw.tolist()):
        np.testing.assert_array_equal(model.predict(x), model.predict(raw))
    assert model.predict(raw[0]).tolist() == model.predict(raw).tolist()[:1]
    p = model.predict_proba(raw)
    assert p.shape == (40, 3) and p.sum(1) == pytest.approx(1, abs=1e-5)
    assert (np.array(model.classes)[p.argmax(1)] == model.predict(raw)).all()
    with pytest.raises(UserError, match=r"x has shape \(3, 5\): must be \(N, 4\)"):
        model.predict(np.zeros((3, 5)))


def test_one_channel_may_be_left_out(tmp_path):
    data, _, model = trained(tmp_path, blobs(shape=(1, 8)), epochs=1)
    x = data.val.x.numpy()
    for variant in (x[:, 0], x):
        np.testing.assert_array_equal(model.predict(variant), model.predict(x))
    assert model.predict(x[0, 0]).shape == (1,)


def test_a_regression_predicts_in_its_units(tmp_path):
    data, result, model = trained(tmp_path, line(), **REGRESSION, epochs=40, optimizer={"name": "sgd", "lr": 0.1})
    prediction = model.predict(data.val.x)
    assert prediction.shape == (40,) and prediction == pytest.approx(data.val.y[:, 0].numpy(), abs=0.5)
    assert training.evaluate(model, data.val)["rmse"] == pytest.approx(result.value, rel=1e-5)
    with pytest.raises(UserError, match="regression"):
        model.predict_proba(data.val.x)


@pytest.mark.parametrize("content", [None, b"", b"junk", [1], {"config": {}}])
def test_what_is_no_model_is_refused(content, tmp_path):
    path = tmp_path / "model.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=r"model\.pt: (no such file|is not a model)"):
        training.load_model(path)


# What a person sees


def test_the_epoch_table_stars_each_best(capsys):
    table = console.EpochTable("minimize")
    for step, value in enumerate([3.0, 2.0, 2.5, 1.0], start=1):
        table(value, step, {"val/loss": value, "val/accuracy": 0.5})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "val/loss", "val/acc"]
    assert [line.endswith("*") for line in lines[1:]] == [True, True, False, True]


def test_curves_are_written_whole(tmp_path):
    console.write_curves(tmp_path / "curves.csv", [{"val/loss": 1.5, "lr": 0.1}, {"val/loss": 1.25, "lr": 0.1}])
    assert (tmp_path / "curves.csv").read_text() == "step,val/loss,lr\n1,1.5,0.1\n2,1.25,0.1\n"
    assert len(list(tmp_path.iterdir())) == 1


# Data prepared when it is asked for

DIGITS = {"name": "digits", "path": "data/prepared", "test_fraction": 0.2, "val_fraction": 0.2, "seed": 0, "published": {}}


def test_data_is_prepared_once_and_other_data_goes_beside(tmp_path):
    first = prepared.folder_for(DIGITS, tmp_path)
    assert first == tmp_path / "data/prepared" and (first / "search.npz").exists()
    stamp = (first / "search.npz").stat().st_mtime_ns
    assert prepared.folder_for(DIGITS | {"published": {"person": 1.0}}, tmp_path) == first
    other = prepared.folder_for(DIGITS | {"seed": 1}, tmp_path)
    assert other.parent == first.parent and other.name.startswith("prepared-digits-")
    assert prepared.folder_for(DIGITS | {"seed": 1}, tmp_path) == other
    assert (first / "search.npz").stat().st_mtime_ns == stamp


def test_bad_data_settings_prepare_nothing(tmp_path):
    with pytest.raises(UserError, match=r"data\.val_fraction=2"):
        prepared.folder_for(DIGITS | {"val_fraction": 2}, tmp_path)
    assert list(tmp_path.iterdir()) == []


# The start of a process

TRAIN_ONE = """
import json, sys
{first}
from tests.test_training import blobs, config, numbers
from trivet import training
curves = [training.train(config(optimizer={{"name": name, "lr": 0.01}}), blobs()).curves for name in ("adamw", "sgd", "rmsprop")]
print(json.dumps([[numbers(c) for c in curves], "torch._dynamo" in sys.modules]))
"""


@pytest.mark.slow
def test_a_training_does_without_torchs_compiler_and_gives_the_same_numbers():
    def ran(first):
        code = TRAIN_ONE.format(first=first)
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=ENV, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    (without, absent), (with_it, present) = ran(""), ran("import torch._dynamo")
    assert (absent, present) == (False, True)
    assert without == with_it
