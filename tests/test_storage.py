"""What a worker reads of a study's trials: what others wrote since, and nothing twice."""

import contextlib
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from simulated_workers import spec_of

from trivet.errors import UserError
from trivet.study.locks import PostgresLocks
from trivet.study.locks import _open as holders
from trivet.study.records import Outcome
from trivet.study.storage import Trials, batch, check_reachable, close, open_storage
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


def test_who_looks_on_finds_the_last_step_and_the_reason_of_each_trial(tmp_path):
    """Attributes that Optuna's own tools show, written as a trial ends."""
    study = Study(spec_of(tmp_path, "random", {"name": "limit", "max_step": 2}, 4))
    for number, (steps, outcome) in enumerate(
        [
            ((1,), Outcome("COMPLETE", (0.5,))),
            ((), Outcome("FAIL", reason="odd")),
            ((1, 3), Outcome("PRUNED")),
            ((), Outcome("COMPLETE", (1.5,))),
        ]
    ):
        assert study.claim("w").number == number
        for step in steps:
            study._sync_due = 0.0  # hears of each verdict at once
            assert study.report(number, step, 0.25 * step) == (step >= 2)
        study.tell(number, outcome, {"mine": number})
    found = study.storage.get_all_trials(study.study_id)
    names = ("trivet:step", "trivet:reason", "mine")
    assert [[t.user_attrs.get(name) for name in names] for t in found] == [[1, None, 0], [0, "odd", 1], [3, None, 2], [0, None, 3]]
    assert [(t.state.name, t.values) for t in found] == [("COMPLETE", [0.5]), ("FAIL", None), ("PRUNED", [0.75]), ("COMPLETE", [1.5])]
    ends = [t.user_attrs.get("trivet:end") for t in found]
    assert [end for end in ends if end is not None] == [
        {"state": "COMPLETE", "values": [0.5], "reason": ""},
        {"state": "FAIL", "values": [], "reason": "odd"},
        {"state": "PRUNED", "values": [], "reason": ""},
        {"state": "COMPLETE", "values": [1.5], "reason": ""},
    ]
    study.close()


def test_a_connection_is_given_back_once():
    closed = []
    database = SimpleNamespace(close=lambda: closed.append("closed"))
    close(SimpleNamespace(_backend=SimpleNamespace(database=database)))
    close(SimpleNamespace(_backend=SimpleNamespace()))
    close(SimpleNamespace())
    assert closed == ["closed"]


@pytest.mark.parametrize("ask", [open_storage, lambda url, _: check_reachable(url)])
def test_what_cannot_be_opened_is_one_line(ask, tmp_path, monkeypatch):
    monkeypatch.delenv("TRIVET_DB", raising=False)
    lines = {
        f"sqlite:///{tmp_path}/no/s.db": "(sqlite3.OperationalError) unable to open database file",
        "nonsense": "Could not parse SQLAlchemy URL from given URL string",
    }
    for url, why in lines.items():
        with pytest.raises(UserError) as told:
            ask(url, tmp_path)
        assert str(told.value) == f"hydra.sweeper.storage={url}: cannot be opened ({why}); give a reachable URL, or null for a file"
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.storage=\$\{oc\.env:TRIVET_DB\}: .*TRIVET_DB") as told:
        ask("${oc.env:TRIVET_DB}", tmp_path)
    assert "\n" not in str(told.value) and not (tmp_path / "no").exists()


class Locking:
    """A connection to a server's advisory locks: `free` of those that another one holds."""

    def __init__(self, others=()):
        self.held, self.others, self.told, self.closed = [], set(others), [], False
        self.connection = SimpleNamespace(dbapi_connection=None)

    def connect(self):
        return self

    def execution_options(self, **options):
        self.told.append(options)
        return self

    def execute(self, statement, values):
        key = (values["space"], values["key"])
        function = str(statement).removeprefix("select ").removesuffix("(:space, :key)")
        if function == "pg_advisory_unlock":
            self.held.remove(key)
        elif key not in self.others:
            self.held.append(key)
        self.told.append((function, *key))
        return SimpleNamespace(scalar=lambda: key not in self.others)

    def close(self):
        self.closed = True


def test_locks_of_a_server_are_those_of_its_study_alone():
    space = 0x72190000 | 3
    server = Locking([(space, 5)])
    locks = PostgresLocks(server, 0x10003)
    assert server.told == [{"isolation_level": "AUTOCOMMIT"}], "a lock of a transaction would end with it"
    with locks.mutex():
        assert server.held == [(space, -1)]
        assert [locks.acquire(number) for number in (4, 5, 4)] == [True, False, False]
        assert server.held == [(space, -1), (space, 4)]
    assert server.held == [(space, 4)]
    with pytest.raises(KeyError), locks.mutex():
        raise KeyError
    locks.release(5)
    assert server.held == [(space, 4)], "what is not held is not given back"
    locks.release(4)
    locks.release(4)
    assert server.held == [] and locks.acquire(4)
    assert [told[0] for told in server.told[1:4]] == ["pg_advisory_lock", "pg_try_advisory_lock", "pg_try_advisory_lock"]
    locks.close()
    assert server.closed


def test_a_fork_is_told_the_connection_that_stands_for_the_locks():
    server = Locking()
    locks = PostgresLocks(server, 1)
    assert locks.fds() == []
    server.connection.dbapi_connection = SimpleNamespace()
    assert locks.fds() == [], "a driver that has no socket of its own"
    server.connection.dbapi_connection = SimpleNamespace(fileno=lambda: 71)
    assert locks.fds() == [71]
    server.connection.dbapi_connection = None
    assert locks in holders
    locks.close()
    assert locks not in holders
