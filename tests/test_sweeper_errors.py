"""What a sweep refuses before it begins, and what it survives.

pytest tests/test_sweeper_errors.py
"""

import os
import shutil
import signal
import subprocess

import pytest
import yaml
from apps.running import Running, digest, n_records, notes, rows, run, run_all, table, until
from hydra_apps import write

from trivet.sweep import keeper

KEY = "hydra.sweeper."

# arguments -> words of the one line that refuses them
REFUSALS = [
    (["optimizer.lrr=interval(0,1)"], ["optimizer.lrr", "did you mean optimizer.lr?"]),
    (["depth=1,2"], ["depth", "not in the config", "+depth"]),
    (["optimizer=sgd,adamm"], ["optimizer=adamm", "did you mean adam?"]),
    (["x=interval(2,1)"], ["x=interval(2,1)", "empty range", "swap"]),
    (["optimizer.lr=tag(log,interval(0,1))"], ["optimizer.lr", "log scale", "above 0", "raise low"]),
    ([KEY + "params={x:'interval(0'}"], ["x=interval(0", "cannot be read"]),
    ([KEY + "params=3"], ["hydra.sweeper.params=3", "mapping"]),
    ([KEY + "params_file=nowhere.yaml"], ["hydra.sweeper.params_file", "nowhere.yaml", "cannot be read"]),
    ([KEY + "config_space=false"], ["nothing to search", "give ranges"]),
    ([KEY + "sampler=tpee"], ["hydra.sweeper.sampler='tpee'", "must be one of tpe, random", "auto"]),
    ([KEY + "sampler={name:tpe,n_startup:3}"], ["hydra.sweeper.sampler.n_startup", "it takes", "n_startup_trials"]),
    ([KEY + "sampler.n_startup_trials=three"], ["hydra.sweeper.sampler.n_startup_trials=three", "whole number"]),
    ([KEY + "sampler.seed=x"], ["hydra.sweeper.sampler.seed=x", "whole number"]),
    ([KEY + "sampler=grid"], ["x=interval(-1", "continuous", "choice(...)"]),
    (
        [KEY + "sampler=grid", "x=choice(1,2)", "width=int(interval(1,4000))", KEY + "config_space=false"],
        ["hydra.sweeper.sampler", "points", "limit"],
    ),
    ([KEY + "sampler=list"], ["hydra.sweeper.sampler=list", "`trials`", "`file`"]),
    ([KEY + "sampler={name:list,trials:[{depth:1}]}"], ["depth", "not in the config"]),
    ([KEY + "enqueue=[{depth:1}]"], ["depth", "not in the config"]),
    ([KEY + "enqueue=x"], ["hydra.sweeper.enqueue=x", "list"]),
    ([KEY + "warm_start=[nowhere]"], ["nowhere", "cannot be read", "folder of a sweep"]),
    ([KEY + "pruner=medain"], ["pruner.name='medain'", "must be one of none, median"]),
    ([KEY + "pruner={name:median,n_warmup:3}"], ["pruner.n_warmup", "it takes", "n_warmup_steps"]),
    ([KEY + "pruner={name:percentile,percentile:140}"], ["pruner.percentile=140", "below 100"]),
    ([KEY + "pruner=median", KEY + "direction=[minimize,maximize]"], ["hydra.sweeper.pruner", "single objective"]),
    ([KEY + "direction=up"], ["hydra.sweeper.direction=up", "minimize or maximize"]),
    ([KEY + "n_trials=0"], ["hydra.sweeper.n_trials=0", "whole number >= 1"]),
    ([KEY + "n_trials=2.5"], ["hydra.sweeper.n_trials=2.5", "whole number >= 1"]),
    ([KEY + "n_jobs=-2"], ["hydra.sweeper.n_jobs=-2", "whole number >= 0"]),
    ([KEY + "n_jobs=many"], ["hydra.sweeper.n_jobs=many", "whole number >= 0"]),
    ([KEY + "lag=0"], ["hydra.sweeper.lag=0", "whole number >= 1"]),
    ([KEY + "seed=x"], ["hydra.sweeper.seed=x", "whole number >= 0"]),
    ([KEY + "threads=0"], ["hydra.sweeper.threads=0", "whole number >= 1"]),
    ([KEY + "threads=100000"], ["hydra.sweeper.threads=100000"]),
    ([KEY + "n_jobs=0", "hydra/launcher=joblib"], ["hydra.sweeper.n_jobs=0", "launcher", "1 or more"]),
    ([KEY + "trials_per_gpu=0"], ["hydra.sweeper.trials_per_gpu=0", "whole number >= 1"]),
    ([KEY + "trial_timeout=-1"], ["hydra.sweeper.trial_timeout=-1", "above 0"]),
    ([KEY + "trial_timeout=soon"], ["hydra.sweeper.trial_timeout=soon", "number of seconds"]),
    ([KEY + "max_failure_rate=2"], ["hydra.sweeper.max_failure_rate=2", "between 0 and 1"]),
    ([KEY + "max_restarts=-1"], ["hydra.sweeper.max_restarts=-1", "whole number >= 0"]),
    ([KEY + "baseline=x"], ["hydra.sweeper.baseline=x", "true, false or null"]),
    ([KEY + "study_name=a/b"], ["hydra.sweeper.study_name=a/b", "without '/'"]),
    ([KEY + "stop={plateu:{trials:3,delta:0}}"], ["hydra.sweeper.stop.plateu", "it takes seconds, epochs, plateau"]),
    ([KEY + "stop.plateau=3"], ["hydra.sweeper.stop.plateau=3", "{trials: k, delta: x}"]),
    ([KEY + "stop.seconds=soon"], ["hydra.sweeper.stop.seconds=soon", "number above 0"]),
    ([KEY + "lag=x"], ["hydra.sweeper.lag=x", "whole number >= 1"]),
    ([KEY + "n_trials=${nope}"], ["hydra.sweeper.n_trials=${nope}", "'nope' not found"]),
    ([KEY + "stop.seconds=${oc.env:TRIVET_NOWHERE}"], ["hydra.sweeper.stop", "TRIVET_NOWHERE", "not found"]),
    (["hydra.sweep.dir=${nope}/x"], ["hydra.sweep.dir", "'nope' not found"]),
    ([KEY + "storage=sqlite://"], ["hydra.sweeper.storage=sqlite://", "one process alone"]),
    ([KEY + "sampler={name:tpe,gamma:5}"], ["hydra.sweeper.sampler.gamma=5", "leave it out"]),
    ([KEY + "sampler={name:tpe,n_ei_candidates:abc}"], ["hydra.sweeper.sampler", "'n_ei_candidates': 'abc'"]),
    ([KEY + "publish=."], ["hydra.sweeper.publish=.", "is the project's folder"]),
    ([KEY + "publish=../x"], ["hydra.sweeper.publish=../x", "lies outside"]),
    ([KEY + "stop.target=high"], ["hydra.sweeper.stop.target=high", "number"]),
    ([KEY + "identity.files=[no*.py]"], ["hydra.sweeper.identity.files", "no*.py", "matches no file"]),
    ([KEY + "identity.file=[x]"], ["hydra.sweeper.identity.file: unknown", "it takes files"]),
    ([KEY + "identity.code=all"], ["hydra.sweeper.identity.code=all", "imported", "none"]),
    ([KEY + "identity.ignore=x"], ["hydra.sweeper.identity.ignore=x", "a list"]),
    ([KEY + "custom_search_space=no.where"], ["hydra.sweeper.custom_search_space=no.where", "cannot be imported"]),
    (
        [KEY + "storage=postgresql+psycopg2://nobody@localhost:1/x"],
        ["hydra.sweeper.storage=postgresql", "cannot be opened", "Connection refused"],
    ),
    ([KEY + "storage=sqlite:////nowhere/x.db"], ["hydra.sweeper.storage=sqlite", "cannot be opened", "reachable URL"]),
    ([KEY + "storage=nonsense"], ["hydra.sweeper.storage=nonsense", "cannot be opened"]),
    ([KEY + "publish=" + __file__ + "/x"], ["hydra.sweeper.publish", "cannot be written"]),
    (
        [KEY + "storage=postgresql://u:hunter2@localhost:1/x"],
        ["hydra.sweeper.storage=postgresql://u:***@localhost:1/x", "Connection refused"],
    ),
    ([KEY + "warm_start=['postgresql://u:hunter2@localhost:1/x?study=a']"], ["warm_start: postgresql://u:***@", "Connection refused"]),
    ([KEY + "publish='a\0b'"], ["hydra.sweeper.publish=a\\x00b", "must be null or a text"]),
    (["hydra.sweep.dir='a\0b'"], ["hydra.sweep.dir=a\\x00b", "control characters"]),
    ([KEY + "params_file=/dev/zero"], ["hydra.sweeper.params_file=/dev/zero", "longer than"]),
    ([KEY + "sampler={name:list,file:3}"], ["hydra.sweeper.sampler.file=3", "path of a YAML list"]),
    ([KEY + "enqueue=[{hydra.sweep.dir:x}]"], ["hydra.sweep.dir: is Hydra's own"]),
    ([KEY + "sampler={name:list,trials:[['+hydra.job.env_set.A=1']]}"], ["+hydra.job.env_set.A: is Hydra's own"]),
    ([KEY + "sampler={name:tpe,multivariate:maybe}"], ["hydra.sweeper.sampler.multivariate=maybe", "true or false"]),
    ([KEY + "identity.call=os.getcwd"], ["hydra.sweeper.identity.call=os.getcwd: raised TypeError"]),
    (["hydra.sweep.dir=.git/hooks"], ["hydra.sweep.dir=", "lies in .git", "name another folder"]),
    (["hydra.sweep.dir=/proc/nowhere"], ["hydra.sweep.dir=/proc/nowhere", "cannot be written"]),
]

