"""Trials that are written into Optuna's tables at once: read back, they are those that Optuna's own API would have written."""

import math
from datetime import datetime
from types import SimpleNamespace

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from trivet.study import mirror, optuna_tables

RANGES = {
    "lr": FloatDistribution(1e-5, 1.0, log=True),
    "drop": FloatDistribution(0.0, 0.5, step=0.25),
    "width": IntDistribution(1, 1024, log=True),
    "depth": IntDistribution(2, 10, step=2),
    "kind": CategoricalDistribution((None, True, 1, 0.5, "ü'\"\n%s:x")),
}
BEGUN, ENDED = datetime(2026, 3, 29, 1, 30, 0, 123456), datetime(2026, 11, 26, 4, 5, 6)


def trial(number, state, values=(), params=None, curve=None, **more):
    params = params or {}
    more = {"datetime_start": BEGUN, "datetime_complete": ENDED, "user_attrs": {}, "system_attrs": {}, **more}
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=None,
        values=list(values) or None,
        params=params,
        distributions={name: RANGES[name] for name in params},
        intermediate_values=curve or {},
        **more,
    )


def every_kind(n_values):
    """A trial of each sort that a study can hold."""
    worst = [math.inf, -math.inf, 1e-320, 0.1 + 0.2][:n_values]
    curve = {3: math.nan, 1: math.inf, 2: -math.inf, 0: 0.1 + 0.2, 2**31 - 1: 1e308}
    attrs = {"trivet:reason": "out of memory %s", "note": {"a": [1, None, "ü"]}, "empty": ""}
    return [
        trial(0, TrialState.COMPLETE, [0.5] * n_values, {"lr": 1e-5, "drop": 0.25, "width": 1024, "depth": 10, "kind": None}, {1: 0.5}),
        trial(1, TrialState.COMPLETE, worst, {"kind": True, "width": 1}, curve, user_attrs=attrs, system_attrs={"grid": [1, {"b": 2.5}]}),
        trial(2, TrialState.PRUNED, [0.25] * n_values, {"kind": 1, "lr": 0.1 + 0.2}, {5: 0.25}),
        trial(3, TrialState.PRUNED),
        trial(4, TrialState.FAIL, user_attrs={"trivet:reason": "raised"}, curve={1: 2.0}),
        trial(5, TrialState.COMPLETE, [7.0] * n_values, {"kind": 0.5, "depth": 2}, datetime_start=None),
        trial(6, TrialState.COMPLETE, [8.0] * n_values, {"kind": "ü'\"\n%s:x"}),
    ]


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """A database with a study of others in it: trials have other ids than numbers."""
    found = optuna.storages.get_storage(f"sqlite:///{tmp_path_factory.mktemp('optuna')}/studies.db")
    optuna.create_study(storage=found, study_name="other").enqueue_trial({"lr": 1.0})
    return found


def new_study(storage, n_values=1):
    return optuna.create_study(storage=storage, directions=["minimize"] * n_values)._study_id


def read(storage, study_id):
    """Everything that Optuna finds there, as text: NaN is NaN, and 1 is not True."""
    trials = storage._backend.get_all_trials(study_id)  # behind its cache
    return [{key: repr(value) for key, value in vars(found).items() if key != "_trial_id"} for found in trials]


def write_all(storage, study_id, trials):
    while optuna_tables.add(storage, study_id, trials):
        pass


@pytest.mark.parametrize("n_values", [1, 2, 4])
def test_optuna_reads_what_its_own_api_would_have_written(n_values, storage):
    ours, theirs = new_study(storage, n_values), new_study(storage, n_values)
    trials = every_kind(n_values)
    write_all(storage, ours, trials)
    for known in trials:
        storage.create_new_trial(theirs, known)
    found = read(storage, ours)
    assert len(found) == len(trials) and found == read(storage, theirs)


def test_what_trivet_alone_reads_stays_out(storage):
    study_id = new_study(storage)
    ours = {"trivet:metrics": {"rows": [[1] * 9]}, "trivet:reason": "nan", "kept": 1}
    write_all(storage, study_id, [trial(0, TrialState.FAIL, user_attrs=ours)])
    assert [t.user_attrs for t in storage.get_all_trials(study_id)] == [{"trivet:reason": "nan", "kept": 1}]


@pytest.mark.parametrize("at_once", [1, 2, 500])
@pytest.mark.parametrize("killed_at", [0, 5])
def test_a_copy_that_was_killed_goes_on_behind_whole_trials(at_once, killed_at, storage, monkeypatch):
    monkeypatch.setattr(optuna_tables, "AT_ONCE", at_once)
    study_id, whole_id = new_study(storage), new_study(storage)
    trials, parts = every_kind(1), optuna_tables._parts

    def dies(trial_id, known):
        yield from parts(trial_id, known)
        if known.number == killed_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(optuna_tables, "_parts", dies)
    with pytest.raises(KeyboardInterrupt):
        write_all(storage, study_id, trials)
    assert len(read(storage, study_id)) == killed_at // at_once * at_once, "whole transactions, and nothing of the last"
    monkeypatch.setattr(optuna_tables, "_parts", parts)
    for known in (trials[:6], trials, trials):
        write_all(storage, study_id, known)
    write_all(storage, whole_id, trials)
    assert read(storage, study_id) == read(storage, whole_id)


def test_a_parameter_that_is_a_number_and_a_choice_is_refused_as_by_optuna(storage):
    study_id = new_study(storage)
    odd = trial(1, TrialState.COMPLETE, [1.0], {"kind": True})
    odd.params, odd.distributions = {"lr": True}, {"lr": RANGES["kind"]}
    with pytest.raises(ValueError, match="distribution"):
        write_all(storage, study_id, [trial(0, TrialState.COMPLETE, [1.0], {"lr": 1.0}), odd])
    assert read(storage, study_id) == []


def test_a_copy_that_fails_is_one_line_and_ends_nothing(caplog, monkeypatch):
    monkeypatch.setattr(mirror, "mirror", lambda *_: 1 / 0)
    spec = SimpleNamespace(storage="postgresql://me:hunter2@h/d")
    mirror.offer(SimpleNamespace(spec=spec), "sphere", "mark")
    assert [record.getMessage() for record in caplog.records] == [
        "hydra.sweeper.study_name=sphere: not copied into Optuna tables (ZeroDivisionError: division by zero)"
    ]
