"""Sweeps that are killed at many moments, interrupted, or started twice: the table is the one of a sweep that ran in peace.

pytest tests/test_sweeper_kill.py
"""

import os
import random
import signal

import pytest
from apps.running import Running, assert_same, n_records, notes, rows, run, run_all, send, table, until
from simulated_workers import spec_of

from trivet.study.metrics import MetricsFile
from trivet.study.records import Outcome
from trivet.study.study import Study
from trivet.study.tables import write_tables

ARGUMENTS = ["-m", "hydra.sweeper.pruner=median", "hydra.sweeper.n_trials=16", "steps=8"]
TWO = [*ARGUMENTS, "hydra.sweeper.n_jobs=2", "pace=0.02"]


def victims(running, rng):
    """Processes to kill: the parent, a worker, both, or all at once."""
    workers = running.workers()
    worker = [rng.choice(workers)] if workers else []
    return rng.choice([[running.pid], worker, [running.pid, *worker], running.members()])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_again_and_again_the_table_is_the_same(seed, undisturbed, tmp_path):
    rng = random.Random(seed)
    moments = sorted(rng.sample(range(2, n_records(undisturbed) - 20), 10))
    n_starts = 0
    while True:
        n_starts += 1
        assert n_starts < 25
        with Running("checkpointing.py", *TWO, cwd=tmp_path) as running:
            while moments and not running.over:
                until(lambda: running.over or n_records(tmp_path / "sweep") >= moments[0], "the next moment to kill", 60)
                for pid in victims(running, rng):
                    send(pid, signal.SIGKILL)
                moments.pop(0)
            ended = running.wait()
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGKILL, ended.text
    assert_same(tmp_path / "sweep", undisturbed)
    ran = notes(tmp_path / "sweep")
    assert sorted(ran) == list(range(16)), "job numbers go on, and n_trials is the total"
    begun = [line for lines in ran.values() for line in lines if line.startswith("begin")]
    assert any(line != "begin 0" for line in begun), "a killed trial goes on where its checkpoint stands"
    assert len(begun) <= 16 + 2 * 10


@pytest.mark.slow
def test_files_that_a_kill_left_torn_are_mended(undisturbed, tmp_path):
    sweep = tmp_path / "sweep"
    for n in (60, 80):
        with Running("checkpointing.py", *ARGUMENTS, "pace=0.02", cwd=tmp_path) as running:
            until(lambda: n_records(sweep) > n, "some records")  # noqa: B023
            send(running.pid, signal.SIGKILL)
            assert running.wait().code == -signal.SIGKILL
        with (sweep / "journal.log").open("ab") as journal:
            journal.write(b'{"op_code": 5, "torn')  # a record that its writer could not finish
        for trial in sweep.glob("[0-9]*"):
            if "end" not in notes(sweep).get(int(trial.name), []):
                with (trial / "metrics.jsonl").open("a") as metrics:
                    metrics.write('{"step": 8, "tr')
    ended = run("checkpointing.py", *ARGUMENTS, cwd=tmp_path)
    assert ended.code == 0, ended.text
    assert "continuing" in ended.text
    assert_same(sweep, undisturbed)


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path):
    with Running("checkpointing.py", *TWO, "steps=1000", cwd=tmp_path) as running:
        until(lambda: len(notes(tmp_path / "sweep")) >= 2, "two running trials")
        assert len(running.workers()) == 2
        send(running.pid, signal.SIGKILL)
        until(lambda: not running.members(), "the workers to end", 5)


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [0, 1, 2])
def test_ctrl_c_ends_cleanly_and_can_be_continued(n_jobs, undisturbed, tmp_path):
    arguments = [*ARGUMENTS, f"hydra.sweeper.n_jobs={n_jobs}"]
    with Running("checkpointing.py", *arguments, "pace=0.02", cwd=tmp_path) as running:
        until(lambda: len(notes(tmp_path / "sweep")) >= 6, "six trials")
        os.killpg(running.pid, signal.SIGINT)
        ended = running.wait(10)
        assert ended.code == 130, ended.text
        assert not running.members(), "no process stays behind"
    assert "Traceback" not in ended.text
    assert ended.text.strip().splitlines()[-1] == "interrupted: the same command continues this sweep"
    assert 0 < len(rows(tmp_path / "sweep")) < 16
    assert table(undisturbed).startswith(table(tmp_path / "sweep").rsplit("\n", 1)[0]), "what is there is the beginning of the whole"
    assert "stopped_by: interrupted" in (tmp_path / "sweep" / "study.yaml").read_text()
    [again] = run_all("checkpointing.py", [(tmp_path, ARGUMENTS)], cwd=tmp_path)
    assert again.code == 0, again.text
    assert_same(tmp_path / "sweep", undisturbed)


