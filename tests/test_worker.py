"""What a trial's end means, and the alarm that ends it; the loop itself is tested with real processes in test_sweeper*.py."""

import contextlib
import math
import signal
import threading

import numpy as np
import optuna
import pytest
from hydra.core.utils import JobReturn, JobStatus

import trivet
from trivet.errors import UserError
from trivet.study.records import Outcome
from trivet.sweep.worker import TrialTimeout, _Alarm, locate, outcome_of


def returned(value):
    result = JobReturn()
    result.return_value, result.status = value, JobStatus.COMPLETED
    return result


def raised(error):
    result = JobReturn()
    result._return_value, result.status = error, JobStatus.FAILED
    return result


@pytest.mark.parametrize(
    ("value", "n", "outcome"),
    [
        (0.5, 1, Outcome("COMPLETE", (0.5,))),
        (3, 1, Outcome("COMPLETE", (3.0,))),
        (np.float32(0.25), 1, Outcome("COMPLETE", (0.25,))),
        (np.array(0.25), 1, Outcome("COMPLETE", (0.25,))),
        ("0.5", 1, Outcome("COMPLETE", (0.5,))),
        (None, 1, Outcome("FAIL", reason="returned nothing: the task function must return the objective")),
        (None, 2, Outcome("FAIL", reason="returned nothing: the task function must return the objective")),
        ("good", 1, Outcome("FAIL", reason="returned 'good': must be a number")),
        ({"a": 1}, 1, Outcome("FAIL", reason="returned \"{'a': 1}\": must be a number")),
        ((1, 2), 1, Outcome("FAIL", reason="returned '(1, 2)': must be a number")),
        (math.nan, 1, Outcome("FAIL", reason="diverged: the objective is nan")),
        (-math.inf, 1, Outcome("FAIL", reason="diverged: the objective is -inf")),
        ((1, 2.5), 2, Outcome("COMPLETE", (1.0, 2.5))),
        ([1, 2], 2, Outcome("COMPLETE", (1.0, 2.0))),
        (np.array([1, 2]), 2, Outcome("COMPLETE", (1.0, 2.0))),
        ((x for x in (1, 2)), 2, Outcome("COMPLETE", (1.0, 2.0))),
        (0.5, 2, Outcome("FAIL", reason="returned 0.5: must be 2 numbers, one per direction")),
        ("12", 2, Outcome("FAIL", reason="returned '12': must be 2 numbers, one per direction")),
        ((1, 2, 3), 2, Outcome("FAIL", reason="returned 3 values: must be 2, one per direction")),
        ((1, "a"), 2, Outcome("FAIL", reason="returned \"(1, 'a')\": must be numbers")),
        ((1, math.nan), 2, Outcome("FAIL", reason="diverged: the objective is 1.0, nan")),
    ],
)
def test_what_is_returned(value, n, outcome):
    assert outcome_of(returned(value), n) == outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (trivet.TrialPruned("x"), Outcome("PRUNED")),
        (optuna.TrialPruned(), Outcome("PRUNED", reason="raised TrialPruned itself")),
        (trivet.Diverged("loss is nan at epoch 3"), Outcome("FAIL", reason="diverged: loss is nan at epoch 3")),
        (TrialTimeout(), Outcome("FAIL", reason="timed out after 2.5 s")),
        (SystemExit(3), Outcome("FAIL", reason="called sys.exit(3)")),
        (SystemExit("bye"), Outcome("FAIL", reason="called sys.exit('bye')")),
        (MemoryError(), Outcome("FAIL", reason="out of memory")),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA ..."), Outcome("FAIL", reason="out of memory")),
        (ValueError("first\nsecond"), Outcome("FAIL", reason="ValueError: first")),
        (ValueError(), Outcome("FAIL", reason="ValueError")),
        (KeyError("lr"), Outcome("FAIL", reason="KeyError: 'lr'")),
    ],
)
def test_what_is_raised(error, outcome):
    assert outcome_of(raised(error), 1, 2.5) == outcome


def ring():
    signal.raise_signal(signal.SIGALRM)


def test_an_alarm_ends_the_block():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TrialTimeout), _Alarm().set(1000):
        ring()
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_an_alarm_does_not_ring_in_the_middle_of_a_record():
    alarm, done = _Alarm(), []
    with pytest.raises(TrialTimeout), alarm.set(1000):
        with alarm.held():
            ring()
            done.append("record")
        done.append("never")
    assert done == ["record"]


def test_an_error_in_a_record_passes_before_the_alarm():
    alarm = _Alarm()
    with pytest.raises(OSError), alarm.set(1000), alarm.held():
        ring()
        raise OSError


def test_an_alarm_that_was_swallowed_rings_at_the_next_report():
    alarm = _Alarm()
    with pytest.raises(TrialTimeout), alarm.set(1000):
        with contextlib.suppress(TrialTimeout):
            ring()
        with alarm.held():
            pass


def test_no_alarm_without_a_time_or_in_another_thread():
    with _Alarm().set(None):
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    errors = []

    def elsewhere():
        try:
            alarm = _Alarm()
            with alarm.set(1000), alarm.held():
                pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert errors == []


def test_locate():
    assert locate("math.sqrt", "k") is math.sqrt
    for path in ("math.nope", "no_such_module.f", "sqrt", "", "math.pi"):
        with pytest.raises(UserError, match=f"^k={path}: "):
            locate(path, "k")
