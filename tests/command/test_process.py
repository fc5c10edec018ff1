"""Running a program: its reports, its ends, and that nothing of it is left."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

import trivet
from trivet.command import CommandFailed, Definitions, Extractor, Limits, run

DEFINITIONS = Definitions.read("acc", {"acc": r"acc=(\S+)"}, None)


def execute(script, folder, report=lambda *row: None, **limits):
    return run([sys.executable, "-c", script], Extractor(DEFINITIONS, report), folder, None, Limits(**{"grace_seconds": 0.3, **limits}))


def test_a_program_reports_as_it_runs(tmp_path):
    rows = []
    script = "import sys\nfor i in range(3):\n    print(f'acc={i}')\nprint('to stderr', file=sys.stderr)"
    assert execute(script, tmp_path, lambda *row: rows.append(row)) == 2.0
    assert [row[:2] for row in rows] == [(0.0, 1), (1.0, 2), (2.0, 3)]
    assert (tmp_path / "output.log").read_text().splitlines() == ["acc=0", "acc=1", "acc=2", "to stderr"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("print('bad news'); raise SystemExit(3)", "exit code 3; its last line: bad news"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV; it printed nothing"),
        ("print('hello')", "acc never appeared; its last line: hello"),
        ("print('working', flush=True); import time; time.sleep(60)", "printed nothing for 0.6 s; its last line: working"),
    ],
)
def test_ends_that_are_no_result(tmp_path, script, reason):
    with pytest.raises(CommandFailed) as error:
        execute(script, tmp_path, silence_seconds=0.6 if "sleep" in script else None)
    assert str(error.value) == reason


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(CommandFailed, match="exit code 127; its last line: no-such-program: No such file or directory"):
        run(["no-such-program"], Extractor(DEFINITIONS, print), tmp_path)


FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleeper = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"]
near, far = subprocess.Popen(sleeper), subprocess.Popen(sleeper, start_new_session=True)
open({pids!r}, "w").write(f"{{os.getpid()}} {{near.pid}} {{far.pid}}")
print("acc=1", flush=True)
{then}
"""


def family(path):
    return [int(pid) for pid in path.read_text().split()]


def gone(pids, seconds=10):
    """Whether all of these processes end in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(map(running, pids)):
            return True
        time.sleep(0.02)
    return False


def running(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


linux = pytest.mark.skipif(sys.platform != "linux", reason="a process that leaves its group is found through /proc")


@linux
@pytest.mark.parametrize("then", ["time.sleep(300)", ""])
def test_everything_ends_with_a_trial(tmp_path, then):
    """Pruned in the middle, or ended well with helpers left behind."""

    def report(value, step, metrics):
        if then:
            raise trivet.TrialPruned("pruned")

    script = FAMILY.format(pids=str(tmp_path / "pids"), then=then)
    with pytest.raises(trivet.TrialPruned) if then else contextlib.nullcontext():
        assert execute(script, tmp_path, report) == 1.0
    assert gone(family(tmp_path / "pids"))


@linux
def test_everything_ends_when_the_worker_is_killed(tmp_path):
    script = FAMILY.format(pids=str(tmp_path / "pids"), then="time.sleep(300)")
    worker = f"""
import sys
from pathlib import Path
from trivet.command import Definitions, Extractor, Limits, run
extractor = Extractor(Definitions.read("acc", {{"acc": "acc=(.*)"}}, None), print)
run([sys.executable, "-c", {script!r}], extractor, Path({str(tmp_path)!r}), None, Limits(None, 0.3))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", worker], env=environment, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not (tmp_path / "pids").exists() or len((tmp_path / "pids").read_text().split()) < 3:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    assert gone(family(tmp_path / "pids"))
