"""params.yaml reaches a shell: what is let through, and that no stage can forget to ask."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from trivet.errors import UserError, exit_code
from trivet.phases import params

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
    ["seed: [", "seed: 2020-13-45", "a: " + "[" * 3000, "a: &a [*a]", "\x00", None],
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
