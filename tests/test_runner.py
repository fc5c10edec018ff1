"""trivet run: what runs after which change, with small shell commands for stages."""

import shutil

import pytest
import yaml

from trivet.errors import UserError
from trivet.phases import runner

STAGES = {
    "fine": {"cmd": "cat results/coarse data.txt > results/fine", "deps": ["results/coarse", "data.txt"], "outs": ["results/fine"]},
    "coarse": {
        "cmd": "mkdir -p results && echo ${coarse.n} > results/coarse && echo coarse >> log",
        "deps": ["code"],
        "params": [{"app.yaml": ["a.b"]}],
        "outs": [{"results/coarse": {"cache": False}}],
    },
    "seeds": {"cmd": ["echo seeds >> log", "cp results/fine seeds"], "deps": ["results/fine"], "outs": ["seeds"], "desc": "last"},
}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    (tmp_path / "params.yaml").write_text("coarse: {n: 3}\n")
    (tmp_path / "app.yaml").write_text("a: {b: 1, c: 2}\n")
    (tmp_path / "data.txt").write_text("data\n")
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").write_text("x = 1\n")
    return tmp_path


def ran(project, capsys, *arguments):
    assert runner.run(project, *arguments) == 0
    return [line.split(":")[0].removeprefix("stage ") for line in capsys.readouterr().out.splitlines() if line.startswith("stage ")]


def test_what_a_change_reaches(project, capsys):
    assert ran(project, capsys) == ["coarse", "fine", "seeds"]
    assert ran(project, capsys) == []
    for change, expected in [
        (lambda: (project / "data.txt").write_text("other\n"), ["fine", "seeds"]),
        (lambda: (project / "code/a.py").write_text("x = 2\n"), ["coarse"]),  # it writes the same, so the rest stands
        (lambda: (project / "params.yaml").write_text("coarse: {n: 4}\n"), ["coarse", "fine", "seeds"]),
        (lambda: (project / "app.yaml").write_text("a: {b: 1, c: 3}\n"), []),
        (lambda: (project / "app.yaml").write_text("a: {b: 2}\n"), ["coarse"]),
        (lambda: (project / "seeds").unlink(), ["seeds"]),
        (lambda: (project / "results/fine").write_text("edited\n"), ["fine"]),
        (lambda: (project / "code/__pycache__").mkdir(), []),
        (lambda: shutil.rmtree(project / "results"), ["coarse", "fine"]),
    ]:
        change()
        assert ran(project, capsys) == expected


def test_as_far_as_a_stage(project, capsys):
    assert ran(project, capsys, "fine") == ["coarse", "fine"]
    with pytest.raises(UserError, match="nothing: no such stage; there are coarse, fine, seeds"):
        runner.run(project, "nothing")


def test_an_edited_result_is_accepted(project, capsys):
    ran(project, capsys)
    (project / "results/fine").write_text("mine\n")
    assert ran(project, capsys, None, "fine") == []
    assert ran(project, capsys) == ["seeds"]
    assert (project / "seeds").read_text() == "mine\n"


def test_a_stage_that_fails_stops_the_run_and_is_run_again(project, capsys):
    (project / "data.txt").unlink()
    with pytest.raises(UserError, match=r"stage fine: data\.txt is missing"):
        runner.run(project)
    (project / "data.txt").mkdir()  # cat refuses it
    assert runner.run(project) == 1
    assert "error: stage fine ended with 1; the same command continues it" in capsys.readouterr().err
    (project / "data.txt").rmdir()
    (project / "data.txt").write_text("data\n")
    assert ran(project, capsys) == ["fine", "seeds"]


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"foreach": [1]}, r"stages\.fine\.foreach: trivet run knows"),
        ({"cmd": "echo ${no.such}", "outs": ["x"]}, r"\$\{no\.such\} is not among the knobs"),
        ({"cmd": "true", "outs": ["results/fine"]}, "did not write results/fine"),
        ({"cmd": "true", "deps": ["seeds"], "outs": ["results/fine"]}, "in a circle"),
    ],
)
def test_what_is_wrong_is_one_line(project, stage, said):
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {**STAGES, "fine": stage}}))
    with pytest.raises(UserError, match=said):
        runner.run(project)


def test_a_knob_is_one_word_of_the_command(project):
    (project / "params.yaml").write_text("coarse: {n: '3; touch harmed'}\n")
    runner.run(project, "coarse")
    assert not (project / "harmed").exists() and (project / "results/coarse").read_text() == "3; touch harmed\n"