@pytest.mark.slow
def test_told_to_go_with_notice_each_trial_is_handed_back_at_its_report(undisturbed, tmp_path):
    """The workers more often than a trial may lose one, then the whole sweep: no trial is a row by that."""
    sweep, restarts = tmp_path / "sweep", ["hydra.sweeper.max_restarts=2"]
    with Running("checkpointing.py", *TWO, *restarts, cwd=tmp_path) as running:
        for n in (20, 45, 70):
            until(lambda: n_records(sweep) > n, "some records")  # noqa: B023
            for pid in running.workers():
                send(pid, signal.SIGTERM)
        until(lambda: n_records(sweep) > 90, "some more")
        os.killpg(running.pid, signal.SIGTERM)
        ended = running.wait(20)
        assert ended.code == 143, ended.text
        assert not running.members(), "no process stays behind"
    assert "told to go: each trial is handed back at its next report" in ended.text
    [again] = run_all("checkpointing.py", [(tmp_path, [*ARGUMENTS, *restarts])], cwd=tmp_path)
    assert again.code == 0, again.text
    assert_same(sweep, undisturbed)


@pytest.mark.slow
def test_ctrl_c_before_the_first_trial(tmp_path):
    with Running("checkpointing.py", *TWO, cwd=tmp_path) as running:
        until(lambda: (tmp_path / "sweep" / "workers").exists(), "the first worker")
        os.killpg(running.pid, signal.SIGINT)
        ended = running.wait(10)
        assert ended.code == 130, ended.text
        assert not running.members()
    assert "Traceback" not in ended.text


@pytest.mark.slow
def test_two_sweeps_on_one_study_work_together(undisturbed, tmp_path):
    arguments = [*ARGUMENTS, "pace=0.05", "hydra.sweeper.publish=published", "hydra.sweeper.n_jobs=1"]
    with Running("checkpointing.py", *arguments, cwd=tmp_path) as one, Running("checkpointing.py", *arguments, cwd=tmp_path) as other:
        ended = [one.wait(), other.wait()]
    assert [end.code for end in ended] == [0, 0], "\n".join(end.text for end in ended)
    assert_same(tmp_path / "sweep", undisturbed)
    assert_same(tmp_path / "published", undisturbed)
    ran = notes(tmp_path / "sweep")
    assert sorted(ran) == list(range(16))
    assert all(sum(line.startswith("begin") for line in lines) == 1 for lines in ran.values()), "each trial is run once"
    for end in ended:
        assert "16 of 16 trials" in end.out, "neither ends before the whole sweep has"


def test_a_trial_whose_verdict_comes_after_its_workers_death_keeps_its_metrics(tmp_path):
    spec = spec_of(tmp_path, "random", {"name": "median", "n_startup_trials": 1}, 2)
    slow, doomed = Study(spec), Study(spec)
    assert (slow.claim("slow").number, doomed.claim("doomed").number) == (0, 1)
    (tmp_path / "1").mkdir()
    MetricsFile(tmp_path / "1").add(1, {"loss": 2.5})
    doomed.report(1, 1, 0.1)  # pruned or not: that waits for trial 0
    doomed.close()  # and its worker is gone
    slow.report(0, 1, 0.9)
    slow.tell(0, Outcome("COMPLETE", (0.9,)))
    assert slow.claim("slow") == "stop: n_trials"
    write_tables(slow, tmp_path, [])
    assert [(row["number"], row["state"]) for row in rows(tmp_path)] == [("0", "COMPLETE"), ("1", "PRUNED")]
    assert (tmp_path / "curves.csv").read_text().splitlines()[-1] == "1,1,0.1,2.5"
