"""study.yaml of any making: read as it is, or told in one line, by all that read it."""

import pytest
import yaml

from trivet import studyfile
from trivet.errors import UserError
from trivet.reporting.tables import read_sweep
from trivet.study.tables import load_study

GOOD = {
    **{
        "name": "a\x1b",
        "fingerprint": "f",
        "command": "python app.py\n",
        "program": ["python"],
        "overrides": ["x='\n'"],
        "directions": ["minimize"],
    },
    **{
        "metric": ["a", "b"],
        "seed": 0,
        "lag": 3,
        "n_trials": 5,
        "n_jobs": 2,
        "seconds": 1.5,
        "sampler": {"name": "tpe"},
        "pruner": {"name": "none"},
    },
    **{"space": [{"key": "x", "spec": "1,2"}, {"key": "y", "spec": "1,2", "when": {"x": "1"}}], "storage": None, "stopped_by": None},
    **{"started": "now", "finished": None, "defaults": None, "config": {1: 2}, "identity": {}, "versions": {}, "git": None, "hardware": {}},
}
ODD = [None, True, 3, -1, 2.5, "", "text", [], [3], [{"key": "x"}], {}, {"a": 1}, {"name": 3}]


def written(folder, content):
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    (folder / "trials.csv").write_text(
        "number,state,reason,value,step,best_step,x,seconds,worker,started,overrun\n0,COMPLETE,,1.0,1,1,1,1.0,w,,0\n"
    )
    return folder


def test_what_a_sweep_writes_is_read(tmp_path):
    assert load_study(written(tmp_path, GOOD), tuple(GOOD)) == GOOD
    assert read_sweep(tmp_path).study == GOOD
    studyfile.check({"anything": object()}, "p")  # keys of later versions


@pytest.mark.parametrize("key", GOOD)
def test_every_odd_value_is_taken_as_it_is_or_told(key, tmp_path):
    n_told = 0
    for value in ODD:
        written(tmp_path, {**GOOD, key: value})
        try:
            load_study(tmp_path)
            read_sweep(tmp_path)
        except UserError as error:
            n_told += 1
            assert str(error).isprintable() and f"study.yaml: {key}=" in str(error)
    assert n_told >= 5
    with pytest.raises(UserError, match=f"study.yaml: {key} is missing; name the folder"):
        load_study(written(tmp_path, {k: v for k, v in GOOD.items() if k != key}), (key,))


@pytest.mark.parametrize("number", ["x", "", "1.5", "inf"])
def test_a_row_without_a_number(number, tmp_path):
    path = written(tmp_path, GOOD) / "trials.csv"
    path.write_text(path.read_text().replace("\n0,", f"\n{number},"))
    with pytest.raises(UserError, match="number must be a whole number in each row"):
        read_sweep(tmp_path)
