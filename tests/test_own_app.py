"""From an empty git repository with a stranger's app to the report, by `trivet init` and `trivet run`: a Hydra app, a Lightning app with
callbacks and loggers, any program. Each undisturbed, and killed half-way with its workers."""

import csv
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from apps.warm import Warm

HERE = Path(__file__).parent
SEARCHES = ("coarse", "fine", "seeds")
KNOBS = {"coarse": {"n_trials": 8}, "fine": {"n_trials": 3}, "seeds": {"finalists": 1, "n": 2, "race": False}}
STAGES = ["check", "coarse", "narrow", "fine", "finalists", "seeds", "test", "report"]
ENV = {f"GIT_{role}_{key}": "t@localhost" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
ENV = {**os.environ, **ENV, "PYTHONPATH": str(HERE.parent / "src"), "OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "0"}
ANSWERS = "\n\n"  # metric and direction: what init suggests
HYDRA = ["--keep", "checkpoints/best.json", "--test", "python evaluate.py {model} {predictions}"]
LIGHTNING = ["--keep", "checkpoints/best.ckpt", "--test", "python evaluate.py {model} {predictions}", "--test-metric", "test/acc=([0-9.]+)"]
LIGHTNING += ["--range", "model.optimizer.lr=tag(log, interval(1e-4, 1e-1))", "--range", "model=choice(mlp, wide)"]
PROGRAM = [
    *("--metric", r"val_acc=([0-9.]+)", "--metric", r"loss=([0-9.]+)", "--step", r"epoch (\d+)", "--yes"),
    *("--range", "lr=tag(log, interval(1e-5, 1e-1))", "--range", "width=int(tag(log, interval(8, 64)))"),
    *("--keep", "model.json", "--test", "python code/evaluate.py {model}", "--test-metric", "test_acc=([0-9.]+)"),
    *("--range", "act=choice(relu, tanh)"),
]
SCRIPT = "python code/fit.py --lr {lr} --width {width} --act {act} --seed {seed} --out {folder}"
SHELL_SCRIPT = "./train.sh {lr} {width} {act} {seed} {folder}"


@pytest.fixture(scope="module")
def warm():
    """What runs `trivet` in these tests."""
    process = Warm(ENV)
    yield process
    process.close()


class Project:
    """A git repository with the app alone, in which `trivet init <words>` was called."""

    def __init__(self, warm, app, folder, n_workers, words, answers=ANSWERS):
        self.warm, self.folder = warm, folder
        shutil.copytree(HERE / "apps" / app, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "an app"]):
            self.git(*command)
        told = self.trivet("init", *words, "--override", f"hydra.sweeper.n_jobs={n_workers}", answers=answers)
        assert "next: look at space.yaml" in told and told.count(" [") == len(answers), "a question that was not foreseen"
        knobs = yaml.safe_load((folder / "params.yaml").read_text())
        (folder / "params.yaml").write_text(yaml.safe_dump({**knobs, **KNOBS}))

    def git(self, *words):
        return subprocess.run(["git", *words], cwd=self.folder, env=ENV, capture_output=True, text=True, check=True).stdout

    def trivet(self, *words, answers=""):
        """Run trivet to its end; what it printed."""
        code, out, err = self.warm.run(*words, cwd=self.folder, answers=answers)
        assert code == 0, out[-3000:] + err[-3000:]
        return out

    def kill_half_way(self, n_ended):
        """Begin the coarse search, and kill all of it once it has ended some trials."""
        process = self.warm.start("run", "coarse", cwd=self.folder)
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            journals = list(self.folder.glob("sweeps/coarse-*/journal.log"))
            if journals and journals[0].read_bytes().count(b'"trivet:end"') >= n_ended:
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
        assert not (self.folder / "results/coarse").exists()

    def without_workers(self):
        """From now on trials run in the stage's own process: other processes would import all of the app's libraries anew."""
        dvc_yaml = self.folder / "dvc.yaml"
        dvc_yaml.write_text(re.sub(r"hydra\.sweeper\.n_jobs=\d", "hydra.sweeper.n_jobs=0", dvc_yaml.read_text()))

    def tables(self, phases):
        """The reproducible part of the phases' tables: the columns before `seconds`."""
        found = {}
        for phase in phases:
            with (self.folder / f"results/{phase}/trials.csv").open(newline="") as file:
                rows = list(csv.reader(file))
            found[phase] = [row[: rows[0].index("seconds")] for row in rows]
            found[phase, "curves"] = (self.folder / f"results/{phase}/curves.csv").read_text()
        return found

    def summary(self):
        """The Markdown report, which names none of the commands of our own trainer."""
        summary = (self.folder / "reports/summary.md").read_text()
        assert "pipelines/" not in summary and "src/train.py" not in summary
        return summary

    def tested(self):
        return yaml.safe_load((self.folder / "results/test/test.yaml").read_text())


def compared(alone, killed, last="coarse", n_finalists=2):
    """Run all stages, those of the second project as far as `last` and in two halves, the first with two workers.

    Returns the tables, which must be the same.
    """
    told = alone.trivet("run")
    assert [line.split(":")[0] for line in told.splitlines() if line.startswith("stage ")] == [f"stage {name}" for name in STAGES]
    shutil.copytree(alone.folder / "results/check", killed.folder / "results/check")
    killed.trivet("run", "--accept", "check")
    killed.kill_half_way(3)
    if last == "coarse":  # a later search must show what two workers do in peace
        killed.without_workers()
    assert "stage coarse" in killed.trivet("run", last)
    ours, phases = alone.tables(SEARCHES), SEARCHES[: SEARCHES.index(last) + 1]
    assert [len(ours[phase]) - 1 for phase in SEARCHES] == [8, 3, n_finalists]
    assert alone.tables(phases) == killed.tables(phases)
    assert "finalist" in ours["seeds"][0]
    assert len((alone.folder / "results/seeds/runs.csv").read_text().splitlines()) == 1 + 2 * n_finalists
    assert (alone.folder / "reports/report.html").stat().st_size > 10_000
    assert "everything is up to date" in alone.trivet("run")
    assert alone.git("diff", "HEAD", "--name-only") == "", "nothing of the user's has changed"
    return ours


@pytest.mark.slow
def test_a_strangers_hydra_app_from_init_to_the_report(warm, tmp_path):
    alone = Project(warm, "foreign", tmp_path / "alone", 1, HYDRA)
    killed = Project(warm, "foreign", tmp_path / "killed", 2, HYDRA)
    compared(alone, killed, "fine")
    alone.trivet("ablation")
    apart = alone.tables(["ablation"])
    assert "changes" in apart["ablation"][0] and len(apart["ablation"]) > 3
    alone.trivet("report", "results")
    found, summary = alone.tested(), alone.summary()
    assert found["metric"] == "test/acc" and len(found["winner"]["seeds"]) == 2 and 0 < found["ensemble_winner"] <= 1
    assert "test/acc" in summary and "## Which changes brought the gain" in summary and "left out" not in summary


@pytest.mark.slow
def test_a_lightning_app_from_init_to_the_report(warm, tmp_path):
    alone = Project(warm, "template", tmp_path / "alone", 0, LIGHTNING)
    killed = Project(warm, "template", tmp_path / "killed", 1, LIGHTNING)  # each worker imports Lightning; the other apps have two
    ours = compared(alone, killed)
    assert {row[1] for row in ours["coarse"][1:]} <= {"COMPLETE", "PRUNED"}
    assert "val/loss" in ours["coarse", "curves"].splitlines()[0]
    found = alone.tested()
    assert found["metric"] == "test/acc" and all(value > 0.6 for value in found["winner"]["seeds"]) and found["ensemble_winner"] > 0.6
    assert "test/acc" in alone.summary()


@pytest.mark.slow
def test_any_program_from_init_to_the_report(warm, tmp_path):
    """A script undisturbed, and killed half-way a shell script that wraps it: it prints the same, so the tables are the same."""
    alone = Project(warm, "program", tmp_path / "alone", 0, ["--command", SCRIPT, *PROGRAM], "")
    killed = Project(warm, "program", tmp_path / "killed", 2, ["--command", SHELL_SCRIPT, *PROGRAM], "")
    ours = compared(alone, killed, n_finalists=1)  # it has no default that runs beside the finalist
    assert ours["coarse", "curves"].splitlines()[0].startswith("number,step,value,loss")
    found = alone.tested()
    assert len(found["winner"]["seeds"]) == 2 and "ensemble_winner" not in found
    assert "val_acc" in alone.summary()
