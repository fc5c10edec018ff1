"""What a study notes of who runs a trial, or a run of it: whose deaths count, from which step on, and what is said in the end."""

import os
import time
from dataclasses import replace

import pytest
from simulated_workers import PARAMS
from simulated_workers import spec_of as any_spec_of

from trivet.search.replicates import Replicates
from trivet.study.records import Claim, Outcome
from trivet.study.runs import claim_attribute
from trivet.study.study import Study

TWO = Replicates("seed", (3, 5))


def spec_of(*given, **changes):
    return replace(any_spec_of(*given, params=PARAMS[:1], **changes), session="one")


@pytest.fixture
def clock(monkeypatch):
    """The time, which is a whole number here."""
    monkeypatch.setattr(time, "time", lambda: 1000.0)


def die(study):
    """As a process that is killed: its locks are free, and nothing is told."""
    locks = study.locks
    for number in list(locks._held):
        os.close(locks._held.pop(number))
    study.close()


def noted(study, number=0, name="trivet:claim"):
    study.sync()
    return study.trials[number].user_attrs[name]


def test_what_is_noted_of_the_worker_of_a_trial(tmp_path, clock):
    spec = spec_of(tmp_path, "random", None, 1, max_restarts=2)
    study = Study(spec)
    assert study.claim("a") == Claim(0, False)
    assert noted(study) == {"session": "one", "worker": "a", "deaths": 0, "step": 0, "since": 1000.0}
    study.report(0, 4, 0.5)
    die(study)
    study = Study(spec)
    assert study.claim("b") == Claim(0, True), "a death after a new step is its first"
    assert noted(study) == {"session": "one", "worker": "b", "deaths": 1, "step": 4, "since": 1000.0}
    die(study)
    study = Study(replace(spec, session="two"))
    assert study.claim("c") == Claim(0, True), "the end of a whole sweep is none of its deaths"
    assert noted(study) == {"session": "two", "worker": "c", "deaths": 1, "step": 4, "since": 1000.0}
    study.report(0, 5, 0.5)
    study.leave(0)
    assert noted(study)["session"] == "" and noted(study)["worker"] == "c"
    assert study.claim("d") == Claim(0, True)
    assert noted(study)["deaths"] == 0 and noted(study)["step"] == 5
    for deaths in (1, 2):
        die(study)
        study = Study(replace(spec, session="two"))
        assert study.claim("e") == Claim(0, True) and noted(study)["deaths"] == deaths
    die(study)
    study = Study(replace(spec, session="two"))
    assert study.claim("f") == "stop: n_trials"
    (trial,) = study.finished()
    assert (trial.state, trial.reason) == ("FAIL", "its worker died 3 times without a new step")
    assert trial.curve == [(4, 0.5), (5, 0.5)] and study.trials[0].user_attrs["trivet:step"] == 5
    study.close()


def test_what_is_noted_of_the_worker_of_a_run(tmp_path, clock):
    spec = spec_of(tmp_path, "random", None, 1, max_restarts=1, replicates=TWO)
    study = Study(spec)
    assert study.claim("a") == Claim(0, False, None, 0)
    first = {"session": "one", "worker": "a", "deaths": 0, "step": 0, "since": 1000.0}
    assert noted(study) == noted(study, name=claim_attribute(0)) == first
    study.metrics_of(0, 0).add(3, {"value": 0.5})
    die(study)
    study = Study(spec)
    assert study.claim("b") == Claim(0, True, None, 0)
    assert noted(study, name=claim_attribute(0)) == {**first, "worker": "b", "deaths": 1, "step": 3}
    study.leave_run(0, 0)
    assert noted(study, name=claim_attribute(0)) == {**first, "worker": "b", "deaths": 1, "step": 3, "session": ""}
    assert study.claim("c") == Claim(0, True, None, 0), "an interruption is no death"
    assert noted(study, name=claim_attribute(0))["deaths"] == 1
    study.tell_run(0, 0, {"value": 1.0, "held": []})
    assert study.claim("d") == Claim(0, False, None, 1), "nobody has run the second yet"
    assert noted(study, name=claim_attribute(1)) == {**first, "worker": "d"}
    for worker in ("e", "f"):
        die(study)
        study = Study(spec)
        claimed = study.claim(worker)
    assert claimed == "stop: n_trials"
    (trial,) = study.finished()
    assert (trial.state, trial.reason) == ("FAIL", "its worker died 2 times without a new step")
    assert [run.get("reason", "") for run in trial.runs] == ["", "its worker died 2 times without a new step"]
    study.close()


