"""What a worker reads of a study's trials: what others wrote since, and nothing twice."""

import contextlib
import shutil
from dataclasses import replace

import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from simulated_workers import spec_of

from trivet.errors import UserError
from trivet.study.storage import Trials, batch, close, open_storage
from trivet.study.study import Study


@pytest.fixture(params=["journal", "sqlite"])
def two(request, tmp_path):
    """Two processes' holds on one study: (storage, study's number) twice."""
    url = f"sqlite:///{tmp_path / 'study.db'}" if request.param == "sqlite" else None
    storages = [open_storage(url, tmp_path) for _ in range(2)]
    study = storages[0].create_new_study([StudyDirection.MINIMIZE], "study")
    yield [(storage, study) for storage in storages]
    for storage in storages:
        close(storage)


def test_news_of_others_are_read(two):
    (here, study), (there, _) = two
    seen = Trials(here, study)
    seen.read()
    assert seen.all == seen.unfinished == []
    elsewhere = Trials(there, study)
    for n in range(3):
        trial = there.create_new_trial(study)
        elsewhere.read()
        there.set_trial_param(trial, "x", 0.25 * n, FloatDistribution(0, 1))
        there.set_trial_intermediate_value(trial, 1, 0.5)
    seen.read()
    assert [t.params for t in seen.all] == [{"x": 0.0}, {"x": 0.25}, {"x": 0.5}] and seen.unfinished == [0, 1, 2]
    there.set_trial_intermediate_value(elsewhere.all[2]._trial_id, 2, 0.125)
    there.set_trial_state_values(elsewhere.all[1]._trial_id, TrialState.COMPLETE, [0.5])
    seen.read()
    assert seen.unfinished == [0, 2] and seen.all[1].value == 0.5
    assert seen.all[2].intermediate_values == {1: 0.5, 2: 0.125}


def test_a_finished_trial_is_read_once(two):
    (here, study), _ = two
    trials = Trials(here, study)
    for _ in range(2):
        here.create_new_trial(study)
    trials.read()
    here.set_trial_state_values(trials.all[0]._trial_id, TrialState.COMPLETE, [1.0])
    trials.read()
    first = trials.all[0]
    here.set_trial_intermediate_value(trials.all[1]._trial_id, 1, 0.5)
    here.create_new_trial(study)
    trials.read()
    assert trials.all[0] is first and len(trials.all) == 3
    assert [t.number for t in trials.all] == [0, 1, 2]


def test_records_that_come_after_the_end_of_a_trial_are_skipped(tmp_path):
    """Several of one writer, at once: each of them is refused as it is read, and what stands behind them is read still."""
    here, there = (open_storage(None, tmp_path) for _ in range(2))
    study = here.create_new_study([StudyDirection.MINIMIZE], "study")
    trial = here.create_new_trial(study)
    trials = Trials(here, study)
    trials.read()
    there.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
    with contextlib.suppress(UpdateFinishedTrialError), batch(here):
        for key in ("a", "b", "c"):
            here.set_trial_user_attr(trial, key, 1)
    there.create_new_trial(study)
    trials.read()
    assert len(trials.all) == 2 and trials.all[0].user_attrs == {} and trials.unfinished == [1]


def test_only_a_journal_writes_in_batches(two):
    (here, study), (there, _) = two
    trials, elsewhere = Trials(here, study), Trials(there, study)
    trial = here.create_new_trial(study)
    trials.read()
    with batch(here):
        here.set_trial_user_attr(trial, "a", 1)
        here.set_trial_user_attr(trial, "b", 2)
        elsewhere.read()
        written = elsewhere.all[0].user_attrs
    elsewhere.read()
    assert elsewhere.all[0].user_attrs == {"a": 1, "b": 2}
    assert written == ({} if isinstance(here, JournalStorage) else {"a": 1, "b": 2})


def test_a_database_without_locks_is_used_from_one_folder(tmp_path):
    spec = replace(spec_of(tmp_path / "one", "random", None, 4), storage=f"sqlite:///{tmp_path}/study.db")
    first = Study(spec)
    assert first.claim("a").number == 0
    again = Study(spec)  # the same folder: another worker
    with pytest.raises(UserError, match=r"lock this study's trials; run it there, or .* PostgreSQL"):
        Study(replace(spec, folder=str(tmp_path / "other")))
    for study in (first, again):
        study.close()
    shutil.rmtree(tmp_path / "one")
    moved = Study(replace(spec, folder=str(tmp_path / "other")))
    assert moved.claim("b").resumed, "its folder is gone for good"
    moved.close()
