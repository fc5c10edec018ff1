"""Start the apps of this folder as real processes, watch them, and read what they leave."""

import contextlib
import csv
import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from apps import forking

HERE = Path(__file__).parent
SRC = HERE.parents[1] / "src"
DEADLINE = 300.0  # seconds after which a test gives up on a process; long, for machines that do much else


@dataclass
class Ended:
    """A process that has ended: exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def text(self):
        return self.out + self.err


def meeting(folder):
    """The argument that makes trials wait until two processes run some (curves.py)."""
    place = Path(folder) / "meeting"
    place.mkdir()
    return f"meet={place}"


def _hears_interrupts():
    """Ctrl-C reaches the app though a shell started the tests in its background, which ignores it and lets children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Running:
    """A started app: leader of a session of its own, so that nothing of it can hide or outlive a test.

    A fork of a process that has imported what a sweep imports (forking.py), or, `alone`, a Python of its own.
    """

    def __init__(self, app, *arguments, cwd, alone=False, python=sys.executable, env=None, told=None):
        self.cwd = Path(cwd)
        self._out, self._err = (Path(told or cwd) / f".{stream}-{time.monotonic_ns()}" for stream in ("out", "err"))
        environment = {**os.environ, "PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "0", **(env or {})}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            if not alone and python == sys.executable:
                self.popen = forking.start(HERE / app, arguments, self.cwd, environment, self._out, self._err)
            else:
                self.popen = subprocess.Popen(
                    [python, str(HERE / app), *arguments],
                    cwd=cwd,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                    preexec_fn=_hears_interrupts,
                )
        self.pid = self.popen.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.members():
            send(pid, signal.SIGKILL)
        self.popen.wait()

    @property
    def over(self):
        return self.popen.poll() is not None

    def members(self):
        """Living processes of this app: the session's, zombies left out."""
        return [pid for pid, stat in processes() if int(stat[3]) == self.pid and stat[0] != "Z"]

    def workers(self):
        """Living local workers of this app."""
        return [pid for pid in self.members() if b"trivet.sweep.process" in command_of(pid)]

    def wait(self, seconds=DEADLINE):
        """Wait for the app's own process to end."""
        code = self.popen.wait(timeout=seconds)
        return Ended(code, self._out.read_text(errors="replace"), self._err.read_text(errors="replace"))


def processes():
    """(pid, the fields of /proc/<pid>/stat from the state on) of every process."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                yield int(entry), Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def send(pid, number):
    """A signal to a process that may be gone by now."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def run(app, *arguments, cwd, **more):
    """Run an app to its end."""
    with Running(app, *arguments, cwd=cwd, **more) as running:
        return running.wait()


def run_all(app, commands, cwd, env=None, at_once=2):
    """Run an app once for each command line, two at once; what each prints is kept in `cwd`.

    `commands` are (folder, arguments). Returns an `Ended` each.
    """
    started = []
    with contextlib.ExitStack() as stack:
        for folder, arguments in commands:
            Path(folder).mkdir(parents=True, exist_ok=True)
            until(lambda: sum(not running.over for running in started) < at_once, "one of the others to end")
            started.append(stack.enter_context(Running(app, *arguments, cwd=folder, env=env, told=cwd)))
        return [running.wait() for running in started]


def until(condition, what, seconds=DEADLINE):
    """Poll until `condition()` is true and return it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.01)
    return found


def rows(folder):
    """trials.csv as a list of dicts."""
    with (Path(folder) / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def table(folder):
    """The part of trials.csv that is the same for every run, as text."""
    lines = list(csv.reader(io.StringIO((Path(folder) / "trials.csv").read_text())))
    cut = lines[0].index("seconds")
    return "\n".join(",".join(line[:cut]) for line in lines)


def curves(folder):
    """The part of curves.csv that is the same for every run, as text."""
    lines = list(csv.reader(io.StringIO((Path(folder) / "curves.csv").read_text())))
    cut = lines[0].index("seconds") if "seconds" in lines[0] else len(lines[0])
    return "\n".join(",".join(line[:cut]) for line in lines)


def assert_same(folder, other):
    """Two sweeps' tables, up to what differs from run to run."""
    assert table(folder) == table(other)
    assert curves(folder) == curves(other)


def notes(folder):
    """What each trial wrote of its runs: number -> lines of runs.log, process ids left out."""
    logs = Path(folder).glob("[0-9]*/runs.log")
    return {int(log.parent.name): [line.rpartition(" ")[0] for line in log.read_text().splitlines()] for log in logs}


def digest(folder):
    """A hash of a folder: names, kinds and contents of all that is in it."""
    found = sorted(Path(folder).rglob("*"))
    parts = [(str(path.relative_to(folder)), path.read_bytes() if path.is_file() else None) for path in found]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def n_records(folder):
    """Lines in the sweep's journal; 0 before there is one."""
    journal = Path(folder) / "journal.log"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0
