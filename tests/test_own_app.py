"""From an empty git repository with a stranger's Hydra app to the report: by `trivet init` and `trivet run`, undisturbed with one worker,
and killed half-way with two."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
SEARCHES = ("coarse", "fine", "seeds")
KNOBS = {"coarse": {"n_trials": 14}, "fine": {"n_trials": 4}, "seeds": {"finalists": 1, "n": 2}}
ANSWERS = "\n\n"  # metric and direction: what init suggests
TESTED = ["--keep", "checkpoints/best.json", "--test", "python evaluate.py {model} {predictions}"]


class Project:
    """A git repository with the app alone."""

    def __init__(self, folder, n_workers):
        self.folder = folder
        shutil.copytree(HERE / "apps/foreign", folder, ignore=shutil.ignore_patterns("__pycache__"))
        names = {f"GIT_{role}_{key}": "t@localhost" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        self.env = {**os.environ, **names, "PYTHONPATH": str(HERE.parent / "src"), "OMP_NUM_THREADS": "1"}
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "an app"]):
            subprocess.run(["git", *words], cwd=folder, env=self.env, check=True)
        told = self.trivet("init", *TESTED, "--override", f"hydra.sweeper.n_jobs={n_workers}", answers=ANSWERS)
        assert "next: look at space.yaml" in told
        assert self.git("diff", "HEAD", "--name-only") == "", "nothing of the user's has changed"
        knobs = yaml.safe_load((folder / "params.yaml").read_text())
        (folder / "params.yaml").write_text(yaml.safe_dump({**knobs, **KNOBS}))

    def git(self, *words):
        return subprocess.run(["git", *words], cwd=self.folder, env=self.env, capture_output=True, text=True, check=True).stdout

    def trivet(self, *words, answers=""):
        """Run trivet to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "trivet", *words], cwd=self.folder, env=self.env, input=answers, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def kill_half_way(self, n_ended):
        """Begin the run, and kill all of it once the coarse search has ended some trials."""
        process = subprocess.Popen(
            [sys.executable, "-m", "trivet", "run"],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            journals = list(self.folder.glob("sweeps/coarse-*/journal.log"))
            if journals and journals[0].read_bytes().count(b'"trivet:end"') >= n_ended:
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"

    def tables(self):
        """The reproducible part of every table: the columns before `seconds`."""
        found = {}
        for phase in SEARCHES:
            with (self.folder / f"results/{phase}/trials.csv").open(newline="") as file:
                rows = list(csv.reader(file))
            found[phase] = [row[: rows[0].index("seconds")] for row in rows]
            found[phase, "curves"] = (self.folder / f"results/{phase}/curves.csv").read_text()
        return found


@pytest.mark.slow
def test_a_strangers_hydra_app_from_init_to_the_report(tmp_path):
    alone, killed = Project(tmp_path / "alone", 1), Project(tmp_path / "killed", 2)
    told = alone.trivet("run")
    assert [line.split(":")[0] for line in told.splitlines() if line.startswith("stage ")] == [
        f"stage {name}" for name in ("check", "coarse", "narrow", "fine", "finalists", "seeds", "test", "report")
    ]
    killed.kill_half_way(3)
    assert not (killed.folder / "results/coarse").exists()
    killed.trivet("run")
    ours, theirs = alone.tables(), killed.tables()
    assert [len(ours[phase]) for phase in SEARCHES] == [15, 5, 5]
    assert ours == theirs
    assert "finalist" in ours["seeds"][0] and "seed" in ours["seeds"][0]
    found = yaml.safe_load((alone.folder / "results/test/test.yaml").read_text())
    assert found["metric"] == "test/acc" and len(found["winner"]["seeds"]) == 2 and 0 < found["ensemble_winner"] <= 1
    assert (alone.folder / "reports/report.html").stat().st_size > 10_000
    summary = (alone.folder / "reports/summary.md").read_text()
    assert "test/acc" in summary and "pipelines/" not in summary and "src/train.py" not in summary
    assert "everything is up to date" in alone.trivet("run")
    assert alone.git("diff", "HEAD", "--name-only") == ""
