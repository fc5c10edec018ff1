"""The parts of a worker that need no process; the loop itself is tested with real ones in test_sweeper*.py."""

import errno
import logging
import math
import threading
import traceback
from types import SimpleNamespace

import optuna
import pytest

import trivet
from trivet import reports
from trivet.errors import StorageGone, UserError
from trivet.sweep.alarm import Alarm
from trivet.sweep.reporter import TrialReporter
from trivet.sweep.worker import _QuietPrunes, locate

DEAF = SimpleNamespace(note=lambda step, why: None)


class Record:
    """A study that keeps what a trial reports, as far as a reporter knows one."""

    def __init__(self, known=(), fault=None):
        self.trials = [SimpleNamespace(intermediate_values=dict(known))]
        self.rows, self.fault = [], fault

    def metrics_of(self, number, replicate=None):
        return SimpleNamespace(add=lambda step, metrics: None, rows={})

    def report(self, number, step, value, held=(), attrs=None):
        if self.fault is not None:
            raise self.fault
        self.rows.append((step, value))
        return False


@pytest.fixture(autouse=True)
def told(monkeypatch, caplog):
    """What is told once is told anew in each test."""
    monkeypatch.setattr(reports, "_told", set())
    yield caplog
    reports.set_reporter(None)


# steps known before, steps reported -> what is told
STEPS = [
    ((), [1, 2, 3], None),
    ((), [1, 5, 9], None),
    ((), [1, 2, 2, 2], "trial 0: step 2: the same step again; steps must rise"),
    ((), [3, 1, 2], "trial 0: step 1: step 3 was reported before it; steps must rise"),
    ((1, 2), [3, 4], None),
    ((1, 2), [2, 3], "trial 0: step 2 was reported before the trial was interrupted; that value stays"),
    ((1, 2), [1, 2, 3], "trial 0: step 1 was reported before"),
    ((1, 2), [3, 3], "trial 0: step 3: the same step again"),
]


@pytest.mark.parametrize(("known", "steps", "line"), STEPS)
def test_steps_that_do_not_rise_are_told_once(known, steps, line, told):
    reports.set_reporter(TrialReporter(Record({step: 0.0 for step in known}), 0, Alarm(), DEAF))
    for step in steps:
        trivet.report(0.5, step)
    assert len(told.messages) == (line is not None)
    assert line is None or told.messages[0].startswith(line)


def test_a_thread_of_an_earlier_trial_cannot_report_into_this_one():
    begun, go, errors = threading.Event(), threading.Event(), []

    def left():
        begun.set()
        go.wait()
        try:
            trivet.report(0.5, 1)
        except UserError as error:
            errors.append(str(error))

    old = threading.Thread(target=left)
    old.start()
    begun.wait()
    study = Record()
    reports.set_reporter(TrialReporter(study, 0, Alarm(), DEAF))
    go.set()
    old.join()
    assert study.rows == [] and len(errors) == 1 and "earlier trial" in errors[0]
    own = threading.Thread(target=trivet.report, args=(0.25, 1))
    own.start()
    own.join()
    assert study.rows == [(1, 0.25)], "a thread of the trial itself may"


@pytest.mark.parametrize(
    ("error", "is_fault"), [(OSError(errno.ENOSPC, "x"), True), (StorageGone("x"), True), (OSError(errno.EIO, "x"), False)]
)
def test_a_record_that_the_studys_storage_refused_is_remembered_though_the_app_swallows_it(error, is_fault):
    reporter = TrialReporter(Record(fault=error), 0, Alarm(), DEAF)
    with pytest.raises(type(error)):
        reporter.report(0.5, 1, {})
    assert (reporter.fault is not None) == is_fault


def test_what_an_app_logs_of_a_pruned_trial_is_dropped():
    heard = []
    logger = logging.Logger("app")
    handler = logging.Handler()
    handler.emit = heard.append
    handler.addFilter(_QuietPrunes())
    logger.addHandler(handler)
    for error, n in ((trivet.TrialPruned("x"), 0), (optuna.TrialPruned("x"), 0), (ValueError("x"), 2)):
        heard.clear()
        try:
            raise error
        except BaseException:
            logger.exception("the task failed")
            logger.error(traceback.format_exc())
        assert len(heard) == n
    heard.clear()
    logger.info("one line")
    assert len(heard) == 1


def test_decorators_that_log_failures_let_a_prune_pass(caplog):
    def task_wrapper(function):
        def call():
            try:
                return function()
            except Exception:
                logging.getLogger("app").exception("")
                raise

        return call

    def pruned():
        raise trivet.TrialPruned("x")

    with pytest.raises(trivet.TrialPruned):
        task_wrapper(pruned)()
    assert caplog.messages == []


def test_locate():
    assert locate("math.sqrt", "k") is math.sqrt
    for path in ("math.nope", "no_such_module.f", "sqrt", "", "math.pi"):
        with pytest.raises(UserError, match=f"^k={path}: "):
            locate(path, "k")
