"""Metrics from output and files: which matches are reports, at which step, with which other metrics."""

import json

import pytest

from trivet.command import Definitions, Extractor
from trivet.errors import UserError

ACC = {"acc": r"acc[=: ]+([0-9.eE+-]+|nan)%?", "loss": r"loss=(\S+)"}


def heard(text, metrics=None, step=None, pieces=None, folder=None, objective="acc"):
    rows = []
    extractor = Extractor(Definitions.read(objective, ACC if metrics is None else metrics, step), lambda *row: rows.append(row))
    for piece in pieces or [text]:
        extractor.feed(piece)
    extractor.close(folder)
    return rows, extractor.value


@pytest.mark.parametrize(
    ("text", "step", "expected"),
    [
        ("acc=0.5\nacc=0.6\n", None, [(0.5, 1, {}), (0.6, 2, {})]),
        ("epoch 3 acc=0.5\nepoch 4 acc=0.6", r"epoch (\d+)", [(0.5, 3, {}), (0.6, 4, {})]),
        ("epoch 3\nloss=2\nacc=0.5\n", r"epoch (\d+)", [(0.5, 3, {"loss": 2.0})]),
        ("acc=0.1 before any step\nepoch 1\nacc=0.5\n", r"epoch (\d+)", [(0.5, 1, {})]),
        ("epoch 2 acc=0.5\nepoch 2 acc=0.6\nepoch 1 acc=0.7\nepoch 3 acc=0.8", r"epoch (\d+)", [(0.5, 2, {}), (0.8, 3, {})]),
        ("\x1b[32macc\x1b[0m=0.5\x1b[K\n", None, [(0.5, 1, {})]),
        (
            "  3%|#   | loss=9\r 50%|##  | loss=8 acc=0.2\r100%|####| loss=7 acc=0.5\r\n",
            None,
            [(0.2, 1, {"loss": 8.0}), (0.5, 2, {"loss": 7.0})],
        ),
        ("acc=0.5 acc=0.7\n", None, [(0.7, 1, {})]),
        ("acc=1e-3\nacc: 97.5%\n", None, [(0.001, 1, {}), (97.5, 2, {})]),
        ("nothing\n", None, []),
        ("acc=...\nacc=0.5\n", None, [(0.5, 1, {})]),
    ],
)
def test_matches_are_reports(text, step, expected):
    rows, value = heard(text, step=step)
    assert rows == expected
    assert value == (expected[-1][0] if expected else None)


def test_nan_is_a_value():
    rows, value = heard("acc=nan\n")
    assert len(rows) == 1
    assert value != value


@pytest.mark.parametrize("size", [1, 2, 7])
def test_pieces_may_end_anywhere(size):
    text = "epoch 1 loss=2 acc=0.5\r\nepoch 2 loss=1 acc=0.75"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert heard("", step=r"epoch (\d+)", pieces=pieces)[0] == [(0.5, 1, {"loss": 2.0}), (0.75, 2, {"loss": 1.0})]


@pytest.mark.parametrize(("text", "value"), [("training ...\n0.75\n", 0.75), ("1\n2", 2.0), ("done\n", None), ("", None)])
def test_without_metrics_the_last_line_is_the_objective(text, value):
    assert heard(text, metrics={}) == ([], value)


FILES = [
    ("out.json", json.dumps({"val": {"acc": 0.7}}), "val.acc", [(0.7, 1, {})]),
    ("out.json", json.dumps([{"acc": 0.1}, {"acc": 0.7}]), "acc", [(0.1, 1, {}), (0.7, 2, {})]),
    ("out.json", json.dumps({"acc": [0.1, 0.7]}), "acc", [(0.1, 1, {}), (0.7, 2, {})]),
    ("out.yaml", "val: {acc: 0.7}", "val.acc", [(0.7, 1, {})]),
    ("out.csv", "epoch,acc\n1,0.1\n2,\n3,0.7\n", "acc", [(0.1, 1, {}), (0.7, 2, {})]),
    ("out.jsonl", '{"acc": 0.1}\n\n{"acc": 0.7}\n', "acc", [(0.1, 1, {}), (0.7, 2, {})]),
    ("out.json", "{}", "acc", []),
]


@pytest.mark.parametrize(("name", "content", "key", "expected"), FILES)
def test_files_hold_metrics(tmp_path, name, content, key, expected):
    (tmp_path / name).write_text(content)
    rows, value = heard("", metrics={"acc": {"file": name, "key": key}}, folder=tmp_path)
    assert rows == expected
    assert value == (expected[-1][0] if expected else None)


def test_a_file_that_was_not_written_holds_none(tmp_path):
    assert heard("", metrics={"acc": {"file": "out.json", "key": "acc"}}, folder=tmp_path) == ([], None)


@pytest.mark.parametrize(("name", "content"), [("out.json", "{"), ("out.yaml", "a: ["), ("out.jsonl", "x"), ("out.json", b"\xff\xfe\x00")])
def test_a_damaged_file_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=f"{name}: cannot be read"):
        heard("", metrics={"acc": {"file": name, "key": "acc"}}, folder=tmp_path)


@pytest.mark.parametrize(
    ("objective", "metrics", "step", "message"),
    [
        ("f1", ACC, None, "command.objective=f1: is no metric of command.metrics, which has acc, loss"),
        ("acc", {"acc": "acc="}, None, "command.metrics.acc=acc=: has 0 groups"),
        ("acc", {"acc": "(a)(b)"}, None, "has 2 groups"),
        ("acc", {"acc": "(a"}, None, "command.metrics.acc=.*is no regular expression"),
        ("acc", {"acc": {"file": "a.json"}}, None, "must be a regular expression, or file and key"),
        ("acc", {"acc": {"file": "a.txt", "key": "x"}}, None, "must end in .json"),
        ("acc", ACC, "epoch", "command.step=epoch: has 0 groups"),
    ],
)
def test_wrong_definitions_are_named(objective, metrics, step, message):
    with pytest.raises(UserError, match=message):
        Definitions.read(objective, metrics, step)
