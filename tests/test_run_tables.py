"""runs.csv and run_curves.csv, cell by cell: what a run says of itself, what its trial says of it, and what stays empty."""

from dataclasses import replace
from pathlib import Path

import pytest
from simulated_workers import PARAMS, spec_of

from trivet.search.constraints import Constraint
from trivet.search.replicates import Replicates
from trivet.search.weights import OBJECTIVES, Weights
from trivet.study import copies, run_tables, tables
from trivet.study.records import Claim, Outcome
from trivet.study.study import Study
from trivet.study.view import View

HELD = (Constraint("size", True, 2.0), Constraint("x", True, 9.0))  # x is a parameter as well
GIVEN = (
    {"params": {"x": 0.5, "kind": "a", "lr [kind=a]": 0.01}, "overrides": None, "attrs": {"finalist": 7}},
    {"params": {"x": 1.5, "kind": "b"}, "overrides": None},
    {"params": {"x": 2.5, "kind": None}, "overrides": None},
)
EFFORT = {"seconds": 1.5, "worker": "w", "started": "now"}
LOSSES = {"columns": ["seconds", "val/loss"], "rows": [[1, 9.0, 0.5], [2, 8.0, 0.25], [3, 7.0, None], [9, 1.0, 1.0]]}
RUNS = {
    (0, 0): {"value": 0.75, "held": [1.0, None], "curve": [[1, 0.75], [2, 0.75], [3, 0.5]], "metrics": LOSSES, "run": EFFORT},
    (0, 1): {"state": "COMPLETE", "value": 0.25, "held": [2.0, 0.5], "curve": [[4, 0.25]], "folder": "elsewhere/5"},
    (1, 0): {"state": "FAIL", "reason": "ValueError: odd"},
    (2, 0): {"value": 1.0, "held": [None, 3.0]},
    (2, 1): {"value": 2.0, "held": [1.0, 3.0]},
}


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    given = spec_of(folder, "list", None, 3, explicit=GIVEN, replicates=Replicates("data.seed", (5, True)), constraints=HELD)
    study = Study(given)
    for _ in range(5):
        claim = study.claim("w")
        assert isinstance(claim, Claim)
        study.tell_run(claim.number, claim.replicate, RUNS[claim.number, claim.replicate])
    study.close()
    return given


@pytest.fixture
def study(spec):
    found = View(replace(spec, session="reader"))
    yield found
    found.close()


HEADER = "number,state,reason,value,step,best_step,size,metric/x,finalist,data.seed,x,kind,lr,depth,flag,seconds,worker,started,overrun\n"


def test_the_files_whole(study, tmp_path):
    run_tables.write(study, tmp_path)
    assert (tmp_path / "runs.csv").read_text() == HEADER + (
        "0,COMPLETE,,0.75,3,2,1.0,,7,5,0.5,a,0.01,,,1.5,w,now,0\n"  # of two equal steps the one of the lower loss
        "1,COMPLETE,,0.25,4,4,2.0,0.5,7,true,0.5,a,0.01,,,,,,0\n"
        "2,FAIL,ValueError: odd,,,,,,,5,1.5,b,,,,,,,0\n"
        "4,COMPLETE,,1.0,,,,3.0,,5,2.5,null,,,,,,,0\n"
        "5,COMPLETE,,2.0,,,1.0,3.0,,true,2.5,null,,,,,,,0\n"
    )
    assert (tmp_path / "run_curves.csv").read_text() == (
        "number,step,value,val/loss,seconds\n0,1,0.75,0.5,9.0\n0,2,0.75,0.25,8.0\n0,3,0.5,,7.0\n1,4,0.25,,\n"
    )
    for header, rows in (run_tables.run_rows(study, study.finished()), run_tables.run_curve_rows(study, study.finished())):
        assert {len(row) for row in rows} == {len(header)} and all(isinstance(cell, str) for row in rows for cell in row)