def test_a_run_that_is_ahead_counts_when_its_turn_comes(tmp_path):
    spec = spec_of(tmp_path, "random", None, 1, replicates=TWO)
    one, other, third = (Study(spec) for _ in range(3))
    assert (one.claim("a"), other.claim("b")) == (Claim(0, False, None, 0), Claim(0, False, None, 1))
    assert third.claim("c") == "wait"
    other.tell_run(0, 1, {"value": 3.0, "held": []})
    assert not other.finished() and not other.is_over(0) and other.trials[0].intermediate_values == {}
    assert other.claim("b") == "wait"
    assert not one.is_needless(0, 0)
    one.tell_run(0, 0, {"value": 1.0, "held": [], "objectives": [1.0, 2.0]})
    (trial,) = one.finished()
    assert (trial.state, trial.values, trial.curve, trial.reason) == ("COMPLETE", [2.0], [(1, 1.0), (2, 2.0)], "")
    assert one.is_over(0) and one.is_needless(0, 1)
    assert one.trials[0].user_attrs["trivet:end"] == {"state": "COMPLETE", "values": [2.0], "reason": ""}
    for study in (one, other, third):
        study.close()


@pytest.mark.parametrize(
    ("last", "reason"), [({"state": "FAIL"}, ""), ({"state": "FAIL", "reason": "odd"}, "odd"), ({"state": "PRUNED"}, "")]
)
def test_the_end_of_a_trial_is_that_of_the_first_run_that_did_not_complete(tmp_path, last, reason):
    study = Study(spec_of(tmp_path, "random", None, 1, replicates=TWO))
    for run in ({"value": 1.0, "held": []}, last):
        claim = study.claim("a")
        study.tell_run(claim.number, claim.replicate, run)
    (trial,) = study.finished()
    assert (trial.state, trial.reason, trial.curve) == (last["state"], reason, [(1, 1.0)])
    assert trial.values == ([1.0] if last["state"] == "PRUNED" else [])
    assert study.trials[0].user_attrs["trivet:end"] == {"state": last["state"], "values": [], "reason": reason}
    study.close()


def test_a_new_trial_whose_lock_is_held_is_a_bug_and_says_so(tmp_path):
    study = Study(spec_of(tmp_path, "random", None, 2))
    other = Study(study.spec)
    assert other.locks.acquire(0)
    with pytest.raises(RuntimeError, match=r"^trial 0 is new, yet its lock is held$"):
        study.claim("a")
    other.close()
    study.close()


@pytest.mark.parametrize(("now", "answer"), [(99.9, Claim(1, False)), (100.0, "stop: seconds")])
def test_the_deadline_is_the_moment_from_which_on_no_trial_begins(tmp_path, monkeypatch, now, answer):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    study = Study(spec_of(tmp_path, "random", None, 9, deadline=100.0))
    assert study.claim("a").number == 0 and study.why_stopped() is None
    study.tell(0, Outcome("COMPLETE", (1.0,)))
    monkeypatch.setattr(time, "time", lambda: now)
    assert study.why_stopped() == ("seconds" if now >= 100 else None)
    assert study.claim("a") == answer
    study.close()


@pytest.mark.parametrize(("n_failed", "often"), [(0, False), (2, False), (3, True)])
def test_a_rate_is_too_high_above_its_bound(tmp_path, n_failed, often):
    study = Study(spec_of(tmp_path, "random", None, 4, max_failure_rate=0.5))
    assert not study.failed_too_often()
    for number in range(4):
        study.claim("a")
        study.tell(number, Outcome("FAIL", reason="odd") if number < n_failed else Outcome("COMPLETE", (1.0,)))
    assert study.failed_too_often() is often
    study.close()


def test_what_a_study_leaves_may_be_read_by_others_and_written_by_its_owner(tmp_path):
    before = os.umask(0)
    try:
        study = Study(spec_of(tmp_path, "random", None, 2))
        study.claim("a")
    finally:
        os.umask(before)
    modes = {name: (tmp_path / name).stat().st_mode & 0o7777 for name in ("journal.log", "claims/mutex", "claims/0")}
    assert modes == dict.fromkeys(modes, 0o644)
    study.close()
    assert not (tmp_path / "claims" / "0").exists()
