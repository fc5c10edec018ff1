"""Numbers in YAML files mean what they mean on Hydra's command line, and in Hydra's own YAML files."""

import math
import re
import warnings

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from trivet.errors import UserError
from trivet.space import read_yaml, read_yaml_file

NUMBERS = ["1e-3", "1E5", "2.5e+3", "1.e3", ".5", "5.", "-1e-3", "+2", "0", "-7", "1_000", "1_0.5", "0.1", "3", "inf", "-inf"]
TEXTS = ["010", "0x1F", "0b11", "1:30", "2020-01-01", "e3", "1e", "--1", "1.2.3", "abc", "1e-3x", "_1", "1 2"]


@pytest.mark.parametrize("text", NUMBERS + TEXTS)
def test_a_number_is_what_the_command_line_says(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_yaml(f"{{x: {text}, y: [{text}]}}", "f")
    theirs = OverridesParser.create().parse_override(f"x={text}").value()
    assert type(found["x"]) is type(theirs) and found == {"x": theirs, "y": [theirs]}
    assert isinstance(theirs, str) is (text in TEXTS)


def test_the_rest_is_yaml():
    content = {"a": [True, False, None, "text", "010", "1"], "b": {"c": 1.5, 2: 3}, "d": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_yaml(yaml.safe_dump(content), "f") == content
    assert math.isnan(read_yaml("[.nan]", "f")[0])
    with pytest.raises(yaml.YAMLError):
        read_yaml("{a: [", "f")


TOLD = [("1e-3", True), ("010", True), ("2020-01-01", True), ("0.001", False), ("'1e-3'", False), ("1.0e-3", False)]


@pytest.mark.parametrize(("text", "told"), TOLD)
def test_what_differs_from_yaml_1_1_is_told_once(text, told):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        read_yaml(f"a: {text}\nb: [{text}, {text}]\n", "params.yaml")
    assert len(heard) == told
    assert not told or str(heard[0].message) == (
        f"params.yaml: {text} is read as on Hydra's command line, where numbers and texts are told apart otherwise than in YAML 1.1; "
        "quote what is meant as text"
    )


def test_hydras_own_files_read_them_so_already():
    assert OmegaConf.create("a: [1e-3, {b: 1e5}]") == {"a": [0.001, {"b": 100000.0}]}


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"x: [1, 2", "expected ',' or ']', but got '<stream end>', line 1"),
        (b"x: 1\ny: 2\nx: 3\n", "x is there twice, line 3"),
        (b"x: {a: 1, a: 2}", "a is there twice, line 1"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[" * 1000, "nested too deeply"),
        (b"x: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        (b"x: \x00", "special characters are not allowed"),
        (b"- a\n" * 20, "longer than 50 characters"),
        (None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(content, cause, tmp_path, monkeypatch):
    path = tmp_path / "f.yaml"
    if content is not None:
        path.write_bytes(content)
    if cause.startswith("longer"):
        monkeypatch.setattr("trivet.space.reading.MOST_CHARACTERS", 50)
    with pytest.raises(UserError, match=f"f.yaml: cannot be read .*{re.escape(cause)}") as error:
        read_yaml_file(path)
    assert str(error.value).isprintable()


def test_a_mapping_may_take_over_two_others(tmp_path):
    (tmp_path / "f.yaml").write_text("a: &a {x: 1}\nb: &b {y: 2}\nc: {<<: *a, <<: *b, z: 3}\n")
    assert read_yaml_file(tmp_path / "f.yaml")["c"] == {"x": 1, "y": 2, "z": 3}


def test_anchors_may_be_overridden(tmp_path):
    (tmp_path / "f.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a\n")
    assert read_yaml_file(tmp_path / "f.yaml") == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 2}}
