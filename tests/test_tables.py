"""The files of a sweep: cells and back, best trials, earlier sweeps as knowledge."""

import csv
import errno
import io
import math
import os
import random
from types import SimpleNamespace

import pytest
import yaml
from simulated_workers import PARAMS, quality, run_alone, run_scheduled, spec_of, two_objectives

from trivet import space
from trivet.errors import UserError
from trivet.study import tables
from trivet.study.records import Official, Outcome
from trivet.study.study import Study
from trivet.study.tables import best_of, cell, from_cell, param_cell, pareto, read_csv, write_tables, write_text
from trivet.study.warm import read_warm

NAN = math.nan

# Cells -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (NAN, ""),
        (0.1, "0.1"),
        (1e-05, "1e-05"),
        (1 / 3, "0.3333333333333333"),
        (3, "3"),
        (math.inf, "inf"),
        ("worker-0", "worker-0"),
    ],
)
def test_cells(value, text):
    assert cell(value) == text


OPTIONS = [
    *(None, True, False, 0, 1, -3, 0.5, 1e-05, 1e22, "", "a", "a b", "a,b", 'say "x"', "it's", "line\nbreak", "grün ✓", "a=b", "{x}", "[1"),
    *([], [1, 2], ["a", None], [[1], {"k": [True]}], {"a": 1, "b": {"c": None}}, "None", "x" * 300, " padded ", "\\", "\t"),
]


@pytest.mark.parametrize("option", OPTIONS, ids=repr)
def test_a_parameters_cell_gives_it_back(option):
    spec = space.Choice((option, "something else", 77))
    text = param_cell(option)
    stored = io.StringIO(tables.csv_text(["p"], [[text]]), newline="")
    (row,) = csv.DictReader(stored)
    assert repr(from_cell(spec, row["p"])) == repr(option)
    assert repr(from_cell(space.Fixed(option), row["p"])) == repr(option)


def test_all_options_at_once():
    spec = space.Choice(tuple(OPTIONS))
    assert repr([from_cell(spec, param_cell(option)) for option in OPTIONS]) == repr(OPTIONS)


@pytest.mark.parametrize(
    ("spec", "text", "value"),
    [
        (space.Int(1, 9), "3", 3),
        (space.Int(1, 9), "3.0", 3),
        (space.Float(0, 1), "0.25", 0.25),
        (space.Float(0, 1), "1", 1.0),
        (space.Float(1e-5, 1, log=True), "1e-05", 1e-5),
        (space.Choice((0.1, 0.2)), "0.10", 0.1),
        (space.Choice((32, 64)), "64.0", 64),
        (space.Choice((1.0, 2.0)), "2", 2.0),
    ],
)
def test_numbers_by_value(spec, text, value):
    got = from_cell(spec, text)
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    "spec", [space.Int(1, 9), space.Float(0, 1), space.Choice((1, 2)), space.Choice(("a",)), space.Fixed(1), space.Fixed(True)]
)
@pytest.mark.parametrize("text", ["", "b", "null"])
def test_a_cell_without_a_meaning(spec, text):
    with pytest.raises(ValueError):
        from_cell(spec, text)


# Best --------------------------------------------------------------------------------------------------------------------------


def official(number, values, state="COMPLETE", curve=()):
    return Official(number, state, list(values), "", list(curve), {}, None)


def study_of(maximize, losses=None, n=6):
    """What `best_of` looks at: the direction, and each trial's val/loss by step."""
    rows = [sorted([step, 0.1, loss] for step, loss in (losses or {}).get(number, {}).items()) for number in range(n)]
    kept = [{"trivet:metrics": {"columns": ["lr", "val/loss"], "rows": of_trial}} if of_trial else {} for of_trial in rows]
    return SimpleNamespace(
        spec=SimpleNamespace(maximize=maximize, replicates=None), trials=[SimpleNamespace(user_attrs=attrs) for attrs in kept]
    )


