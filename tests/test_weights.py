"""Several objectives as one: what the sum is, what is refused, and that a search, its pruner included, goes by it."""

import math

import pytest
from hydra_apps import sweep

import trivet
from trivet.errors import UserError
from trivet.search import replicates, weights
from trivet.search.weights import Weights
from trivet.study import tables

COUNTS = "must be 2 numbers, one per direction: how much each objective counts"
WORTH = "must be 2 numbers, one per direction: how much of each is worth its weight, such as [0.1, 100000]"
BOTH = Weights(("maximize", "minimize"), (1.0, 0.5), (0.1, 1000.0))


def test_the_sum():
    assert BOTH.of([0.9, 4000.0]) == pytest.approx(9.0 - 2.0)
    assert Weights(("minimize", "minimize"), (1.0, 2.0), (1.0, 4.0)).of([3.0, 2.0]) == 4.0
    assert math.isnan(BOTH.of([math.nan, 1.0]))
    assert BOTH.heard([0.9, 4000.0]) == BOTH.of([0.9, 4000.0])


@pytest.mark.parametrize("value", [0.9, [0.9], [0.9, 1.0, 2.0]])
def test_a_report_names_them_all(value):
    with pytest.raises(UserError) as refused:
        BOTH.heard(value)
    must = "must be a list of 2 numbers, one per direction, as hydra.sweeper.weights make one of them"
    assert str(refused.value) == f"trivet.report: value={value}: {must}"


@pytest.mark.parametrize(
    ("given", "scales", "n", "said"),
    [
        ([1.0, 0.5], [1.0, 1.0], 1, "weights=[1.0, 0.5]: weigh several objectives; give as many directions, or leave them out"),
        ([1.0], [1.0, 1.0], 2, f"weights=[1.0]: {COUNTS}"),
        ([1.0, 0.5], None, 2, f"scales=[]: {WORTH}"),
        (None, [1.0, 1.0], 2, f"weights=[]: {COUNTS}"),
        ([0.0, 0.0], [1.0, 1.0], 2, "weights=[0.0, 0.0]: at least one must be above 0"),
    ],
)
def test_what_is_refused(given, scales, n, said):
    with pytest.raises(UserError) as refused:
        weights.read(given, scales, ["maximize", "minimize"][:n])
    assert str(refused.value) == f"hydra.sweeper.{said}"


def test_what_a_study_keeps_under_which_name_stays():
    """Studies on disk have it so."""
    assert weights.OBJECTIVES == "trivet:objectives" and replicates.attribute(3) == "trivet:replicate:3"
    assert BOTH.as_dict() == {"directions": ["maximize", "minimize"], "weights": [1.0, 0.5], "scales": [0.1, 1000.0]}


def test_none():
    assert weights.read(None, None, ["maximize"]) is None and weights.read([], [], ["maximize", "minimize"]) is None


APP = """x: 0.0
hydra:
  sweeper:
    n_trials: 12
    direction: [maximize, minimize]
    weights: [1.0, 1.0]
    scales: [1.0, 10.0]
    pruner: {name: median, n_startup_trials: 2}
    sampler: random
    params: {x: 'interval(0, 4)'}
"""


@pytest.mark.parametrize("more", [[], ["hydra.sweeper.replicates={key: seed, values: [0, 1]}", "hydra.sweeper.pruner=null"]])
def test_a_search_and_its_pruner_go_by_the_sum(tmp_path, monkeypatch, more):
    """The sum is x - x**2 / 4, best at 2; the first alone is best at 4."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("seed: 0\n" + APP)

    def task(config):
        both = [config.x, 2.5 * config.x**2]
        for step in (1, 2):
            trivet.report(both, step)
        return both

    value = sweep(tmp_path / "conf", task, ["hydra.sweep.dir=out", *more])
    rows = tables.read_csv(tmp_path / "out" / "trials.csv")
    for row in rows:
        x = float(row["x"])
        assert float(row["value"]) == pytest.approx(x - x**2 / 4)
        if not more and row["state"] == "COMPLETE":
            assert [float(row["objective_0"]), float(row["objective_1"])] == pytest.approx([x, 2.5 * x**2])
    assert value == max(float(row["value"]) for row in rows) and value > 0.9
    assert more or {row["state"] for row in rows} == {"COMPLETE", "PRUNED"}
    assert tables.load_study(tmp_path / "out")["weights"]["scales"] == [1.0, 10.0]
