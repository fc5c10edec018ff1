"""`python -m trivet.command`: what trivet.yaml may say, one run, and a search that is killed and goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from trivet.command import app
from trivet.command.app import load
from trivet.errors import UserError

SCRIPT = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--n", type=int)
given = parser.parse_args()
for epoch in range(1, given.n + 1):
    print(f"epoch {epoch}: loss={(given.x - 0.3) ** 2 + 1 / epoch!r} rate={given.x}", flush=True)
"""
TRIVET = {
    "command": {
        "line": f"{sys.executable} fit.py --x {{x}} --n {{n}}",
        "objective": "loss",
        "metrics": {"loss": r"loss=(\S+)", "rate": r"rate=(\S+)"},
        "step": r"epoch (\d+)",
    },
    "parameters": {"n": 4},
}
SEARCH = ["-m", "x=interval(0, 1)", "hydra.sweeper.n_trials=6", "hydra.sweep.dir=sweep", "hydra.sweeper.pruner=asha"]
SRC = Path(__file__).parent.parent.parent / "src"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "fit.py").write_text(SCRIPT)
    (tmp_path / "trivet.yaml").write_text(yaml.safe_dump(TRIVET))
    return tmp_path


def start(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "trivet.command", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def execute(folder, *arguments):
    process = start(folder, *arguments)
    out, error = process.communicate(timeout=120)
    return process.returncode, out, error


@pytest.mark.parametrize(
    ("arguments", "code", "out", "error"),
    [
        (["x=0.3"], 0, "loss=0.25\n", ""),
        ([], 2, "", "error: x has no value: give one, as in x=0.1, or under parameters in trivet.yaml\n"),
        (["x=0.3", "n=many"], 1, "", "error: exit code 2; its last line: fit.py: error: argument --n: invalid int value: 'many'\n"),
    ],
)
def test_one_run(project, arguments, code, out, error):
    assert execute(project, *arguments) == (code, out, error)


@pytest.mark.slow
def test_a_search_is_the_same_with_two_workers_killed_and_undisturbed(project, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name in ("fit.py", "trivet.yaml"):
        (other / name).write_text((project / name).read_text())
    assert execute(other, *SEARCH, "hydra.sweeper.n_jobs=0")[0] == 0
    first = start(project, *SEARCH, "hydra.sweeper.n_jobs=2")
    while not list((project / "sweep").glob("[0-9]*/output.log")):
        assert first.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    code, _, error = execute(project, *SEARCH, "hydra.sweeper.n_jobs=2")
    assert code == 0, error
    tables = [(folder / "sweep/trials.csv").read_text().splitlines() for folder in (project, other)]
    promised = [[",".join(line.split(",")[:7]) for line in table] for table in tables]
    assert promised[0] == promised[1]
    assert promised[0][0] == "number,state,reason,value,step,best_step,x"
    assert any(",PRUNED," in line for line in promised[0])
    assert (project / "sweep/curves.csv").read_text().splitlines()[0] == "number,step,value,rate"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("command"), "has no command"),
        (lambda c: c.update(command="python x"), "command=python x: must be a mapping with line"),
        (lambda c: c["command"].pop("line"), "command.line is missing"),
        (lambda c: c["command"].update(lines="x"), "command.lines is not a key"),
        (lambda c: c["command"].update(line="python {"), "has a brace alone"),
        (lambda c: c["command"].update(objective="f1"), "command.objective=f1: is no metric"),
        (lambda c: c["command"].update(silence_seconds=0), "command.silence_seconds=0: must be null or a number > 0"),
        (lambda c: c["command"].update(result="first"), "command.result=first: must be one of last, best"),
        (lambda c: c.update(parameters={"lr": 1}), "parameters.lr: is no placeholder of command.line, which has x, n"),
        (lambda c: c.update(parameters=[1]), "must be a mapping from placeholders"),
    ],
)
def test_what_trivet_yaml_may_not_say(tmp_path, change, message):
    content = yaml.safe_load(yaml.safe_dump(TRIVET))
    change(content)
    (tmp_path / "trivet.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path / "trivet.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [None, b"", b"a: [", b"\xff\xfe\x00", b"3"])
def test_a_file_that_is_none_or_odd(tmp_path, content):
    if content is not None:
        (tmp_path / "trivet.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"trivet.yaml: (cannot be read|has no command)"):
        load(tmp_path / "trivet.yaml")


def test_the_phases_name_of_the_objective_serves(tmp_path):
    content = {**TRIVET, "objective": "loss", "command": {k: v for k, v in TRIVET["command"].items() if k != "objective"}}
    (tmp_path / "trivet.yaml").write_text(yaml.safe_dump(content))
    assert load(tmp_path / "trivet.yaml")[0].objective == "loss"


def test_files_that_decide_results(project):
    command, _ = load(project / "trivet.yaml")
    assert command.named_files(project) == ["fit.py"]


@pytest.mark.parametrize(("visible", "expected"), [("2,3", ("2,3", 2)), ("", ("", 0)), (None, ("", 0))])
def test_what_a_command_is_told_of_its_trial(monkeypatch, tmp_path, visible, expected):
    """The devices are those that the worker was given (trials_per_gpu, gpus_per_trial)."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(app.HydraConfig, "get", lambda: OmegaConf.create({"job": {"num": 7}}))
    given = app._given(OmegaConf.create({"seed": 5}), tmp_path)
    assert (given["gpus"], given["n_gpus"]) == expected
    assert (given["folder"], given["seed"], given["trial"]) == (str(tmp_path), 5, 7)