def test_best_is_the_earliest_of_equals():
    trials = [official(0, [1]), official(1, [3]), official(2, [3]), official(3, [0]), official(4, [9], "PRUNED"), official(5, [], "FAIL")]
    assert best_of(study_of(True), trials).number == 1 and best_of(study_of(False), trials).number == 3
    assert best_of(study_of(True), trials[4:]) is None and best_of(study_of(True), []) is None


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ({1: {1: 0.5, 2: 0.4}, 2: {1: 0.3, 2: 0.9}}, 2),  # the lowest at a step that has the best value, 0.3 before 0.4
        ({1: {1: 0.5, 2: 0.3}, 2: {1: 0.3, 2: 0.9}}, 1),  # equal as well: the earliest
        ({1: {1: 0.5, 2: math.nan}, 2: {1: math.nan, 2: 0.4}}, 2),
        ({2: {1: 7.0, 2: 8.0}}, 2),  # known before unknown
        ({0: {1: 0.1}}, 1),  # a lower loss of a worse trial counts for nothing
        ({}, 1),
    ],
)
def test_ties_between_trials_go_to_the_lower_loss(losses, expected):
    trials = [official(0, [1], curve=[(1, 1.0)]), *(official(n, [3], curve=[(1, 3.0), (2, 3.0), (3, 2.0)]) for n in (1, 2))]
    assert best_of(study_of(True, losses), trials).number == expected


def test_the_best_step_is_that_of_the_lowest_loss():
    study, trial = study_of(True, {0: {1: 0.5, 2: 0.4, 3: 0.1}}), official(0, [3], curve=[(1, 3.0), (2, 3.0), (3, 2.0)])
    assert tables._best_step(trial, study) == 2
    assert tables._best_step(trial, study_of(True)) == 1


def test_pareto():
    points = [(1, 1), (2, 2), (3, 1), (1, 3), (2, 2), (0, 0)]
    trials = [official(i, p) for i, p in enumerate(points)]
    assert [t.number for t in pareto(trials, ["maximize", "maximize"])] == [1, 2, 3, 4]
    assert [t.number for t in pareto(trials, ["minimize", "minimize"])] == [5]
    assert [t.number for t in pareto(trials, ["maximize", "minimize"])] == [2, 5]
    assert pareto([official(0, [], "FAIL")], ["minimize", "minimize"]) == []


# Whole tables ------------------------------------------------------------------------------------------------------------------


def tables_of(spec, folder, fixed=(), trial=None):
    folder.mkdir(exist_ok=True)
    run_alone(spec, *([trial] if trial else []))
    study = Study(spec)
    write_tables(study, folder, fixed)
    study.close()
    return folder


def scripted(outcomes):
    return lambda number, params: outcomes[number]


def test_what_the_files_say(tmp_path):
    given = [
        {"params": {"x": 0.5, "kind": "a", "lr [kind=a]": 1e-05}, "overrides": ["x=0.5", "kind=a", "lr=1e-05"]},
        {"params": {"x": -1.0, "kind": "b", "depth [kind=b]": 3, "flag [kind=b]": True}, "overrides": None},
        {"params": {"x": 2.0, "kind": None, "note": 'a,"b"\nü'}, "overrides": None},
        {"params": {"x": 3.0, "kind": None}, "overrides": None},
    ]
    outcomes = [
        ([(1, 0.1), (2, 0.4), (4, 0.4)], Outcome("COMPLETE", (0.4,))),
        ([(1, NAN), (2, 0.2)], Outcome("FAIL", reason='ValueError: "a", b')),
        ([(1, 0.7)], Outcome("PRUNED")),
        ([], Outcome("COMPLETE", (0.4,))),
    ]
    spec = spec_of(tmp_path / "study", "list", None, 4, explicit=tuple(given))
    folder = tables_of(spec, tmp_path / "out", ["epochs=3"], scripted(outcomes))
    rows = read_csv(folder / "trials.csv")
    expected = [
        "0,COMPLETE,,0.4,4,2,0.5,a,1e-05,,,",
        '1,FAIL,"ValueError: ""a"", b",,2,2,-1.0,b,,3,true,',
        '2,PRUNED,,0.7,1,1,2.0,null,,,,"a,""b""\nü"',
        "3,COMPLETE,,0.4,,,3.0,null,,,,",
    ]
    header = ["number", "state", "reason", "value", "step", "best_step", "x", "kind", "lr", "depth", "flag", "note"]
    assert list(rows[0]) == [*header, "seconds", "worker", "started", "overrun"]
    assert [[row[c] for c in header] for row in rows] == list(csv.reader(io.StringIO("\n".join(expected), newline="")))
    assert [row["overrun"] for row in rows] == ["0", "0", "0", "0"]
    assert (folder / "curves.csv").read_text() == "number,step,value\n0,1,0.1\n0,2,0.4\n0,4,0.4\n1,1,\n1,2,0.2\n2,1,0.7\n"
    assert yaml.safe_load((folder / "best.yaml").read_text()) == {
        "number": 0,
        "value": 0.4,
        "overrides": ["epochs=3", "kind=a", "x=0.5", "lr=1e-05"],
    }
    assert yaml.safe_load((folder / "optimization_results.yaml").read_text()) == {
        "name": "optuna",
        "best_params": {"x": 0.5, "kind": "a", "lr": 1e-05},
        "best_value": 0.4,
    }
    assert sorted(p.name for p in folder.iterdir()) == ["best.yaml", "curves.csv", "optimization_results.yaml", "trials.csv"]