# arguments -> words of Hydra's own explanation: it speaks before a sweeper can
HYDRAS = [
    ([KEY + "n_trails=3"], ["Could not override 'hydra.sweeper.n_trails'", "Key 'n_trails' not in 'TrivetSweeperConf'"]),
    (["hydra/sweeper/sampler=tpee"], ["Could not find 'hydra/sweeper/sampler/tpee'", "Available options", "random"]),
    (["hydra/sweeper=trivett"], ["Could not find 'hydra/sweeper/trivett'", "trivet"]),
]


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Every refusal's end, and a digest of its project before and after it."""
    base = tmp_path_factory.mktemp("refused")
    commands = [(base / str(i), ["-m", KEY + "n_trials=2", *arguments]) for i, (arguments, _) in enumerate([*REFUSALS, *HYDRAS])]
    for folder, _ in commands:
        write(folder, {".git/HEAD": "ref: refs/heads/main\n", "results/mine.csv": "a\n1\n", "data/x.npz": "", "notes.md": "mine\n"})
    before = [digest(folder) for folder, _ in commands]
    ended = run_all("curves.py", commands, cwd=base)
    return [(end, mark, digest(folder)) for end, mark, (folder, _) in zip(ended, before, commands, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("i", range(len(REFUSALS)), ids=[" ".join(arguments) for arguments, _ in REFUSALS])
def test_wrong_input_is_refused_in_one_line_before_anything_is_written(i, refused):
    end, before, after = refused[i]
    assert end.code == 2, end.text
    errors = [line for line in end.err.splitlines() if line.strip()]
    assert len(errors) == 1 and errors[0].startswith("error: "), end.text
    for words in REFUSALS[i][1]:
        assert words in errors[0]
    assert "hunter2" not in end.text and errors[0].isprintable()
    assert after == before


@pytest.mark.slow
@pytest.mark.parametrize("i", range(len(HYDRAS)), ids=[" ".join(arguments) for arguments, _ in HYDRAS])
def test_what_hydra_refuses_itself_is_readable(i, refused):
    end, before, after = refused[len(REFUSALS) + i]
    assert end.code == 1
    assert "Traceback" not in end.text
    for words in HYDRAS[i][1]:
        assert words in end.err
    assert after == before


# Surviving ---------------------------------------------------------------------------------------------------------------------

SIX = ["-m", KEY + "n_trials=6", KEY + "sampler=random"]
# how a trial ends -> its reason
WAYS = {
    "raise": "RuntimeError: first line",
    "none": "returned nothing: the task function must return the objective",
    "not_a_number": "diverged: the objective is nan",
    "infinite": "diverged: the objective is inf",
    "string": "returned 'good': must be a number",
    "list": "returned '[1.0, 2.0]': must be a number",
    "exit": "called sys.exit(3)",
    "memory": "out of memory",
    "diverged": "diverged: the loss is nan at step 2",
    "hang": "timed out after 1 s",
}


def among_fine(ways):
    """(the number of each of these ways' trial, what to run): one sweep, a trial that ends well before each of them, and two after."""
    how = [one for way in ways for one in ("fine", way)] + ["fine"] * 2
    limits = [KEY + "trial_timeout=1", KEY + "max_failure_rate=1", KEY + "sampler=random"]
    return {way: 2 * i + 1 for i, way in enumerate(ways)}, ["-m", KEY + f"n_trials={len(how)}", f"how=[{','.join(how)}]", *limits]


@pytest.fixture(scope="module")
def survived(tmp_path_factory):
    """A sweep in one process whose trials end in every way: its end, its folder, and which trial ended how."""
    base = tmp_path_factory.mktemp("survived")
    numbers, arguments = among_fine([*WAYS, "pruned", "garbage"])
    [end] = run_all("misbehaving.py", [(base, arguments)], cwd=base)
    return end, base / "sweep", numbers


@pytest.mark.slow
def test_a_sweep_survives_its_trials(survived):
    end, folder, numbers = survived
    assert end.code == 0, end.text
    assert "Traceback" not in end.text
    other = {row["state"] for row in rows(folder) if int(row["number"]) not in numbers.values()}
    assert len(rows(folder)) == 2 * len(numbers) + 2 and other == {"COMPLETE"}


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS)
def test_a_trial_that_fails_is_a_row_with_its_reason_and_its_log(how, survived):
    _, folder, numbers = survived
    found = rows(folder)[numbers[how]]
    assert found["state"] == "FAIL"
    assert found["reason"] == WAYS[how]
    assert found["value"] == ""
    assert found["step"] == "1"
    if how in ("raise", "exit", "memory", "diverged", "hang"):
        assert "Traceback" in (folder / str(numbers[how]) / "misbehaving.log").read_text()


@pytest.mark.slow
def test_a_trial_that_prunes_itself_and_one_that_prints_garbage(survived):
    end, folder, numbers = survived
    assert rows(folder)[numbers["pruned"]]["state"] == "PRUNED"
    assert "not text" in end.text and rows(folder)[numbers["garbage"]]["state"] == "COMPLETE"


# how each trial of one sweep ends, in worker processes -> its row
DIED = ("FAIL", "its worker died 1 times without a new step")
ENDS = {
    "fine": ("COMPLETE", ""),
    "thread": ("COMPLETE", ""),
    "processes": ("COMPLETE", ""),
    "os_exit_0": DIED,
    "segfault": DIED,
    "loud": DIED,
    "pool": ("FAIL", "timed out after 5 s"),
    "huge": ("FAIL", "returned a whole number of 1329 bits: no float is as large"),
    "interrupt": ("FAIL", "RuntimeError: the app raised KeyboardInterrupt"),
    "mute": ("FAIL", "Mute: <its str() raised RuntimeError>"),
    "full": ("FAIL", "OSError: [Errno 28] No space left on device: '/proc/self/x'"),
    "metric": ("COMPLETE", ""),
}


def marked(folder):
    """Processes that some worker of a sweep in this folder has started."""
    return keeper.marked(f"{yaml.safe_load((folder / 'study.yaml').read_text())['name']}@{folder}|")


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_trial_is_a_row_whatever_it_does_to_its_worker_and_nothing_of_it_stays(n_jobs, tmp_path):
    how = f"how=[{','.join(ENDS)}]"
    limits = [KEY + "max_restarts=0", KEY + "trial_timeout=5", KEY + "max_failure_rate=1", KEY + "publish=out"]
    arguments = ["-m", KEY + f"n_trials={len(ENDS)}", how, KEY + f"n_jobs={n_jobs}", KEY + "sampler=random", *limits]
    with Running("misbehaving.py", *arguments, cwd=tmp_path) as running:
        ended = running.wait(200)
        assert ended.code == 0, ended.text
        assert not running.members()
    folder = tmp_path / "sweep"
    assert marked(folder) == []
    assert dict(zip(ENDS, [(row["state"], row["reason"]) for row in rows(folder)], strict=True)) == ENDS
    assert table(tmp_path / "out") == table(folder)
    assert "metric/step" in (folder / "curves.csv").read_text()
    assert all(float(row["seconds"] or 0) >= 0 for row in rows(folder))


@pytest.mark.slow
def test_nothing_outlives_a_parent_that_is_killed(tmp_path):
    """Not a worker that is stuck in C, not its pool, and not what it put into another session."""
    folder = tmp_path / "sweep"
    with Running("misbehaving.py", *SIX, "how=pool", "at=0", KEY + "n_jobs=1", cwd=tmp_path) as running:
        until(lambda: 0 in notes(folder) and len(marked(folder)) >= 5, "a worker, two of its pool, and two that it left", 60)
        os.kill(running.pid, signal.SIGKILL)
        until(lambda: not running.members() and not marked(folder), "all of them to end", 20)


# how a trial takes its worker with it, or hangs where no alarm reaches it and the parent ends both -> its reason
DEADLY = {way: "its worker died 2 times without a new step" for way in ("os_exit", "sigkill")}
DEADLY |= {way: "timed out after 1 s" for way in ("hang_in_c", "hang_swallowing")}


@pytest.mark.slow
def test_a_trial_that_kills_its_worker_is_given_up_after_a_few_restarts_and_one_that_hangs_is_ended(tmp_path):
    numbers, arguments = among_fine(DEADLY)
    [ended] = run_all("misbehaving.py", [(tmp_path, [*arguments, KEY + "n_jobs=2", KEY + "max_restarts=1"])], cwd=tmp_path)
    assert ended.code == 0, ended.text
    found = rows(tmp_path / "sweep")
    expected = ["COMPLETE"] * len(found)
    for way, reason in DEADLY.items():
        expected[numbers[way]] = "FAIL"
        assert found[numbers[way]]["reason"] == reason
    assert [row["state"] for row in found] == expected and len(found) == 2 * len(DEADLY) + 2
    for way in ("os_exit", "sigkill"):
        assert found[numbers[way]]["step"] == "1"
        assert notes(tmp_path / "sweep")[numbers[way]] == ["begin 0"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [0, 2])
def test_when_every_trial_fails_the_sweep_says_so_and_leaves_its_tables(n_jobs, tmp_path):
    arguments = ["-m", KEY + "n_trials=40", KEY + "sampler=random", KEY + f"n_jobs={n_jobs}"]
    ended = run("misbehaving.py", *arguments, "how=raise", "at=-1", cwd=tmp_path)
    assert ended.code == 2
    assert "Traceback" not in ended.text
    assert ended.err.strip().splitlines()[-1].startswith("error: "), ended.text
    assert "max_failure_rate=0.5; the last reason: RuntimeError: first line" in ended.err
    found = rows(tmp_path / "sweep")
    assert 10 <= len(found) <= 15, "given up as soon as ten trials of the history say so"
    assert {row["state"] for row in found} == {"FAIL"}
    assert "stopped_by: failure_rate" in (tmp_path / "sweep" / "study.yaml").read_text()


@pytest.mark.slow
def test_a_folder_that_may_not_be_written(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere; the next test takes a read-only file system")
    tmp_path.chmod(0o500)
    try:
        ended = run("curves.py", *SIX, "hydra.sweep.dir=" + str(tmp_path / "sweep"), cwd=tmp_path.parent)
    finally:
        tmp_path.chmod(0o700)
    assert ended.code == 2
    assert ended.err.splitlines() == [
        f"error: hydra.sweep.dir={tmp_path}/sweep: cannot be written (Permission denied); name a folder that can"
    ]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(folder)], capture_output=True
    )
    if not mounted or mounted.returncode != 0:
        pytest.skip("mounting a small file system needs the superuser")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_read_only_file_system(small_disk):
    arguments = ["-m", "hydra.sweep.dir=" + str(small_disk / "sweep")]
    [first] = run_all("curves.py", [(small_disk.parent / "cwd", [*arguments, KEY + "n_trials=2"])], cwd=small_disk.parent)
    assert first.code == 0, first.text
    before = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()}
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    [again] = run_all("curves.py", [(small_disk.parent / "cwd", [*arguments, KEY + "n_trials=4"])], cwd=small_disk.parent)
    assert again.code == 2, again.text
    assert again.err.splitlines() == [
        f"error: hydra.sweep.dir={small_disk}/sweep: cannot be written (Read-only file system); name a folder that can"
    ]
    assert {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [0, 2])
