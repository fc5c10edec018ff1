"""`trivet` as a command, many times, for the price of importing once: each program that it starts is a fork of this process.

Forks of a process that has imported what stages and apps import, in place of `python ...` wherever trivet starts one and waits for it: the
same words, folder, environment, output and exit code. Workers are started as ever. `Warm` is the side of the test.
"""

import gc
import json
import os
import runpy
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORTED = ("trivet.cli", "trivet.sweep.sweep", "trivet.phases.runner", "trivet.reporting.build", "trivet.reporting.html")
IMPORTED += ("trivet.reporting.figures", "trivet.phases.app_test", "trivet.phases.finalists", "trivet.command.app", "optuna")
IMPORTED += ("sqlalchemy", "scipy.stats", "sklearn.ensemble", "hydra.utils", "lightning.pytorch")
REAL_RUN = subprocess.run


class Warm:
    """A process of warm.py. `run(words, cwd)` is `python -m trivet <words>` there; call `close` at the end."""

    def __init__(self, env):
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=Path(__file__).parent
        )

    def run(self, *words, cwd, answers=""):
        """(exit code, stdout, stderr)."""
        return self.ask(run=["python", "-m", "trivet", *words], cwd=str(cwd), answers=answers)

    def start(self, *words, cwd):
        """The same begun, as the leader of a session of its own, and what it prints is lost."""
        from apps.forking import Forked  # the other side is a script, which knows no package of tests

        return Forked(self, self.ask(start=["python", "-m", "trivet", *words], cwd=str(cwd)))

    def ask(self, **what):
        """One request, and its answer."""
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def become(words, cwd, files):
    """Be the program of these words, `python` the first of them, with files as its stdin, stdout and stderr; never returns."""
    from ending import as_a_program

    with as_a_program():
        os.chdir(cwd)
        for stream, file in enumerate(files):
            if file is not None:
                os.dup2(file.fileno(), stream)
        if words[1] == "-m":
            sys.argv, sys.path[0] = ["", *words[3:]], str(cwd)
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
        else:
            path = Path(cwd, words[1]).resolve()
            sys.argv, sys.path[0] = words[1:], str(path.parent)
            runpy.run_path(str(path), run_name="__main__")


def forked(words, cwd, text, piped):
    """`become` in a fork, with `text` as its stdin; (exit code, stdout, stderr), the last two where they are `piped`."""
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        given.write(text)
        given.seek(0)
        files = [given, *(file if wanted else None for file, wanted in zip((out, err), piped, strict=True))]
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            become(words, cwd, files)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


def begun(words, cwd):
    """`become` in a fork that leads a session; its process id."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        with open(os.devnull, "r+") as nothing:
            become(words, cwd, [nothing] * 3)
    return pid


def run_in_fork(command, *args, cwd=".", capture_output=False, stdout=None, input="", shell=False, env=None, **more):
    """`subprocess.run`, for what is `python ...`."""
    words = shlex.split(command) if shell else [str(word) for word in command]
    if shell and "&&" in words:
        first, after = command.split(" && ", 1)
        done = run_in_fork(first, cwd=cwd, shell=True)
        return done if done.returncode else run_in_fork(after, cwd=cwd, shell=True)
    if words[0] not in ("python", sys.executable):
        given = {} if "stdin" in more else {"input": input}
        return REAL_RUN(command, *args, cwd=cwd, capture_output=capture_output, stdout=stdout, shell=shell, env=env, **given, **more)
    piped = (capture_output or stdout is not None, capture_output)
    code, out, err = forked(words, os.path.abspath(cwd), input, piped)
    return subprocess.CompletedProcess(command, code, out, err)


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import matplotlib

    matplotlib.use("agg")
    for name in IMPORTED:
        __import__(name)
    from hydra.core.plugins import Plugins

    Plugins.instance()
    subprocess.run = run_in_fork
    gc.disable()  # its forks are short, and going through what they share would copy all of it
    for line in sys.stdin:
        asked = json.loads(line)
        if "run" in asked:
            answer = forked(asked["run"], asked["cwd"], asked["answers"], (True, True))
        elif "start" in asked:
            answer = begun(asked["start"], asked["cwd"])
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["reap"], 0)[1])
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
