"""What the report reads of a sweep's folder: which columns are parameters, how trials ended, and what the page is given of them."""

from __future__ import annotations

import fake_results
import numpy as np
import pandas as pd
import pytest

from trivet.reporting.context import Context
from trivet.reporting.explorer import data
from trivet.reporting.tables import read_sweep
from trivet.studyfile import measured


@pytest.mark.parametrize(
    ("study", "columns", "expected"),
    [
        ({}, ["lr", "mean"], set()),
        ({"constraints": {"size": "<= 2", "val/loss": "<= 1"}}, ["size", "val/loss", "lr"], {"size", "val/loss"}),
        ({"constraints": {"lr": "<= 2"}}, ["metric/lr", "lr"], {"metric/lr"}),  # a parameter has the metric's name
        ({"replicates": {"key": "seed", "values": [0, 1]}}, ["mean", "std", "seed=0", "seed=1", "lr"], {"mean", "std", "seed=0", "seed=1"}),
        ({"weights": {"directions": ["maximize", "minimize"]}}, ["objective_0", "objective_1", "lr"], {"objective_0", "objective_1"}),
        ({"constraints": None, "replicates": None, "weights": None}, ["lr"], set()),
    ],
)
def test_what_was_measured_is_no_parameter(study, columns, expected):
    assert measured(study, columns) & set(columns) == expected


@pytest.fixture(scope="module")
def constrained(tmp_path_factory):
    """A sweep whose trials with a width above 80 broke a constraint on the number of parameters."""
    frame, curves = fake_results.search(30, fake_results.SPACE, seed=4, first=fake_results.DEFAULTS)
    frame.loc[0, [key for key in ("optimizer.weight_decay", "optimizer.momentum", "schedule.warmup")]] = np.nan  # not in play
    frame.insert(6, "n_weights", frame["model.width"] * 1000)
    wide = (frame["model.width"] > 80) & (frame["state"] != "FAIL")
    early = np.where(frame["state"] == "PRUNED", "pruned; ", "")
    frame.loc[wide, "reason"] = (early + "infeasible: n_weights is " + frame["n_weights"].astype(str) + ", must be <= 80000")[wide]
    before = frame["state"].copy()
    frame.loc[wide, "state"] = "INFEASIBLE"
    study = fake_results.study("held", fake_results.SPACE, frame, constraints={"n_weights": "<= 80000"})
    return read_sweep(fake_results.publish(tmp_path_factory.mktemp("held"), frame, curves, study)), before


def test_a_metric_of_a_constraint_is_none(constrained):
    sweep, _ = constrained
    assert "n_weights" not in sweep.params and sweep.trials["n_weights"].dtype == float
    context = Context([sweep])
    assert "n_weights" not in context.retrain and "n_weights" not in context.winner_settings
    assert sweep.default_number == 0


def test_the_infeasible_that_were_stopped_count_among_what_was_stopped(constrained):
    sweep, before = constrained
    early = (before == "PRUNED").to_numpy()
    assert sweep.stopped.tolist() == early.tolist() and sweep.count("PRUNED") < early.sum()
    assert sweep.epochs_unpruned == sweep.spent[~early].sum() + 30 * early.sum()


def test_the_page_knows_each_state_and_every_objective(constrained):
    content = data(Context([constrained[0]]))
    (search,) = content["searches"]
    assert [content["states"][state] for state in search["state"]] == constrained[0].trials["state"].tolist()
    assert search["others"] == {} and "n_weights" not in search["params"]
    frame = pd.DataFrame(constrained[0].trials).rename(columns={"value": "value_0"}).assign(value_1=1.5)
    two = constrained[0].__class__(
        "two", frame, constrained[0].curves, ["batch_size"], ["value_0", "value_1"], ["maximize"] * 2, [], {"metric": ["acc", "speed"]}
    )
    assert data(Context([two]))["searches"][0]["others"] == {"speed": [1.5] * 30}