def test_a_full_disk_ends_the_sweep_in_one_line_and_harms_nothing(n_jobs, small_disk):
    arguments = ["-m", KEY + "n_trials=300", KEY + f"n_jobs={n_jobs}", KEY + "sampler=random"]
    with Running("curves.py", *arguments, "hydra.sweep.dir=" + str(small_disk / "sweep"), cwd=small_disk.parent) as running:
        ended = running.wait()
    assert ended.code == 2, ended.text
    assert "Traceback" not in ended.text
    [line] = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert "No space left on device" in line
    n = n_records(small_disk / "sweep")
    assert n > 20
    # A trial may have no line: the disk was full by then.
    done = {number for number, lines in notes(small_disk / "sweep").items() if lines[-1:] == ["end"]}
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    again = run(
        "curves.py",
        *arguments[:1],
        KEY + f"n_trials={len(done) + 3}",
        KEY + "sampler=random",
        "hydra.sweep.dir=" + str(small_disk / "sweep"),
        cwd=small_disk.parent,
    )
    assert again.code == 0, again.text
    assert "continuing" in again.text
    found = rows(small_disk / "sweep")
    assert {row["state"] for row in found} == {"COMPLETE"}
    assert len(found) == max(len(done) + 3, len(found))


@pytest.mark.slow
def test_ctrl_c_while_a_trial_hangs(tmp_path):
    with Running("misbehaving.py", *SIX, "how=hang_in_c", "at=0", KEY + "n_jobs=2", cwd=tmp_path) as running:
        until(lambda: 0 in notes(tmp_path / "sweep"), "the trial that hangs")
        os.killpg(running.pid, signal.SIGINT)
        ended = running.wait(10)
        assert ended.code == 130, ended.text
        assert not running.members()
