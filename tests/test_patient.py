"""Optuna's own tables on a server that goes away and comes back: each call is made again, and what is wrong otherwise is not."""

import itertools
import time

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState, create_trial
from sqlalchemy import event
from sqlalchemy.exc import DataError, InterfaceError, OperationalError

from trivet.errors import StorageGone
from trivet.study.patient import PatientStorage

URL = "mysql+pymysql://me:hunter2@host/studies"
RANGE = FloatDistribution(0.0, 1.0)
CALLS = {
    "create_new_trial": lambda s, study, trial: s.create_new_trial(study, create_trial(state=TrialState.RUNNING)),
    "set_trial_param": lambda s, study, trial: s.set_trial_param(trial, "x", 0.5, RANGE),
    "set_trial_user_attr": lambda s, study, trial: s.set_trial_user_attr(trial, "a", [1]),
    "set_trial_system_attr": lambda s, study, trial: s.set_trial_system_attr(trial, "b", 2),
    "set_trial_intermediate_value": lambda s, study, trial: s.set_trial_intermediate_value(trial, 1, 0.5),
    "set_trial_state_values": lambda s, study, trial: s.set_trial_state_values(trial, TrialState.COMPLETE, [0.5]),
    "set_study_user_attr": lambda s, study, trial: s.set_study_user_attr(study, "c", 3),
    "get_all_trials": lambda s, study, trial: s.get_all_trials(study),
    "get_trial": lambda s, study, trial: s.get_trial(trial),
    "get_study_id_from_name": lambda s, study, trial: s.get_study_id_from_name(s.get_study_name_from_id(study)),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A storage, and the errors that its next statements end with."""
    backend = PatientStorage(f"sqlite:///{tmp_path_factory.mktemp('patient')}/studies.db", 60.0, URL)
    errors = []

    @event.listens_for(backend.engine, "before_cursor_execute")
    def away(*_):
        if errors:
            raise errors.pop()

    return optuna.storages.get_storage(backend), errors


@pytest.fixture
def clock(server, monkeypatch):
    """The seconds that were slept; nothing is waited for."""
    server[0]._backend.timeout = 60.0
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    ticks = itertools.count()
    monkeypatch.setattr("trivet.study.patient.time.monotonic", lambda: next(ticks) * 1e-3 + sum(slept))
    yield slept
    server[1].clear()


def lost(kind=OperationalError, text="(2013, 'Lost connection to server\\nduring query')"):
    return kind("select 1", {}, Exception(text))


def begun(storage):
    study = optuna.create_study(storage=storage)._study_id
    return study, storage.create_new_trial(study)


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_comes_back_has_all_that_was_written(server, clock, call, kind):
    storage, errors = server
    calm, disturbed = begun(storage), begun(storage)
    CALLS[call](storage, *calm)
    errors += [lost(kind) for _ in range(7)]
    CALLS[call](storage, *disturbed)
    assert not errors and clock
    left = [
        [(t.number, t.state, t.values, t.params, t.user_attrs, t.system_attrs, t.intermediate_values) for t in found]
        for found in (storage._backend.get_all_trials(study) for study, _ in (calm, disturbed))
    ]
    assert left[0] == left[1]


def test_a_server_that_is_gone_too_long_is_told_in_one_line_and_waited_for_once(server, clock):
    storage, errors = server
    study, trial = begun(storage)
    errors += [lost() for _ in range(1000)]
    with pytest.raises(StorageGone) as gone:
        storage.set_trial_user_attr(trial, "a", 1)
    assert str(gone.value) == (
        "hydra.sweeper.storage=mysql+pymysql://me:***@host/studies: gone for 60 s (storage_timeout): "
        "Exception: (2013, 'Lost connection to server\\nduring query'); the same command continues when it is back"
    )
    assert 50 < sum(clock) <= 60
    before = len(clock)
    with pytest.raises(StorageGone):
        storage._backend.get_all_trials(study)
    assert len(clock) == before


def test_what_is_wrong_with_the_values_is_not_tried_again(server, clock):
    storage, errors = server
    _, trial = begun(storage)
    errors.append(lost(DataError, "(1406, \"Data too long for column 'value_json'\")"))
    with pytest.raises(StorageInternalError):
        storage.set_trial_user_attr(trial, "a", "x")
    assert not clock
