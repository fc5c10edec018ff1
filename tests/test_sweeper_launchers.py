"""The same workers through Hydra's launchers: the table is the one of a sweep in the calling process.

pytest tests/test_sweeper_launchers.py
"""

import os
import signal

import pytest
from apps.running import Running, assert_same, command_of, meeting, notes, processes, rows, send, table, until

ARGUMENTS = ["-m", "hydra.sweeper.pruner=median", "hydra.sweeper.n_trials=12", "steps=8"]
PROCESSES = {"joblib": b"loky", "submitit_local": b"submitit", "ray": b"ray::"}  # what stands in the command line of a launcher's workers


def launched(launcher, n_jobs=2, pace=0.02):
    # Ray runs as many jobs at once as it believes to have cores.
    own = ["+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false"] if launcher == "ray" else []
    return [*ARGUMENTS, f"hydra/launcher={launcher}", f"hydra.sweeper.n_jobs={n_jobs}", f"pace={pace}", *own]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", PROCESSES)
def test_workers_through_a_launcher_make_the_same_table(launcher, undisturbed, tmp_path):
    with Running("checkpointing.py", *launched(launcher), meeting(tmp_path), cwd=tmp_path) as running:
        ended = running.wait()
    assert ended.code == 0, ended.text
    assert "Traceback" not in ended.text
    folder = tmp_path / "sweep"
    assert_same(folder, undisturbed)
    assert len({row["worker"] for row in rows(folder)}) == 2
    pids = {line.split()[-1] for log in folder.glob("[0-9]*/runs.log") for line in log.read_text().splitlines()}
    assert len(pids) == 2 and str(running.pid) not in pids
    assert (folder / "0" / ".hydra" / "config.yaml").exists() and (folder / "0" / "checkpointing.log").exists()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", PROCESSES)
def test_a_launched_worker_that_is_killed_is_replaced(launcher, undisturbed, tmp_path):
    folder = tmp_path / "sweep"
    with Running("checkpointing.py", *launched(launcher), cwd=tmp_path) as running:
        until(lambda: len(notes(folder)) >= 4, "four trials")
        logs = sorted(folder.glob("[0-9]*/runs.log"), key=lambda log: log.stat().st_mtime)
        worker = int([log.read_text() for log in logs if log.stat().st_size][-1].split()[-1])
        victim = next(int(stat[1]) for pid, stat in processes() if pid == worker)  # the launcher's job, whose pool the worker is
        assert PROCESSES[launcher] in command_of(victim)
        send(victim, signal.SIGKILL)
        ended = running.wait()
    assert ended.code == 0, ended.text
    # loky ends all of a pool that lost a process; submitit's other job takes the trial over; ray starts the job again.
    assert ("starting them again" in ended.text) == (launcher == "joblib")
    assert_same(folder, undisturbed)


LATE = ("FAIL", "timed out after 2 s")
LAUNCHED_ENDS = {
    "fine": ("COMPLETE", ""),
    "sigkill": ("FAIL", "its worker died 2 times without a new step"),
    "hang": LATE,
    "hang_in_c": LATE,  # where no alarm reaches it
    "hang_swallowing": LATE,
    "metric": ("COMPLETE", ""),
}


@pytest.mark.slow
def test_a_trial_that_kills_its_launched_worker_or_hangs_is_a_row_and_no_other_is_lost(tmp_path):
    limits = ["hydra.sweeper.max_restarts=1", "hydra.sweeper.trial_timeout=2", "hydra.sweeper.max_failure_rate=1"]
    arguments = ["-m", f"hydra.sweeper.n_trials={len(LAUNCHED_ENDS)}", f"how=[{','.join(LAUNCHED_ENDS)}]", "hydra.sweeper.sampler=random"]
    with Running("misbehaving.py", *arguments, *limits, "hydra/launcher=joblib", "hydra.sweeper.n_jobs=2", cwd=tmp_path) as running:
        ended = running.wait(120)
        assert ended.code == 0, ended.text
        until(lambda: not running.members(), "what the trials began to end", 20)
    found = [(row["state"], row["reason"]) for row in rows(tmp_path / "sweep")]
    assert dict(zip(LAUNCHED_ENDS, found, strict=True)) == LAUNCHED_ENDS


@pytest.mark.slow
@pytest.mark.parametrize("launcher", PROCESSES)
def test_ctrl_c_with_a_launcher(launcher, tmp_path):
    folder = tmp_path / "sweep"
    with Running("checkpointing.py", *launched(launcher, pace=0.2), cwd=tmp_path) as running:
        until(lambda: len(notes(folder)) >= 2, "two trials")
        os.killpg(running.pid, signal.SIGINT)
        ended = running.wait(20)
        assert ended.code == 130, ended.text
        until(lambda: not running.members(), "the workers to end", 10)
    # submitit's own processes of jobs print their tracebacks when they like, before this line or after it
    assert "interrupted: the same command continues this sweep" in ended.err.splitlines(), ended.text
    assert (folder / "trials.csv").exists()


@pytest.mark.slow
def test_one_launched_worker(undisturbed, tmp_path):
    with Running("checkpointing.py", *launched("joblib", n_jobs=1, pace=0), cwd=tmp_path) as running:
        ended = running.wait()
    assert ended.code == 0, ended.text
    assert table(tmp_path / "sweep") == table(undisturbed)


@pytest.mark.slow
def test_the_apps_callbacks_hear_of_its_trials_and_not_of_workers(tmp_path):
    arguments = ["-m", "hydra/sweeper=trivet", "hydra/launcher=joblib", "width=1,2,3", "hydra.sweeper.sampler=grid", "hydra.sweep.dir=out"]
    with Running("structured.py", *arguments, cwd=tmp_path) as running:
        ended = running.wait()
    assert ended.code == 0, ended.text
    heard = (tmp_path / "callbacks.log").read_text().splitlines()
    assert heard[0] == "multirun start" and heard[-1] == "multirun end"
    assert sorted(heard[1:-1]) == sorted(f"{what}" for i in range(3) for what in (f"start {i}", f"end {i} COMPLETED"))
