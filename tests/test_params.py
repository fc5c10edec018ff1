"""params.yaml reaches a shell: what is let through, and that no stage can forget to ask."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from trivet import cli
from trivet.app import App
from trivet.errors import UserError, exit_code
from trivet.phases import params, runner, stages

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("value", [0, -1, 1.5, 1e-6, True, None, "cnn", "a_b-c.d", "v1.2", "s3://bucket/x@2", "a,b", "k=v", "100%", "+x"])
def test_plain_values_pass_and_are_one_word_to_a_shell(value):
    params.check({"mine": {"knob": value, "more": [value]}})
    assert shlex.split(f"python x.py a={value}") == ["python", "x.py", f"a={value}"]


STEERING = [
    "0; touch x",
    "$(touch x)",
    "`touch x`",
    "a b",
    "a\nb",
    "a|b",
    "a&b",
    "a>b",
    "a<b",
    "*",
    "?",
    "~",
    "a'b",
    'a"b',
    "\\",
    "(a)",
    "{a,b}",
]
STEERING += ["[ab]", "!x", "#x", "$HOME", "a\tb", "a\x00b", "\x1b[31m", "--help", "-x", "", "é", "a\u2028b", "x\n"]


@pytest.mark.parametrize("value", STEERING, ids=ascii)
@pytest.mark.parametrize(
    "wrap", [lambda v: {"seed": v}, lambda v: {"data": v}, lambda v: {"mine": {"a": [{"b": v}]}}], ids=["seed", "data", "mine"]
)
def test_what_steers_a_shell_is_refused_in_one_line(value, wrap):
    with pytest.raises(UserError) as error:
        params.check(wrap(value))
    assert str(error.value).isprintable() and str(error.value).startswith("params.yaml: ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": -1}, "params.yaml: seed=-1: must be a whole number >= 0"),
        ({"seed": "0"}, "params.yaml: seed=0: must be a whole number >= 0"),
        ({"epochs": 0}, "epochs=0: must be a whole number >= 1"),
        ({"narrow": {"top": 0}}, "narrow.top=0: must be a number > 0 and <= 1"),
        ({"coarse": {"n_trials": True}}, "coarse.n_trials=true: must be"),
        ({"data": "../mine"}, "data=../mine: must be the name of a file of conf/data/, without .yaml"),
        ({"model": "a,b"}, "model=a,b: must be the name of a file of conf/model/"),
        ({"data": None}, "data=null: must be the name"),
        ({"mine": __import__("datetime").date(2020, 1, 1)}, "mine=2020-01-01: must be a number or one word"),
        ([1], "params.yaml=[1]: must be a mapping"),
        (None, "params.yaml=null: must be a mapping"),
    ],
)
def test_knobs_of_the_wrong_kind(given, message):
    with pytest.raises(UserError) as error:
        params.check(given)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "content",
    ["seed: [", "seed: 2020-13-45", "a: " + "[" * 1000, "a: &a [*a]", "\x00", None],
    ids=["open", "date", "deep", "loop", "NUL", "none"],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, content, capsys):
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content)
    assert exit_code(lambda: params.main(path)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


def test_the_projects_own_pass():
    params.main(ROOT / "params.yaml")


def test_every_stage_that_is_given_a_value_asks_first():
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    assert [list(found) for found in pipeline["vars"]] == [["python"]]  # a value that comes with dvc.yaml itself
    given = {}
    for name, stage in pipeline["stages"].items():
        commands = stage["cmd"] if isinstance(stage["cmd"], list) else [stage["cmd"]]
        given[name] = any(re.search(r"\$\{(?!python\})", command) for command in commands)
        if given[name]:
            assert commands[0] == "${python} pipelines/params.py", name
    assert given["prepare"] and given["coarse"] and not given["test"]


def test_the_knobs_of_an_app_of_ones_own(tmp_path, capsys):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"seed": 0, "greeting": "hello; world", "coarse": {"n_trials": 3}}))
    assert cli.main(["params", str(path)]) == 0
    for wrong in ("0; touch x", -1):
        path.write_text(yaml.safe_dump({"seed": wrong, "coarse": {"n_trials": 3}}))
        assert cli.main(["params", str(path)]) == 2
        assert f"{path}: seed={wrong}: must be a whole number >= 0" in capsys.readouterr().err


def test_a_dvc_yaml_that_init_writes_asks_before_a_knob_reaches_the_shell(tmp_path):
    app = App(tmp_path, "python train.py", "acc", "maximize", "seed", None, "space.yaml", *([] for _ in range(5)), None, None)
    for knobs in ("params.yaml", "trivet-params.yaml"):
        for name, stage in yaml.safe_load(stages.dvc_text(app, knobs))["stages"].items():
            commands = stage["cmd"] if isinstance(stage["cmd"], list) else [stage["cmd"]]
            asks = commands[0] == f"python -m trivet params {knobs}"
            assert asks == any("${" in command for command in commands), name


def test_trivet_run_refuses_a_wrong_knob(tmp_path):
    (tmp_path / "dvc.yaml").write_text("stages: {coarse: {cmd: 'true'}, fine: {cmd: 'true'}, seeds: {cmd: 'true'}}")
    (tmp_path / "params.yaml").write_text("seed: '0; touch x'")
    with pytest.raises(UserError, match=r"params\.yaml: seed=0; touch x: must be a whole number"):
        runner.load(tmp_path)
