"""check for a foreign app: what it says of a sweep over the ends of its ranges, whose tables are given here."""

import subprocess

import pytest
import yaml
from test_description import write

from trivet import app, space
from trivet.errors import UserError
from trivet.phases import app_check, discovery

HEAD = "number,state,reason,value,step,best_step,lr,size,seconds,worker,started,overrun"
SPACE = [{"key": "lr", "spec": "tag(log, interval(0.001, 1.0))", "when": {}}, {"key": "size", "spec": "choice(1, 2)", "when": {}}]
FINE = ["COMPLETE,,0.5,2,2"] * 5


@pytest.fixture
def project(tmp_path, monkeypatch):
    write(tmp_path, smoke=["epochs=2"], epochs_key="epochs", overrides=["data=tiny"])
    (tmp_path / "space.yaml").write_text("lr: tag(log, interval(0.001, 1.0))\nsize: choice(1, 2)\n")
    monkeypatch.setattr(discovery, "compose", lambda command, root: discovery.Composed({"epochs": 30}, {}, "", ()))
    return tmp_path


def swept(monkeypatch, folder, rows=FINE, code=0, defaults=None):
    """Let the app's run leave these tables; the commands that were run."""
    commands = []
    table = folder / app_check.TABLES

    def run(words, **options):
        commands.append(words)
        table.mkdir(parents=True, exist_ok=True)
        lines = [HEAD, *(f"{i},{row},,,4.0,w,,0" for i, row in enumerate(rows))]
        (table / "trials.csv").write_text("\n".join(lines) + "\n")
        study = {"space": SPACE, "defaults": {"lr": 0.1, "size": 1} if defaults is None else defaults}
        (table / "study.yaml").write_text(yaml.safe_dump(study))
        return subprocess.CompletedProcess(words, code)

    monkeypatch.setattr(app_check.subprocess, "run", run)
    return commands


def test_what_is_written(project, monkeypatch, capsys):
    commands = swept(monkeypatch, project)
    assert app_check.main(100, project) == 0
    assert commands[0][1:6] == ["train.py", "-m", "+trivet=check", "hydra/sweeper=trivet", "data=tiny"]
    assert {"epochs=2", "hydra.sweeper.pruner=null"} <= set(commands[0])
    found = yaml.safe_load((project / "results/check/check.yaml").read_text())
    assert [(row["key"], row["value"], row["result"]) for row in found["extremes"]] == [
        *(("lr", 0.001, "ok"), ("lr", 1.0, "ok"), ("size", 1, "ok"), ("size", 2, "ok"))
    ]
    assert found["estimate"]["epochs"] == 30 and found["estimate"]["seconds_per_epoch_mean"] == 2.0
    assert "100 trials x up to 30 epochs x 2 s" in capsys.readouterr().out
    first = (project / "results/check/checked.yaml").read_bytes()
    app_check.main(100, project)
    assert (project / "results/check/checked.yaml").read_bytes() == first


def test_without_a_smoke_run_it_is_stopped_at_its_first_report(project, monkeypatch):
    write(project, epochs_key="epochs")
    commands = swept(monkeypatch, project, ["PRUNED,,0.5,1,1"] * 5)
    assert app_check.main(100, project) == 0
    assert "hydra.sweeper.pruner=null" not in commands[0]
    assert yaml.safe_load((project / "results/check/check.yaml").read_text())["estimate"]["seconds_per_epoch_mean"] == 4.0


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ("FAIL,ValueError: too big,,,", 1, "error: size=2: ValueError: too big"),
        ("FAIL,diverged: the objective is nan,,1,", 0, "warning: size=2: diverged"),
    ],
)
def test_an_end_that_fails(project, monkeypatch, capsys, row, code, said):
    swept(monkeypatch, project, [*FINE[:4], row])
    assert app_check.main(100, project) == code
    told = capsys.readouterr()
    assert said in told.out
    assert ("take these values out of space.yaml" in told.err) == bool(code)
    assert (project / "results/check").exists() != bool(code)


def test_a_default_that_fails_is_told_first(project, monkeypatch):
    swept(monkeypatch, project, ["FAIL,KeyError: 'x',,,", *FINE[:4]])
    with pytest.raises(UserError, match=r"fails at its default configuration: KeyError: 'x' \(try it: python train.py epochs=2\)"):
        app_check.main(100, project)


def test_an_app_that_does_not_report_is_told_of(project, monkeypatch, capsys):
    swept(monkeypatch, project, ["COMPLETE,,0.5,,"] * 5)
    assert app_check.main(100, project) == 0
    assert "warning: the app never calls trivet.report" in capsys.readouterr().out


def test_a_sweep_that_does_not_run(project, monkeypatch, capsys):
    swept(monkeypatch, project, code=2)
    assert app_check.main(100, project) == 2
    assert "did not run" in capsys.readouterr().err
    (project / "space.yaml").unlink()
    with pytest.raises(UserError, match=r"space\.yaml: there is none"):
        app_check.main(100, project)


@pytest.mark.parametrize(
    ("text", "default", "mend"),
    [
        ("interval(1.5, 4)", 2, "write int(interval(...))"),
        ("int(interval(1, 4))", 2, None),
        ("interval(0, 1)", 0.5, None),
        ("interval(0, 1)", None, None),
        ("choice(a, b)", 3, "kind"),
        ("choice(1, 2)", "a", "kind"),
        ("choice(true, false)", 1, "kind"),
        ("choice(1, null)", 1, None),
    ],
)
def test_values_of_another_kind(text, default, mend):
    found = app_check.kinds([space.Param("x", space.parse(text.replace("choice(1, null)", "choice(1, 2)")))], {"x": default})
    assert [f.key for f in found] == ([] if mend is None else ["x"])
    assert mend is None or mend in found[0].mend


def test_how_long_a_run_of_the_check_was(tmp_path):
    described = app.read(write(tmp_path, smoke=["trainer.fast_dev_run=true"], epochs_key="epochs"))
    assert app_check.steps(described, {"step": "1"}) != app_check.steps(described, {"step": "1"}), "nobody knows: NaN"
