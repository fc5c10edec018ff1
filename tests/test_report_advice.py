"""What the report decides and proves from the tables: what next, audits, stages that read the test file."""

from __future__ import annotations

import shutil
from pathlib import Path

import fake_results
import numpy as np
import pandas as pd
import pytest
import yaml
from test_report import failed, published

from trivet.reporting.context import Context
from trivet.reporting.decision import decide
from trivet.reporting.model import Command, Section
from trivet.reporting.sections import advice, audit, checklist
from trivet.reporting.tables import read_results, read_sweep


@pytest.fixture(scope="module")
def run(reported) -> Path:
    """A run of the pipeline and its report."""
    return reported


@pytest.mark.parametrize(
    ("deps", "expected"),
    [
        ({"test": ["data/prepared/test.npz"]}, ["test"]),
        ({"test": ["data/prepared/test.npz"], "coarse": ["data/prepared/search.npz"]}, ["test"]),
        ({"test": ["data/prepared/test.npz"], "coarse": ["data/prepared"]}, ["test", "coarse"]),
        ({"a": [{"data/prepared/test.npz": {"cache": False}}]}, ["a"]),
        ({"coarse": ["data/prepared/search.npz"]}, []),
    ],
)
def test_stages_that_read_the_test_file(deps, expected):
    assert checklist.readers({"stages": {name: {"cmd": "x", "deps": part} for name, part in deps.items()}}) == expected


def test_the_project_reads_its_test_file_once():
    pipeline = yaml.safe_load((Path(__file__).parent.parent / "dvc.yaml").read_text())
    assert checklist.readers(pipeline) == ["test"]


def test_what_next_follows_the_flags(tmp_path):
    def decision(trials, **more) -> tuple[str, str]:
        context = Context([read_sweep(published(tmp_path / str(len(list(tmp_path.iterdir()))), 40, trials=trials, curves=False, **more))])
        decision = decide(context)
        section = advice.build(context, decision)
        commands = [block.text for block in section.blocks if isinstance(block, Command)]
        return decision.action, commands[0] if commands else ""

    one = {"space": [{"key": "batch_size", "spec": "interval(0.0, 1.0)"}]}
    keys = [key for key in fake_results.DEFAULTS if key != "batch_size"]

    def ramp(values, place=None):
        return lambda f: f.drop(columns=keys).assign(
            value=values, state="COMPLETE", best_step=10.0, batch_size=np.linspace(0.01, 0.99, 40) if place is None else place
        )

    rising, falling = np.linspace(0.5, 0.9, 40), np.append(0.9, np.linspace(0.5, 0.8, 39))
    middle = np.append(0.5, np.tile(np.linspace(0.01, 0.99, 13), 3))
    assert decision(ramp(rising), **one) == (
        "widen", "python src/train.py -m hparams=odd model=cnn 'batch_size=interval(0.0, 1.5)' hydra.sweeper.n_trials=80")  # fmt: skip
    assert decision(ramp(rising, np.tile(np.linspace(0.3, 0.7, 10), 4)), **one) == (
        "go_on", "python src/train.py -m hparams=odd model=cnn hydra.sweeper.n_trials=80")  # fmt: skip
    assert decision(ramp(falling, middle), **one, config={"epochs": 30, "seed": 0}) == (
        "stop", "python src/train.py -m hparams=odd model=cnn seed=1")  # fmt: skip
    assert decision(lambda f: failed(f).iloc[:30]) == ("look", "")


@pytest.mark.parametrize(
    ("trials", "title", "reason"),
    [
        (
            lambda f: f.assign(state="PRUNED"),
            "Let some finish:",
            "all 40 trials of the sweep odd were pruned, so nothing of it can be compared.",
        ),
        (failed, "Find out why first:", "no trial of the sweep odd ran to its end with a value."),
    ],
)
def test_a_search_without_a_result_says_what_became_of_its_trials(tmp_path, trials, title, reason):
    found = decide(Context([read_sweep(published(tmp_path / "odd", 40, trials=trials, curves=False))]))
    assert (found.action, found.title, found.reason) == ("look", title, reason)


def test_every_sweep_of_a_run_is_read(run, tmp_path):
    """The pipeline's own, and those that were asked for besides."""
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    for name in ("audit", "ablation"):
        shutil.copytree(run / "results/coarse", tmp_path / "results" / name)
    found = read_results(tmp_path)
    sweeps = (found.coarse, found.fine, found.seeds, found.audit, found.ablation)
    assert [sweep.name for sweep in sweeps] == ["coarse", "fine", "seeds", "audit", "ablation"]


def test_an_audit_is_reported(run, tmp_path):
    results = read_results(run)
    pruned = results.coarse.trials[results.coarse.trials["state"] == "PRUNED"].head(4)
    table = pd.DataFrame({
        "number": range(4), "state": "COMPLETE", "reason": "", "value": [0.6, 0.7, 0.999, 0.5], "step": 30, "best_step": 30,
        "audited": pruned["number"].to_numpy(), "seconds": 1.0, "worker": 0, "started": "", "overrun": 0,
    })  # fmt: skip
    fake_results.publish(tmp_path / "audit", table, None, None)
    results.audit = read_sweep(tmp_path / "audit", "audit")
    section = Section("went", "How it went")
    audit.fill(section, Context(results.searches, results))
    assert "1 of them came out better than the best" in section.blocks[1].parts[0] and section.charts
    then, now, _ = section.charts[0].panels[0].layers
    assert list(then.y) == pytest.approx(list(100 * pruned["value"])) and list(now.y) == pytest.approx([60, 70, 99.9, 50])


def test_a_command_for_the_audit_is_named_only_where_there_is_one(run, tmp_path):
    context = Context(read_results(run).searches, read_results(run))
    for root, expected in ((tmp_path, []), (Path(__file__).parent.parent, ["python pipelines/audit.py results/coarse --n 8"])):
        context.results.root = root
        section = Section("went", "How it went")
        audit.fill(section, context)
        assert [block.text for block in section.blocks] == expected
        assert all("price: 240 epochs" in block.what for block in section.blocks)
