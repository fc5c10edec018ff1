"""The alarm that ends a trial which outlasts its time."""

import contextlib
import signal
import threading

import pytest

from trivet.sweep.alarm import Alarm, TrialTimeout


def ring():
    signal.raise_signal(signal.SIGALRM)


def test_an_alarm_ends_the_block():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TrialTimeout), Alarm().set(1000):
        ring()
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_an_alarm_does_not_ring_in_the_middle_of_a_record():
    alarm, done = Alarm(), []
    with pytest.raises(TrialTimeout), alarm.set(1000):
        with alarm.held():
            ring()
            done.append("record")
        done.append("never")
    assert done == ["record"]


def test_an_error_in_a_record_passes_before_the_alarm():
    alarm = Alarm()
    with pytest.raises(OSError), alarm.set(1000), alarm.held():
        ring()
        raise OSError


def test_an_alarm_that_was_swallowed_rings_at_the_next_report():
    alarm = Alarm()
    with pytest.raises(TrialTimeout), alarm.set(1000):
        with contextlib.suppress(TrialTimeout):
            ring()
        with alarm.held():
            pass


def test_no_alarm_without_a_time_or_in_another_thread():
    with Alarm().set(None):
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    errors = []

    def elsewhere():
        try:
            alarm = Alarm()
            with alarm.set(1000), alarm.held():
                pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert errors == []
