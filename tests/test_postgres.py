"""A study in PostgreSQL: a server that goes away and comes back, connections that drop, and files that travel.

The sweeps on it are in test_sweeper_postgres.py.
"""

import threading
import time
from dataclasses import replace

import optuna
import pytest
from postgres_server import running_server
from simulated_workers import PARAMS, SimulatedWorker, spec_of

from trivet.errors import StorageGone, UserError
from trivet.study import postgres
from trivet.study.mirror import mirror
from trivet.study.optuna_tables import FOR_OTHERS
from trivet.study.postgres import Database, PostgresClaims, PostgresJournal, TrialFiles
from trivet.study.records import Claim, Outcome
from trivet.study.storage import check_reachable
from trivet.study.study import Study
from trivet.study.view import View
from trivet.study.warm import address, read_warm


@pytest.fixture(scope="module")
def server():
    with running_server() as found:
        yield found


@pytest.fixture
def opened(server, request):
    """Makes connections to a study of this test's own."""
    made = []

    def make(timeout=20.0, **more):
        made.append(Database(server.url, request.node.name, timeout, server.url, **more))
        return made[-1]

    yield make
    for database in made:
        database.close()


def drop_all(server):
    """End every other connection, as a restart does, and wait for their ends."""
    server.sql("select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name like 'trivet-%'")


def study_of(server, folder, name, **more):
    return Study(replace(spec_of(folder, "random", None, 6), name=name, storage=server.url, **more))


def test_what_one_appends_the_other_reads_in_one_order(opened):
    one, other = PostgresJournal(opened()), PostgresJournal(opened())
    one.append_logs([{"a": 1}, {"b": "ü\n"}])
    with other.batch():
        other.append_logs([{"c": 1}])
        other.append_logs([{"d": 1}])
        assert list(one.read_logs(0)) == [{"a": 1}, {"b": "ü\n"}]
    everything = [{"a": 1}, {"b": "ü\n"}, {"c": 1}, {"d": 1}]
    assert list(other.read_logs(0)) == everything
    assert list(one.read_logs(2)) == everything[2:]
    assert list(one.read_logs(0)) == everything
    assert list(PostgresJournal(opened()).read_logs(1)) == everything[1:]


def test_a_connection_that_drops_is_taken_again_and_nothing_is_written_twice(server, opened):
    database = opened()
    journal = PostgresJournal(database)
    journal.append_logs([{"a": 1}])
    drop_all(server)
    journal.append_logs([{"b": 1}])
    assert list(journal.read_logs(0)) == [{"a": 1}, {"b": 1}]

    real, calls = database.retried, []

    def cut_after_the_write(work):
        def once(cursor):
            result = work(cursor)
            if not calls:
                calls.append(1)
                drop_all(server)
                cursor.execute("select 1")  # the answer never came
            return result

        return real(once)

    database.retried = cut_after_the_write
    journal.append_logs([{"c": 1}])
    assert calls and list(PostgresJournal(opened()).read_logs(0)) == [{"a": 1}, {"b": 1}, {"c": 1}]


