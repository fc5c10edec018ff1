"""The sweep as its users run it: `python app.py -m hydra/sweeper=trivet`, in processes of its own.

    pytest tests/test_sweeper.py

The same table for every number of workers; what makes a study the same; what is left in the folder; old apps and other kinds of apps.
"""

import pytest
from apps.running import curves, notes, rows, run, run_all, table

# Each with the arguments that choose it; the space holds a float, an int, a log float, a choice, and where it says so a choice of groups.
SEARCHES = {
    "tpe+median": ["hydra.sweeper.pruner=median", "optimizer=sgd,adam"],
    "tpe+asha": ["hydra.sweeper.pruner=asha"],
    "random+percentile": ["hydra.sweeper.sampler=random", "hydra.sweeper.pruner={name:percentile,percentile:40}"],
    "cmaes+hyperband": ["hydra.sweeper.sampler=cmaes", "hydra.sweeper.pruner={name:hyperband,max_resource:6,reduction_factor:2}"],
    "qmc": ["hydra.sweeper.sampler=qmc"],
    "grid": ["hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=null", "x=0.2,0.4", "width=int(interval(2,4))", "optimizer.lr=0.1,0.01"],
}
PACE = "pace=0.004"


@pytest.fixture(scope="module")
def with_one_worker(tmp_path_factory):
    """Every search of the table in one process each: name -> folder."""
    base = tmp_path_factory.mktemp("one")
    ended = run_all("curves.py", [(base / name, ["-m", *arguments]) for name, arguments in SEARCHES.items()], cwd=base)
    for name, end in zip(SEARCHES, ended, strict=True):
        assert end.code == 0, f"{name}: {end.text}"
    return {name: base / name / "sweep" for name in SEARCHES}


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [2, 4])
@pytest.mark.parametrize("search", SEARCHES)
def test_the_table_is_the_same_for_every_number_of_workers(search, n_jobs, with_one_worker, tmp_path):
    ended = run("curves.py", "-m", *SEARCHES[search], f"hydra.sweeper.n_jobs={n_jobs}", PACE, cwd=tmp_path)
    assert ended.code == 0, ended.text
    assert table(tmp_path / "sweep") == table(with_one_worker[search])
    assert curves(tmp_path / "sweep") == curves(with_one_worker[search])
    assert len({row["worker"] for row in rows(tmp_path / "sweep")}) > 1
    assert all(lines[0] == "begin 0" and len(lines) <= 2 for lines in notes(tmp_path / "sweep").values()), "each trial runs once"


def test_a_search_finds_the_optimum_and_prunes(with_one_worker):
    found = rows(with_one_worker["tpe+median"])
    assert [int(row["number"]) for row in found] == list(range(20))
    states = [row["state"] for row in found]
    assert states.count("PRUNED") >= 3
    assert states.count("COMPLETE") >= 3
    values = [float(row["value"]) for row in found if row["state"] == "COMPLETE"]
    assert min(values) < values[0], "better than the default configuration, which is trial 0"
    for row in found:
        assert row["optimizer"] in ("sgd", "adam")
        assert (row["optimizer.momentum"] == "") == (row["optimizer"] == "adam"), "momentum belongs to sgd alone"
        assert int(row["step"]) == 6 if row["state"] == "COMPLETE" else int(row["step"]) <= 6


def test_a_grid_is_complete(with_one_worker):
    found = rows(with_one_worker["grid"])
    points = {(row["x"], row["width"], row["optimizer.lr"], row["optimizer.momentum"]) for row in found}
    assert len(found) == len(points) == 2 * 3 * 2 * 3
