"""From an empty git repository with a stranger's Hydra app, or any program, to the report: by `trivet init` and `trivet run`, undisturbed
with one worker (the program: in the sweep's own process), and killed half-way with two."""

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
KNOBS = {"coarse": {"n_trials": 10}, "fine": {"n_trials": 4}, "seeds": {"finalists": 1, "n": 2}}
STAGES = ["check", "coarse", "narrow", "fine", "finalists", "seeds", "test", "report"]
HYDRA = ["--keep", "checkpoints/best.json", "--test", "python evaluate.py {model} {predictions}"]  # two questions are left
PROGRAM = [
    *("--metric", r"val_acc=([0-9.]+)", "--metric", r"loss=([0-9.]+)", "--step", r"epoch (\d+)", "--yes"),
    *("--range", "lr=tag(log, interval(1e-5, 1))", "--range", "width=int(tag(log, interval(8, 64)))", "--range", "act=choice(relu, tanh)"),
    *("--keep", "model.json", "--test", "python code/evaluate.py {model}", "--test-metric", "test_acc=([0-9.]+)"),
]


class Project:
    """A git repository with the app alone, in which `trivet init <words>` was called."""

    def __init__(self, app, folder, n_workers, words, answers=""):
        self.folder = folder
        shutil.copytree(HERE / "apps" / app, folder, ignore=shutil.ignore_patterns("__pycache__"))
        names = {f"GIT_{role}_{key}": "t@localhost" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        self.env = {**os.environ, **names, "PYTHONPATH": str(HERE.parent / "src"), "OMP_NUM_THREADS": "1"}
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "an app"]):
            subprocess.run(["git", *command], cwd=folder, env=self.env, check=True)
        told = self.trivet("init", *words, "--override", f"hydra.sweeper.n_jobs={n_workers}", answers=answers)
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

    def tables(self, phases):
        """The reproducible part of the phases' tables: the columns before `seconds`."""
        found = {}
        for phase in phases:
            with (self.folder / f"results/{phase}/trials.csv").open(newline="") as file:
                rows = list(csv.reader(file))
            found[phase] = [row[: rows[0].index("seconds")] for row in rows]
            found[phase, "curves"] = (self.folder / f"results/{phase}/curves.csv").read_text()
        return found


def compared(alone, killed, last=SEARCHES[-1], n_seeds=4):
    """Run all stages, those of the second project as far as `last` and in two halves; returns the tables, which must be the same."""
    told = alone.trivet("run")
    assert [line.split(":")[0] for line in told.splitlines() if line.startswith("stage ")] == [f"stage {name}" for name in STAGES]
    killed.kill_half_way(3)
    assert not (killed.folder / "results/coarse").exists()
    killed.trivet("run", last)
    ours, phases = alone.tables(SEARCHES), SEARCHES[: SEARCHES.index(last) + 1]
    assert [len(ours[phase]) - 1 for phase in SEARCHES] == [10, 4, n_seeds]
    assert alone.tables(phases) == killed.tables(phases)
    assert "finalist" in ours["seeds"][0] and "seed" in ours["seeds"][0]
    assert (alone.folder / "reports/report.html").stat().st_size > 10_000
    assert "everything is up to date" in alone.trivet("run")
    assert alone.git("diff", "HEAD", "--name-only") == ""
    return ours


@pytest.mark.slow
def test_a_strangers_hydra_app_from_init_to_the_report(tmp_path):
    answers = "\n\n"  # metric and direction: what init suggests
    alone = Project("foreign", tmp_path / "alone", 1, HYDRA, answers)
    killed = Project("foreign", tmp_path / "killed", 2, HYDRA, answers)
    compared(alone, killed, "fine")
    alone.trivet("ablation")
    apart = alone.tables(["ablation"])
    assert "changes" in apart["ablation"][0] and len(apart["ablation"]) > 3
    alone.trivet("report", "results")
    found = yaml.safe_load((alone.folder / "results/test/test.yaml").read_text())
    assert found["metric"] == "test/acc" and len(found["winner"]["seeds"]) == 2 and 0 < found["ensemble_winner"] <= 1
    summary = (alone.folder / "reports/summary.md").read_text()
    assert "test/acc" in summary and "pipelines/" not in summary and "src/train.py" not in summary
    assert "## Which changes brought the gain" in summary and "left out" not in summary


@pytest.mark.slow
def test_any_program_from_init_to_the_report(tmp_path):
    """A script undisturbed, and killed half-way a shell script that wraps it: it prints the same, so the tables are the same."""
    script = "python code/fit.py --lr {lr} --width {width} --act {act} --seed {seed} --out {folder}"
    alone = Project("program", tmp_path / "alone", 0, ["--command", script, *PROGRAM])
    killed = Project("program", tmp_path / "killed", 2, ["--command", "./train.sh {lr} {width} {act} {seed} {folder}", *PROGRAM])
    ours = compared(alone, killed, "coarse", n_seeds=2)  # it has no default that runs beside the finalist
    assert ours["coarse", "curves"].splitlines()[0].startswith("number,step,value,loss")
    found = yaml.safe_load((alone.folder / "results/test/test.yaml").read_text())
    assert len(found["winner"]["seeds"]) == 2 and "ensemble_winner" not in found
    summary = (alone.folder / "reports/summary.md").read_text()
    assert "val_acc" in summary and "pipelines/" not in summary and "src/train.py" not in summary
