"""dvc.yaml, read as a map; and the pipeline end to end: killed half-way and continued, untouched, and edited."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from trivet.study.code import code_hashes

ROOT = Path(__file__).parent.parent
SEARCHES = ("coarse", "fine", "seeds")
TINY = {
    "seed": 0,
    "data": "digits",
    "model": "mlp",
    "epochs": 3,
    "coarse": {"n_trials": 20},
    "narrow": {"top": 0.2},
    "fine": {"n_trials": 4},
    "seeds": {"finalists": 2, "n": 2, "race": False},
    "report": {"price_per_hour": 0, "spot_price_per_hour": 0},
}


def lookup(params, dotted):
    for key in dotted.split("."):
        params = params[key]
    return str(params)


@pytest.fixture(scope="module")
def stages():
    """dvc.yaml's stages with the knobs of params.yaml put in; outs as plain paths."""
    text = (ROOT / "dvc.yaml").read_text()
    values = {**yaml.safe_load((ROOT / "params.yaml").read_text()), **yaml.safe_load(text)["vars"][0]}
    found = yaml.safe_load(re.sub(r"\$\{([\w.]+)\}", lambda match: lookup(values, match[1]), text))["stages"]
    for stage in found.values():
        written = [*stage.get("outs", []), *stage.get("metrics", [])]
        stage["outs"] = [next(iter(out)) if isinstance(out, dict) else out for out in written]
    return found


def test_every_dependency_is_there_or_made_by_an_earlier_stage(stages):
    made = set()
    for name, stage in stages.items():
        missing = [dep for dep in stage["deps"] if dep not in made and not (ROOT / dep).exists() and str(Path(dep).parent) not in made]
        assert missing == [], name
        made.update(stage["outs"])


def test_only_the_test_stage_sees_the_test_file(stages):
    assert [name for name, stage in stages.items() if "data/prepared/test.npz" in stage["deps"]] == ["test"]
    folders = [dep for stage in stages.values() for dep in stage["deps"] if dep in ("data", "data/prepared")]
    assert folders == []


@pytest.mark.parametrize("phase", SEARCHES)
def test_a_phase_depends_on_the_code_of_its_identity(stages, phase):
    """What makes and reads ranges, data files and errors decides no result here: an edit to it need not run a phase again."""
    deps, counted = stages[phase]["deps"], set(code_hashes([ROOT / "src/train.py"], [], ROOT))
    aside = {"src/trivet", "src/trivet/data", "src/trivet/space"}
    for file in counted:
        covered = file in deps or any(file.startswith(f"{dep}/") for dep in deps)
        assert covered or (str(Path(file).parent) in aside and file not in ("src/trivet/options.py", "src/trivet/data/files.py")), file
    for dep in (dep for dep in deps if dep.startswith("src/")):
        files = [ROOT / dep] if dep.endswith(".py") else (ROOT / dep).glob("*.py")
        assert {str(file.relative_to(ROOT)) for file in files} <= counted, dep
    assert f"conf/hparams/{phase}.yaml" in deps


def test_commands_hold_nothing_that_cannot_change_a_result(stages):
    for name, stage in stages.items():
        assert not re.search(r"n_jobs|device|launcher|threads|verbose|price", str(stage["cmd"])), name


def inner_keys(value):
    return list(value) if isinstance(value, dict) else [None]


def test_every_knob_turns_something():
    text = (ROOT / "dvc.yaml").read_text()
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    knobs = [key if not isinstance(value, dict) else f"{key}.{inner}" for key, value in params.items() for inner in inner_keys(value)]
    unused = [knob for knob in knobs if f"${{{knob}}}" not in text]
    assert unused == ["report.price_per_hour", "report.spot_price_per_hour"]  # the report reads params.yaml itself


