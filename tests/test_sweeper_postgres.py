"""Studies in a database: the same table as with a file, and workers that share no disk.

    pytest tests/test_sweeper_postgres.py

The PostgreSQL server is started for the test from the binaries of this machine, on a socket in a folder of its own.
"""

import random
import signal

import optuna
import pytest
from apps.running import Running, assert_same, meeting, notes, rows, run_all, send, until
from postgres_server import running_server

ARGUMENTS = ["-m", "hydra.sweeper.pruner=median", "hydra.sweeper.n_trials=12", "steps=8"]


@pytest.fixture(scope="module")
def server():
    """The URL of a running PostgreSQL."""
    with running_server() as found:
        yield found.url


def stored(url, n_jobs=2, pace=0.02, name="curves"):
    """The URL has an equals sign in it, so Hydra wants it quoted."""
    return [
        *ARGUMENTS,
        f"hydra.sweeper.storage='{url}'",
        f"hydra.sweeper.n_jobs={n_jobs}",
        f"pace={pace}",
        f"hydra.sweeper.study_name={name}",
    ]


@pytest.mark.slow
def test_postgres_makes_the_same_table_and_a_killed_worker_is_replaced(server, undisturbed, tmp_path):
    folder, rng = tmp_path / "sweep", random.Random(0)
    with Running("checkpointing.py", *stored(server), cwd=tmp_path) as running:
        for n in (3, 7):
            until(lambda: running.over or len(notes(folder)) >= n, "the next trial")  # noqa: B023
            send(rng.choice(running.workers()), signal.SIGKILL)
        ended = running.wait()
    assert ended.code == 0, ended.text
    assert not (folder / "journal.log").exists()
    assert_same(folder, undisturbed)


@pytest.mark.slow
def test_postgres_killed_at_once_and_continued(server, undisturbed, tmp_path):
    folder = tmp_path / "sweep"
    with Running("checkpointing.py", *stored(server, name="again"), cwd=tmp_path) as running:
        until(lambda: len(notes(folder)) >= 5, "five trials")
        for pid in running.members():
            send(pid, signal.SIGKILL)
        running.wait()
    [ended] = run_all("checkpointing.py", [(tmp_path, stored(server, n_jobs=1, pace=0, name="again"))], cwd=tmp_path)
    assert ended.code == 0, ended.text
    assert "continuing again-" in ended.text
    assert_same(folder, undisturbed)
    assert found_by_optuna(server, "again") == [row["value"] for row in rows(folder)]


@pytest.mark.slow
def test_two_machines_that_share_only_the_database(server, undisturbed, tmp_path):
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    arguments = [*stored(server, n_jobs=1, pace=0.01, name="shared"), meeting(tmp_path)]
    with Running("checkpointing.py", *arguments, cwd=folders[0]) as one, Running("checkpointing.py", *arguments, cwd=folders[1]) as other:
        ended = [one.wait(), other.wait()]
    assert [end.code for end in ended] == [0, 0], "\n".join(end.text for end in ended)
    ran = [notes(folder / "sweep") for folder in folders]
    assert all(ran), "both take part"
    assert sorted([*ran[0], *ran[1]]) == list(range(12)), "and each trial is run once"
    for folder in folders:
        assert_same(folder / "sweep", undisturbed)
    assert found_by_optuna(server, "shared") == [row["value"] for row in rows(folders[0] / "sweep")], "each trial is copied once"


def found_by_optuna(url, name):
    """The values of a study's trials, as trials.csv writes them."""
    return [repr(trial.value) if trial.value is not None else "" for trial in optuna.load_study(study_name=name, storage=url).trials]


@pytest.mark.slow
def test_a_study_in_sqlite(undisturbed, tmp_path):
    with Running("checkpointing.py", *stored("sqlite:///study.db", pace=0.01), meeting(tmp_path), cwd=tmp_path) as running:
        ended = running.wait()
    assert ended.code == 0, ended.text
    assert (tmp_path / "study.db").exists()
    assert len({row["worker"] for row in rows(tmp_path / "sweep")}) == 2
    assert_same(tmp_path / "sweep", undisturbed)
