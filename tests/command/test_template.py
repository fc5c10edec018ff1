"""Command lines: what is a placeholder, how values become arguments, and what is refused."""

import subprocess

import pytest

from trivet.command import Template
from trivet.errors import UserError


@pytest.mark.parametrize(
    ("line", "values", "expected"),
    [
        ("python train.py --lr {lr}", {"lr": 1e-05}, ["python", "train.py", "--lr", "1e-05"]),
        ("run --lr={lr} 'a b' {model.width}", {"lr": 0.1, "model.width": 3}, ["run", "--lr=0.1", "a b", "3"]),
        (["run", "{lr} x", "{{lr}}"], {"lr": 2}, ["run", "2 x", "{lr}"]),
        ("run {x}", {"x": "a; touch y $(z) 'q'"}, ["run", "a; touch y $(z) 'q'"]),
        ("run {x} {y} {z}", {"x": None, "y": True, "z": [1, "a", None]}, ["run", "null", "true", "[1,a,null]"]),
        ("run {x}", {"x": ""}, ["run", ""]),
        ("run {batch-size}", {"batch-size": 8}, ["run", "8"]),
    ],
)
def test_a_line_is_filled_in(line, values, expected):
    assert Template.read(line).fill(values) == expected


def test_parameters_are_what_is_not_given():
    template = Template.read("run {lr} {folder} {seed} {lr} {opt.beta} {trial} {gpus} {n_gpus}")
    assert template.parameters == ["lr", "opt.beta"]


@pytest.mark.parametrize("value", ["a; echo b", "$(echo b)", "it's", "", "a\nb", "*", "`id`"])
def test_a_shell_sees_each_value_as_one_word(value):
    arguments = Template.read("printf '%s|' {x} end", shell=True).fill({"x": value})
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout == f"{value}|end|"


@pytest.mark.parametrize(
    ("line", "shell", "message"),
    [
        ("", False, "command.line is empty"),
        ("  ", True, "command.line is empty"),
        ("run 'x", False, "cannot be split into arguments"),
        ("run {", False, "has a brace alone"),
        ("run a}", False, "has a brace alone"),
        ("run {1x}", False, "is no placeholder"),
        ("run {}", False, "is no placeholder"),
        ("awk '{print $1}'", False, "is no placeholder"),
        (["run"], True, "needs command.line as one text"),
        ("echo '{x}'", True, "stands within quotes"),
        ('echo "a {x}"', True, "stands within quotes"),
    ],
)
def test_what_is_refused(line, shell, message):
    with pytest.raises(UserError, match=message) as error:
        Template.read(line, shell)
    assert "\n" not in str(error.value)


def test_quotes_that_are_closed_or_escaped_are_none():
    for line in ("echo 'a' {x}", 'echo "a" {x}', "echo \\' {x}", "echo 'a\\' {x}"):
        assert Template.read(line, shell=True).parameters == ["x"]