def test_locks_are_taken_again_and_a_lock_that_another_took_is_lost(server, opened):
    mine, others = PostgresClaims(opened()), PostgresClaims(opened())
    assert mine.acquire(1) and mine.acquire(2) and not others.acquire(1)
    drop_all(server)
    mine._database.rows("select 1")
    assert not others.acquire(1) and not others.acquire(2) and not mine.lost
    mine._over.set()  # it notices nothing by itself any more
    mine._keeper.join()
    server.sql(f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = '{mine._database._me}'")
    assert others.acquire(2)
    mine.release(1)
    assert mine.lost == {2}


def test_a_server_that_is_gone_too_long_is_told_in_one_line(opened, server):
    database = opened(timeout=0.3)
    url = server.url.replace("trivet@", "trivet:hunter2@").replace(str(server.folder), "/nowhere")
    with pytest.raises(UserError, match="cannot be opened") as error:
        check_reachable(url)
    assert "hunter2" not in str(error.value)
    with server.stopped():
        with pytest.raises(StorageGone, match=r"gone for 0.3 s \(storage_timeout\)") as gone:
            database.rows("select 1")
        assert str(gone.value).isprintable()
        start = time.monotonic()
        with pytest.raises(StorageGone):
            database.rows("select 1")
        assert time.monotonic() - start < 5, "it has been waited for once"


def test_a_restart_loses_and_doubles_no_trial(server, tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "GRACE_SECONDS", 1e9)
    studies = [study_of(server, tmp_path, "restarted") for _ in range(2)]
    claims = [study.claim(f"w{i}") for i, study in enumerate(studies)]
    assert [claim.number for claim in claims] == [0, 1]
    studies[0].report(0, 1, 0.5)
    back = threading.Thread(target=lambda: studies[0].report(0, 2, 0.4))
    with server.stopped():
        back.start()
    back.join()
    third = study_of(server, tmp_path, "restarted")
    fresh = third.claim("w2")
    assert isinstance(fresh, Claim) and fresh.number == 2, "a trial whose worker may be on its way back is left alone"
    for number, study in enumerate([*studies, third]):
        study.tell(number, Outcome("COMPLETE", (float(number),)))
    third.sync()
    assert [(t.number, t.state, t.values) for t in third.finished()] == [(n, "COMPLETE", [float(n)]) for n in range(3)]
    assert [step for step, _ in third.finished()[0].curve] == [1, 2]
    for study in [*studies, third]:
        study.close()


def test_a_worker_whose_trial_was_taken_meanwhile_writes_no_more(server, tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "GRACE_SECONDS", 0.0)
    cut_off, other = study_of(server, tmp_path, "taken"), study_of(server, tmp_path, "taken")
    assert cut_off.claim("a").number == 0
    cut_off.locks._over.set()
    cut_off.locks._keeper.join()
    server.sql(f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = '{cut_off.locks._database._me}'")
    taken = other.claim("b")
    assert (taken.number, taken.resumed) == (0, True)
    cut_off.sync()
    assert cut_off.report(0, 1, 9.0) is True, "it is told to stop"
    cut_off.tell(0, Outcome("COMPLETE", (9.0,)))
    other.report(0, 1, 0.5)
    other.tell(0, Outcome("COMPLETE", (0.5,)))
    assert [t.values for t in other.finished()] == [[0.5]]
    cut_off.close()
    other.close()


def test_metrics_and_files_reach_another_machine(server, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    one = study_of(server, here, "travel", keep_files=("model.pt", "empty", "never"))
    number = one.claim("a").number
    one.metrics_of(number).add(1, {"loss": 2.5, "step": 7.0})
    other_view = study_of(server, there, "travel", keep_files=("model.pt", "empty"))
    assert other_view.metrics_of(number).rows == {1: {"loss": 2.5, "step": 7.0}}
    content = bytes(range(256)) * 40_000  # more than two rows
    (here / "0").mkdir(exist_ok=True)
    (here / "0" / "model.pt").write_bytes(content)
    (here / "0" / "empty").touch()
    one.tell(number, Outcome("COMPLETE", (1.0,)))
    other_view.fetch_files()
    assert (there / "0" / "model.pt").read_bytes() == content and (there / "0" / "empty").read_bytes() == b""
    TrialFiles(one.files._database).keep(0, "model.pt", here / "0" / "empty")  # shorter than before
    (there / "0" / "model.pt").unlink()
    other_view.fetch_files()
    assert (there / "0" / "model.pt").read_bytes() == b""
    one.close()
    other_view.close()


def test_a_view_makes_nothing(server, tmp_path):
    with pytest.raises(UserError, match="holds no study"):
        View(replace(spec_of(tmp_path, "random", None, 6), name="nowhere", storage=server.url))
    assert server.sql("select count(*) from trivet_studies where name = 'nowhere'").strip() == "0"


def test_the_copy_in_optunas_tables_is_the_study_and_another_sweep_learns_from_it(server, tmp_path):
    outside = {"params": {"x": 9.0, "kind": None}, "overrides": None, "attrs": {}}
    spec = replace(spec_of(tmp_path, "random", "median", 8), name="source-1234", storage=server.url, explicit=(outside,))
    worker = SimulatedWorker(spec)
    while not worker.over:
        worker.advance()
    study = worker.study
    study.settle_all()
    assert [mirror(study, "source", "mark") for _ in range(2)] == ["source", "source"]
    copied = optuna.load_study(study_name="source", storage=server.url).trials
    fields = ("number", "state", "values", "params", "distributions", "system_attrs", "intermediate_values")
    for copy, trial in zip(copied, study.trials, strict=True):
        for field in fields:
            assert repr(getattr(copy, field)) == repr(getattr(trial, field)), field
        moments = [moment.astimezone().replace(tzinfo=None) for moment in (trial.datetime_start, trial.datetime_complete)]
        assert [copy.datetime_start, copy.datetime_complete] == moments
        assert copy.user_attrs == {k: v for k, v in trial.user_attrs.items() if k in FOR_OTHERS}
    assert copied[0].user_attrs["trivet:params"] == outside["params"]

    warm = read_warm([address(server.url, "source")], PARAMS, tmp_path, ("maximize",))
    wanted = [t for t in study.finished() if t.state in ("COMPLETE", "PRUNED") and t.number > 0]
    assert len(wanted) > 3 and any("depth [kind=b]" in t.params for t in wanted)
    assert [(row["params"], row["state"], row["values"]) for row in warm] == [(t.params, t.state, t.values) for t in wanted]
    assert repr([[tuple(point) for point in row["curve"]] for row in warm]) == repr([t.curve for t in wanted])
    with pytest.raises(UserError, match="name the study"):
        read_warm([address(server.url, "nowhere")], PARAMS, tmp_path, ("maximize",))
    study.close()


def test_a_study_that_was_begun_in_optunas_tables_goes_on_there(server, tmp_path):
    optuna.create_study(storage=server.url, study_name="old", direction="maximize").enqueue_trial({"x": 1.0})
    study = study_of(server, tmp_path, "old")
    assert study.files is None and len(study.trials) == 1
    study.close()