class Clone:
    """A clone of this repository's last commit (or a copy of one) with tiny settings, run with this environment's programs and own code."""

    def __init__(self, folder, copied=None):
        self.folder = folder
        if copied:
            shutil.copytree(copied.folder, folder, symlinks=True)
        else:
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
            (folder / "params.yaml").write_text(yaml.safe_dump(TINY))
        git = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in (("NAME", "t"), ("EMAIL", "t@localhost"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        own = {"PATH": path, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "true"}
        self.env = {**os.environ, **git, **own}
        self.env.pop("DVC_ROOT", None)

    def start(self, *arguments):
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            return subprocess.Popen(
                ["dvc", *arguments], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def dvc(self, *arguments):
        """Run dvc to its end; what it printed."""
        done = subprocess.run(["dvc", *arguments], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def ran(self, *arguments):
        """The stages that `dvc repro` ran."""
        return re.findall(r"Running stage '(\w+)'", self.dvc("repro", *arguments))

    def changed(self, path):
        """The stages that an edit to a file touches."""
        file = self.folder / path
        before = file.read_bytes()
        file.write_bytes(before + b"\n# edited\n")
        with Repo(self.folder) as repo:  # in this process: starting dvc takes longer than its answer
            stages = repo.status()
        file.write_bytes(before)
        return {name.rpartition(":")[2] for name in stages}  # as seen from elsewhere: <path of dvc.yaml>:<stage>

    def without_workers(self, *phases):
        """From now on these phases' trials run in the stage's own process: other processes would import PyTorch anew."""
        dvc_yaml, text = self.folder / "dvc.yaml", (self.folder / "dvc.yaml").read_text()
        for phase in phases:
            command = f"src/train.py -m hparams={phase}"
            assert text.count(command) == 1
            text = text.replace(command, f"{command} hydra.sweeper.n_jobs=0")
        dvc_yaml.write_text(text)

    def tables(self):
        """The reproducible part of every table: the columns before `seconds` (a curve of means has none)."""
        found = {}
        for phase in SEARCHES:
            for path in (self.folder / "results" / phase).glob("*.csv"):
                with path.open(newline="") as file:
                    rows = list(csv.reader(file))
                n = rows[0].index("seconds") if "seconds" in rows[0] else None
                found[phase, path.name] = [row[:n] for row in rows]
        return found


def kill_half_way(clone, n_ended):
    """Start the pipeline and kill all of it with SIGKILL once the coarse sweep has ended some trials."""
    process = clone.start("repro")
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        journals = list(clone.folder.glob("sweeps/coarse-*/journal.log"))
        if journals and journals[0].read_bytes().count(b'"trivet:end"') >= n_ended:
            break
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the pipeline ended before it could be killed"


def stop_children(clone):
    """DVC starts a stage in the same session, not always in the same group: end what is left of it."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            inside = (entry / "cwd").resolve() == clone.folder.resolve()
        except OSError:
            continue
        if inside:
            os.kill(int(entry.name), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc to end what a killed parent leaves")
def test_a_killed_pipeline_continues_to_the_same_tables(tmp_path):
    whole = Clone(tmp_path / "whole")
    assert whole.ran("check") == ["prepare", "check"]
    killed = Clone(tmp_path / "killed", copied=whole)  # what comes before the searches need not run twice
    kill_half_way(killed, 3)
    stop_children(killed)
    whole.without_workers("coarse", "fine")  # in the killed one two workers search: that they change no digit is seen beside
    assert list(killed.folder.glob("sweeps/coarse-*")), "the sweep in progress is kept"
    assert not (killed.folder / "results/coarse").exists(), "an out is whole or absent"
    assert killed.ran("finalists") == ["coarse", "narrow", "fine", "finalists"]

    assert whole.ran() == ["coarse", "narrow", "fine", "finalists", "seeds", "test", "report"]
    ours, theirs = killed.tables(), whole.tables()
    assert [len(theirs[phase, "trials.csv"]) for phase in SEARCHES] == [21, 5, 4]
    assert len(theirs["seeds", "runs.csv"]) == 7, "two finalists and the default, two seeds each"
    assert len(ours) == 4, "coarse and fine"
    for key, table in ours.items():
        assert table == theirs[key], key
    for name in ("results/narrow/space.yaml", "results/finalists/trials.yaml"):
        assert (killed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name

    assert whole.ran() == [], "a second run does nothing"
    phases = {"check", *SEARCHES}
    assert whole.changed("conf/model/mlp.yaml") == phases
    assert whole.changed("conf/model/cnn.yaml") == set()
    assert whole.changed("conf/hparams/fine.yaml") == {"fine"}
    assert whole.changed("src/trivet/training/run.py") == {*phases, "test"}
    assert whole.changed("src/trivet/reporting/words.py") == {"report"}
    for name in ("summary.md", "metrics.json", "headline.json", "report.html"):
        assert (whole.folder / "reports" / name).stat().st_size > 0
