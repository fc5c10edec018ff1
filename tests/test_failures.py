"""Failures told while a sweep runs: each reason once, and how often at the end."""

import logging
import os

import pytest

from trivet.study.records import Official
from trivet.sweep.failures import Failures


def trial(number, reason):
    return Official(number, "FAIL" if reason else "COMPLETE", [] if reason else [0.5], reason, [], {}, None)


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.WARNING, logger="trivet")
    return lambda: [record.message for record in caplog.records]


def test_each_reason_is_told_when_it_first_comes(told, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1/app.log").touch()
    failures = Failures(tmp_path)
    trials = [trial(0, ""), trial(1, "ValueError: a"), trial(2, "ValueError: a")]
    failures.tell(trials)
    failures.tell([*trials, trial(3, "out of memory"), trial(4, "ValueError: a")])
    assert told() == [f"trial 1 failed: ValueError: a (log: {tmp_path}/1/app.log)", "trial 3 failed: out of memory"]


def test_of_several_logs_the_one_with_the_traceback_is_named(tmp_path):
    (tmp_path / "0").mkdir()
    for name, moment in {"config_tree.log": 1, "train.log": 3, "zip.log": 2}.items():
        (tmp_path / "0" / name).touch()
        os.utime(tmp_path / "0" / name, (moment, moment))
    assert Failures(tmp_path).summary([trial(0, "b")]) == [f"failed 1 x: b (log: {tmp_path}/0/train.log)"]


def test_reasons_that_are_never_the_same_do_not_bury_the_rest(told, tmp_path):
    trials = [trial(i, f"ValueError: {'x' * i}") for i in range(50)]
    failures = Failures(tmp_path)
    failures.tell(trials)
    assert len(told()) == 5
    assert failures.summary(trials)[-1] == f"failed 45 x for other reasons: see the column reason of {tmp_path}/trials.csv"


def test_reasons_that_differ_by_a_number_are_one(told, tmp_path):
    trials = [trial(0, "out of memory"), *(trial(i, f"value={-i * 1.5e-3} at 0x7f{i}a: layer2 needs {i} GiB") for i in range(1, 9))]
    trials += [trial(9, "layer3 needs 1 GiB")]
    failures = Failures(tmp_path)
    failures.tell(trials)
    assert len(told()) == 3
    lines = [f"failed 8 x: {trials[1].reason}", "failed 1 x: out of memory", "failed 1 x: layer3 needs 1 GiB"]
    assert failures.summary(trials) == lines


def test_the_summary_counts_them(tmp_path):
    trials = [trial(0, "b"), trial(1, "a"), trial(2, ""), trial(3, "a")]
    assert Failures(tmp_path).summary(trials) == ["failed 2 x: a", "failed 1 x: b"]
    assert Failures(tmp_path).summary([trial(0, "")]) == []
