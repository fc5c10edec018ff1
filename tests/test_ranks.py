"""A trial that trains in several processes: who reports, that all stop together, that a rank is a run of its trial."""

import os
import socket
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest
from apps.running import Running, rows, table

import trivet
from trivet import ranks, reports
from trivet.errors import UserError
from trivet.sweep import process
from trivet.sweep.listening import Ear

SWEEP = ["-m", "hydra/sweeper=trivet", "+x=1,3", "hydra.sweeper.sampler=grid", "hydra.sweeper.pruner={name: threshold, gaps: {2: 1.5}}"]
CASES = [("rerun", 0), ("rerun", 1), ("fork", 1)]  # how the app starts its ranks, and workers


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Case -> the sweep's folder, what the app ended with, and who was left."""
    folder = tmp_path_factory.mktemp("swept")
    started = []
    for how, n_jobs in CASES:
        cwd = folder / f"{how}-{n_jobs}"
        cwd.mkdir()
        more = [f"+how={how}", f"hydra.sweeper.n_jobs={n_jobs}", "hydra.sweep.dir=out of it", "hydra.sweep.subdir=x-${hydra:job.num}"]
        started.append(Running("ranked.py", *SWEEP, *more, cwd=cwd, alone=True))
    found = {}
    for case, running in zip(CASES, started, strict=True):
        with running:
            ended = running.wait()
            assert ended.code == 0, ended.text
            found[case] = running.cwd / "out of it", ended, running.members()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_rank_0_reports_and_all_stop_together(swept, case):
    folder, _, left = swept[case]
    assert left == []
    assert [(row["state"], row["step"], row["x"]) for row in rows(folder)] == [
        ("COMPLETE", "4", "1"),
        ("PRUNED", "2", "3"),
    ]
    for number in range(2):
        first, last = (folder / f"{number}/rank-0.log").read_text().splitlines()
        assert last == "4" if number == 0 else int(last) > 1
        assert (folder / f"{number}/rank-1.log").read_text().splitlines() == [first, last]
        assert f" {number} {folder / str(number)} {folder / f'x-{number}'} {folder.parent} " in first


@pytest.mark.slow
def test_the_table_is_the_same_for_any_number_of_workers_and_way_to_start_ranks(swept):
    texts = {table(folder).replace("out of it", "") for folder, _, _ in swept.values()}
    assert len(texts) == 1
    for folder, ended, _ in swept.values():
        assert not (folder / "1/.hydra/overrides.yaml").exists()  # Hydra's own folder is x-1
        told = "".join(log.read_text() for log in (folder / "workers").glob("*.log")) + ended.text
        assert "behind" not in told and "Traceback" not in told


# The worker's ear, in this process: it runs the trial, threads stand for the other processes.


@pytest.fixture
def ear(tmp_path):
    heard = Ear()
    heard.reported = []
    with heard.of(lambda value, step, metrics: heard.reported.append((value, step, metrics)), tmp_path):
        yield heard
    heard.close()


def asked(monkeypatch, rank, *call):
    """The answer that a rank gets, or `None` while it waits: (thread, answers)."""
    monkeypatch.setattr(ranks, "number", lambda: rank)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ranks.ask(*call)), daemon=True)
    thread.start()
    return thread, answers


def test_a_rank_waits_for_rank_0s_verdict_on_its_step(ear, monkeypatch):
    ear.note(1, None)
    assert asked_now(monkeypatch, 1, 0.5, 1, {}) is None
    thread, answers = asked(monkeypatch, 1, 0.5, 2, {})
    ear.note(2, "poor")
    thread.join(20)
    assert answers == ["poor"] and ear.reported == []
    assert asked_now(monkeypatch, 2, 0.5, 1, {}) is None, "a rank that is behind goes on to where rank 0 stopped"
    assert asked_now(monkeypatch, 2, 0.5, 3, {}) == "poor"


def asked_now(monkeypatch, *call):
    thread, answers = asked(monkeypatch, *call)
    thread.join(20)
    return answers[0]


def test_rank_0_outside_the_worker_reports(ear, monkeypatch):
    def report(value, step, metrics):
        ear.note(step, None)

    ear._report = report
    assert asked_now(monkeypatch, 0, float("inf"), 1, {"loss": 2.0}) is None
    monkeypatch.setattr(ranks, "number", lambda: 0)

    def refuse(value, step, metrics):
        raise UserError("no such step")

    ear._report = refuse
    with pytest.raises(UserError, match="no such step"):
        ranks.ask(0.5, 2, {})


def test_strangers_are_not_heard_and_keep_nobody_waiting(ear, monkeypatch):
    port = int(os.environ[ranks.VARIABLE].split()[0])
    with socket.create_connection((ranks.HERE, port)), pytest.raises(AuthenticationError):
        ear.note(1, None)
        assert asked_now(monkeypatch, 1, 0.5, 1, {}) is None
        Client((ranks.HERE, port), authkey=b"guessed")
    assert ear.reported == []


def test_once_the_trial_is_over_nobody_waits(monkeypatch, tmp_path):
    ear = Ear()
    with ear.of(lambda *_: None, tmp_path):
        assert ranks.folder() == tmp_path
        thread, answers = asked(monkeypatch, 1, 0.5, 7, {})
        while not ranks._open:
            pass
    thread.join(20)
    ear.close()
    assert answers == [None] and ranks.folder() is None and ranks.ask(0.5, 8, {}) is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 0),
        ({"RANK": "3"}, 3),
        ({"RANK": "0", "LOCAL_RANK": "0"}, 0),
        ({"LOCAL_RANK": "1"}, 1),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, 1),
    ],
)
def test_which_rank_this_is(monkeypatch, environment, expected):
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ranks.number() == expected


def test_a_rank_that_is_pruned_ends_in_order(monkeypatch, tmp_path):
    assert type(reports.pruned("x")) is trivet.TrialPruned
    monkeypatch.setenv(ranks.VARIABLE, f"1 00 {tmp_path}")
    with pytest.raises(trivet.TrialPruned) as ended:
        raise reports.pruned("poor")
    assert isinstance(ended.value, SystemExit) and ended.value.code == 0 and str(ended.value) == "poor"
    assert trivet.resume_dir() == tmp_path


def test_a_sweep_that_torchrun_starts_is_refused(monkeypatch):
    ranks.refuse_launched()
    monkeypatch.setenv("WORLD_SIZE", "2")
    ranks.refuse_launched()
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(UserError, match="WORLD_SIZE=2: a sweep is one process"):
        ranks.refuse_launched()
    assert os.environ["RANK"] == "1"


def test_a_rank_of_an_app_without_a_file_is_told_why():
    """A launcher runs `__main__` again, which in a worker of such an app is the worker's own."""
    with pytest.raises(UserError, match=r"an app without a file .* put it into a script"):
        process.main(["+lr=0.1", "hydra.mode=RUN", "hydra.run.dir=out/0", "hydra.job.num=0", "hydra.job.id='0'"])