def test_the_trials_are_what_their_runs_came_to(study):
    header, rows = tables.trial_rows(study, study.finished())
    assert all(isinstance(cell, str) and len(row) == len(header) for row in rows for cell in row)
    found = [dict(zip(header, row, strict=True)) for row in rows]
    shown = ["state", "reason", "value", "step", "best_step", "mean", "std", "data.seed=5", "data.seed=True", "size", "metric/x"]
    assert header[:1] + header[1 : len(shown) + 1] == ["number", *shown]
    assert [[row[name] for name in shown] for row in found] == [
        ["COMPLETE", "", "0.5", "2", "", "0.5", "0.3535533905932738", "0.75", "0.25", "1.5", "0.5"],
        ["FAIL", "ValueError: odd", "", "", "", "", "", "", "", "", ""],
        ["COMPLETE", "", "1.5", "2", "", "1.5", "0.7071067811865476", "1.0", "2.0", "1.0", "3.0"],
    ]
    assert [[row[name] for name in tables.VARYING] for row in found] == [["1.5", "w", "now", "0"], *[["", "", "", "0"]] * 2]


def test_which_runs_completed_and_where_their_files_are(study, spec):
    assert run_tables.completed(study) == [0, 1, 4, 5]
    place = Path(spec.folder)
    assert run_tables.folders(study) == {
        **{0: place / "0/0", 1: place / "elsewhere/5", 2: place / "1/0", 4: place / "2/0", 5: place / "2/1"},
    }


def test_a_study_without_replicates_has_no_runs(tmp_path):
    study = Study(spec_of(tmp_path, "random", None, 3, params=PARAMS[:1], lag=1))
    for outcome in (Outcome("COMPLETE", (1.0,)), Outcome("FAIL", reason="odd"), Outcome("COMPLETE", (2.0,))):
        number = study.claim("w").number
        study.tell(number, outcome, {"trivet:folder": "elsewhere"} if number == 2 else None)
    run_tables.write(study, tmp_path)
    assert not list(tmp_path.glob("*.csv"))
    assert run_tables.completed(study) == [0, 2] and run_tables.folders(study) == {2: tmp_path / "elsewhere"}
    study.close()


def test_the_runs_of_a_copy_say_so(tmp_path):
    kept = copies.Copied(
        "COMPLETE", (1.5,), "copied from trial 7", ((1, 1.0), (2, 1.5)), None, {"trivet:replicate:0": {"value": 1.5, "held": []}}
    )
    given = ({"params": {"x": 1.0}, "overrides": None, "kept": kept.as_dict()},)
    study = Study(spec_of(tmp_path, "list", None, 1, params=PARAMS[:1], explicit=given, replicates=Replicates(None, (0, 1))))
    claim = study.claim("w")
    copies.finish(study, claim.number, claim.copied, "w")
    header, rows = run_tables.run_rows(study, study.finished())
    assert [dict(zip(header, row, strict=True)) for row in rows] == [
        {
            **{"number": "0", "state": "COMPLETE", "reason": "copied from trial 7", "value": "1.5", "step": "", "best_step": ""},
            **{"replicate": "0", "x": "1.0", "seconds": "", "worker": "", "started": "", "overrun": "0"},
        }
    ]
    study.close()


def test_what_a_value_is_made_of_stands_beside_it(tmp_path):
    weights = Weights(("maximize", "minimize"), (1.0, 0.5), (1.0, 2.0))
    study = Study(spec_of(tmp_path, "random", None, 3, params=PARAMS[:1], weights=weights))
    attrs = {OBJECTIVES: [1.0, 4.0]}
    for outcome, given in ((Outcome("COMPLETE", (0.0,)), attrs), (Outcome("FAIL", reason="odd"), {}), (Outcome("COMPLETE", (2.0,)), {})):
        study.tell(study.claim("w").number, outcome, given)
    header, rows = tables.trial_rows(study, study.finished())
    assert header[3:9] == ["value", "step", "best_step", "objective_0", "objective_1", "x"]
    assert [row[3:8] for row in rows] == [["0.0", "", "", "1.0", "4.0"], ["", *[""] * 4], ["2.0", *[""] * 4]]
    assert all(len(row) == len(header) and all(isinstance(cell, str) for cell in row) for row in rows)
    study.close()
