"""test for a foreign app: its command per kept model, the metric from what it prints, ensembles from what it writes."""

import json
import sys

import numpy as np
import pytest
import yaml
from test_description import write

from trivet.errors import UserError
from trivet.phases import app_test

HEAD = "number,state,reason,value,step,best_step,finalist,seed,seconds,worker,started,overrun"
EVALUATE = """
import json, sys
import numpy as np
model = json.load(open(sys.argv[1]))
print("epoch 1 acc=0.1")
if len(sys.argv) > 3 and sys.argv[3]:
    np.savez(sys.argv[3], predictions=np.array(model["p"]), targets=np.array([0, 1]))
with open("log", "a") as log:
    print(sys.argv[2], file=log)
print("acc=%s" % model["acc"] if sys.argv[2] == "text" else json.dumps({"acc": model["acc"], "n": 2}))
"""
RUNS = [(0, 101, 0.5), (0, 102, 0.6), (1, 101, 0.8), (1, 102, 0.7), (2, 101, 0.1), (2, 102, 0.1)]


@pytest.fixture(params=["runs", "trials"])
def project(tmp_path, request):
    """Six runs of three finalists, the second of which won; the model of each is a JSON file. The stage's table has a row per run, or its
    trials were the runs, as in results of earlier versions."""
    folder = tmp_path / "results/seeds"
    (folder / "best").mkdir(parents=True)
    rows = [f"{i},COMPLETE,,{value},1,1,{finalist},{seed},1,w,,0" for i, (finalist, seed, value) in enumerate(RUNS)]
    (folder / f"{request.param}.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    if request.param == "runs":
        (folder / "trials.csv").write_text("number,state,reason,value,step,best_step,mean,std,seed=101,seed=102,finalist\n")
    (folder / "study.yaml").write_text(yaml.safe_dump({"directions": ["maximize"], "metric": "val/acc"}))
    for i, (finalist, _, value) in enumerate(RUNS):
        p = [[0.9, 0.1], [0.6, 0.4]] if i % 2 else [[0.8, 0.2], [0.1, 0.9]]
        (folder / f"best/{i}.json").write_text(json.dumps({"acc": value - 0.05, "p": p if finalist == 1 else [[0.0, 1.0], [1.0, 0.0]]}))
    (tmp_path / "results/finalists").mkdir()
    entries = [{"overrides": [f"seed={seed}", f"lr={finalist}"], "user_attrs": {"finalist": finalist}} for finalist, seed, _ in RUNS]
    if request.param == "runs":
        trials = [{"overrides": [f"lr={finalist}"], "user_attrs": {"finalist": finalist}} for finalist in range(3)]
        entries = {"replicates": {"key": "seed", "values": [101, 102]}, "trials": trials}
    (tmp_path / "results/finalists/trials.yaml").write_text(yaml.safe_dump(entries))
    (tmp_path / "evaluate.py").write_text(EVALUATE)
    return tmp_path


def describe(project, command, **more):
    write(project, keep="checkpoints/best.json", seed_key="seed", overrides=["data=tiny"], test={"command": command, **more})


def result(project):
    app_test.main(project)
    return yaml.safe_load((project / "results/test/test.yaml").read_text())


def test_the_winner_and_the_default_by_their_kept_models(project, capsys):
    describe(project, "python evaluate.py {model} json")
    found = result(project)
    assert found["metric"] == "test/acc"
    assert found["winner"] == {"finalist": 1, "seeds": {101: pytest.approx(0.75), 102: pytest.approx(0.65)}}
    assert found["default"]["seeds"] == {101: pytest.approx(0.45), 102: pytest.approx(0.55)}
    assert found["model"]["seed"] == 101 and "ensemble_winner" not in found
    assert (project / "log").read_text() == "json\n" * 4, "once for each, and not for the others"
    assert json.loads((project / "results/test/model.json").read_text())["acc"] == pytest.approx(0.75)
    assert yaml.safe_load((project / "results/test/config.yaml").read_text())["overrides"] == ["data=tiny", "seed=101", "lr=1"]
    assert "winner             test/acc 0.7000 over 2 seeds" in capsys.readouterr().out


def test_ensembles_from_predictions(project):
    describe(project, "python evaluate.py {model} json {predictions}")
    found = result(project)
    assert found["ensemble_winner"] == 1.0  # the mean of (0.1, 0.9) and (0.6, 0.4) is right
    assert found["ensemble_finalists"] == 0.0
    assert found["n_models"] == {"ensemble_winner": 2, "ensemble_finalists": 4}


def test_a_metric_found_in_the_output(project):
    describe(project, "python evaluate.py {model} text", metric="acc=([0-9.]+)", name="test/top1")
    found = result(project)
    assert found["metric"] == "test/top1" and found["winner"]["seeds"][101] == pytest.approx(0.75)  # the last match


def test_what_is_filled_in(project):
    (project / "show.py").write_text("import sys\nprint(sys.argv[1:], file=sys.stderr)\nprint(1)\n")
    describe(project, "python show.py {number}-{seed} {overrides} {unknown}", metric="(['].*)", name="x")
    with pytest.raises(UserError, match="which is no value of x"):
        app_test.main(project)
    runs = app_test.selection.runs(yaml.safe_load((project / "results/finalists/trials.yaml").read_text()))
    evaluator = app_test.CommandEvaluator(app_test.description.read(project), runs)
    with pytest.raises(UserError) as error:
        evaluator.value(project / "results/seeds/best/3.json")
    assert "'3-102', 'data=tiny', 'seed=102', 'lr=1'" in str(error.value)


@pytest.mark.parametrize(
    ("text", "pattern", "value"),
    [
        ("a\n0.5\n\n", "", 0.5),
        ('{"acc": 0.25}', "", 0.25),
        ('{"test/acc": 1}', "", 1.0),
        ("acc=0.1\nacc=3e-1", "acc=([0-9.e-]+)", 0.3),
        ("a 1 b 2", r"(\d) b (\d)", 1.0),
    ],
)
def test_the_metric_of_an_output(text, pattern, value):
    assert app_test.metric_in(text, pattern, "acc") == value


@pytest.mark.parametrize(("text", "pattern"), [("", ""), ("done", ""), ('{"loss": 1}', ""), ("x", "acc=(.*)"), ("[1]", "")])
def test_an_output_without_one(text, pattern):
    with pytest.raises(UserError, match=r"no value of acc|matches nothing"):
        app_test.metric_in(text, pattern, "acc")


@pytest.mark.parametrize(
    ("code", "said"),
    [("raise SystemExit(3)", "ended with 3: it printed nothing"), ("1 / 0", "ended with 1: ZeroDivisionError"), ("print('x')", "'x' last")],
)
def test_a_command_that_fails_leaves_nothing(project, code, said):
    (project / "bad.py").write_text(code)
    describe(project, f"{sys.executable} bad.py {{model}}")
    with pytest.raises(UserError, match=said):
        app_test.main(project)
    assert not (project / "results/test").exists()


def test_a_model_that_was_not_kept(project):
    describe(project, "python evaluate.py {model} json")
    (project / "results/seeds/best/2.json").unlink()
    with pytest.raises(UserError, match=r"2\.json: its run left no checkpoints/best\.json"):
        app_test.main(project)


def test_without_a_command_no_test_is_made(project, capsys):
    write(project, keep="checkpoints/best.json")
    app_test.main(project)
    assert "no test was made" in capsys.readouterr().out
    assert not (project / "results/test/test.yaml").exists() and (project / "results/test/none.yaml").exists()


@pytest.mark.parametrize(
    ("metric", "mean", "targets", "value"),
    [
        ("rmse", [1.0, 3.0], [0.0, 0.0], 5**0.5),
        ("mse", [[1.0], [3.0]], [0.0, 0.0], 5.0),
        ("mae", [1.0, 3.0], [0.0, 0.0], 2.0),
        ("accuracy", [[0.4, 0.6]], [1], 1.0),
        ("f1", [[0.4, 0.6]], [1], None),
    ],
)
def test_the_value_of_averaged_predictions(project, metric, mean, targets, value):
    describe(project, "python evaluate.py {model} json", name=metric)
    evaluator = app_test.CommandEvaluator(app_test.description.read(project), [])
    evaluator._predictions[project] = {"targets": np.array(targets)}
    found = evaluator.together(project, np.array(mean))
    assert found is None if value is None else found == pytest.approx(value)
