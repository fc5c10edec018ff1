"""Failed trials run again in a new study: what is taken over, what is run, and when nothing is."""

import json
import os
from types import SimpleNamespace

import pytest

from trivet import space
from trivet.search.stopping import StopRules
from trivet.study import tables
from trivet.sweep import retrying
from trivet.sweep.identifying import Search

PARAMS = (
    space.Param("x", space.Float(0.0, 1.0)),
    space.Param("kind", space.Choice(("a", None))),
    space.Param("n", space.Int(1, 9), (("kind", "a"),)),
)
ROWS = """number,state,reason,value,step,best_step,x,kind,n,seconds,worker,started,overrun
0,FAIL,RuntimeError: bad,,,,0.5,null,,1.0,w,,0
1,COMPLETE,,0.1,2,2,0.1,a,3,1.0,w,,0
2,FAIL,diverged: loss is nan,,1,1,0.2,null,,1.0,w,,0
3,PRUNED,,0.4,1,1,0.30000000000000004,null,,1.0,w,,0
4,FAIL,out of memory,,,,0.4,a,5,1.0,w,,0
6,FAIL,RuntimeError: bad,,,,0.6,null,,1.0,w,,0
"""
CURVES = "number,step,value,val/loss\n1,1,0.2,0.9\n1,2,0.1,\n2,1,,0.5\n3,1,0.4,0.5\n"
BASE = {"space": {"x": "1"}, "code": {"app.py": "1"}, "env_set": {}, "retried": None}


def study(folder, rows=ROWS, mtime=0, **identity):
    """A folder with a study's tables; returns it."""
    folder.mkdir(parents=True)
    (folder / "trials.csv").write_text(rows)
    (folder / "curves.csv").write_text(CURVES)
    tables.write_yaml(folder / "study.yaml", {"fingerprint": folder.name * 3, "identity": {**BASE, **identity}})
    os.utime(folder / "study.yaml", (mtime, mtime))
    return folder


def search(n_trials=7, trials=({"params": {"x": 0.5, "kind": None}, "overrides": []},)):
    where = SimpleNamespace(params=list(PARAMS))
    return Search(None, 0, ("minimize",), None, where, None, (), tuple(trials), (), StopRules(n_trials=n_trials))


def retry(*folders, of=None, **identity):
    parts = {**BASE, **identity}
    return retrying.retried(of or search(), parts, parts, list(folders))


def test_what_failed_is_run_again_and_the_rest_is_taken_over(tmp_path):
    found, parts = retry(study(tmp_path / "out"), code={"app.py": "2"})
    assert [t["params"] for t in found.trials] == [
        {"x": 0.5, "kind": None},
        {"x": 0.1, "kind": "a", "n [kind=a]": 3},
        {"x": 0.2, "kind": None},
        {"x": 0.30000000000000004, "kind": None},
        {"x": 0.4, "kind": "a", "n [kind=a]": 5},
    ], "up to the first row that is missing"
    kept = [t.get("kept") for t in found.trials]
    assert kept[0] is None and kept[4] is None
    assert kept[1] == {
        "state": "COMPLETE",
        "values": (0.1,),
        "reason": "",
        "curve": ((1, 0.2), (2, 0.1)),
        "metrics": {"columns": ["val/loss"], "rows": [[1, 0.9], [2, None]]},
    }
    assert (kept[2]["state"], kept[2]["reason"]) == ("FAIL", "diverged: loss is nan"), "a trial that diverged is not run again"
    assert kept[3]["state"] == "PRUNED" and kept[3]["curve"] == ((1, 0.4),)
    assert parts["retried"]["of"] == ("out" * 3)[:16] and found.trials[0]["overrides"] == []


def test_the_identity_follows_from_what_is_taken_over(tmp_path):
    one, other = study(tmp_path / "out"), study(tmp_path / "b/out", ROWS.replace("0.1,2,2", "0.2,2,2"))
    marks = [retry(folder)[1]["retried"]["trials"] for folder in (one, one, other)]
    assert marks[0] == marks[1] != marks[2]


@pytest.mark.parametrize(
    ("rows", "identity"),
    [
        (ROWS, {"space": {"x": "2"}}),  # another study
        (ROWS.replace("RuntimeError: bad", "diverged: nan").replace("out of memory", "diverged: inf"), {}),
        (ROWS.replace("RuntimeError: bad", "diverged: nan").replace("out of memory", "diverged: inf"), {"code": {}}),
        (ROWS.partition("\n")[0] + "\n", {}),
    ],
)
def test_nothing_to_retry(tmp_path, rows, identity):
    found, parts = retry(study(tmp_path / "out", rows), **identity)
    assert found.trials == search().trials and parts["retried"] is None
    assert retry()[1]["retried"] is None


def test_a_retry_is_continued_by_the_same_command(tmp_path):
    folder = study(tmp_path / "out")
    first, parts = retry(folder)
    n_rows = ROWS.count("\n")
    begun = study(tmp_path / "out-12345678", "\n".join(ROWS.split("\n")[: n_rows - 2]) + "\n", mtime=9, retried=parts["retried"])
    retrying.write(begun, first)
    found, again = retry(folder, begun)
    assert again == parts and json.dumps(found.trials) == json.dumps(first.trials)
    whole = ROWS.replace("\n6,", "\n5,")
    (begun / "trials.csv").write_text(whole + "6,COMPLETE,,0.1,2,2,0.1,a,3,1.0,w,,0\n")
    assert retry(folder, begun)[1]["retried"] not in (None, parts["retried"]), "over, and some failed again: once more"
    (begun / "trials.csv").write_text(whole.replace("RuntimeError: bad", "diverged: x").replace("out of memory", "diverged: y"))
    assert retry(folder, begun)[1] == parts, "nothing left to run again: the same study, with more trials where they are asked for"


def test_which_folders_may_hold_studies_of_a_sweep(tmp_path):
    there = {study(tmp_path / name) for name in ("out", "out-12345678", "out-1234567", "other", "out-12345678-x")}
    assert {f.name for f in retrying.siblings(tmp_path / "out")} == {"out", "out-12345678"} and len(there) == 5
    assert retrying.siblings(tmp_path / "none/out") == []