def test_labels_of_listed_trials_are_columns_before_the_parameters(tmp_path):
    given = [
        {"params": {"x": 0.5}, "overrides": ["x=0.5"], "attrs": {"finalist": 0, "audited": 7}},
        {"params": {"x": 0.5}, "overrides": ["x=0.5"], "attrs": {"finalist": 1, "note": True}},
        {"params": {"x": 0.5}, "overrides": ["x=0.5"]},
    ]
    spec = spec_of(tmp_path / "study", "list", None, 3, explicit=tuple(given), params=PARAMS[:1])
    folder = tables_of(spec, tmp_path / "out", (), scripted([([], Outcome("COMPLETE", (0.4,)))] * 3))
    rows = read_csv(folder / "trials.csv")
    assert list(rows[0])[5:10] == ["best_step", "finalist", "audited", "note", "x"]
    assert [[row[name] for name in ("finalist", "audited", "note")] for row in rows] == [["0", "7", ""], ["1", "", "True"], ["", "", ""]]


def test_direction_decides_the_best_step(tmp_path):
    outcomes = [([(1, 0.5), (2, 0.1), (3, 0.1), (4, NAN)], Outcome("COMPLETE", (0.1,)))]
    spec = spec_of(tmp_path / "study", "random", None, 1, directions=("minimize",))
    assert read_csv(tables_of(spec, tmp_path / "out", (), scripted(outcomes)) / "trials.csv")[0]["best_step"] == "2"


def test_several_objectives(tmp_path):
    spec = spec_of(tmp_path / "study", ("nsgaii", {"population_size": 4}), None, 12, directions=("maximize", "minimize"))
    folder = tables_of(spec, tmp_path / "out", (), two_objectives)
    rows = read_csv(folder / "trials.csv")
    assert list(rows[0])[3:5] == ["value_0", "value_1"]
    best = yaml.safe_load((folder / "best.yaml").read_text())["solutions"]
    results = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert results["name"] == "optuna" and [s["values"] for s in results["solutions"]] == [s["values"] for s in best]
    for solution in best:
        row = rows[solution["number"]]
        assert [float(row["value_0"]), float(row["value_1"])] == solution["values"] and f"x={row['x']}" in solution["overrides"]


def test_nothing_complete_means_no_best(tmp_path):
    folder = tables_of(spec_of(tmp_path / "study", "random", None, 2), tmp_path / "out", (), lambda *_: ([], Outcome("FAIL", reason="no")))
    assert sorted(p.name for p in folder.iterdir()) == ["curves.csv", "trials.csv"]
    assert [row["state"] for row in read_csv(folder / "trials.csv")] == ["FAIL", "FAIL"]


def test_metrics_stand_beside_the_values_and_those_that_vary_last(tmp_path):
    spec = spec_of(tmp_path / "study", "random", None, 1)
    study = Study(spec)
    study.claim("w")
    study.report(0, 1, 0.5)
    study.report(0, 2, 0.6)
    table = {"columns": ["seconds", "loss", "new"], "rows": [[1, 9.0, 0.25, None], [2, 8.0, NAN, 3.0], [7, 1.0, 1.0, 1.0]]}
    study.tell(0, Outcome("COMPLETE", (0.6,)), {"trivet:metrics": table, "trivet:run": {"seconds": 1.5, "worker": "w", "started": "now"}})
    (tmp_path / "out").mkdir()
    write_tables(study, tmp_path / "out", ())
    assert (tmp_path / "out/curves.csv").read_text() == "number,step,value,loss,new,seconds\n0,1,0.5,0.25,,9.0\n0,2,0.6,,3.0,8.0\n"
    row = read_csv(tmp_path / "out/trials.csv")[0]
    assert [row[name] for name in ("seconds", "worker", "started")] == ["1.5", "w", "now"]
    study.close()


