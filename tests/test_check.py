"""The check stage in this process, in a folder of its own with the real conf/: what it finds, what it refuses, what it writes."""

from pathlib import Path

import pytest
import torch
import yaml

from trivet.adapters.attempt import Trainer
from trivet.phases import check, estimate
from trivet.training import Run

ROOT = Path(__file__).resolve().parent.parent
QUICK = [
    "data=digits",
    "model=mlp",
    "model.width=16",
    "~model.space.width",
    "epochs=4",
    "hydra.sweeper.n_trials=10",
    "hydra.sweeper.n_jobs=2",
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A root with digits prepared."""
    root = tmp_path_factory.mktemp("root")
    (root / "conf").symlink_to(ROOT / "conf")
    check.check([*QUICK, *ONLY, "optimizer.lr=interval(0.001,0.1)"], root, Trainer)
    return root


@pytest.fixture
def root(prepared):
    yield prepared
    for path in (prepared / "results" / "check").glob("*"):
        path.unlink()


ONLY = ["hydra.sweeper.config_space=false", "hydra.sweeper.params=null"]


def told(root, *overrides):
    result, _, lines = check.check([*QUICK, *ONLY, *overrides], root, Trainer)
    return result, "\n".join(lines)


def test_a_search_is_composed_from_where_the_stage_runs(prepared, monkeypatch):
    monkeypatch.chdir(prepared)
    assert check.compose([*QUICK, *ONLY], Path()).config({}, {})["data"]["name"] == "digits"


@pytest.mark.slow
def test_the_whole_stage_writes_both_files(root, capsys):
    assert check.main(QUICK, Trainer, root) == 0
    result = yaml.safe_load((root / "results/check/check.yaml").read_text())
    assert list(result) == ["findings", "space", "extremes", "validation", "lr_range", "estimate", "advice"]
    rows = result["extremes"]
    tried = {(row["key"], str(row["value"])) for row in rows}
    for expected in [("optimizer", "sgd"), ("batch_size", "32"), ("batch_size", "256"), ("model.depth", "1"), ("model.dropout", "0.5")]:
        assert expected in tried, expected
    assert {row["result"] for row in rows} == {"ok"} and all(row["milliseconds_per_epoch"] > 0 for row in rows)
    conditional = [row for row in rows if row["key"] == "optimizer.lr"]
    assert {row["when"]["optimizer"] for row in conditional} == {"sgd", "adamw", "nadam"}
    assert {row["value"] for row in conditional if row["when"] == {"optimizer": "sgd"}} == {0.001, 1.0}
    assert rows[-1]["key"] == "(the slowest ends together)"
    estimate = result["estimate"]
    assert (estimate["n_trials"], estimate["epochs"], estimate["workers"]) == (10, 4, 2)
    assert estimate["seconds_unpruned"] == pytest.approx(10 * 4 * estimate["seconds_per_epoch_mean"] / 2, abs=0.06)
    assert estimate["seconds"] <= estimate["seconds_unpruned"]
    assert {"low", "high", "covered"} <= set(result["lr_range"])
    assert (root / "results/check/lr_range.csv").read_text().startswith("lr,loss,smoothed\n")
    assert "time: 10 trials x up to 4 epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("optimizer.lr=interval(0.0001,0.1)", "optimizer.lr"),
        ("optimizer.lr=tag(log,interval(0.002,0.004))", "optimizer.lr"),
        ("batch_size=choice(16,64)", "batch_size"),
    ],
)
def test_a_weak_space_is_warned_of_and_goes_on(root, override, key, capsys):
    assert check.main([*QUICK, *ONLY, override], Trainer, root) == 0
    result = yaml.safe_load((root / "results/check/check.yaml").read_text())
    assert any(finding["key"] == key and finding["mend"] for finding in result["findings"])
    assert f"warning: {key}: " in capsys.readouterr().out


def test_a_loss_that_becomes_nan_at_an_end_is_a_warning(root):
    result, text = told(root, "optimizer=sgd", "model.norm=null", "optimizer.lr=choice(0.01,1e30)")
    assert [row["result"] for row in result["extremes"][:2]] == ["ok", "warning"]
    assert "warning: optimizer.lr=1e+30: the loss is NaN or infinite within" in text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=transformer", "model.heads=choice(4,5)"], "model.heads=5: UserError: model.heads=5: must divide"),
        (["optimizer.lr=choice(0.01,-1)"], "optimizer.lr=-1: UserError: optimizer.lr=-1: must be a number > 0"),
    ],
)
def test_a_value_that_cannot_be_trained_fails_the_stage(root, overrides, message, capsys):
    quick = [q for q in QUICK if "width" not in q and q.partition("=")[0] not in {o.partition("=")[0] for o in overrides}]
    assert check.main([*quick, *ONLY, *overrides], Trainer, root) == 1
    captured = capsys.readouterr()
    assert f"error: {message}" in captured.out
    assert "error: cannot be trained: " in captured.err and "Traceback" not in captured.err
    assert not list((root / "results/check").glob("*"))


def test_out_of_memory_names_the_parameter(root, monkeypatch, capsys):
    step = Run.step

    def greedy(self, x, y, want_norm):
        if len(y) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")
        return step(self, x, y, want_norm)

    monkeypatch.setattr(Run, "step", greedy)
    assert check.main([*QUICK, *ONLY, "batch_size=choice(32,512)"], Trainer, root) == 1
    assert "error: batch_size=512: out of memory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["epochs=0"], "error: epochs=0"),
        (["optimizer.lr=-1", "batch_size=choice(16,32)"], "error: optimizer.lr=-1"),
        (["optimizer.learning_rate=interval(0,1)"], "optimizer.learning_rate"),
        (["model=nothing"], "nothing"),
        (["hparams=nothing"], "nothing"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(root, overrides, message, capsys):
    quick = [q for q in QUICK if q.partition("=")[0] not in {o.partition("=")[0] for o in overrides}]
    assert check.main([*quick, *overrides], Trainer, root) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.strip().splitlines()) == 1
    assert not list((root / "results/check").glob("*"))


@pytest.mark.parametrize(("seconds", "text"), [(3, "3 s"), (90, "1.5 min"), (5400, "1.5 h")])
def test_times_are_readable(seconds, text):
    assert estimate.clock(seconds) == text
