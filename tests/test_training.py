"""Training on problems with a known answer: what it reaches, when it stops, what it refuses."""

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
from small_training import ORDER, REGRESSION, Recorder, blobs, config, line, same
from torch import nn

from trivet import Diverged, UserError, training
from trivet.training import console, settings
from trivet.training.run import Run, n_steps

ROOT = Path(__file__).resolve().parent.parent
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "OMP_NUM_THREADS": "1"}

# What a training reaches and reports


def ties(curves, value, metric="val/accuracy"):
    """The epochs with this value, lowest loss first, then the earliest."""
    found = [step for step, metrics in enumerate(curves, start=1) if metrics[metric] == value]
    return sorted(found, key=lambda step: curves[step - 1]["val/loss"])


def test_separable_classes_are_learnt():
    heard = Recorder()
    result = training.train(config(epochs=12, model={"name": "linear"}, optimizer={"name": "sgd", "lr": 0.5}), blobs(), heard)
    assert result.value == 1.0
    assert heard.steps == list(range(1, 13))
    assert [list(metrics) for metrics in result.curves] == [ORDER] * 12
    assert heard.values == [metrics["val/accuracy"] for metrics in result.curves]
    assert result.best_step == ties(result.curves, 1.0)[0]  # of equals the lowest loss


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


@pytest.mark.parametrize(
    ("scaling", "reference", "factor"),
    [("none", 8, 1), ("linear", 64, 0.25), ("linear", 8, 2), ("sqrt", 64, 0.5), ("sqrt", 4, 2), ("sqrt", 16, 1)],
)
def test_the_rate_is_tied_to_the_batch_size_around_the_reference(scaling, reference, factor):
    """16 samples a batch: the rate that is used is that of a config which names it outright, in the metrics too, bit for bit."""
    scaled = training.train(config(epochs=2, lr_scaling=scaling, reference_batch_size=reference, schedule={"name": "cosine"}), blobs())
    plain = training.train(config(epochs=2, optimizer={"name": "adam", "lr": 0.02 * factor}, schedule={"name": "cosine"}), blobs())
    same(scaled, plain)
    assert settings.lr_factor(config(lr_scaling=scaling, reference_batch_size=reference)) == factor
    assert settings.lr_factor(config()) == 1


def test_the_rate_that_is_used_is_told(caplog):
    with caplog.at_level("INFO"):
        training.train(config(epochs=1), blobs())
        assert "lr_scaling" not in caplog.text
        curves = training.train(config(epochs=1, lr_scaling="linear"), blobs()).curves
    assert "lr_scaling=linear: optimizer.lr=0.02 is used as 0.005" in caplog.text and curves[0]["lr"] == 0.005


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"lr_scaling": "square"}, "lr_scaling=square: must be"), ({"reference_batch_size": 0}, "reference_batch_size=0: must be")],
)
def test_a_scaling_that_is_none_is_one_line(changes, message):
    with pytest.raises(UserError, match=message):
        training.check_config(config(**changes))


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
    """Of the objective: a loss that falls a little while the accuracy stays moves the best epoch, not the end."""
    frozen = config(epochs=20, patience=3, optimizer={"name": "sgd", "lr": 1e-12, "momentum": 0.0}, model={"name": "linear"})
    result = training.train(frozen, blobs())
    assert len(result.curves) == 4  # epochs 2, 3, 4 are no better than 1
    assert result.best_step == ties(result.curves, result.value)[0]
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


# Refused at once

BAD = [
    ({"epochs": 0}, "epochs=0: must be a whole number >= 1"),
    ({"epochs": 2.5}, "epochs=2.5"),
    ({"batch_size": -1}, "batch_size=-1"),
    ({"batch_size": True}, "batch_size=true"),
    ({"seed": -1}, "seed=-1"),
    ({"seed": None}, "seed=null"),
    ({"metric": "val/acc"}, "metric=val/acc: must be one of val/loss, val/accuracy, val/balanced_accuracy"),
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


# What a person sees


def test_the_epoch_table_stars_each_best(capsys):
    table = console.EpochTable("minimize")
    for step, value in enumerate([3.0, 2.0, 2.5, 1.0], start=1):
        table(value, step, {"val/loss": value, "val/accuracy": 0.5})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "val/loss", "val/acc"]
    assert [line.endswith("*") for line in lines[1:]] == [True, True, False, True]


def test_the_star_breaks_ties_as_the_kept_weights_do(capsys):
    table = console.EpochTable("maximize")
    for step, (value, loss) in enumerate([(0.9, 1.0), (0.9, 0.5), (0.9, 0.5), (0.9, 0.7), (0.8, 0.1)], start=1):
        table(value, step, {"val/accuracy": value, "val/loss": loss})
    assert [line.endswith("*") for line in capsys.readouterr().out.splitlines()[1:]] == [True, True, False, False, False]


def test_curves_are_written_whole(tmp_path):
    console.write_curves(tmp_path / "curves.csv", [{"val/loss": 1.5, "lr": 0.1}, {"val/loss": 1.25, "lr": 0.1}])
    assert (tmp_path / "curves.csv").read_text() == "step,val/loss,lr\n1,1.5,0.1\n2,1.25,0.1\n"
    assert len(list(tmp_path.iterdir())) == 1


# The start of a process

TRAIN_ONE = """
import json, sys
{first}
from tests.small_training import blobs, config, numbers
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