def test_the_overrides_of_every_trial_make_its_parameters(tmp_path):
    spec = spec_of(tmp_path, "random", None, 30)
    run_alone(spec)
    study = Study(spec)
    for number in range(30):
        overrides = dict(o.split("=", 1) for o in tables.overrides_of(study, number, ["a=1", "+trivet=coarse"]))
        params = study.params_of(number)
        assert overrides.pop("a") == "1"
        assert overrides == {name.partition(" [")[0]: space.sweep_text(value) for name, value in params.items()}
    study.close()


# Writing whole -----------------------------------------------------------------------------------------------------------------


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "f"
    write_text(path, "old ü\r\n")
    assert path.read_bytes() == "old ü\r\n".encode()

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError):
            write_text(path, "new")
    assert path.read_bytes() == "old ü\r\n".encode() and [p.name for p in tmp_path.iterdir()] == ["f"]


# Earlier sweeps ----------------------------------------------------------------------------------------------------------------


def earlier(tmp_path, n=24, **changes):
    return tables_of(spec_of(tmp_path / "earlier", "random", "asha", n, **changes), tmp_path / "earlier")


def test_a_table_comes_back_as_knowledge(tmp_path):
    folder = earlier(tmp_path)
    warm = read_warm(["earlier"], PARAMS, tmp_path)
    study = Study(spec_of(folder, "random", "asha", 24))
    kept = [t for t in study.finished() if t.state != "FAIL"]
    assert 0 < len(kept) < 24 and {t.state for t in kept} == {"COMPLETE", "PRUNED"}
    assert [w["params"] for w in warm] == [t.params for t in kept]
    assert repr([w["params"] for w in warm]) == repr([t.params for t in kept])
    assert [(w["state"], w["values"]) for w in warm] == [(t.state, t.values) for t in kept]
    assert repr([w["curve"] for w in warm]) == repr([[list(row) for row in t.curve] for t in kept])
    study.close()
    assert read_warm(["earlier", "earlier"], PARAMS, tmp_path) == [*warm, *warm] or any(v != v for w in warm for _, v in w["curve"])


def narrower(**specs):
    return tuple(space.Param(p.key, specs.get(p.key, p.spec), p.when) for p in PARAMS)


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        (narrower(x=space.Float(0, 5)), lambda r: float(r["x"]) >= 0),
        (narrower(kind=space.Choice(("a",)))[:3], lambda r: r["kind"] == "a"),
        (
            narrower(kind=space.Choice(("a", None)), lr=space.Float(1e-2, 1, log=True))[:3],
            lambda r: r["kind"] != "b" and float(r["lr"] or 1) >= 1e-2,
        ),
        (narrower(depth=space.Int(1, 9, step=2)), lambda r: r["kind"] != "b" or int(r["depth"]) % 2 == 1),
        (narrower(kind=space.Fixed("b")), lambda r: r["kind"] == "b"),
        ((*PARAMS, space.Param("fresh", space.Float(0, 1))), lambda r: True),
        (PARAMS[:1], lambda r: True),
    ],
)
def test_what_lies_outside_the_present_ranges_is_left_out(tmp_path, params, kept):
    folder = earlier(tmp_path)
    rows = [r for r in read_csv(folder / "trials.csv") if r["state"] != "FAIL" and kept(r)]
    warm = read_warm(["earlier"], params, tmp_path)
    assert len(warm) > 0 and [w["params"]["x"] for w in warm] == [float(r["x"]) for r in rows]
    names = {p.name: p.spec for p in params}
    for w in warm:
        assert all(space.contains(names[name], value) and not isinstance(names[name], space.Fixed) for name, value in w["params"].items())
        assert "fresh" not in w["params"]


def test_rows_of_another_option_than_the_one_that_is_set_now_are_left_out(tmp_path):
    folder = earlier(tmp_path)
    n = sum(r["kind"] == "a" and r["state"] != "FAIL" for r in read_csv(folder / "trials.csv"))
    params = (PARAMS[0], space.Param("lr", PARAMS[2].spec))
    assert len(read_warm(["earlier"], params, tmp_path, chosen={"kind": "a", "other": "z"})) == n
    assert len(read_warm(["earlier"], params, tmp_path, chosen={"other": "z"})) == n  # the others have no lr


def test_several_objectives_come_back(tmp_path):
    spec = spec_of(tmp_path / "earlier", "random", None, 8, directions=("maximize", "minimize"))
    tables_of(spec, tmp_path / "earlier", (), two_objectives)
    warm = read_warm(["earlier"], PARAMS, tmp_path, ["minimize", "minimize"])
    assert warm and all(len(w["values"]) == (2 if w["state"] == "COMPLETE" else 0) for w in warm)
    with pytest.raises(UserError, match="has 2 objectives, this sweep 1"):
        read_warm(["earlier"], PARAMS, tmp_path)


def test_a_study_that_knows_an_earlier_one(tmp_path):
    earlier(tmp_path)
    params = narrower(x=space.Float(0.0, 5.0), lr=space.Float(1e-3, 1e-1, log=True))
    warm = tuple(read_warm(["earlier"], params, tmp_path))

    def spec(name):
        return spec_of(tmp_path / name, ("tpe", {"n_startup_trials": 3}), "asha", 8, params=params, warm=warm, warm_prunes=True)

    assert run_scheduled(spec("many"), random.Random(0), 3, 0.03) == run_alone(spec("alone"))
    assert quality({"x": 1.0, "kind": "a", "lr": 0.01}) == 1.0


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "curves.csv: cannot be read"),
        ({"curves.csv": "number,step,value\n"}, "trials.csv: cannot be read"),
        ({"curves.csv": "a,b\n1,2\n", "trials.csv": "a\n1\n"}, "holds no tables of a sweep"),
        ({"curves.csv": "number,step,value\n0,x,1\n", "trials.csv": "number,state,value\n"}, "holds no tables of a sweep"),
        ({"curves.csv": "number,step,value\n", "trials.csv": "number,value\n0,0.5\n"}, "holds no tables of a sweep"),
        ({"curves.csv": "number,step,value\n", "trials.csv": "number,state,value\n0,COMPLETE,good\n"}, "holds no tables of a sweep"),
        ({"curves.csv": "number,step,value\n", "trials.csv": "number,state\n0,COMPLETE\n"}, "has 0 objectives"),
        ({"curves.csv": "\udcff", "trials.csv": ""}, "curves.csv: cannot be read"),
    ],
)
def test_what_is_no_table_is_named_in_one_line(tmp_path, files, said):
    (tmp_path / "earlier").mkdir()
    for name, text in files.items():
        (tmp_path / "earlier" / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=said) as error:
        read_warm(["earlier"], [], tmp_path)
    assert "\n" not in str(error.value) and "earlier" in str(error.value)


def test_an_empty_table_is_refused(tmp_path):
    (tmp_path / "earlier").mkdir()
    write_text(tmp_path / "earlier/curves.csv", "number,step,value\n")
    write_text(tmp_path / "earlier/trials.csv", "number,state,reason,value,step\n")
    with pytest.raises(UserError, match="holds no trials"):
        read_warm(["earlier"], PARAMS, tmp_path)


@pytest.mark.parametrize("text", [None, "", "3", "- a", "a: [", "\udcff"])
def test_a_folder_that_is_no_sweeps(tmp_path, text):
    if text is not None:
        (tmp_path / "study.yaml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match="is not a sweep's folder"):
        tables.load_study(tmp_path)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere", "there is none"),
        ("file", "it is a file"),
        ("empty", "it holds no study.yaml"),
        ("list", "study.yaml: TypeError"),
        ("torn", "study.yaml: ParserError"),
        ("bytes", "study.yaml: UnicodeDecodeError"),
    ],
)
def test_why_a_folder_is_no_sweeps_is_said(tmp_path, name, why):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for folder, content in {"list": b"- a", "torn": b"a: [", "bytes": b"\xff"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "study.yaml").write_bytes(content)
    with pytest.raises(UserError) as told:
        tables.load_study(tmp_path / name)
    assert str(told.value) == f"{tmp_path / name}: is not a sweep's folder ({why}); name the folder that a sweep printed"
